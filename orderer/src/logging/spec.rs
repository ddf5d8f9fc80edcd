//! `FABRIC_LOGGING_SPEC`: `[logger[,logger...]=]level[:...]`.
//!
//! The last level without a logger is the default. For a logger the longest dotted prefix decides; a name with a
//! dot at its end means that logger alone. Unknown logger names are fine: they match nothing.

use std::collections::BTreeMap;
use std::fmt;

use tracing::level_filters::LevelFilter;

/// Which logger prints from which level on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    default: Level,
    /// By name as written, with its dot at the end where it has one.
    loggers: BTreeMap<String, Level>,
}

/// The reference's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Payload,
    Debug,
    Info,
    Warn,
    Error,
    DPanic,
    Panic,
    Fatal,
}

/// Why a text is no spec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// More than one `=`, or no such level.
    #[error("invalid logging specification '{spec}': bad segment '{segment}'")]
    BadSegment {
        /// The whole text.
        spec: String,
        /// The part between colons.
        segment: String,
    },
    /// `=level` with nothing before it.
    #[error("invalid logging specification '{spec}': no logger specified in segment '{segment}'")]
    NoLogger {
        /// The whole text.
        spec: String,
        /// The part between colons.
        segment: String,
    },
    /// A name with characters no logger has.
    #[error("invalid logging specification '{spec}': bad logger name '{name}'")]
    BadName {
        /// The whole text.
        spec: String,
        /// The name.
        name: String,
    },
}

impl Spec {
    /// Reads `text`; empty means `info`.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let mut spec = Self {
            default: Level::Info,
            loggers: BTreeMap::new(),
        };
        for segment in text.split(':').filter(|segment| !segment.is_empty()) {
            spec.add(text, segment)?;
        }
        Ok(spec)
    }

    fn add(&mut self, text: &str, segment: &str) -> Result<(), SpecError> {
        let (names, level) = match segment.split_once('=') {
            Some((names, level)) => (Some(names), level),
            None => (None, segment),
        };
        let level = Level::parse(level).ok_or_else(|| SpecError::BadSegment {
            spec: text.to_owned(),
            segment: segment.to_owned(),
        })?;
        match names {
            None => self.default = level,
            Some("") => {
                return Err(SpecError::NoLogger {
                    spec: text.to_owned(),
                    segment: segment.to_owned(),
                });
            }
            Some(names) => self.add_loggers(text, names, level)?,
        }
        Ok(())
    }

    fn add_loggers(&mut self, text: &str, names: &str, level: Level) -> Result<(), SpecError> {
        for name in names.split(',') {
            if !is_name(name.strip_suffix('.').unwrap_or(name)) {
                return Err(SpecError::BadName {
                    spec: text.to_owned(),
                    name: name.to_owned(),
                });
            }
            self.loggers.insert(name.to_owned(), level);
        }
        Ok(())
    }

    /// From which level on `logger` prints.
    pub fn level(&self, logger: &str) -> LevelFilter {
        self.exact(logger)
            .unwrap_or_else(|| self.by_prefix(logger))
            .filter()
    }

    /// The lowest level any logger prints.
    pub fn most_verbose(&self) -> LevelFilter {
        let levels = self.loggers.values().chain([&self.default]);
        levels
            .map(|level| level.filter())
            .max()
            .unwrap_or(LevelFilter::INFO)
    }

    fn exact(&self, logger: &str) -> Option<Level> {
        self.loggers.get(&format!("{logger}.")).copied()
    }

    fn by_prefix(&self, logger: &str) -> Level {
        let shorter = logger.rmatch_indices('.').map(|(at, _)| &logger[..at]);
        let mut prefixes = std::iter::once(logger).chain(shorter);
        prefixes
            .find_map(|prefix| self.loggers.get(prefix))
            .copied()
            .unwrap_or(self.default)
    }
}

/// Parts of letters, digits, `_`, `#` and `-`, joined by dots.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '#' | '-');
    name.split('.')
        .all(|part| !part.is_empty() && part.chars().all(fits))
}

impl Level {
    fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "payload" => Self::Payload,
            "debug" => Self::Debug,
            "info" | "notice" => Self::Info,
            "warn" | "warning" => Self::Warn,
            "error" | "critical" => Self::Error,
            "dpanic" => Self::DPanic,
            "panic" => Self::Panic,
            "fatal" => Self::Fatal,
            _ => return None,
        })
    }

    /// Our levels end with error; what the reference has above it silences us.
    fn filter(self) -> LevelFilter {
        match self {
            Self::Payload => LevelFilter::TRACE,
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
            Self::DPanic | Self::Panic | Self::Fatal => LevelFilter::OFF,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::DPanic => "dpanic",
            Self::Panic => "panic",
            Self::Fatal => "fatal",
        }
    }
}

/// The normal form: loggers by name, the default last.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (logger, level) in &self.loggers {
            write!(f, "{logger}={}:", level.name())?;
        }
        f.write_str(self.default.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Spec {
        Spec::parse(text).expect(text)
    }

    #[test]
    fn a_spec_is_read_as_in_the_reference() {
        for (text, logger, level) in [
            ("", "any", LevelFilter::INFO),
            ("debug", "any", LevelFilter::DEBUG),
            ("debug:info", "any", LevelFilter::INFO),
            (
                "orderer.consensus.etcdraft=debug:info",
                "orderer.consensus.etcdraft",
                LevelFilter::DEBUG,
            ),
            (
                "orderer.consensus.etcdraft=debug:info",
                "orderer.consensus.etcdraft.wal",
                LevelFilter::DEBUG,
            ),
            (
                "orderer.consensus.etcdraft=debug:info",
                "orderer.consensus.etcdraftx",
                LevelFilter::INFO,
            ),
            (
                "orderer=warn:orderer.common=debug",
                "orderer.common.server",
                LevelFilter::DEBUG,
            ),
            (
                "orderer=warn:orderer.common=debug",
                "orderer.consensus",
                LevelFilter::WARN,
            ),
            ("a,b.c=error", "b.c", LevelFilter::ERROR),
            ("orderer.common.=debug", "orderer.common", LevelFilter::DEBUG),
            (
                "orderer.common.=debug",
                "orderer.common.server",
                LevelFilter::INFO,
            ),
            ("info:grpc=WARNING", "grpc", LevelFilter::WARN),
            ("fatal", "any", LevelFilter::OFF),
        ] {
            assert_eq!(spec(text).level(logger), level, "{logger} under {text:?}");
        }
        assert_eq!(spec("warn:a=payload").most_verbose(), LevelFilter::TRACE);
    }

    #[test]
    fn the_normal_form_has_the_default_last() {
        assert_eq!(
            spec("info:orderer.common.cluster=warning").to_string(),
            "orderer.common.cluster=warn:info"
        );
        assert_eq!(spec("").to_string(), "info");
    }

    #[test]
    fn bad_specs_are_refused_with_the_segment() {
        let told = |text: &str| Spec::parse(text).expect_err(text).to_string();
        assert_eq!(
            told("a=b=c:::"),
            "invalid logging specification 'a=b=c:::': bad segment 'a=b=c'"
        );
        assert_eq!(
            told("loud"),
            "invalid logging specification 'loud': bad segment 'loud'"
        );
        assert_eq!(
            told("=info"),
            "invalid logging specification '=info': no logger specified in segment '=info'"
        );
        assert_eq!(
            told("a..b=info"),
            "invalid logging specification 'a..b=info': bad logger name 'a..b'"
        );
    }
}
