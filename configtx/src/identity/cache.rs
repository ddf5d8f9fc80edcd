//! Identities by the bytes they came as, bounded.
//!
//! Two generations: what is used moves to the young one, and when that is full it becomes the old one and
//! the former old one is forgotten. So what was used lately stays, without any order to maintain.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;

use super::Identity;

/// Identities in one generation; the cache holds up to twice as many, about 5 KiB each.
const GENERATION_MAX: usize = 2048;

type Generation = HashMap<Box<[u8]>, Arc<Identity>, RandomState>;

#[derive(Default)]
pub(crate) struct IdentityCache(RwLock<Generations>);

#[derive(Default)]
struct Generations {
    young: Generation,
    old: Generation,
}

enum Lookup {
    Young(Arc<Identity>),
    Old(Arc<Identity>),
    Missing,
}

impl IdentityCache {
    pub(crate) fn get(&self, serialized: &[u8]) -> Option<Arc<Identity>> {
        match self.look_up(serialized) {
            Lookup::Young(identity) => Some(identity),
            Lookup::Old(identity) => {
                self.insert(serialized, identity.clone());
                Some(identity)
            }
            Lookup::Missing => None,
        }
    }

    fn look_up(&self, serialized: &[u8]) -> Lookup {
        // The maps are whole between any two statements, so a panic elsewhere does not spoil them.
        let generations = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(identity) = generations.young.get(serialized) {
            return Lookup::Young(identity.clone());
        }
        generations
            .old
            .get(serialized)
            .cloned()
            .map_or(Lookup::Missing, Lookup::Old)
    }

    /// Keeps a copy of the bytes: what they were cut from may be large.
    pub(crate) fn insert(&self, serialized: &[u8], identity: Arc<Identity>) {
        let mut generations = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= GENERATION_MAX {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(serialized.into(), identity);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let generations = self.0.read().unwrap();
        generations.young.len() + generations.old.len()
    }
}
