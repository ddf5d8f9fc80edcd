//! File and environment merged and typed by the table of keys.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::error::{Origin, Problem};
use super::file::{Raw, Setting};
use super::keys::{Base, Effect, KEYS, Key, Kind, OPEN_SECTIONS};
use super::kind::{self, Value, go_duration};
use super::likely::{idle_variables, unknown_text};
use super::{Effective, Environment};

/// Every key with its value in force.
#[derive(Debug)]
pub(super) struct Values {
    by_path: BTreeMap<&'static str, Resolved>,
    /// Keys of open sections that nobody knows, as written.
    pub(super) unknown_accepted: Vec<String>,
    /// Variables of our sections that set no key, with the one that was probably meant.
    pub(super) idle_variables: Vec<String>,
}

/// The value of one key.
#[derive(Debug)]
struct Resolved {
    key: &'static Key,
    /// None: absent, and the key has no default.
    value: Option<Value>,
    origin: Origin,
}

/// A value before typing.
struct Written {
    raw: Raw,
    origin: Origin,
}

/// Merges and types everything; all problems come back at once.
pub(super) fn resolve(
    file: &Path,
    settings: Vec<Setting>,
    environment: &Environment,
) -> Result<Values, Vec<Problem>> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut reading = Reading {
        folder,
        written: BTreeMap::new(),
        unknown: BTreeMap::new(),
        unknown_accepted: Vec::new(),
        problems: Vec::new(),
    };
    for setting in settings {
        reading.take(setting);
    }
    reading.name_the_unknown();
    let by_path = KEYS
        .iter()
        .map(|key| (key.path, reading.resolve(key, environment)))
        .collect();
    if reading.problems.is_empty() {
        Ok(Values {
            by_path,
            unknown_accepted: reading.unknown_accepted,
            idle_variables: idle_variables(environment),
        })
    } else {
        Err(reading.problems)
    }
}

/// The merge in progress.
struct Reading<'a> {
    folder: &'a Path,
    /// By lower-case path.
    written: BTreeMap<String, Written>,
    /// Lower-case path of what no key matches, with the path as written and its line.
    unknown: BTreeMap<String, (String, usize)>,
    unknown_accepted: Vec<String>,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn take(&mut self, setting: Setting) {
        let lower = setting.path.to_lowercase();
        let is_key = find(&lower).is_some();
        match (is_key, setting.raw) {
            (true, Raw::Empty | Raw::Section) => {}
            (true, raw) => self.write(&setting.path, lower, raw, Origin::Line(setting.line)),
            (false, Raw::Empty | Raw::Section) if is_section(&lower) => {}
            (false, _) if is_section(&lower) => {
                let what = format!("{} is a section, but a value stands there", setting.path);
                self.problem(Origin::Line(setting.line), what);
            }
            (false, raw) => self.other(setting.path, lower, setting.line, &raw),
        }
    }

    /// A path that is neither key nor section: the `{File: path}` form, a child of an open section, or unknown.
    fn other(&mut self, path: String, lower: String, line: usize, raw: &Raw) {
        let parent = lower
            .strip_suffix(".file")
            .filter(|parent| find(parent).is_some());
        if let (Some(parent), Raw::Text(named)) = (parent, raw) {
            let origin = Origin::Line(line);
            if let Some(content) = self.content(parent, named, &origin) {
                self.write(&path, parent.to_owned(), Raw::Text(content), origin);
            }
        } else if open_section_of(&lower) {
            self.unknown_accepted.push(path);
        } else {
            self.unknown.insert(lower, (path, line));
        }
    }

    fn write(&mut self, path: &str, lower: String, raw: Raw, origin: Origin) {
        if let Some(Origin::Line(first)) = self.written.get(&lower).map(|before| &before.origin) {
            let what = format!("{path} is set a second time (first in line {first})");
            self.problem(origin, what);
            return;
        }
        self.written.insert(lower, Written { raw, origin });
    }

    /// The trimmed content of a file that stands for a value.
    ///
    /// For a key that names a PEM file, a file with PEM in it stands for itself: that is what was meant.
    fn content(&mut self, key: &str, named: &str, origin: &Origin) -> Option<String> {
        let path = self.folder.join(named);
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim_start().starts_with("-----BEGIN") && names_files(key) => {
                Some(path.display().to_string())
            }
            Ok(text) => Some(text.trim().to_owned()),
            Err(error) => {
                self.problem(origin.clone(), format!("cannot read {}: {error}", path.display()));
                None
            }
        }
    }

    /// One problem for each unknown key, or for the outermost unknown section around several.
    fn name_the_unknown(&mut self) {
        let unknown = std::mem::take(&mut self.unknown);
        let mut by_line: Vec<_> = unknown
            .iter()
            .filter(|(lower, _)| !ancestors(lower).any(|outer| unknown.contains_key(outer)))
            .collect();
        by_line.sort_by_key(|(_, (_, line))| *line);
        for (lower, (path, line)) in by_line {
            self.problem(Origin::Line(*line), unknown_text(path, lower));
        }
    }

    fn resolve(&mut self, key: &'static Key, environment: &Environment) -> Resolved {
        let written = overriding(key, environment).or_else(|| {
            let lower = key.path.to_lowercase();
            self.written
                .remove(&lower)
                .or_else(|| self.named_file(key, environment))
        });
        let absent = Resolved {
            key,
            value: default_of(key, self.folder),
            origin: Origin::Default,
        };
        let Some(Written { raw, origin }) = written else {
            return absent;
        };
        match typed(key, raw, self.folder) {
            Ok(value) if key.zero_is_default && is_zero(&value) => absent,
            Ok(value) => Resolved {
                key,
                value: Some(value),
                origin,
            },
            Err(what) => {
                self.problem(origin, format!("{}: {what}", key.path));
                absent
            }
        }
    }

    /// `ORDERER_…_FILE`, for keys that are set nowhere else.
    fn named_file(&mut self, key: &Key, environment: &Environment) -> Option<Written> {
        let variable = format!("{}_FILE", key.variable());
        let named = environment.get(&variable).filter(|text| !text.is_empty())?;
        let origin = Origin::Variable(variable);
        let content = self.content(&key.path.to_lowercase(), named, &origin)?;
        Some(Written {
            raw: Raw::Text(content),
            origin,
        })
    }

    fn problem(&mut self, origin: Origin, what: String) {
        self.problems.push(Problem { origin, what });
    }
}

/// What the environment sets in the file's stead.
fn overriding(key: &Key, environment: &Environment) -> Option<Written> {
    let variable = key.variable();
    let text = environment
        .get(&variable)
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())?;
    Some(Written {
        raw: Raw::Text(text.to_owned()),
        origin: Origin::Variable(variable),
    })
}

fn find(lower: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path.eq_ignore_ascii_case(lower))
}

fn names_files(lower: &str) -> bool {
    find(lower).is_some_and(|key| matches!(key.kind, Kind::Path(_) | Kind::Paths(_)))
}

fn is_section(lower: &str) -> bool {
    sections().contains(lower)
}

/// Lower-case path of every section.
fn sections() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for key in KEYS {
        let lower = key.path.to_lowercase();
        all.extend(ancestors(&lower).map(str::to_owned));
    }
    all
}

/// The dotted prefixes of `path`, without `path`.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('.').map(|(at, _)| &path[..at])
}

fn open_section_of(lower: &str) -> bool {
    OPEN_SECTIONS
        .iter()
        .any(|section| ancestors(lower).any(|outer| outer.eq_ignore_ascii_case(section)))
}

fn default_of(key: &'static Key, folder: &Path) -> Option<Value> {
    if key.default.is_empty() {
        return None;
    }
    typed(key, Raw::Text(key.default.to_owned()), folder).ok()
}

fn typed(key: &Key, raw: Raw, folder: &Path) -> Result<Value, String> {
    let value = match (key.kind, raw) {
        (kind, Raw::Text(text)) => kind::parse(kind, &text)?,
        (Kind::Paths(_), Raw::List(elements)) => Value::List(elements),
        (_, Raw::List(_)) => return Err("one value is expected, not a list".to_owned()),
        (_, Raw::Odd(what)) => return Err(what.to_owned()),
        (_, Raw::Empty | Raw::Section) => return Err("a value is expected".to_owned()),
    };
    Ok(match (key.kind, value) {
        (Kind::Path(Base::ConfigFile), Value::Text(path)) => Value::Text(beside(folder, &path)),
        (Kind::Paths(Base::ConfigFile), Value::List(paths)) => {
            Value::List(paths.iter().map(|path| beside(folder, path)).collect())
        }
        (_, value) => value,
    })
}

fn beside(folder: &Path, path: &str) -> String {
    folder.join(path).display().to_string()
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Number(number) => *number == 0,
        Value::Duration(duration) => duration.is_zero(),
        Value::Decimal(number) => *number == 0.0,
        _ => false,
    }
}

impl Values {
    /// The text of `path`, which the table must have as a text, choice or path; empty when absent.
    pub(super) fn text(&self, path: &str) -> &str {
        match self.value(path) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// The list of `path`; empty when absent.
    pub(super) fn list(&self, path: &str) -> &[String] {
        match self.value(path) {
            Some(Value::List(elements)) => elements,
            _ => &[],
        }
    }

    /// The flag of `path`; false when absent.
    pub(super) fn flag(&self, path: &str) -> bool {
        matches!(self.value(path), Some(Value::Flag(true)))
    }

    /// The number of `path`; 0 when absent.
    pub(super) fn number(&self, path: &str) -> u64 {
        match self.value(path) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        }
    }

    /// The duration of `path`; 0 when absent.
    pub(super) fn duration(&self, path: &str) -> Duration {
        match self.value(path) {
            Some(Value::Duration(duration)) => *duration,
            _ => Duration::ZERO,
        }
    }

    /// The duration of `path`; none when absent.
    pub(super) fn duration_if_set(&self, path: &str) -> Option<Duration> {
        match self.value(path) {
            Some(Value::Duration(duration)) => Some(*duration),
            _ => None,
        }
    }

    /// The number with a fraction of `path`; 0 when absent.
    pub(super) fn decimal(&self, path: &str) -> f64 {
        match self.value(path) {
            Some(Value::Decimal(number)) => *number,
            _ => 0.0,
        }
    }

    /// Where the value of `path` came from.
    pub(super) fn origin(&self, path: &str) -> Origin {
        self.by_path
            .get(path)
            .map_or(Origin::Default, |resolved| resolved.origin.clone())
    }

    fn value(&self, path: &str) -> Option<&Value> {
        debug_assert!(find(path).is_some(), "{path} is not in the table of keys");
        self.by_path.get(path)?.value.as_ref()
    }

    /// Keys of features that this node does not have, set to something else than their default; each with the reason.
    pub(super) fn unsupported(&self) -> Vec<(&'static str, &'static str)> {
        let set = |resolved: &Resolved| match resolved.key.effect {
            Effect::Unsupported(why) if resolved.differs() => Some((resolved.key.path, why)),
            _ => None,
        };
        self.in_table_order().filter_map(set).collect()
    }

    /// Each key with an effect, and the others where they are set.
    pub(super) fn effective(&self) -> Vec<Effective> {
        self.in_table_order()
            .filter(|resolved| resolved.key.effect == Effect::Full || resolved.differs())
            .map(Resolved::effective)
            .collect()
    }

    fn in_table_order(&self) -> impl Iterator<Item = &Resolved> {
        KEYS.iter().filter_map(|key| self.by_path.get(key.path))
    }
}

impl Resolved {
    fn differs(&self) -> bool {
        self.origin != Origin::Default && self.value != default_of(self.key, Path::new(""))
    }

    fn effective(&self) -> Effective {
        let value = match (&self.value, self.key.kind) {
            (Some(_), Kind::Secret) => "(secret)".to_owned(),
            (Some(Value::Number(bytes)), Kind::Room) => shown_bytes(*bytes),
            (Some(value), _) => shown(value),
            (None, Kind::Paths(_)) => "[]".to_owned(),
            (None, _) => "\"\"".to_owned(),
        };
        Effective {
            key: self.key.path,
            value,
            origin: self.origin.clone(),
        }
    }
}

/// Bytes in the largest unit that leaves no rest: `100 MB`.
pub(super) fn shown_bytes(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)];
    let whole = |(_, unit): &&(&str, u64)| bytes >= *unit && bytes.is_multiple_of(*unit);
    match UNITS.iter().find(whole) {
        Some((name, unit)) => format!("{} {name}", bytes / unit),
        None => bytes.to_string(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Flag(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Duration(duration) => go_duration(*duration),
        Value::List(elements) => format!("[{}]", elements.join(", ")),
    }
}
