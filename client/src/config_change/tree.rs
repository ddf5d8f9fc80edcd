//! Changes as an indented tree.
//!
//! ```text
//! /Channel
//!   Orderer
//!     ~ BatchSize (version 0 -> 1)
//!         max_message_count: 500 -> 200
//!   Application
//!     + group Org3MSP
//! ```

use std::fmt;

use configtx::tree::Kind;

use super::{Change, Detail, What};

const STEP: &str = "  ";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
/// An old and a new text that are longer than this together stand on lines of their own.
const LINE_CHARS_MAX: usize = 80;

/// Shows changes, as [`changes`](super::changes) orders them.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    /// What to show.
    pub changes: &'a [Change],
    /// With the versions of each element, and groups of which nothing but the version changes.
    pub versions: bool,
    /// With colours, for a terminal.
    pub colours: bool,
}

impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown: Vec<&str> = Vec::new();
        for change in self
            .changes
            .iter()
            .filter(|change| self.versions || !is_version_alone(change))
        {
            let names: Vec<_> = change.key.path.split('/').skip(1).collect();
            let Some((name, groups)) = names.split_last() else {
                continue;
            };
            let common = shown.iter().zip(groups).take_while(|(a, b)| a == b).count();
            for (depth, group) in groups.iter().enumerate().skip(common) {
                writeln!(
                    f,
                    "{}{}{group}",
                    STEP.repeat(depth),
                    if depth == 0 { "/" } else { "" }
                )?;
            }
            self.element(f, change, name, groups.len())?;
            shown = if change.key.kind == Kind::Group {
                names
            } else {
                groups.to_vec()
            };
        }
        Ok(())
    }
}

impl Tree<'_> {
    fn element(&self, f: &mut fmt::Formatter<'_>, change: &Change, name: &str, depth: usize) -> fmt::Result {
        let indent = STEP.repeat(depth);
        let kind = match change.key.kind {
            Kind::Group => "group ",
            Kind::Policy => "policy ",
            Kind::Value => "",
        };
        let root = if depth == 0 { "/" } else { "" };
        let line = format!("{} {kind}{root}{name}", sign(change.what()));
        writeln!(
            f,
            "{indent}{}{}",
            self.coloured(change.what(), &line),
            self.version_text(change)
        )?;
        for detail in &change.details {
            self.detail(f, detail, &format!("{indent}{STEP}{STEP}"))?;
        }
        Ok(())
    }

    fn detail(&self, f: &mut fmt::Formatter<'_>, detail: &Detail, indent: &str) -> fmt::Result {
        let Detail { name, old, new } = detail;
        let said = |text: &String| {
            if text.is_empty() {
                name.clone()
            } else {
                format!("{name}: {text}")
            }
        };
        match (old, new) {
            (Some(old), Some(new)) if old.chars().count() + new.chars().count() <= LINE_CHARS_MAX => {
                writeln!(f, "{indent}{name}: {old} -> {new}")
            }
            (Some(old), Some(new)) => {
                writeln!(f, "{indent}{name}:")?;
                writeln!(
                    f,
                    "{indent}{STEP}{}",
                    self.coloured(What::Removed, &format!("- {old}"))
                )?;
                writeln!(
                    f,
                    "{indent}{STEP}{}",
                    self.coloured(What::Added, &format!("+ {new}"))
                )
            }
            (Some(old), None) => writeln!(
                f,
                "{indent}{}",
                self.coloured(What::Removed, &format!("- {}", said(old)))
            ),
            (None, Some(new)) => writeln!(
                f,
                "{indent}{}",
                self.coloured(What::Added, &format!("+ {}", said(new)))
            ),
            (None, None) => Ok(()),
        }
    }

    fn version_text(&self, change: &Change) -> String {
        match (change.old_version, change.new_version) {
            _ if !self.versions => String::new(),
            (Some(old), Some(new)) => format!(" (version {old} -> {new})"),
            (Some(version), None) | (None, Some(version)) => format!(" (version {version})"),
            (None, None) => String::new(),
        }
    }

    fn coloured(&self, what: What, text: &str) -> String {
        let colour = match what {
            What::Added => GREEN,
            What::Removed => RED,
            What::Changed => YELLOW,
        };
        if self.colours {
            format!("\u{1b}[{colour}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A group's version moves with its members, which are shown themselves.
fn is_version_alone(change: &Change) -> bool {
    change.key.kind == Kind::Group && change.what() == What::Changed && change.details.is_empty()
}

fn sign(what: What) -> char {
    match what {
        What::Added => '+',
        What::Removed => '-',
        What::Changed => '~',
    }
}
