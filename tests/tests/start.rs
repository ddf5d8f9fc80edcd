//! The commands of `docs/start.md`, run as they stand there: by a shell, in an empty folder, with the real binaries.

use tests::fixture::page::{self, Shell};
use tests::fixture::ports;

/// The page promises fewer.
const COMMANDS_MAX: usize = 9;

#[test]
fn the_commands_of_the_page_lead_to_a_channel_that_two_organisations_share() {
    let steps = page::read("start.md");
    assert!(steps.len() <= COMMANDS_MAX, "{} commands", steps.len());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let chosen = [ports::free(), ports::free()];
    let variables = [
        ("PORT", chosen[0].to_string()),
        ("ADMIN_PORT", chosen[1].to_string()),
    ];
    let mut shell = Shell::start(folder.path(), &variables);
    let mut printed = String::new();
    for step in &steps {
        printed.push_str(&shell.step(step));
        if step.command.trim_end().ends_with('&') {
            // As a person who reads the page would, before typing on.
            page::wait_until_listening(true, &chosen);
        }
    }
    for text in ["hello", "and again", "Org1MSP"] {
        assert!(printed.contains(text), "no {text:?} in:\n{printed}");
    }
    drop(shell);
    page::wait_until_listening(false, &chosen);
}
