//! How many files this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the bound on open files to what the operating system lets this process have. Each channel has up to two
/// open, and the usual bound of 1024 is that of programs which use `select`; this one does not.
///
/// Answers the bound from now on; none: there is none.
pub fn raise_bound() -> Option<u64> {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: before.maximum,
        ..before
    };
    // It goes on with what it has.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_as_high_as_it_may_be() {
        assert_eq!(raise_bound(), getrlimit(Resource::Nofile).maximum);
    }
}
