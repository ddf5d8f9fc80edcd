//! What a crash can leave of a join or a removal, state by state, and what the next start makes of it.

use protos::SealedBlock;

use super::parts::{MEMBER, STRANGER, name, open_with};
use super::*;
use crate::multichannel::fakes::{CHANNEL, Fakes, block};

const JOIN_FILE: &str = "pendingops/join/raft-three.join";
const TEMPORARY_JOIN_FILE: &str = "pendingops/join/raft-three.join~";
const MARKER: &str = "pendingops/remove/raft-three.remove";
const CHAIN: &str = "chains/raft-three";

/// A data folder as a crash has left it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, path: &str, content: &[u8]) {
        let file = self.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    fn put_join_file(&self, number: u64) {
        self.put(JOIN_FILE, &block(number).encode_to_vec());
    }

    fn put_empty_chain(&self) {
        std::fs::create_dir_all(self.path().join(CHAIN)).unwrap();
    }

    /// The first blocks of the channel, written and synced.
    fn put_blocks(&self, count: u64) {
        let ledgers = LedgerFactory::open(LedgerOptions::at(self.path())).unwrap();
        let mut store = ledgers.open_channel(&name()).unwrap();
        for number in 0..count {
            store.append(&SealedBlock::seal(&block(number)).unwrap()).unwrap();
        }
        store.sync().unwrap();
    }

    fn has(&self, path: &str) -> bool {
        self.path().join(path).exists()
    }
}

/// One state, who opens it, and how the channel stands then: height, and whether it is ordered.
struct State {
    what: &'static str,
    make: fn(&Folder),
    host: &'static str,
    expected: Option<(u64, bool)>,
}

/// Every step of a join with the genesis block, in the order of the steps, then of one with a later block.
const JOINS: [State; 10] = [
    State {
        what: "the join file is being written",
        make: |folder| folder.put(TEMPORARY_JOIN_FILE, &block(0).encode_to_vec()),
        host: MEMBER,
        expected: None,
    },
    State {
        what: "the join file is there",
        make: |folder| folder.put_join_file(0),
        host: MEMBER,
        expected: Some((1, true)),
    },
    State {
        what: "and an empty folder",
        make: |folder| {
            folder.put_join_file(0);
            folder.put_empty_chain();
        },
        host: MEMBER,
        expected: Some((1, true)),
    },
    State {
        what: "and a ledger without a block",
        make: |folder| {
            folder.put_join_file(0);
            folder.put_blocks(0);
        },
        host: MEMBER,
        expected: Some((1, true)),
    },
    State {
        what: "and the genesis block",
        make: |folder| {
            folder.put_join_file(0);
            folder.put_blocks(1);
        },
        host: MEMBER,
        expected: Some((1, true)),
    },
    State {
        what: "a join that was taken back, all but the folder",
        make: Folder::put_empty_chain,
        host: MEMBER,
        expected: None,
    },
    State {
        what: "a later join block",
        make: |folder| folder.put_join_file(3),
        host: MEMBER,
        expected: Some((0, false)),
    },
    State {
        what: "and some of the blocks",
        make: |folder| {
            folder.put_join_file(3);
            folder.put_blocks(2);
        },
        host: MEMBER,
        expected: Some((2, false)),
    },
    State {
        what: "and all of them, before the chain began",
        make: |folder| {
            folder.put_join_file(3);
            folder.put_blocks(4);
        },
        host: MEMBER,
        expected: Some((4, true)),
    },
    State {
        what: "a follower beyond its join block",
        make: |folder| {
            folder.put_join_file(3);
            folder.put_blocks(5);
        },
        host: STRANGER,
        expected: Some((5, false)),
    },
];

#[tokio::test]
async fn a_crash_at_any_step_of_a_join_is_finished_at_the_next_start() {
    for State {
        what,
        make,
        host,
        expected,
    } in JOINS
    {
        let folder = Folder::new();
        make(&folder);
        // Twice: the first start must not leave anything that the second stumbles over.
        for round in 1..=2 {
            let manager = open_with(folder.path(), &Fakes::on(host));
            let found = manager.get(CHANNEL).map(|channel| {
                let health = channel.health();
                assert!(!matches!(health, Health::Quarantined(_)), "{what}: {health}");
                (channel.height().0, channel.chain().is_some())
            });
            assert_eq!(found, expected, "{what}, start {round}");
            let follows = matches!(expected, Some((_, false)));
            assert_eq!(folder.has(JOIN_FILE), follows, "{what}");
            assert_eq!(folder.has(CHAIN), expected.is_some(), "{what}");
            assert!(!folder.has(TEMPORARY_JOIN_FILE), "{what}");
            close(manager).await;
        }
    }
}

type Removal = (&'static str, fn(&Folder));

/// Every step of a removal after its marker, in the order of the steps.
const REMOVALS: [Removal; 4] = [
    ("the marker is there", |folder| {
        folder.put_join_file(0);
        folder.put_blocks(5);
    }),
    ("the join file is gone", |folder| folder.put_blocks(5)),
    ("the blocks are gone", Folder::put_empty_chain),
    ("all is gone", |_| {}),
];

#[tokio::test]
async fn a_crash_at_any_step_of_a_removal_is_finished_at_the_next_start() {
    for (what, make) in REMOVALS {
        let folder = Folder::new();
        make(&folder);
        folder.put(MARKER, b"");
        let fakes = Fakes::on(MEMBER);
        let manager = open_with(folder.path(), &fakes);
        assert!(manager.get(CHANNEL).is_none(), "{what}");
        // The consenter's log goes before the marker does: else a channel of this name would begin with it.
        assert_eq!(*fakes.consenter.removed.lock(), [name()], "{what}");
        for path in [JOIN_FILE, CHAIN, MARKER] {
            assert!(!folder.has(path), "{what}: {path}");
        }
        manager.join(block(0)).await.unwrap();
        assert_eq!(manager.get(CHANNEL).unwrap().height(), Height(1), "{what}");
        close(manager).await;
    }
}

#[tokio::test]
async fn a_removal_that_cannot_be_finished_at_the_start_is_shown_and_keeps_its_marker() {
    let folder = Folder::new();
    folder.put_blocks(2);
    folder.put(MARKER, b"");
    let fakes = Fakes::on(MEMBER);
    *fakes.consenter.cannot_remove.lock() = Some("its log is stuck".to_owned());
    let manager = open_with(folder.path(), &fakes);
    let health = manager.get(CHANNEL).unwrap().health();
    let shown = matches!(&health, Health::HalfRemoved(reason) if reason.contains("stuck"));
    assert!(shown, "{health}");
    assert!(folder.has(MARKER) && folder.has(CHAIN));
    *fakes.consenter.cannot_remove.lock() = None;
    manager.remove(name()).await.unwrap();
    assert!(!folder.has(MARKER) && !folder.has(CHAIN));
}
