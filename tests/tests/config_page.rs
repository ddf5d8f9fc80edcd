//! The commands of `docs/operating/config.md`, run as they stand there, against the node of a quickstart.

use tests::fixture::page::{self, Shell};

#[test]
fn the_commands_of_the_page_change_a_channel_as_it_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shell = Shell::start(folder.path(), &[]);
    for step in page::read("operating/config.md") {
        shell.step(&step);
    }
}
