//! What a seed decides: random numbers, and which mix of faults a run gets.

use std::time::Duration;

/// Random numbers from a seed (splitmix64). The only source of chance in a simulation.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low + 1)
    }

    /// An index below `len`, which is not 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.draw() % len as u64).unwrap_or(0)
    }

    /// True `per_mille` times in a thousand.
    pub fn happens(&mut self, per_mille: u64) -> bool {
        self.draw() % 1000 < per_mille
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    /// A time from `low` to `high`.
    pub fn time(&mut self, low: Micros, high: Micros) -> Micros {
        Micros(self.between(low.0, high.0))
    }

    /// Around `mean`: from a tenth to nearly twice of it.
    pub fn around(&mut self, mean: Micros) -> Micros {
        self.time(Micros(mean.0 / 10), Micros(mean.0 * 19 / 10))
    }
}

/// Simulated time, or a length of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub u64);

impl Micros {
    /// This many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(millis * 1000)
    }

    /// This many seconds.
    pub const fn secs(secs: u64) -> Self {
        Self(secs * 1_000_000)
    }
}

impl std::ops::Add for Micros {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl From<Duration> for Micros {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

/// What a run is like. Each seed leaves some kinds of faults out, so that others come to their extremes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Consenters of the genesis block.
    pub members: usize,
    /// How long faults go on.
    pub safety: Micros,
    /// Ticks without a leader until a member campaigns.
    pub election_ticks: u32,
    /// Ticks between heartbeats.
    pub heartbeat_ticks: u32,
    /// Blocks a leader may propose ahead.
    pub inflight_blocks: u32,
    /// Bytes of blocks between checkpoints.
    pub snapshot_interval_bytes: u32,
    /// Envelopes in a block.
    pub batch_count: u32,
    /// Bytes that a block should stay below.
    pub batch_bytes: u32,
    /// How long a block waits for more.
    pub batch_timeout: Micros,
    /// Shortest and longest time a message takes.
    pub delay: (Micros, Micros),
    /// Messages lost, in a thousand.
    pub loss: u64,
    /// Messages that come twice, in a thousand.
    pub doubles: u64,
    /// Submit streams that break, in a thousand messages.
    pub breaks: u64,
    /// Shortest and longest time a sync takes.
    pub sync: (Micros, Micros),
    /// Whether single disks become slow for a while.
    pub slow_disks: bool,
    /// How much node clocks may differ, in a thousand.
    pub clock_drift: u64,
    /// Mean time between crashes; none: no crashes.
    pub crashes: Option<Micros>,
    /// Steps after which a node crashes between two of their actions, in a hundred thousand.
    pub crash_in_step: u64,
    /// Nodes that crash right after giving a vote, in a thousand votes.
    pub crash_after_vote: u64,
    /// Mean time between partitions.
    pub partitions: Option<Micros>,
    /// Mean time between pauses of a process.
    pub pauses: Option<Micros>,
    /// Mean time between graceful restarts.
    pub halts: Option<Micros>,
    /// Whether a node loses its log, or everything, once.
    pub wipe: Option<Wipe>,
    /// Mean time between removals of the channel from one node, which joins it again.
    pub removals: Option<Micros>,
    /// Mean time between power losses of all nodes.
    pub power_losses: Option<Micros>,
    /// Mean time between config updates.
    pub updates: Option<Micros>,
    /// Whether updates change the members.
    pub membership: bool,
    /// Mean time between bursts of envelopes.
    pub load: Micros,
    /// Most envelopes in a burst.
    pub burst: u64,
    /// Submissions that repeat an earlier envelope, in a thousand.
    pub repeats: u64,
    /// Other nodes' blocks that come forged or not at all, in a thousand.
    pub bad_sources: u64,
}

/// What a node loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wipe {
    /// The raft log; the ledger and the record beside it stay.
    Log,
    /// Everything; it joins again with the genesis block.
    All,
    /// Everything; it joins again with a later block.
    AllAndLateJoin,
}

impl Options {
    /// The mix that `chance` draws.
    pub fn draw(chance: &mut Chance) -> Self {
        let members = chance.pick(&[1, 2, 3, 3, 3, 3, 3, 4, 5, 5]);
        let some = |chance: &mut Chance, per_mille, low, high| {
            let time = chance.time(Micros::millis(low), Micros::millis(high));
            chance.happens(per_mille).then_some(time)
        };
        let often = |chance: &mut Chance, per_mille, most: u64| {
            let value = chance.between(1, most);
            if chance.happens(per_mille) { value } else { 0 }
        };
        // Short ones bring elections with several candidates.
        let election_ticks = chance.pick(&[3, 3, 4, 5, 7, 10]);
        let small = |chance: &mut Chance, low, high| u32::try_from(chance.between(low, high)).unwrap_or(1);
        Self {
            members,
            safety: chance.time(Micros::secs(8), Micros::secs(25)),
            election_ticks,
            heartbeat_ticks: if chance.happens(800) { 1 } else { 2 },
            inflight_blocks: small(chance, 1, 6),
            snapshot_interval_bytes: if chance.happens(600) {
                small(chance, 1_000, 20_000)
            } else {
                0
            },
            batch_count: small(chance, 1, 12),
            batch_bytes: small(chance, 500, 6_000),
            batch_timeout: chance.time(Micros::millis(20), Micros::millis(500)),
            delay: (
                Micros(200),
                chance.pick(&[
                    Micros::millis(2),
                    Micros::millis(20),
                    Micros::millis(200),
                    Micros::millis(400),
                ]),
            ),
            loss: often(chance, 500, 100),
            doubles: often(chance, 400, 80),
            breaks: often(chance, 500, 60),
            sync: (
                Micros(100),
                chance.pick(&[Micros::millis(1), Micros::millis(10), Micros::millis(150)]),
            ),
            slow_disks: chance.happens(300),
            clock_drift: often(chance, 500, 250),
            crashes: some(chance, 600, 1_000, 8_000),
            crash_in_step: often(chance, 400, 200),
            crash_after_vote: often(chance, 400, 400),
            partitions: some(chance, 600, 1_000, 8_000),
            pauses: some(chance, 300, 1_000, 8_000),
            halts: some(chance, 300, 2_000, 10_000),
            wipe: chance
                .happens(250)
                .then(|| chance.pick(&[Wipe::Log, Wipe::All, Wipe::AllAndLateJoin])),
            removals: some(chance, 300, 1_000, 8_000),
            power_losses: some(chance, 150, 4_000, 12_000),
            updates: some(chance, 600, 500, 4_000),
            membership: chance.happens(600),
            load: chance.time(Micros::millis(5), Micros::millis(400)),
            burst: chance.between(1, 8),
            repeats: often(chance, 500, 150),
            bad_sources: often(chance, 300, 300),
        }
    }
}
