//! Random appends, syncs, crashes, full disks and flipped bits on the simulated disk, from seeds. What readers
//! have seen is there after every crash; what is there is the beginning of one unbroken chain.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use ledger::disk::{Fault, SimDisk};
use ledger::index::{Index, MemoryIndex};
use ledger::{AppendError, BlockStore, LedgerFactory, LedgerOptions, OpenError, StoreError};
use protos::{BlockNumber, ChannelId, Height, SealedBlock};

const SEEDS: u64 = 3000;
const STEPS: u64 = 60;
const CHAIN_BLOCKS_MAX: usize = 200;

/// A seeded generator of its own: the disk's must not depend on what the test draws.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// One node with one channel.
struct World {
    seed: u64,
    chance: Chance,
    disk: SimDisk,
    index: Arc<MemoryIndex>,
    chain: Vec<SealedBlock>,
    /// The greatest height any reader was shown.
    seen: Height,
}

fn channel() -> ChannelId {
    ChannelId::parse("one").unwrap()
}

/// The one chain that is written in a run; block sizes from the seed.
fn chain(chance: &mut Chance) -> Vec<SealedBlock> {
    let mut previous = [0; 32];
    let mut next = |number: usize| {
        let len = usize::try_from(chance.below(900)).unwrap();
        let entry = Bytes::from(vec![u8::try_from(number).unwrap(); len]);
        let block = protos::block::next(BlockNumber(number as u64), &previous, vec![entry]);
        let sealed = SealedBlock::seal(&block).unwrap();
        previous = *sealed.hash();
        sealed
    };
    (0..CHAIN_BLOCKS_MAX).map(&mut next).collect()
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        Self {
            seed,
            disk: SimDisk::new(seed),
            index: Arc::default(),
            chain: chain(&mut chance),
            chance,
            seen: Height::EMPTY,
        }
    }

    fn factory(&self) -> LedgerFactory {
        let options = LedgerOptions {
            segment_bytes_max: 3000,
            cache_bytes_max: 1000,
            ..LedgerOptions::at("")
        };
        let index = Arc::clone(&self.index) as Arc<dyn Index>;
        LedgerFactory::open_on(&self.disk.root(), index, options).unwrap()
    }

    /// Opens the channel and checks what is there.
    fn open(&mut self) -> (LedgerFactory, BlockStore) {
        let factory = self.factory();
        let store = factory
            .open_channel(&channel())
            .unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
        self.check(&store);
        (factory, store)
    }

    fn check(&mut self, store: &BlockStore) {
        let height = store.reader().height();
        assert!(
            height >= self.seen,
            "seed {}: {height} after {}",
            self.seed,
            self.seen
        );
        self.seen = height;
        let blocks: Vec<_> = store.reader().iter(BlockNumber(0)).map(Result::unwrap).collect();
        assert_eq!(blocks.len() as u64, height.0, "seed {}", self.seed);
        assert!(
            self.chain.starts_with(&blocks),
            "seed {}: other blocks",
            self.seed
        );
    }

    fn append_some(&mut self, store: &mut BlockStore) {
        for _ in 0..self.chance.below(8) {
            let Some(block) = self.chain.get(usize::try_from(store.next_number().0).unwrap()) else {
                return;
            };
            match store.append(block) {
                Ok(()) => {}
                Err(AppendError::Write(_)) => return,
                Err(other) => panic!("seed {}: {other}", self.seed),
            }
        }
    }

    fn step(&mut self, store: &mut BlockStore) {
        match self.chance.below(12) {
            0..=5 => self.append_some(store),
            6..=9 => self.seen = store.sync().unwrap_or(self.seen).max(self.seen),
            10 => {
                let room = self.disk.used() + self.chance.below(2000);
                self.disk.set_capacity(Some(room));
            }
            _ => self.disk.set_capacity(None),
        }
        assert!(store.height() >= self.seen, "seed {}: height fell", self.seed);
        self.seen = store.height();
    }

    /// Prepares some trouble for one life of the process.
    fn prepare_trouble(&mut self) {
        match self.chance.below(6) {
            0 => self.disk.inject(Fault::Write),
            1 => self.disk.inject(Fault::Sync),
            2 => self.disk.stop_after(1 + self.chance.below(30)),
            _ => {}
        }
    }

    /// One life of the process. It ends with a power loss, or by being killed, or well.
    fn live(&mut self) {
        let (factory, mut store) = self.open();
        self.prepare_trouble();
        for _ in 0..self.chance.below(STEPS) {
            self.step(&mut store);
        }
        let (power_loss, lost_index) = (self.chance.below(4) > 0, self.chance.below(3) == 0);
        if power_loss {
            self.disk.crash();
        }
        drop((store, factory));
        // Otherwise the process was killed at that call, and the machine goes on.
        if self.disk.has_stopped() && self.chance.below(2) == 0 {
            self.disk.crash();
        }
        self.disk.heal();
        if lost_index {
            self.index = Arc::default();
        }
    }
}

#[test]
fn what_readers_saw_survives_and_what_is_there_is_one_chain() {
    let mut longest = Height::EMPTY;
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..4 {
            world.live();
        }
        world.open();
        longest = longest.max(world.seen);
    }
    assert!(longest.0 > 100, "the run tries too little: {longest}");
}

/// A file of the channel and a byte in it.
fn place_for_a_flip(world: &mut World) -> (PathBuf, u64, usize) {
    let folder = world.disk.root().folder("chains").unwrap().folder("one").unwrap();
    let files = folder.list().unwrap();
    let which = usize::try_from(world.chance.below(files.len() as u64)).unwrap();
    let len = folder.open(&files[which].name).unwrap().len().unwrap();
    let from_end = files.len() - 1 - which;
    (
        folder.path().join(&files[which].name),
        world.chance.below(len),
        from_end,
    )
}

#[test]
fn a_flipped_bit_is_named_or_costs_at_most_the_last_group_of_blocks() {
    let (mut named, mut cut) = (0, 0);
    for seed in 0..1000 {
        let mut world = World::new(seed);
        let groups = 2 + world.chance.below(20);
        let (factory, mut store) = world.open();
        let mut before_last = Height::EMPTY;
        for _ in 0..groups {
            before_last = store.height();
            let next = usize::try_from(before_last.0).unwrap();
            let count = 1 + usize::try_from(world.chance.below(4)).unwrap();
            for block in &world.chain[next..next + count] {
                store.append(block).unwrap();
            }
            store.sync().unwrap();
        }
        drop((store, factory));
        let vouched = world.index.height(&channel()).unwrap();
        let index_kept = world.chance.below(2) == 0;
        let (file, offset, files_behind) = place_for_a_flip(&mut world);
        world
            .disk
            .flip_bit(&file, offset, u32::try_from(seed % 8).unwrap())
            .unwrap();
        if !index_kept {
            world.index = Arc::default();
        }
        match world.factory().open_channel(&channel()) {
            Err(OpenError::Store {
                source: StoreError::Damaged(damage),
                ..
            }) => {
                named += 1;
                assert_eq!(damage.file, file, "seed {seed}");
                assert!(damage.offset <= offset, "seed {seed}");
            }
            Ok(store) if index_kept => {
                // Not read again on opening; reading it names it.
                assert_eq!(store.height(), vouched, "seed {seed}");
                let found = store.reader().iter(BlockNumber(0)).find_map(Result::err);
                let text = found.expect("the flip went unnoticed").to_string();
                assert!(text.contains(&file.display().to_string()), "seed {seed}: {text}");
            }
            Ok(store) => {
                cut += 1;
                assert_eq!(files_behind, 0, "seed {seed}");
                assert!(
                    store.height() >= before_last,
                    "seed {seed}: durable blocks were cut off"
                );
                assert!(store.recovery().torn.is_some(), "seed {seed}");
            }
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    assert!(named > 300 && cut > 10, "{named} named, {cut} cut");
}

/// Removes the channel on a disk that stops after `calls`; true if it came to its end.
fn remove_with(world: &mut World, calls: u64) -> bool {
    let factory = world.factory();
    world.disk.stop_after(calls);
    let removed = factory.remove(&channel()).is_ok();
    drop(factory);
    world.disk.crash();
    removed
}

#[test]
fn a_removal_interrupted_at_any_step_is_finished_or_was_never_begun() {
    let mut outcomes = [0, 0];
    for seed in 0..400 {
        let mut world = World::new(seed);
        let (factory, mut store) = world.open();
        for block in &world.chain[..20] {
            store.append(block).unwrap();
        }
        store.sync().unwrap();
        drop((store, factory));
        let removed = remove_with(&mut world, 1 + seed % 40);
        // The next start may be interrupted, too.
        world.disk.stop_after(seed % 25);
        let options = LedgerOptions::at("");
        let index = Arc::clone(&world.index) as Arc<dyn Index>;
        drop(LedgerFactory::open_on(&world.disk.root(), index, options));
        world.disk.crash();

        let factory = world.factory();
        let height = if factory.channels().is_empty() {
            outcomes[0] += 1;
            Height::EMPTY
        } else {
            outcomes[1] += 1;
            Height(20)
        };
        assert!(
            !removed || height == Height::EMPTY,
            "seed {seed}: removed and back again"
        );
        let store = factory.open_channel(&channel()).unwrap();
        assert_eq!(store.height(), height, "seed {seed}: half removed");
    }
    assert!(outcomes[0] > 50 && outcomes[1] > 10, "{outcomes:?}");
}

#[test]
fn whatever_is_in_a_segment_file_opening_answers_with_a_chain_or_an_error() {
    let (mut opened, mut refused) = (0, 0);
    for seed in 0..3000 {
        let mut world = World::new(seed);
        let (factory, mut store) = world.open();
        for block in &world.chain[..12] {
            store.append(block).unwrap();
        }
        store.sync().unwrap();
        drop((store, factory));
        for _ in 0..=world.chance.below(3) {
            spoil(&mut world);
        }
        if seed % 2 == 0 {
            world.index = Arc::default();
        }
        match world.factory().open_channel(&channel()) {
            Ok(store) => {
                opened += 1;
                store.reader().iter(BlockNumber(0)).for_each(drop);
            }
            Err(OpenError::Store { .. }) => refused += 1,
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    assert!(
        opened > 100 && refused > 100,
        "{opened} opened, {refused} refused"
    );
}

/// Overwrites, cuts, lengthens or removes a segment file.
fn spoil(world: &mut World) {
    let folder = world.disk.root().folder("chains").unwrap().folder("one").unwrap();
    let files = folder.list().unwrap();
    if files.is_empty() {
        return;
    }
    let which = usize::try_from(world.chance.below(files.len() as u64)).unwrap();
    let file = folder.open(&files[which].name).unwrap();
    let len = file.len().unwrap();
    let garbage: Vec<u8> = (0..world.chance.below(200))
        .map(|_| u8::try_from(world.chance.below(3)).unwrap())
        .collect();
    match world.chance.below(5) {
        0 => file.truncate(world.chance.below(len + 1)).unwrap(),
        1 => file.write_at(len, &[&garbage]).unwrap(),
        2 => folder.remove_file(&files[which].name).unwrap(),
        _ => file.write_at(world.chance.below(len + 1), &[&garbage]).unwrap(),
    }
}
