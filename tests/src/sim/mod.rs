//! A whole cluster in one thread, its time, network and disks simulated, and all of it decided by one seed.
//!
//! ```text
//! seed ──> Options ──> World ── next of Timeline ──> step(event) ──> actions ──> disks, network, timers ──┐
//!                        ▲                                                                                │
//!                        └──────────────── more for the Timeline, notes for the invariants ◀──────────────┘
//! ```
//!
//! Real here: the raft core, the block cutter, the ledger, configs and their checks, block signatures and their
//! verification. Simulated: what lies around them. What `consensus`' driver and `orderer`'s catch-up do between the two
//! is done by the world itself.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@run`] | one run: faults, healing, and what must be so in the end |
//! | [`world`] | everything there is, and the loop |
//! | [`seed`] | random numbers, simulated time, the mix of faults that a seed draws |
//! | [`timeline`] | what will happen, by time |
//! | [`carry_out`] | steps of the cores, and carrying out their actions |
//! | [`taking_part`] | nodes that start, take part, leave, follow; messages and blocks between them |
//! | [`faults`] | crashes, partitions, pauses, lost logs, slow disks |
//! | [`workload`] | clients and operators |
//! | [`node`], [`log`], [`config`], [`network`] | a node's process, its raft log, its config, its links |
//! | [`material`] | keys, certificates and envelopes, the same for every run |
//! | [`trace`] | the hash of a run, and its lines |
//!
//! The properties are in [`crate::invariants`].

pub mod carry_out;
pub mod config;
pub mod faults;
pub mod log;
pub mod material;
pub mod network;
pub mod node;
pub mod run;
pub mod seed;
pub mod taking_part;
pub mod timeline;
pub mod trace;
pub mod workload;
pub mod world;

pub use run::{Report, run};
pub use world::Plant;
