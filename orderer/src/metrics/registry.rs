//! All families of a node, in the order in which they are shown.

use super::family::{Collect, Description, Family, Instrument, Kind, Sample};
use super::instrument::{Counter, Gauge, Histogram, Total};

/// Buckets of the reference where it names none, in seconds.
pub const DEFAULT_BOUNDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// All families. Filled once, when a node's metrics are made.
#[derive(Default)]
pub struct Registry {
    families: Vec<Box<dyn Collect>>,
}

/// One family at one moment.
#[derive(Clone, Debug)]
pub struct Collected {
    /// What is said of it.
    pub description: Description,
    /// What it has.
    pub kind: Kind,
    /// Its members, at least one.
    pub samples: Vec<Sample>,
}

impl Registry {
    /// A family of counters.
    pub fn counters(
        &mut self,
        path: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Family<Counter> {
        self.family(Description { path, help, labels }, &[])
    }

    /// A counter without labels.
    pub fn counter(&mut self, path: &'static str, help: &'static str) -> Counter {
        self.counters(path, help, &[]).with(&[])
    }

    /// A total without labels, counted elsewhere.
    pub fn total(&mut self, path: &'static str, help: &'static str) -> Total {
        let labels = &[];
        self.family(Description { path, help, labels }, &[]).with(&[])
    }

    /// A family of gauges.
    pub fn gauges(
        &mut self,
        path: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Family<Gauge> {
        self.family(Description { path, help, labels }, &[])
    }

    /// A gauge without labels.
    pub fn gauge(&mut self, path: &'static str, help: &'static str) -> Gauge {
        self.gauges(path, help, &[]).with(&[])
    }

    /// A family of histograms with these buckets.
    pub fn histograms(
        &mut self,
        path: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        bounds: &'static [f64],
    ) -> Family<Histogram> {
        self.family(Description { path, help, labels }, bounds)
    }

    /// A histogram without labels.
    pub fn histogram(&mut self, path: &'static str, help: &'static str, bounds: &'static [f64]) -> Histogram {
        self.histograms(path, help, &[], bounds).with(&[])
    }

    fn family<T: Instrument + 'static>(
        &mut self,
        description: Description,
        bounds: &'static [f64],
    ) -> Family<T> {
        let family = Family::new(description, bounds);
        self.families.push(Box::new(family.clone()));
        family
    }

    /// Every family that has members, by name.
    pub fn collect(&self) -> Vec<Collected> {
        let mut collected: Vec<Collected> = self
            .families
            .iter()
            .map(|family| Collected {
                description: *family.description(),
                kind: family.kind(),
                samples: family.samples(),
            })
            .filter(|family| !family.samples.is_empty())
            .collect();
        collected.sort_by_key(|family| family.description.path);
        collected
    }

    /// What is said of every family, whether it has members or not.
    pub fn descriptions(&self) -> impl Iterator<Item = (&Description, Kind)> {
        self.families
            .iter()
            .map(|family| (family.description(), family.kind()))
    }

    /// Takes away everything that is labelled with `channel`.
    pub fn forget_channel(&self, channel: &str) {
        for family in &self.families {
            family.forget("channel", channel);
        }
    }
}
