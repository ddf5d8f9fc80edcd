//! What is counted into: counters, gauges, histograms. All are handles on atomic numbers: cheap to clone, and without a
//! lock or an allocation where they are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes over a total that is counted elsewhere; a smaller one changes nothing.
    pub fn raise_to(&self, total: u64) {
        self.0.fetch_max(total, Ordering::Relaxed);
    }

    /// The total.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Sets it to a count. Above 2^53 the last digits are lost.
    pub fn set_count(&self, count: impl TryInto<u64>) {
        self.set(to_f64(count.try_into().unwrap_or(u64::MAX)));
    }

    /// Sets it to 1 or 0.
    pub fn set_flag(&self, flag: bool) {
        self.set(f64::from(u8::from(flag)));
    }

    /// Changes it by `difference`.
    pub fn add(&self, difference: f64) {
        add_bits(&self.0, difference);
    }

    /// How it stands.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Adds one for as long as the answer lives.
    pub fn count_one(&self) -> Counted {
        self.add(1.0);
        Counted(self.clone())
    }
}

/// A number that only grows, has a fraction, and is counted elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Total(Gauge);

impl Total {
    /// Takes it over.
    pub fn set(&self, total: f64) {
        self.0.set(total);
    }

    /// The total.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// One of what a gauge counts.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}

/// How often values fell into which range.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    /// Upper ends, rising; the last bucket has none.
    bounds: &'static [f64],
    buckets: Box<[Bucket]>,
}

/// The sum is kept for each bucket, which costs no more than one for all, and lets statsd have the mean of each.
#[derive(Debug, Default)]
struct Bucket {
    count: AtomicU64,
    sum: AtomicU64,
}

/// A histogram as it was at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Upper ends of all buckets but the last.
    pub bounds: &'static [f64],
    /// Count and sum of each bucket by itself.
    pub buckets: Vec<(u64, f64)>,
}

impl Histogram {
    /// An empty one, with buckets up to each of `bounds` and one beyond.
    pub fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| Bucket::default()).collect();
        Self(Arc::new(Buckets { bounds, buckets }))
    }

    /// Counts a value.
    pub fn observe(&self, value: f64) {
        self.observe_many(value, 1);
    }

    /// Counts the same value `count` times.
    pub fn observe_many(&self, value: f64, count: u64) {
        if count == 0 {
            return;
        }
        let place = self.0.bounds.partition_point(|bound| *bound < value);
        let bucket = &self.0.buckets[place];
        bucket.count.fetch_add(count, Ordering::Relaxed);
        add_bits(&bucket.sum, value * to_f64(count));
    }

    /// Counts a time, in seconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    /// Counts the time since `begin` `count` times.
    pub fn observe_since(&self, begin: Instant, count: u64) {
        self.observe_many(begin.elapsed().as_secs_f64(), count);
    }

    /// What was counted so far. What comes in meanwhile may be in it in part.
    pub fn snapshot(&self) -> Snapshot {
        let read = |bucket: &Bucket| {
            let sum = f64::from_bits(bucket.sum.load(Ordering::Relaxed));
            (bucket.count.load(Ordering::Relaxed), sum)
        };
        Snapshot {
            bounds: self.0.bounds,
            buckets: self.0.buckets.iter().map(read).collect(),
        }
    }
}

impl Snapshot {
    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(count, _)| count).sum()
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.buckets.iter().map(|(_, sum)| sum).sum()
    }
}

/// Beyond 2^53 a count loses its last digits, which nobody misses.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count on its way to whoever draws it"
)]
pub(super) fn to_f64(count: u64) -> f64 {
    count as f64
}

fn add_bits(bits: &AtomicU64, difference: f64) {
    let add = |bits| Some((f64::from_bits(bits) + difference).to_bits());
    // It never says no.
    let _ = bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_first_bucket_that_reaches_it() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.0, 2.5] {
            histogram.observe(value);
        }
        histogram.observe_many(9.0, 3);
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.buckets, [(2, 1.5), (2, 3.5), (4, 29.5)]);
        assert_eq!((snapshot.count(), snapshot.sum()), (8, 34.5));
    }

    #[test]
    fn clones_count_into_the_same_number() {
        let (counter, gauge) = (Counter::default(), Gauge::default());
        counter.clone().add(2);
        counter.inc();
        counter.raise_to(1);
        assert_eq!(counter.get(), 3);
        let one = gauge.clone().count_one();
        gauge.add(1.5);
        assert_eq!(gauge.get().to_string(), "2.5");
        drop(one);
        assert_eq!(gauge.get().to_string(), "1.5");
    }
}
