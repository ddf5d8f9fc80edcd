//! The frames of one direction of an HTTP/2 connection, found by their heads. Pure.

/// What a client begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of the head of a frame: three for the length, type, flags, four for the stream.
const HEAD_BYTES: usize = 9;

const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// A frame whose head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// DATA: a part of a message.
    Data,
    /// HEADERS: the head of a request or of a reply.
    Headers,
    /// PING that wants an answer.
    Ping,
    /// Any other.
    Other,
}

/// Follows one direction.
#[derive(Debug)]
pub struct Frames {
    state: State,
    /// The client's first frame has begun.
    is_begun: bool,
    /// HEADERS have come without their end.
    is_head_open: bool,
}

#[derive(Debug)]
enum State {
    Preface { missing: usize },
    Head { bytes: [u8; HEAD_BYTES], have: usize },
    Payload { missing: usize, is_head: bool },
}

const BETWEEN: State = State::Head {
    bytes: [0; HEAD_BYTES],
    have: 0,
};

impl Frames {
    /// From a client: the preface comes first.
    pub fn of_client() -> Self {
        Self {
            state: State::Preface {
                missing: PREFACE.len(),
            },
            is_begun: false,
            is_head_open: false,
        }
    }

    /// From a server.
    pub fn of_server() -> Self {
        Self {
            state: BETWEEN,
            is_begun: true,
            is_head_open: false,
        }
    }

    /// Goes on with `bytes`; `seen` is told of each frame when its head is complete.
    pub fn feed(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Preface { missing } | State::Payload { missing, .. } => {
                    let taken = bytes.len().min(*missing);
                    *missing -= taken;
                    taken
                }
                State::Head { bytes: head, have } => {
                    let taken = bytes.len().min(HEAD_BYTES - *have);
                    head[*have..*have + taken].copy_from_slice(&bytes[..taken]);
                    *have += taken;
                    taken
                }
            };
            bytes = &bytes[taken..];
            self.advance(&mut seen);
        }
    }

    fn advance(&mut self, seen: &mut impl FnMut(Frame)) {
        match self.state {
            State::Preface { missing: 0 } | State::Payload { missing: 0, .. } => self.state = BETWEEN,
            State::Head {
                bytes,
                have: HEAD_BYTES,
            } => self.begin(bytes, seen),
            State::Preface { .. } | State::Payload { .. } | State::Head { .. } => {}
        }
    }

    fn begin(&mut self, head: [u8; HEAD_BYTES], seen: &mut impl FnMut(Frame)) {
        let [high, middle, low, kind, flags, ..] = head;
        let missing = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let frame = match kind {
            0x0 => Frame::Data,
            0x1 => Frame::Headers,
            0x6 if flags & ACK == 0 => Frame::Ping,
            _ => Frame::Other,
        };
        // A head is HEADERS and any CONTINUATION behind them.
        let is_head = matches!(kind, 0x1 | 0x9);
        if is_head {
            self.is_head_open = flags & END_HEADERS == 0;
        }
        self.is_begun = true;
        self.state = match missing {
            0 => BETWEEN,
            missing => State::Payload { missing, is_head },
        };
        seen(frame);
    }

    /// True while the other side has begun something short and has not finished it: the preface with the first frame,
    /// the head of a frame, or that of a request. Messages may take their time.
    pub fn is_owing(&self) -> bool {
        let within = match self.state {
            State::Preface { .. } => true,
            State::Head { have, .. } => have > 0,
            State::Payload { is_head, .. } => is_head,
        };
        within || self.is_head_open || !self.is_begun
    }

    /// False until the preface and the first frame have begun.
    pub fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// How many bytes surely belong to the frame that is under way; 0 between frames.
    pub fn rest(&self) -> usize {
        match self.state {
            State::Preface { missing } | State::Payload { missing, .. } => missing,
            State::Head { have: 0, .. } => 0,
            State::Head { have, .. } => HEAD_BYTES - have,
        }
    }
}

/// GOAWAY with `ENHANCE_YOUR_CALM`, which says that all streams may have been worked on.
pub fn go_away(reason: &str) -> Vec<u8> {
    const GOAWAY: u8 = 0x7;
    const LAST_STREAM: u32 = 0x7fff_ffff;
    const ENHANCE_YOUR_CALM: u32 = 0xb;
    let length = u32::try_from(8 + reason.len()).unwrap_or(8).to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([GOAWAY, 0, 0, 0, 0, 0]);
    frame.extend(LAST_STREAM.to_be_bytes());
    frame.extend(ENHANCE_YOUR_CALM.to_be_bytes());
    frame.extend(reason.as_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags, 0, 0, 0, 1]);
        bytes.extend(vec![0x55; payload]);
        bytes
    }

    fn session() -> (Vec<u8>, Vec<Frame>) {
        use Frame::{Data, Headers, Other, Ping};
        let bytes = [
            PREFACE.to_vec(),
            frame(0x4, 0, 0),
            frame(0x4, ACK, 0),
            frame(0x1, END_HEADERS, 70),
            frame(0x0, 0, 300),
            frame(0x6, 0, 8),
            frame(0x6, ACK, 8),
            frame(0x8, 0, 4),
        ];
        (
            bytes.concat(),
            vec![Other, Other, Headers, Data, Ping, Other, Other],
        )
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let (bytes, expected) = session();
        for size in [1, 2, 8, 9, 10, 31, 1000] {
            let (mut frames, mut found) = (Frames::of_client(), Vec::new());
            for piece in bytes.chunks(size) {
                frames.feed(piece, |frame| found.push(frame));
            }
            assert_eq!(found, expected, "{size}");
            assert_eq!(frames.rest(), 0);
            assert!(!frames.is_owing());
        }
    }

    #[test]
    fn only_what_is_short_is_owed() {
        let mut frames = Frames::of_client();
        let mut owing = Vec::new();
        for (name, bytes) in [
            ("half a preface", &PREFACE[..12]),
            ("the preface", &PREFACE[12..]),
            ("settings", &frame(0x4, 0, 0)),
            ("half the head of a frame", &frame(0x0, 0, 4)[..5]),
            ("a frame", &frame(0x0, 0, 4)[5..]),
            ("half a message", &frame(0x0, 0, 100)[..50]),
            ("a message", &frame(0x0, 0, 100)[50..]),
            ("half a head", &frame(0x1, 0, 10)[..15]),
            ("a head without its end", &frame(0x1, 0, 10)[15..]),
            ("its end", &frame(0x9, END_HEADERS, 3)),
        ] {
            frames.feed(bytes, |_| {});
            owing.push((name, frames.is_owing()));
        }
        let expected = [true, true, false, true, false, false, false, true, true, false];
        assert!(owing.iter().map(|(_, owes)| *owes).eq(expected), "{owing:?}");
    }

    #[test]
    fn what_belongs_to_a_frame_is_known_to_the_byte() {
        let mut frames = Frames::of_server();
        let bytes = frame(0x0, 0, 6);
        let mut rests = Vec::new();
        for byte in &bytes {
            frames.feed(std::slice::from_ref(byte), |_| {});
            rests.push(frames.rest());
        }
        assert_eq!(rests, [8, 7, 6, 5, 4, 3, 2, 1, 6, 5, 4, 3, 2, 1, 0]);
    }

    #[test]
    fn a_farewell_is_one_frame() {
        let (bytes, mut frames) = (go_away("too_many_pings"), Frames::of_server());
        let mut found = Vec::new();
        frames.feed(&bytes, |frame| found.push(frame));
        assert_eq!((found, frames.rest()), (vec![Frame::Other], 0));
        assert!(bytes.ends_with(b"\0\0\0\x0btoo_many_pings"));
    }
}
