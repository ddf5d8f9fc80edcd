//! What came of a check, as text and as JSON.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::{Config, ConfigError, Effective, Origin};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// The node starts; somebody should look at it.
    Warning,
    /// The node does not start.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was found, naming key, file and line where there are some.
    pub text: String,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Report {
    file: Option<PathBuf>,
    settings: Vec<Effective>,
    findings: Vec<Finding>,
}

impl Finding {
    /// As it should be.
    pub fn ok(text: impl Into<String>) -> Self {
        Self::new(Level::Ok, text)
    }

    /// Does not keep the node from starting.
    pub fn warning(text: impl Into<String>) -> Self {
        Self::new(Level::Warning, text)
    }

    /// Keeps the node from starting.
    pub fn problem(text: impl Into<String>) -> Self {
        Self::new(Level::Problem, text)
    }

    fn new(level: Level, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { level, text }
    }
}

impl Report {
    /// There is no file.
    pub(super) fn without_file(error: &ConfigError) -> Self {
        Self {
            file: None,
            settings: Vec::new(),
            findings: vec![Finding::problem(error.to_string())],
        }
    }

    /// The file says nothing that could be in force.
    pub(super) fn of_file(file: PathBuf, findings: Vec<Finding>) -> Self {
        Self {
            file: Some(file),
            settings: Vec::new(),
            findings,
        }
    }

    pub(super) fn of_config(config: &Config, findings: Vec<Finding>) -> Self {
        Self {
            file: Some(config.file.clone()),
            settings: config.effective.clone(),
            findings,
        }
    }

    /// What was found, in the order of the checks.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether nothing keeps the node from starting.
    pub fn would_start(&self) -> bool {
        self.count(Level::Problem) == 0
    }

    fn count(&self, level: Level) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    }

    /// For people: the settings in columns, then the findings, then the outcome.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if let Some(file) = &self.file {
            let _ = writeln!(out, "settings of {}", file.display());
            self.write_settings(&mut out, file);
        }
        for finding in &self.findings {
            let word = match finding.level {
                Level::Ok => "ok",
                Level::Warning => "warning",
                Level::Problem => "PROBLEM",
            };
            // A problem may take several lines.
            let text = finding.text.replace('\n', "\n         ");
            let _ = writeln!(out, "{word:<8} {text}");
        }
        let (problems, warnings) = (self.count(Level::Problem), self.count(Level::Warning));
        let outcome = if self.would_start() {
            "the node would start"
        } else {
            "the node would NOT start"
        };
        let _ = writeln!(out, "\n{outcome}: {problems} problems, {warnings} warnings");
        out
    }

    fn write_settings(&self, out: &mut String, file: &Path) {
        let lines: Vec<(String, String)> = self
            .settings
            .iter()
            .map(|setting| (setting.to_string(), setting.origin.describe(file)))
            .collect();
        // Long values push their origin to the right and leave the others where they are.
        let width = lines
            .iter()
            .map(|(line, _)| line.len())
            .max()
            .unwrap_or(0)
            .min(70);
        for (line, origin) in lines {
            let _ = writeln!(out, "  {line:<width$}  {origin}");
        }
        out.push('\n');
    }

    /// For programs: `file`, `would_start`, `settings` (`key`, `value`, `origin` and its place), `findings` (`level`,
    /// `text`).
    pub fn json(&self) -> String {
        let settings: Vec<_> = self
            .settings
            .iter()
            .map(|setting| self.setting_json(setting))
            .collect();
        let object = serde_json::json!({
            "file": self.file,
            "would_start": self.would_start(),
            "settings": settings,
            "findings": self.findings,
        });
        format!("{object:#}\n")
    }

    fn setting_json(&self, setting: &Effective) -> serde_json::Value {
        let Effective { key, value, origin } = setting;
        match origin {
            Origin::Line(line) => {
                serde_json::json!({"key": key, "value": value, "origin": "file", "file": self.file, "line": line})
            }
            Origin::Variable(name) => {
                serde_json::json!({"key": key, "value": value, "origin": "environment", "variable": name})
            }
            Origin::Default => serde_json::json!({"key": key, "value": value, "origin": "default"}),
            Origin::Derived(from) => {
                serde_json::json!({"key": key, "value": value, "origin": "derived", "from": from})
            }
        }
    }
}
