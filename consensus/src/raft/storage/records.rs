//! The small records of a channel, and its checkpoint, as bytes.
//!
//! Each begins with the version byte 1; integers are little-endian, of fixed width.
//!
//! | record | after the version |
//! |---|---|
//! | number of a channel | `u64` |
//! | bounds | first `u64`, next `u64` |
//! | identity | id, votes from, pulled: `u64` each; then the byte 0, or 1 and the reason of the loss as UTF-8 |
//! | hard state | term, vote, commit: `u64` each |
//! | members | index `u64`, then each id `u64` |
//! | retired | hash of the genesis block, 32 bytes; the byte 0, or 1 and the hash of block 1; metadata to the end. Nothing at all: not retired |
//! | unordered | term, incarnation, numbers given, count handed, last block looked through: `u64` each; then each envelope: config sequence, its number or 0, the newest block when it was handed or 0, length: `u64` each; four bytes (1 if it is a config; 1 if it has a number; 1 if it was handed; 0 waits, 1 seen, 2 given up); its bytes. Nothing at all: none |
//! | checkpoint | index, term, block number, count of voters: `u64` each; each voter `u64`; the block to the end |

use bytes::Bytes;
use protos::block::Hash;
use protos::{BlockNumber, ConfigSeq, ConsenterId, Envelope};

use crate::chain::SubmissionKind;
use crate::raft::log::{Checkpoint, Fate, HardState, Identity, LeftEnvelope, MembersAt, Retired, Unordered};

/// The format that is written, and the only one so far.
const VERSION: u8 = 1;

/// What says that an identity's log is lost stands behind this.
const LOST: u8 = 1;
const NOT_LOST: u8 = 0;

/// What says whether there was a block 1.
const WITHOUT: u8 = 0;
const WITH: u8 = 1;

/// By the bytes that stand for them.
const FATES: [Fate; 3] = [Fate::Waits, Fate::Seen, Fate::GivenUp];

/// The entries that a channel has: `first..next`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The oldest.
    pub(super) first: u64,
    /// One behind the newest; equal to `first` without entries.
    pub(super) next: u64,
}

impl Bounds {
    pub(super) fn is_empty(self) -> bool {
        self.first >= self.next
    }
}

/// Bytes that are no record: of a later version, or damaged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes are no record of version {VERSION}")]
pub(super) struct NoRecord {
    len: usize,
}

/// Takes a record apart from the front.
struct Reader<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, NoRecord> {
        let whole = bytes.len();
        match bytes.split_first() {
            Some((&VERSION, rest)) => Ok(Self { rest, whole }),
            _ => Err(NoRecord { len: whole }),
        }
    }

    fn error(&self) -> NoRecord {
        NoRecord { len: self.whole }
    }

    fn number(&mut self) -> Result<u64, NoRecord> {
        let (head, rest) = self.rest.split_first_chunk().ok_or_else(|| self.error())?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*head))
    }

    fn hash(&mut self) -> Result<Hash, NoRecord> {
        self.array()
    }

    fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], NoRecord> {
        let (head, rest) = self.rest.split_first_chunk().ok_or_else(|| self.error())?;
        self.rest = rest;
        Ok(*head)
    }

    /// So many bytes, as a part of `record`, which this reads.
    fn slice(&mut self, record: &Bytes, len: u64) -> Result<Bytes, NoRecord> {
        let len = usize::try_from(len).map_err(|_| self.error())?;
        let (head, rest) = self.rest.split_at_checked(len).ok_or_else(|| self.error())?;
        self.rest = rest;
        Ok(record.slice_ref(head))
    }

    /// Numbers up to the end.
    fn numbers(&mut self) -> Result<Vec<u64>, NoRecord> {
        let (numbers, rest) = self.rest.as_chunks();
        if !rest.is_empty() {
            return Err(self.error());
        }
        self.rest = rest;
        Ok(numbers.iter().map(|number| u64::from_le_bytes(*number)).collect())
    }

    fn end(&self) -> Result<(), NoRecord> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.error())
    }
}

fn record(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes
}

pub(super) fn number_bytes(number: u64) -> Vec<u8> {
    record([number])
}

pub(super) fn read_number(bytes: &[u8]) -> Result<u64, NoRecord> {
    let mut reader = Reader::new(bytes)?;
    let number = reader.number()?;
    reader.end()?;
    Ok(number)
}

pub(super) fn bounds_bytes(bounds: Bounds) -> Vec<u8> {
    record([bounds.first, bounds.next])
}

pub(super) fn read_bounds(bytes: &[u8]) -> Result<Bounds, NoRecord> {
    let mut reader = Reader::new(bytes)?;
    let (first, next) = (reader.number()?, reader.number()?);
    reader.end()?;
    Ok(Bounds { first, next })
}

pub(super) fn identity_bytes(identity: &Identity) -> Vec<u8> {
    let mut bytes = record([identity.id.0, identity.votes_from, identity.pulled]);
    match &identity.lost {
        None => bytes.push(NOT_LOST),
        Some(reason) => {
            bytes.push(LOST);
            bytes.extend_from_slice(reason.as_bytes());
        }
    }
    bytes
}

pub(super) fn read_identity(bytes: &[u8]) -> Result<Identity, NoRecord> {
    let mut reader = Reader::new(bytes)?;
    let id = ConsenterId(reader.number()?);
    let (votes_from, pulled) = (reader.number()?, reader.number()?);
    let lost = match reader.rest {
        [NOT_LOST] => None,
        [LOST, reason @ ..] => Some(String::from_utf8_lossy(reason).into_owned()),
        _ => return Err(reader.error()),
    };
    Ok(Identity {
        id,
        lost,
        votes_from,
        pulled,
    })
}

pub(super) fn retired_bytes(retired: Option<&Retired>) -> Vec<u8> {
    let mut bytes = record([]);
    if let Some(retired) = retired {
        bytes.extend_from_slice(&retired.genesis);
        match &retired.first {
            None => bytes.push(WITHOUT),
            Some(first) => {
                bytes.push(WITH);
                bytes.extend_from_slice(first);
            }
        }
        bytes.extend_from_slice(&retired.members);
    }
    bytes
}

pub(super) fn read_retired(bytes: &Bytes) -> Result<Option<Retired>, NoRecord> {
    let mut reader = Reader::new(bytes)?;
    if reader.rest.is_empty() {
        return Ok(None);
    }
    let genesis = reader.hash()?;
    let first = match reader.rest.split_first() {
        Some((&WITHOUT, rest)) => {
            reader.rest = rest;
            None
        }
        Some((&WITH, rest)) => {
            reader.rest = rest;
            Some(reader.hash()?)
        }
        _ => return Err(reader.error()),
    };
    let members = bytes.slice(bytes.len() - reader.rest.len()..);
    Ok(Some(Retired {
        genesis,
        first,
        members,
    }))
}

pub(super) fn unordered_bytes(unordered: &Unordered) -> Vec<u8> {
    let Unordered {
        term,
        incarnation,
        numbers,
        handed,
        seen,
        envelopes,
    } = unordered;
    if envelopes.is_empty() {
        return record([]);
    }
    let mut bytes = record([*term, *incarnation, *numbers, *handed, seen.0]);
    for left in envelopes {
        let entry = left.envelope.entry();
        let (number, at) = (left.number.unwrap_or(0), left.handed_at.map_or(0, |at| at.0));
        for number in [left.config_seq.0, number, at, entry.len() as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let is_config = left.kind == SubmissionKind::Config;
        let fate = FATES.iter().position(|fate| *fate == left.fate);
        let fate = fate
            .and_then(|place| u8::try_from(place).ok())
            .unwrap_or_default();
        bytes.extend([is_config, left.number.is_some(), left.handed_at.is_some()].map(u8::from));
        bytes.push(fate);
        bytes.extend_from_slice(entry);
    }
    bytes
}

pub(super) fn read_unordered(bytes: &Bytes) -> Result<Unordered, NoRecord> {
    let mut reader = Reader::new(bytes)?;
    let mut unordered = Unordered::default();
    if reader.rest.is_empty() {
        return Ok(unordered);
    }
    unordered.term = reader.number()?;
    unordered.incarnation = reader.number()?;
    unordered.numbers = reader.number()?;
    unordered.handed = reader.number()?;
    unordered.seen = BlockNumber(reader.number()?);
    while !reader.rest.is_empty() {
        unordered.envelopes.push(read_left(&mut reader, bytes)?);
    }
    Ok(unordered)
}

fn read_left(reader: &mut Reader<'_>, bytes: &Bytes) -> Result<LeftEnvelope, NoRecord> {
    let config_seq = ConfigSeq(reader.number()?);
    let (number, at) = (reader.number()?, BlockNumber(reader.number()?));
    let len = reader.number()?;
    let [kind, is_numbered, was_handed, fate] = reader.array()?;
    let fate = FATES.get(usize::from(fate)).ok_or_else(|| reader.error())?;
    let envelope = Envelope::from_received(reader.slice(bytes, len)?);
    Ok(LeftEnvelope {
        envelope: envelope.map_err(|_| reader.error())?,
        kind: match kind {
            0 => SubmissionKind::Normal,
            _ => SubmissionKind::Config,
        },
        config_seq,
        number: (is_numbered != 0).then_some(number),
        handed_at: (was_handed != 0).then_some(at),
        fate: *fate,
    })
}

pub(super) fn hard_state_bytes(state: HardState) -> Vec<u8> {
    record([state.term, state.vote, state.commit])
}

pub(super) fn read_hard_state(bytes: &[u8]) -> Result<HardState, NoRecord> {
    let mut reader = Reader::new(bytes)?;
    let state = HardState {
        term: reader.number()?,
        vote: reader.number()?,
        commit: reader.number()?,
    };
    reader.end()?;
    Ok(state)
}

pub(super) fn members_bytes(members: &MembersAt) -> Vec<u8> {
    let ids = members.voters.iter().map(|id| id.0);
    record(std::iter::once(members.index).chain(ids))
}

pub(super) fn read_members(bytes: &[u8]) -> Result<MembersAt, NoRecord> {
    let mut reader = Reader::new(bytes)?;
    Ok(MembersAt {
        index: reader.number()?,
        voters: reader.numbers()?.into_iter().map(ConsenterId).collect(),
    })
}

pub(super) fn checkpoint_bytes(checkpoint: &Checkpoint) -> Bytes {
    let Checkpoint {
        index,
        term,
        voters,
        block_number,
        block,
    } = checkpoint;
    let head = [*index, *term, block_number.0, voters.len() as u64];
    let mut bytes = record(head.into_iter().chain(voters.iter().map(|id| id.0)));
    bytes.extend_from_slice(block);
    bytes.into()
}

pub(super) fn read_checkpoint(bytes: &Bytes) -> Result<Checkpoint, NoRecord> {
    let mut reader = Reader::new(bytes)?;
    let (index, term) = (reader.number()?, reader.number()?);
    let block_number = BlockNumber(reader.number()?);
    let count = reader.number()?;
    let voters = (0..count).map(|_| reader.number().map(ConsenterId));
    let voters = voters.collect::<Result<_, _>>()?;
    let block = bytes.slice(bytes.len() - reader.rest.len()..);
    Ok(Checkpoint {
        index,
        term,
        voters,
        block_number,
        block,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[u64]) -> Vec<ConsenterId> {
        ids.iter().copied().map(ConsenterId).collect()
    }

    #[test]
    fn the_bytes_of_each_record_are_pinned() {
        let number = |number: u8| [number, 0, 0, 0, 0, 0, 0, 0];
        let pinned = |numbers: &[u8], tail: &[u8]| {
            let numbers = numbers.iter().flat_map(|one| number(*one));
            [vec![1], numbers.collect(), tail.to_vec()].concat()
        };

        assert_eq!(number_bytes(0x0102), [1, 2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(read_number(&number_bytes(7)), Ok(7));

        let bounds = Bounds { first: 3, next: 9 };
        assert_eq!(bounds_bytes(bounds), pinned(&[3, 9], b""));
        assert_eq!(read_bounds(&bounds_bytes(bounds)), Ok(bounds));

        let state = HardState {
            term: 2,
            vote: 1,
            commit: 5,
        };
        assert_eq!(hard_state_bytes(state), pinned(&[2, 1, 5], b""));
        assert_eq!(read_hard_state(&hard_state_bytes(state)), Ok(state));

        let members = MembersAt {
            index: 4,
            voters: ids(&[1, 3]),
        };
        assert_eq!(members_bytes(&members), pinned(&[4, 1, 3], b""));
        assert_eq!(read_members(&members_bytes(&members)), Ok(members));
    }

    #[test]
    fn an_identity_carries_the_reason_of_its_loss() {
        for (lost, tail) in [(None, &b"\0"[..]), (Some("log deleted"), b"\x01log deleted")] {
            let identity = Identity {
                id: ConsenterId(3),
                lost: lost.map(str::to_owned),
                votes_from: 5,
                pulled: u64::MAX,
            };
            let bytes = identity_bytes(&identity);
            assert_eq!((bytes[9], bytes[17]), (5, 255));
            assert_eq!(&bytes[25..], tail);
            assert_eq!(read_identity(&bytes), Ok(identity));
        }
    }

    #[test]
    fn a_retired_log_says_of_which_chain_it_is() {
        let retired = |first| Retired {
            genesis: [7; 32],
            first,
            members: Bytes::from_static(b"members"),
        };
        for (first, tail) in [(None, vec![0]), (Some([8; 32]), [vec![1], vec![8; 32]].concat())] {
            let bytes = retired_bytes(Some(&retired(first)));
            let expected = [&[1][..], &[7; 32], &tail, b"members"].concat();
            assert_eq!(bytes, expected);
            assert_eq!(read_retired(&bytes.into()), Ok(Some(retired(first))));
        }
        assert_eq!(retired_bytes(None), [1]);
        assert_eq!(read_retired(&Bytes::from_static(&[1])), Ok(None));
        assert!(read_retired(&Bytes::from_static(&[1; 40])).is_err());
    }

    #[test]
    fn envelopes_that_a_run_has_left_come_back_with_their_numbers() {
        let left = |name: &'static str, number, fate| LeftEnvelope {
            envelope: crate::testing::normal(name, 20, 3).envelope,
            kind: SubmissionKind::Normal,
            config_seq: ConfigSeq(3),
            number,
            handed_at: number.map(|_| BlockNumber(11)),
            fate,
        };
        let config = LeftEnvelope {
            kind: SubmissionKind::Config,
            handed_at: Some(BlockNumber(0)),
            ..left("config", None, Fate::Waits)
        };
        let unordered = Unordered {
            term: 4,
            incarnation: 77,
            numbers: 9,
            handed: 3,
            seen: BlockNumber(12),
            envelopes: vec![
                left("one", Some(8), Fate::Seen),
                left("two", Some(9), Fate::GivenUp),
                config,
                left("four", None, Fate::Waits),
            ],
        };
        let bytes = Bytes::from(unordered_bytes(&unordered));
        assert_eq!((bytes[0], bytes[1], bytes[9], bytes[33]), (1, 4, 77, 12));
        assert_eq!((bytes[41], bytes[49], bytes[57]), (3, 8, 11));
        assert_eq!(&bytes[73..77], [0, 1, 1, 1]);
        assert_eq!(read_unordered(&bytes), Ok(unordered));
        assert!(read_unordered(&bytes.slice(..bytes.len() - 1)).is_err());
        assert_eq!(unordered_bytes(&Unordered::default()), [1]);
        assert_eq!(
            read_unordered(&Bytes::from_static(&[1])),
            Ok(Unordered::default())
        );
    }

    #[test]
    fn a_checkpoint_ends_with_its_block() {
        let checkpoint = Checkpoint {
            index: 12,
            term: 2,
            voters: ids(&[1, 2, 4]),
            block_number: BlockNumber(7),
            block: Bytes::from_static(b"block"),
        };
        let bytes = checkpoint_bytes(&checkpoint);
        assert_eq!((bytes.len(), bytes[0]), (1 + 7 * 8 + 5, 1));
        assert_eq!(&bytes[57..], b"block");
        assert_eq!(read_checkpoint(&bytes), Ok(checkpoint));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        assert!(read_number(b"").is_err());
        assert!(read_number(&[2, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(read_bounds(&number_bytes(1)).is_err());
        assert!(read_hard_state(&[number_bytes(1), vec![0; 17]].concat()).is_err());
        assert!(read_members(&[1; 10]).is_err());
        assert!(read_identity(&[number_bytes(1), vec![7]].concat()).is_err());
        let huge = record([1, 1, 1, u64::MAX]);
        assert!(read_checkpoint(&huge.into()).is_err());
    }
}
