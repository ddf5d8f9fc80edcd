//! The commands of `docs/operating/upgrade.md`, run as they stand there, on free ports: three nodes upgraded and taken back
//! one after another, with a client at work.

use tests::fixture::page::{self, Shell};
use tests::fixture::ports;

/// Lines that the client of the page must have got through at least: it goes on while nodes are exchanged.
const ACKNOWLEDGED_MIN: u64 = 20;

#[test]
fn the_commands_of_the_page_upgrade_a_cluster_and_take_it_back_while_a_client_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let names = ["P0", "P1", "P2", "A0", "A1", "A2", "O0", "O1", "O2"];
    let variables = names.map(|name| (name, ports::free().to_string()));
    let mut shell = Shell::start(folder.path(), &variables);
    let printed: Vec<String> = page::read("operating/upgrade.md")
        .iter()
        .map(|step| shell.step(step))
        .collect();
    let last = printed.last().expect("the page has commands");
    let acknowledged = last
        .lines()
        .find_map(|line| line.strip_suffix(" acknowledged"))
        .and_then(|word| word.parse::<u64>().ok());
    assert!(acknowledged >= Some(ACKNOWLEDGED_MIN), "{last}");
    for node in 0..3 {
        let log =
            std::fs::read_to_string(folder.path().join(format!("upgrade/node{node}.log"))).expect("a log");
        let error = log.lines().find(|line| line.contains("ERRO"));
        assert_eq!(error, None, "node {node}");
        assert_eq!(
            log.matches("Received signal: 15 (terminated)").count(),
            3,
            "node {node}"
        );
    }
}
