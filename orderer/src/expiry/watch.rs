//! Which certificates are to be warned of now. Pure: the time is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::dated::Dated;

/// A certificate is warned of once within this.
const AGAIN_AFTER: Duration = Duration::from_hours(24);
const DAY_SECONDS: u64 = 86_400;

/// What was said of which certificate.
#[derive(Debug)]
pub struct Watch {
    /// How long before its end a certificate is warned of.
    threshold: Duration,
    said: BTreeMap<Dated, SystemTime>,
}

impl Watch {
    /// Warns when `threshold` is left.
    pub fn new(threshold: Duration) -> Self {
        Self {
            threshold,
            said: BTreeMap::new(),
        }
    }

    /// What is to be said at `now` of these certificates. Those that are not among them any more are forgotten.
    pub fn due(&mut self, all: &[Dated], now: SystemTime) -> Vec<String> {
        self.said.retain(|dated, _| all.contains(dated));
        let mut warnings = Vec::new();
        for dated in all {
            let Some(warning) = self.warning(dated, now) else {
                self.said.remove(dated);
                continue;
            };
            if self.is_news(dated, now) {
                self.said.insert(dated.clone(), now);
                warnings.push(warning);
            }
        }
        warnings
    }

    /// A clock that was set back makes it news, too.
    fn is_news(&self, dated: &Dated, now: SystemTime) -> bool {
        let said = self.said.get(dated).map(|said| now.duration_since(*said));
        said.is_none_or(|since| since.is_ok_and(|since| since >= AGAIN_AFTER))
    }

    fn warning(&self, dated: &Dated, now: SystemTime) -> Option<String> {
        if dated.is_early(now) {
            return Some(format!("The {dated} is not valid yet"));
        }
        let Some(left) = dated.left(now) else {
            return Some(format!("The {dated} has expired on {}", dated.end()));
        };
        (left <= self.threshold).then(|| {
            let days = left.as_secs() / DAY_SECONDS;
            let hours = left.as_secs() % DAY_SECONDS / 3600;
            format!(
                "The {dated} expires on {}: {days} days and {hours} hours are left",
                dated.end()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::dated::Role;
    use super::*;

    const HOUR: u64 = 3600;

    fn at(hours: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(hours * HOUR)
    }

    /// Valid from hour 100 to hour 1000.
    fn dated(subject: &str) -> Dated {
        Dated {
            role: Role::Enrollment,
            place: "msp/signcerts/cert.pem".to_owned(),
            subject: subject.to_owned(),
            serial: "01".to_owned(),
            not_before: 100 * 3600,
            not_after: 1000 * 3600,
        }
    }

    #[test]
    fn a_warning_comes_at_the_threshold_then_daily_and_also_after_the_end() {
        let (mut watch, all) = (Watch::new(Duration::from_hours(168)), [dated("a")]);
        let said: Vec<(u64, String)> = (500..1060)
            .flat_map(|hour| {
                watch
                    .due(&all, at(hour))
                    .into_iter()
                    .map(move |text| (hour, text))
            })
            .collect();
        let hours: Vec<u64> = said.iter().map(|(hour, _)| *hour).collect();
        let expected: Vec<u64> = (0..10).map(|day| 832 + 24 * day).collect();
        assert_eq!(hours, expected);
        assert!(
            said[0].1.ends_with("7 days and 0 hours are left"),
            "{}",
            said[0].1
        );
        assert!(
            said[6].1.ends_with("1 days and 0 hours are left"),
            "{}",
            said[6].1
        );
        assert!(
            said[7].1.contains("has expired on 1970-02-11T16:00:00Z"),
            "{}",
            said[7].1
        );
    }

    #[test]
    fn a_renewed_certificate_is_warned_of_anew_and_a_good_one_not_at_all() {
        let mut watch = Watch::new(Duration::from_hours(168));
        assert_eq!(watch.due(&[dated("a")], at(900)).len(), 1);
        assert_eq!(watch.due(&[dated("a"), dated("b")], at(901)).len(), 1, "b alone");
        let renewed = Dated {
            not_after: 5000 * 3600,
            ..dated("a")
        };
        assert!(watch.due(&[renewed], at(902)).is_empty());
        assert_eq!(watch.due(&[dated("a")], at(903)).len(), 1);
    }

    #[test]
    fn one_that_is_not_valid_yet_is_told() {
        let mut watch = Watch::new(Duration::from_hours(1));
        let told = watch.due(&[dated("a")], at(99));
        assert!(told[0].ends_with("is not valid yet"), "{told:?}");
    }
}
