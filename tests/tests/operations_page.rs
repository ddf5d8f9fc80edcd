//! The commands of `docs/operating/operations.md`, run as they stand there, against the node of a quickstart.

use tests::fixture::page::{self, Shell};

#[test]
fn the_commands_of_the_page_show_a_node_as_it_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shell = Shell::start(folder.path(), &[]);
    for step in page::read("operating/operations.md") {
        shell.step(&step);
    }
}
