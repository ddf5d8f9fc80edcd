//! One thing that was looked at, and all of them.

use std::fmt::Write as _;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// It works, and will not for ever.
    Warning,
    /// Something does not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which node, channel, file or setting it is about.
    pub place: String,
    /// What was found.
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Ok,
            place: place.into(),
            what: what.into(),
            next: None,
        }
    }

    /// Not urgent, with what to do.
    pub fn warning(place: impl Into<String>, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            next: Some(next.into()),
            ..Self::ok(place, what)
        }
    }

    /// Urgent, with what to do.
    pub fn problem(place: impl Into<String>, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            severity: Severity::Problem,
            ..Self::warning(place, what, next)
        }
    }
}

/// All that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// In the order of the looking.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// True if all is as it should be.
    pub fn is_well(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity == Severity::Ok)
    }

    /// For people: the worst first, each with what to do; what is well in a line each, last.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for severity in [Severity::Problem, Severity::Warning, Severity::Ok] {
            for finding in self.of(severity) {
                write(&mut text, finding);
            }
        }
        let (problems, warnings) = (
            self.of(Severity::Problem).count(),
            self.of(Severity::Warning).count(),
        );
        // A String takes everything.
        let _ = match (problems, warnings) {
            (0, 0) => writeln!(text, "\nnothing wrong was found"),
            _ => writeln!(
                text,
                "\n{}, {}; begin with the first",
                count(problems, "problem"),
                count(warnings, "warning")
            ),
        };
        text
    }

    fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.severity == severity)
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn write(text: &mut String, finding: &Finding) {
    let Finding {
        severity,
        place,
        what,
        next,
    } = finding;
    let word = match severity {
        Severity::Ok => "ok",
        Severity::Warning => "warning",
        Severity::Problem => "PROBLEM",
    };
    let _ = writeln!(text, "{word:<8} {place}: {}", what.replace('\n', "\n         "));
    if let Some(next) = next {
        let _ = writeln!(text, "   next: {next}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first_with_what_to_do() {
        let diagnosis = Diagnosis {
            findings: vec![
                Finding::ok("clocks", "agree"),
                Finding::warning("n1", "the disk is low", "free some room"),
                Finding::problem("n2", "does not answer", "start it"),
            ],
        };
        assert!(!diagnosis.is_well());
        assert_eq!(
            diagnosis.text(),
            "\
PROBLEM  n2: does not answer
   next: start it
warning  n1: the disk is low
   next: free some room
ok       clocks: agree

1 problem, 1 warning; begin with the first
"
        );
    }

    #[test]
    fn where_all_is_well_it_says_so() {
        let diagnosis = Diagnosis {
            findings: vec![Finding::ok("clocks", "agree")],
        };
        assert!(diagnosis.is_well());
        assert_eq!(
            diagnosis.text(),
            "ok       clocks: agree\n\nnothing wrong was found\n"
        );
    }
}
