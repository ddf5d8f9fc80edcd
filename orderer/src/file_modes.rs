//! Who may look at what this process writes.

use rustix::fs::Mode;
use rustix::process::umask;

/// Whatever this process makes from now on, its own user alone can read and enter: blocks hold what channels keep from
/// others. To be called before there are other threads.
///
/// A stricter mask of the operator's stays.
pub fn keep_private() {
    let before = umask(Mode::RWXG | Mode::RWXO);
    umask(before | Mode::RWXG | Mode::RWXO);
}
