//! Links between nodes: what is late, lost, doubled or cut off.
//!
//! Messages of one kind from one node to another arrive in the order they were sent, like those of a stream; a
//! doubled one comes late. A submit stream that breaks loses all that is on its way, and tells its sender when it is
//! made again.

use consensus::MessageKind;

use super::material::NODES;
use super::seed::{Chance, Micros, Options};
use super::timeline::Stream;

/// All links.
#[derive(Debug)]
pub struct Network {
    links: Vec<Link>,
    /// Shortest and longest time on the way.
    pub delay: (Micros, Micros),
    /// Messages lost, in a thousand.
    pub loss: u64,
    /// Messages that come twice, in a thousand.
    pub doubles: u64,
    /// Submit messages at which their stream breaks, in a thousand.
    pub breaks: u64,
    partitions: u64,
}

/// The link from one node to another; the other direction is a link of its own.
#[derive(Clone, Debug, Default)]
struct Link {
    /// The partition that cuts it off.
    cut_by: Option<u64>,
    /// Which submit stream it is.
    stream: u64,
    is_open: bool,
    /// When the last message of each kind arrives.
    last_arrival: [Micros; 3],
}

/// When copies of a message arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// At these times.
    Arrives(Vec<Micros>),
    /// Never, and the sender does not know.
    Lost,
    /// Never: the stream broke.
    Broken,
    /// Never, and the sender may notice: there is no connection.
    NotConnected,
}

impl Network {
    /// Links of the mix that a seed has drawn; no submit stream is open.
    pub fn new(options: &Options) -> Self {
        Self {
            links: vec![Link::default(); NODES * NODES],
            delay: options.delay,
            loss: options.loss,
            doubles: options.doubles,
            breaks: options.breaks,
            partitions: 0,
        }
    }

    /// From now on nothing is lost and nothing late.
    pub fn heal(&mut self) {
        (self.loss, self.doubles, self.breaks) = (0, 0, 0);
        self.delay = (Micros(200), Micros::millis(5));
        self.links.iter_mut().for_each(|link| link.cut_by = None);
    }

    /// Decides what becomes of a message.
    pub fn send(
        &mut self,
        (from, to): (usize, usize),
        kind: MessageKind,
        now: Micros,
        chance: &mut Chance,
    ) -> Fate {
        let (low, high) = self.delay;
        let (loss, doubles, breaks) = (self.loss, self.doubles, self.breaks);
        let link = self.link(from, to);
        if link.cut_by.is_some() || (kind == MessageKind::Submit && !link.is_open) {
            return Fate::NotConnected;
        }
        if kind == MessageKind::Submit && chance.happens(breaks) {
            return Fate::Broken;
        }
        if chance.happens(loss) {
            return Fate::Lost;
        }
        let last = &mut link.last_arrival[kind as usize];
        *last = (*last).max(now + chance.time(low, high));
        let mut arrivals = vec![*last];
        if chance.happens(doubles) {
            arrivals.push(*last + chance.time(low, Micros(high.0 * 20)));
        }
        Fate::Arrives(arrivals)
    }

    /// Whether what is on the way along `stream` still arrives.
    pub fn carries(&self, stream: Stream, kind: MessageKind) -> bool {
        let link = &self.links[stream.from * NODES + stream.to];
        link.cut_by.is_none() && (kind != MessageKind::Submit || link.stream == stream.number)
    }

    /// The present submit stream.
    pub fn stream(&self, from: usize, to: usize) -> Stream {
        let number = self.links[from * NODES + to].stream;
        Stream { from, to, number }
    }

    /// Ends the submit stream; what is on its way is lost. Answers the one that is to be made.
    pub fn break_stream(&mut self, from: usize, to: usize) -> Stream {
        let link = self.link(from, to);
        link.stream += 1;
        link.is_open = false;
        self.stream(from, to)
    }

    /// Opens a stream, unless there is a newer one.
    pub fn open(&mut self, stream: Stream) -> bool {
        let link = self.link(stream.from, stream.to);
        let opens = link.stream == stream.number && !link.is_open && link.cut_by.is_none();
        link.is_open |= opens;
        opens
    }

    /// Whether calls from one node to the other are answered.
    pub fn connects(&self, one: usize, other: usize) -> bool {
        let is_whole = |from: usize, to: usize| self.links[from * NODES + to].cut_by.is_none();
        is_whole(one, other) && is_whole(other, one)
    }

    /// Cuts off the links that `cuts` picks; answers the partition, and the links that were whole.
    pub fn cut(&mut self, mut cuts: impl FnMut(usize, usize) -> bool) -> (u64, Vec<(usize, usize)>) {
        self.partitions += 1;
        let partition = self.partitions;
        let mut cut = Vec::new();
        for (from, to) in pairs() {
            let link = self.link(from, to);
            if link.cut_by.is_none() && cuts(from, to) {
                link.cut_by = Some(partition);
                cut.push((from, to));
            }
        }
        (partition, cut)
    }

    /// Ends a partition; answers the links that are whole again.
    pub fn mend(&mut self, partition: u64) -> Vec<(usize, usize)> {
        let is_of = |(from, to): &(usize, usize)| self.links[from * NODES + to].cut_by == Some(partition);
        let mended: Vec<_> = pairs().filter(is_of).collect();
        for (from, to) in &mended {
            self.link(*from, *to).cut_by = None;
        }
        mended
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * NODES + to]
    }
}

/// Every node with every other.
fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..NODES)
        .flat_map(|from| (0..NODES).map(move |to| (from, to)))
        .filter(|(from, to)| from != to)
}
