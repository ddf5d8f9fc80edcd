//! Config updates from one end to the other: signed by administrators, sent over real ports, in force on a real node.
//!
//! | file | themes |
//! |---|---|
//! | `field` | the node, its organisations, updates, and an auditor who replays the chain |
//! | `values` | batch size, policies; restarts and kills |
//! | `organisations` | organisations that come, go, change their authority, revoke a client |
//! | `racing` | updates that are stale, in conflict, or many at a time |
//! | `refused` | a ledger whose newest config does not follow the one before it |
//! | `removal` | channels that are taken off the node |
//! | `revocation` | a revocation list, made by hand |
//! | `rest` | updates over REST and with `ordain` |
//! | `maintenance` | into maintenance and out of it |

mod field;
mod maintenance;
mod organisations;
mod racing;
mod refused;
mod removal;
mod rest;
mod revocation;
mod values;
