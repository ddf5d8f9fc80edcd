//! The commands of `docs/operating/cluster.md`, run as they stand there, on free ports.

use tests::fixture::page::{self, Shell};
use tests::fixture::ports;

#[test]
fn the_commands_of_the_page_make_break_and_mend_a_cluster() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let names = ["P0", "P1", "P2", "A0", "A1", "A2"];
    let variables = names.map(|name| (name, ports::free().to_string()));
    let mut shell = Shell::start(folder.path(), &variables);
    for step in page::read("operating/cluster.md") {
        shell.step(&step);
    }
}
