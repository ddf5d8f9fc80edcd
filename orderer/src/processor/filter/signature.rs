//! Refuses signers the channel's writers policy does not allow.
//!
//! Whether one signer alone satisfies the policy depends on its identity and the config, not on the time or the
//! message, so it is found out once for each signer and config. What then remains for an envelope is one lookup
//! and its signature. Only signers that are allowed are remembered: nobody can fill the memory from outside.

use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::sync::Arc;

use bytes::Bytes;
use configtx::Bundle;
use configtx::identity::Identity;
use parking_lot::RwLock;

use crate::processor::ProcessError;

/// Signers remembered for each channel; with more, all are found out again.
const SIGNERS_MAX: usize = 10_000;

/// The policy that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritersPath {
    /// `/Channel/Writers`.
    Normal,
    /// `/Channel/Orderer/Writers`, in maintenance.
    Maintenance,
}

impl WritersPath {
    /// Path of the policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "/Channel/Writers",
            Self::Maintenance => "/Channel/Orderer/Writers",
        }
    }
}

/// The signers that were found to satisfy the policy.
#[derive(Debug)]
pub struct Writers {
    path: WritersPath,
    known: RwLock<HashMap<Bytes, Arc<Identity>, TailState>>,
}

impl Writers {
    /// Nobody known yet.
    pub fn new(path: WritersPath) -> Self {
        Self {
            path,
            known: RwLock::default(),
        }
    }

    /// The signer with these identity bytes, if it was admitted before.
    pub fn known(&self, creator: &[u8]) -> Option<Arc<Identity>> {
        self.known.read().get(creator).cloned()
    }

    /// Finds out whether the signer with these identity bytes satisfies the policy alone.
    pub fn admit(&self, bundle: &Bundle, creator: &[u8]) -> Result<Arc<Identity>, ProcessError> {
        let path = self.path.as_str();
        let policy = bundle.policy(path).ok_or(ProcessError::NoPolicy { path })?;
        let identity = bundle.identify(creator).map_err(|error| self.denied(&error))?;
        policy
            .evaluate_identities(std::slice::from_ref(&identity))
            .map_err(|error| self.denied(&error))?;
        let mut known = self.known.write();
        if known.len() >= SIGNERS_MAX {
            known.clear();
        }
        known.insert(Bytes::copy_from_slice(creator), Arc::clone(&identity));
        Ok(identity)
    }

    /// The refusal of an envelope whose signature does not verify.
    pub fn bad_signature(&self) -> ProcessError {
        self.denied(&"the signature does not verify")
    }

    fn denied(&self, reason: &dyn std::fmt::Display) -> ProcessError {
        ProcessError::Denied {
            path: self.path.as_str(),
            reason: reason.to_string(),
        }
    }
}

/// Hashes the end of identity bytes only. There stands the signature of the certificate, which tells them apart;
/// comparing still looks at all of them. Hashing a whole certificate costs as much as all the rest of a lookup.
#[derive(Debug, Default)]
struct TailState(RandomState);

/// Certificates in PEM end with 26 fixed bytes, before them is base64 of the signature.
const TAIL_BYTES: usize = 128;

impl BuildHasher for TailState {
    type Hasher = TailHasher;

    fn build_hasher(&self) -> TailHasher {
        TailHasher(self.0.build_hasher())
    }
}

/// See [`TailState`].
#[derive(Debug)]
struct TailHasher(DefaultHasher);

impl Hasher for TailHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}
