//! What must hold in a cluster, whatever happens: one property a file, with its source.
//!
//! | file | property |
//! |---|---|
//! | [`no_fork`] | no two nodes differ in header, data or consenter metadata at a number |
//! | [`chain`] | header chain unbroken, data hashes right, config sequence never falls |
//! | [`batch_limits`] | blocks within the limits in force at the cut, a config alone |
//! | [`durable_first`] | persisted >= committed >= written |
//! | [`one_leader`] | at most one leader per term |
//! | [`votes`] | a node that lost its log does not vote |
//! | [`acknowledged`] | what clients were told is so; nothing appears that nobody sent, or more often than sent |
//!
//! Each says in words what is wrong, beginning with its own name. They see what nodes did, and decide by that alone.

pub mod acknowledged;
pub mod batch_limits;
pub mod chain;
pub mod durable_first;
pub mod no_fork;
pub mod one_leader;
pub mod votes;

/// What is wrong: the property's name, and the facts.
pub type Violation = String;
