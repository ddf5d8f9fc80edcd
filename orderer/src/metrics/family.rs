//! Instruments of one name that differ in their labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::instrument::{Counter, Gauge, Histogram, Snapshot, Total, to_f64};

/// What is said of a family.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Its name with dots between namespace, subsystem and the rest: as statsd has it. Prometheus has `_` there.
    pub path: &'static str,
    /// In words, for operators.
    pub help: &'static str,
    /// Names of the labels, in the order in which statsd appends their values.
    pub labels: &'static [&'static str],
}

impl Description {
    /// Its name in Prometheus.
    pub fn name(&self) -> String {
        self.path.replace('.', "_")
    }
}

/// What kind of numbers a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They only grow.
    Counter,
    /// They go up and down.
    Gauge,
    /// Values in ranges.
    Histogram,
}

/// A number at one moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a counter.
    Counter(f64),
    /// Of a gauge.
    Gauge(f64),
    /// Of a histogram.
    Histogram(Snapshot),
}

/// One instrument at one moment: the values of its labels, and its own.
pub type Sample = (Vec<String>, Value);

/// A kind of instrument that can be made by the dozen.
pub trait Instrument: Clone + Send + Sync {
    /// What it is.
    const KIND: Kind;
    /// A fresh one. `bounds` are for histograms.
    fn fresh(bounds: &'static [f64]) -> Self;
    /// Its value now.
    fn value(&self) -> Value;
}

impl Instrument for Counter {
    const KIND: Kind = Kind::Counter;

    fn fresh(_bounds: &'static [f64]) -> Self {
        Self::default()
    }

    fn value(&self) -> Value {
        Value::Counter(to_f64(self.get()))
    }
}

impl Instrument for Total {
    const KIND: Kind = Kind::Counter;

    fn fresh(_bounds: &'static [f64]) -> Self {
        Self::default()
    }

    fn value(&self) -> Value {
        Value::Counter(self.get())
    }
}

impl Instrument for Gauge {
    const KIND: Kind = Kind::Gauge;

    fn fresh(_bounds: &'static [f64]) -> Self {
        Self::default()
    }

    fn value(&self) -> Value {
        Value::Gauge(self.get())
    }
}

impl Instrument for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn fresh(bounds: &'static [f64]) -> Self {
        Self::new(bounds)
    }

    fn value(&self) -> Value {
        Value::Histogram(self.snapshot())
    }
}

/// All instruments of one name. Cheap to clone.
///
/// Looking one up takes a lock. Whoever counts often looks it up once and keeps it.
#[derive(Clone, Debug)]
pub struct Family<T>(Arc<Members<T>>);

#[derive(Debug)]
struct Members<T> {
    description: Description,
    bounds: &'static [f64],
    by_labels: RwLock<BTreeMap<Vec<String>, Member<T>>>,
}

#[derive(Debug)]
struct Member<T> {
    instrument: T,
    /// How many hold it on lease.
    leases: usize,
}

impl<T: Instrument> Family<T> {
    /// One without members. `bounds` are for histograms.
    pub fn new(description: Description, bounds: &'static [f64]) -> Self {
        Self(Arc::new(Members {
            description,
            bounds,
            by_labels: RwLock::default(),
        }))
    }

    /// The instrument with these values of the labels. It is shown from now on, until its channel is forgotten.
    pub fn with(&self, labels: &[&str]) -> T {
        debug_assert_eq!(labels.len(), self.0.description.labels.len(), "{labels:?}");
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let known = self.0.by_labels.read().get(&labels).map(Member::instrument);
        known.unwrap_or_else(|| self.0.member(labels, |member| member.instrument()))
    }

    /// The same, shown for as long as somebody has it on lease.
    pub fn lease(&self, labels: &[&str]) -> Lease<T> {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let instrument = self.0.member(labels.clone(), |member| {
            member.leases += 1;
            member.instrument()
        });
        Lease {
            instrument,
            labels,
            family: self.clone(),
        }
    }

    /// An instrument that nobody is shown.
    pub fn unseen(&self) -> T {
        T::fresh(self.0.bounds)
    }
}

impl<T: Instrument> Member<T> {
    fn instrument(&self) -> T {
        self.instrument.clone()
    }
}

impl<T: Instrument> Members<T> {
    fn member<R>(&self, labels: Vec<String>, take: impl FnOnce(&mut Member<T>) -> R) -> R {
        let mut members = self.by_labels.write();
        let member = members.entry(labels).or_insert_with(|| Member {
            instrument: T::fresh(self.bounds),
            leases: 0,
        });
        take(member)
    }
}

/// An instrument that is shown for as long as one of these lives.
#[derive(Debug)]
pub struct Lease<T: Instrument> {
    instrument: T,
    labels: Vec<String>,
    family: Family<T>,
}

impl<T: Instrument> std::ops::Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.instrument
    }
}

impl<T: Instrument> Drop for Lease<T> {
    fn drop(&mut self) {
        let mut members = self.family.0.by_labels.write();
        // It may be gone with its channel.
        if let Some(member) = members.get_mut(&self.labels) {
            member.leases = member.leases.saturating_sub(1);
            if member.leases == 0 {
                members.remove(&self.labels);
            }
        }
    }
}

/// A family as whoever shows it sees it.
pub trait Collect: Send + Sync {
    /// What is said of it.
    fn description(&self) -> &Description;

    /// What it has.
    fn kind(&self) -> Kind;

    /// Its members, by their labels.
    fn samples(&self) -> Vec<Sample>;

    /// Takes away the members whose label `name` is `value`.
    fn forget(&self, name: &str, value: &str);
}

impl<T: Instrument> Collect for Family<T> {
    fn description(&self) -> &Description {
        &self.0.description
    }

    fn kind(&self) -> Kind {
        T::KIND
    }

    fn samples(&self) -> Vec<Sample> {
        let members = self.0.by_labels.read();
        let sample =
            |(labels, member): (&Vec<String>, &Member<T>)| (labels.clone(), member.instrument.value());
        members.iter().map(sample).collect()
    }

    fn forget(&self, name: &str, value: &str) {
        let place = self.0.description.labels.iter().position(|label| *label == name);
        if let Some(place) = place {
            self.0
                .by_labels
                .write()
                .retain(|labels, _| labels[place] != value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family() -> Family<Gauge> {
        let description = Description {
            path: "a.b_c",
            help: "",
            labels: &["host", "channel"],
        };
        Family::new(description, &[])
    }

    fn labels(family: &Family<Gauge>) -> Vec<String> {
        let samples = family.samples();
        samples.into_iter().map(|(labels, _)| labels.join(" ")).collect()
    }

    #[test]
    fn members_of_a_channel_go_with_it() {
        let family = family();
        family.with(&["h1", "ch1"]).set(1.0);
        let kept = family.with(&["h1", "ch2"]);
        family.with(&["h2", "ch1"]).set(1.0);
        assert_eq!(labels(&family), ["h1 ch1", "h1 ch2", "h2 ch1"]);
        family.forget("channel", "ch1");
        family.forget("no such label", "ch2");
        kept.set(2.0);
        let samples = family.samples();
        assert_eq!(
            samples,
            [(vec!["h1".to_owned(), "ch2".to_owned()], Value::Gauge(2.0))]
        );
        assert_eq!(family.description().name(), "a_b_c");
    }

    #[test]
    fn a_lease_shows_its_member_until_the_last_one_goes() {
        let family = family();
        let (first, second) = (family.lease(&["h", "ch"]), family.lease(&["h", "ch"]));
        first.add(2.0);
        second.add(3.0);
        drop(first);
        assert_eq!(family.samples()[0].1, Value::Gauge(5.0));
        drop(second);
        assert!(labels(&family).is_empty());
        let gone = family.lease(&["h", "ch"]);
        family.forget("channel", "ch");
        drop(gone);
        assert!(labels(&family).is_empty());
    }
}
