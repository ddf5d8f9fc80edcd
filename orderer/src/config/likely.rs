//! What was probably meant by a name that no key has.

use std::collections::BTreeSet;

use super::Environment;
use super::keys::{KEYS, Key, REMOVED};
use super::values::ancestors;

/// How far a variable may be from one we know to be taken for it.
const LETTERS_OFF_MAX: usize = 2;

/// What is said about a key that is not in the table; `lower` is `path` in lower case.
pub(super) fn unknown_text(path: &str, lower: &str) -> String {
    let removed = REMOVED.iter().find(|(gone, _)| gone.eq_ignore_ascii_case(lower));
    if let Some((gone, advice)) = removed {
        return format!("{gone} is no key any more: {advice}");
    }
    match nearest(lower) {
        Some(meant) => format!("unknown key {path}; did you mean {meant}?"),
        None => format!("unknown key {path}"),
    }
}

/// The key or section that was probably meant: few letters off, or the same name in another section.
fn nearest(lower: &str) -> Option<String> {
    let paths: BTreeSet<&str> = KEYS
        .iter()
        .flat_map(|key| ancestors(key.path).chain([key.path]))
        .collect();
    let distance = |path: &str| strsim::damerau_levenshtein(&path.to_lowercase(), lower);
    let last = |path: &str| path.rsplit('.').next().map(str::to_lowercase);
    let typo = paths.iter().map(|path| (distance(path), *path)).min();
    let letters_off_max = 1 + last(lower).map_or(0, |name| name.len() / 4);
    typo.filter(|(letters_off, _)| *letters_off <= letters_off_max)
        .map(|(_, path)| path)
        .or_else(|| {
            KEYS.iter()
                .map(|key| key.path)
                .find(|path| last(path) == last(lower))
        })
        .map(str::to_owned)
}

/// `ORDERER_…` variables that begin like a section of the file but set no key of it. Others are left alone: the
/// prefix is a likely one for all sorts of things, such as the addresses a container platform provides.
pub(super) fn idle_variables(environment: &Environment) -> Vec<String> {
    let variables: BTreeSet<String> = KEYS.iter().map(Key::variable).collect();
    let sections: BTreeSet<&str> = variables
        .iter()
        .filter_map(|name| name.split('_').nth(1))
        .collect();
    let is_ours = |name: &str| {
        let section = name
            .strip_prefix("ORDERER_")
            .and_then(|rest| rest.split_once('_'));
        section.is_some_and(|(section, _)| sections.contains(section))
    };
    let is_known = |name: &str| {
        variables.contains(name)
            || name
                .strip_suffix("_FILE")
                .is_some_and(|key| variables.contains(key))
    };
    let idle = environment.keys().filter(|name| is_ours(name) && !is_known(name));
    idle.map(|name| with_likely_variable(name, &variables)).collect()
}

fn with_likely_variable(name: &str, variables: &BTreeSet<String>) -> String {
    let likely = variables
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min();
    match likely {
        Some((letters_off, known)) if letters_off <= LETTERS_OFF_MAX => {
            format!("{name} (did you mean {known}?)")
        }
        _ => name.to_owned(),
    }
}
