//! One other orderer as the plan sees it: what it says it has, what it is doing for us, how far it is trusted.

use std::time::Duration;

use protos::{BlockNumber, Height};

/// Pause after the first failure of a source; it doubles from failure to failure.
const REST_FIRST: Duration = Duration::from_millis(50);
/// The longest pause of a source that told a lie.
const REST_LIAR_MAX: Duration = Duration::from_mins(1);
/// Pause before a source that had nothing for us is asked for its height again, the first time.
const PROBE_PAUSE_FIRST: Duration = Duration::from_millis(100);

/// A source's place in the list that the plan was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub usize);

/// What is wrong with a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// There is no connection to it.
    #[error("{0}")]
    Unreachable(String),
    /// It refuses to serve this node.
    #[error("it answers FORBIDDEN: this node may not read the channel")]
    Forbidden,
    /// It does not serve the channel, or has no such block.
    #[error("it answers NOT_FOUND: it does not serve the channel, or has no such block")]
    NotFound,
    /// It answers another status.
    #[error("it answers {0}")]
    Status(&'static str),
    /// Its stream broke.
    #[error("{0}")]
    Broken(String),
    /// It ended a stream before the last block that was asked for.
    #[error("it ended the stream early")]
    EndedEarly,
    /// It sent nothing for too long.
    #[error("it sent nothing for {} ms", .0.as_millis())]
    Stalled(Duration),
    /// It follows the channel more slowly than others.
    #[error("it has {has} blocks where another has {other}")]
    Behind {
        /// What it has sent.
        has: Height,
        /// What another says it has.
        other: Height,
    },
    /// It says that it has fewer blocks than it said before.
    #[error("it says that it has {says} blocks and said {said} before")]
    WentBack {
        /// Now.
        says: Height,
        /// Before.
        said: Height,
    },
    /// It sent another block than the one that was due.
    #[error("it sent block {got} where block {due} was due")]
    OutOfTurn {
        /// The block that was due.
        due: BlockNumber,
        /// The block that came.
        got: BlockNumber,
    },
    /// It sent what is no block, or one larger than any may be.
    #[error("it sent no usable block: {0}")]
    Malformed(String),
    /// It sent a block that is not the next one of the channel.
    #[error("{0}")]
    BadBlock(String),
    /// It is this node.
    #[error("it is this node")]
    Itself,
}

impl Trouble {
    /// True for what no honest orderer does.
    pub fn is_lie(&self) -> bool {
        matches!(
            self,
            Self::WentBack { .. } | Self::OutOfTurn { .. } | Self::Malformed(_) | Self::BadBlock(_)
        )
    }

    /// True for what a new connection may mend.
    pub(super) fn is_of_connection(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Broken(_)
                | Self::Malformed(_)
                | Self::Stalled(_)
                | Self::Behind { .. }
        )
    }

    /// Whether `other` is news to somebody who has heard this.
    fn is_same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// A stream of blocks that a source sends us.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    /// The block that is due.
    pub(super) next: BlockNumber,
    /// The last one asked for; none for the stream that follows the channel.
    pub(super) last: Option<BlockNumber>,
    /// Since when we wait for the block that is due; none while we do not read.
    pub(super) reading: Option<Duration>,
    /// When its last block came, or when it was asked.
    pub(super) progress: Duration,
}

/// What a source is doing for us.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Left alone after a failure.
    Resting { until: Duration },
    /// Nothing.
    Idle,
    /// Telling its height.
    Probing { until: Duration },
    /// Sending blocks.
    Fetching(Fetch),
}

/// One source.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) state: State,
    /// What it says it has; nothing while it has not been asked, or after a failure.
    pub(super) height: Height,
    /// When it said so.
    pub(super) height_at: Duration,
    /// The most it ever said.
    height_max: Height,
    /// When it is asked again, if it is idle then.
    pub(super) probe_at: Duration,
    /// Failures since its last good block.
    strikes: u32,
    /// Probes in a row that brought nothing new.
    vain_probes: u32,
    trouble: Option<Trouble>,
}

impl Source {
    pub(super) fn new() -> Self {
        Self {
            state: State::Idle,
            height: Height::EMPTY,
            height_at: Duration::ZERO,
            height_max: Height::EMPTY,
            probe_at: Duration::ZERO,
            strikes: 0,
            vain_probes: 0,
            trouble: None,
        }
    }

    /// It answers how many blocks it has; false if it had more before.
    pub(super) fn says(&mut self, height: Height, now: Duration) -> Result<(), Trouble> {
        let said = self.height_max;
        self.vain_probes = if height > said { 0 } else { self.vain_probes + 1 };
        self.state = State::Idle;
        self.height = height;
        self.height_at = now;
        self.height_max = height;
        if height < said {
            return Err(Trouble::WentBack { says: height, said });
        }
        Ok(())
    }

    /// It sent block `number`, so it has that many at least.
    pub(super) fn has_sent(&mut self, number: BlockNumber) {
        self.height = self.height.max(Height::of_tip(number));
        self.height_max = self.height_max.max(self.height);
        self.vain_probes = 0;
    }

    /// One of its blocks was good. Answers whether that ends a trouble that was told.
    pub(super) fn is_good(&mut self) -> bool {
        self.strikes = 0;
        self.trouble.take().is_some()
    }

    /// It failed us. Answers whether that is news.
    pub(super) fn fail(&mut self, trouble: Trouble, retry_pause: Duration, now: Duration) -> bool {
        self.strikes = self.strikes.saturating_add(1);
        self.height = Height::EMPTY;
        self.probe_at = Duration::ZERO;
        let until = now.saturating_add(self.rest(&trouble, retry_pause));
        self.state = State::Resting { until };
        let is_news = self
            .trouble
            .as_ref()
            .is_none_or(|told| !told.is_same_kind(&trouble));
        self.trouble = Some(trouble);
        is_news
    }

    fn rest(&self, trouble: &Trouble, retry_pause: Duration) -> Duration {
        if *trouble == Trouble::Itself {
            return Duration::MAX;
        }
        let (first, max) = if trouble.is_lie() {
            (retry_pause, REST_LIAR_MAX)
        } else {
            (REST_FIRST, retry_pause)
        };
        let factor = 2_u32.saturating_pow(self.strikes.saturating_sub(1));
        first.saturating_mul(factor).min(max)
    }

    /// Sets when its height is asked again, after the probe that is sent now: sooner the less often it was in vain.
    pub(super) fn plan_probe(&mut self, pause_max: Duration, now: Duration) {
        let factor = 2_u32.saturating_pow(self.vain_probes);
        let pause = PROBE_PAUSE_FIRST.saturating_mul(factor).min(pause_max);
        self.probe_at = now.saturating_add(pause);
    }

    /// What is wrong with it.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    pub(super) fn fetch(&self) -> Option<&Fetch> {
        match &self.state {
            State::Fetching(fetch) => Some(fetch),
            _ => None,
        }
    }

    pub(super) fn fetch_mut(&mut self) -> Option<&mut Fetch> {
        match &mut self.state {
            State::Fetching(fetch) => Some(fetch),
            _ => None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// It sends what the channel gets from now on.
    pub(super) fn is_tail(&self) -> bool {
        self.fetch().is_some_and(|fetch| fetch.last.is_none())
    }
}

impl Fetch {
    /// True while `number` is still to come on this stream, which has an end.
    pub(super) fn covers(&self, number: BlockNumber) -> bool {
        self.last
            .is_some_and(|last| self.next <= number && number <= last)
    }
}
