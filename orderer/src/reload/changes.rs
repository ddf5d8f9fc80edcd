//! When files have changed, and settled. Pure: their stamps are an argument.

/// By what one state of a file is told from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its file system.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Its length.
    pub bytes: u64,
    /// When its content was changed: seconds and nanoseconds.
    pub modified: (i64, i64),
    /// When anything of it was changed.
    pub changed: (i64, i64),
}

/// The stamps of some files, in their order.
type Stamps = Vec<Option<Stamp>>;

/// What is in use of some files, and how they were found last.
#[derive(Debug)]
pub struct Changes {
    used: Stamps,
    last: Stamps,
}

impl Changes {
    /// The files as they are in use.
    pub fn since(used: Stamps) -> Self {
        Self {
            last: used.clone(),
            used,
        }
    }

    /// Which files are to be read again, by their place, now that they are found like this. From then on they count as
    /// used.
    pub fn settled(&mut self, now: Stamps) -> Vec<usize> {
        let has_settled = self.last == now;
        self.last = now;
        if !has_settled {
            return Vec::new();
        }
        let changed: Vec<usize> = (0..self.last.len())
            .filter(|at| self.last.get(*at) != self.used.get(*at))
            .collect();
        self.used.clone_from(&self.last);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(number: u64) -> Stamp {
        Stamp {
            device: 1,
            inode: number,
            bytes: 1000,
            modified: (1, 0),
            changed: (1, 0),
        }
    }

    /// Files of these numbers; 0: not there.
    fn stamps(numbers: &[u64]) -> Stamps {
        let of_number = |number: &u64| (*number > 0).then(|| stamp(*number));
        numbers.iter().map(of_number).collect()
    }

    #[test]
    fn a_change_counts_once_when_it_has_stood_still() {
        let mut changes = Changes::since(stamps(&[1, 2]));
        for (now, expected) in [
            ([1, 2], vec![]),
            ([3, 2], vec![]),
            // The key comes a moment after the certificate.
            ([3, 4], vec![]),
            ([3, 4], vec![0, 1]),
            ([3, 4], vec![]),
        ] {
            assert_eq!(changes.settled(stamps(&now)), expected, "{now:?}");
        }
    }

    #[test]
    fn what_goes_and_comes_back_is_a_change_if_it_stays_away() {
        let mut changes = Changes::since(stamps(&[1]));
        for (now, is_read) in [
            (0, false),
            (1, false),
            (1, false),
            (0, false),
            (0, true),
            (2, false),
            (2, true),
        ] {
            assert_eq!(!changes.settled(stamps(&[now])).is_empty(), is_read, "{now}");
        }
    }
}
