//! When intake stops for lack of room, and when it goes on. Pure: what is free is an argument.

use std::path::PathBuf;

use crate::config::DiskGuard;

/// A folder with data of the node, and the room there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The key that names it.
    pub key: &'static str,
    /// The folder.
    pub folder: PathBuf,
    /// Bytes that may still be written.
    pub free_bytes: u64,
}

/// What is to be done after a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Intake stops; the reason is for clients.
    Stop(String),
    /// Intake goes on.
    GoOn,
    /// As before.
    Nothing,
}

/// Decides with a distance between the two bounds.
#[derive(Debug)]
pub struct Guard {
    settings: DiskGuard,
    is_low: bool,
}

impl Guard {
    /// There is room at first.
    pub fn new(settings: DiskGuard) -> Self {
        Self {
            settings,
            is_low: false,
        }
    }

    /// True between [`Step::Stop`] and [`Step::GoOn`].
    pub fn is_low(&self) -> bool {
        self.is_low
    }

    /// Looks at all places that could be asked.
    pub fn look(&mut self, places: &[Place]) -> Step {
        let Some(least) = places.iter().min_by_key(|place| place.free_bytes) else {
            return Step::Nothing;
        };
        if !self.is_low && least.free_bytes < self.settings.min_free_bytes {
            self.is_low = true;
            return Step::Stop(self.reason(least));
        }
        if self.is_low && least.free_bytes >= self.settings.resume_free_bytes {
            self.is_low = false;
            return Step::GoOn;
        }
        Step::Nothing
    }

    fn reason(&self, place: &Place) -> String {
        let megabytes = |bytes: u64| bytes >> 20;
        format!(
            "{} MB are left on the disk of {} ({}), less than General.DiskGuard.MinFree, {} MB; intake goes on at {} MB",
            megabytes(place.free_bytes),
            place.key,
            place.folder.display(),
            megabytes(self.settings.min_free_bytes),
            megabytes(self.settings.resume_free_bytes)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MB: u64 = 1 << 20;

    fn guard() -> Guard {
        Guard::new(DiskGuard {
            min_free_bytes: 100 * MB,
            resume_free_bytes: 150 * MB,
            interval: Duration::from_secs(1),
        })
    }

    fn places(free: &[u64]) -> Vec<Place> {
        let keys = ["FileLedger.Location", "Consensus.WALDir", "Consensus.SnapDir"];
        let place = |(key, free): (&'static str, &u64)| Place {
            key,
            folder: PathBuf::from("/data"),
            free_bytes: free * MB,
        };
        keys.into_iter().zip(free).map(place).collect()
    }

    #[test]
    fn intake_stops_below_the_bound_and_goes_on_only_well_above_it() {
        let mut guard = guard();
        for (free, stops, goes_on) in [
            (500, false, false),
            (100, false, false),
            (99, true, false),
            (10, false, false),
            (149, false, false),
            (150, false, true),
            (101, false, false),
            (99, true, false),
        ] {
            let step = guard.look(&places(&[free]));
            assert_eq!(matches!(step, Step::Stop(_)), stops, "{free}: {step:?}");
            assert_eq!(step == Step::GoOn, goes_on, "{free}: {step:?}");
        }
    }

    #[test]
    fn the_disk_with_the_least_room_decides_and_is_named() {
        let mut guard = guard();
        let step = guard.look(&places(&[900, 42, 900]));
        let text = "42 MB are left on the disk of Consensus.WALDir (/data), less than General.DiskGuard.MinFree, 100 \
                    MB; intake goes on at 150 MB";
        assert_eq!(step, Step::Stop(text.to_owned()));
        assert_eq!(guard.look(&places(&[149, 900, 900])), Step::Nothing);
        assert_eq!(guard.look(&places(&[150, 900, 900])), Step::GoOn);
    }

    #[test]
    fn disks_that_cannot_be_asked_change_nothing() {
        let mut guard = guard();
        assert_eq!(guard.look(&[]), Step::Nothing);
        assert!(!guard.is_low());
    }
}
