//! The commands of `docs/operating/install.md`, run as they stand there: as root, on copies of the folders `/etc`, `/usr`
//! and `/var` that nobody else sees and that are gone afterwards.
//!
//! Needs root, so it is a target with `test = false`, named in `.ci/run`:
//! `cargo test --release -p tests --test install_page`. systemd cannot run inside a test. The programs in the folder `bin`
//! beside this file stand in for it: they read the unit file that the page installs, and do what it says.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use tests::fixture::binaries;
use tests::fixture::cases::{Case, Suite};
use tests::fixture::cluster::netns;
use tests::fixture::page::{self, Shell};

const SUITE: Suite = Suite {
    name: "install_page",
    at_a_time: 1,
    case_time_max: Duration::from_mins(3),
};

fn main() -> ExitCode {
    if let Some(outcome) = netns::enter(SUITE.name) {
        return outcome;
    }
    SUITE.run(&[Case {
        name: "the_commands_of_the_page_install_run_and_stop_a_node",
        run: || Box::pin(async { the_commands_of_the_page_install_run_and_stop_a_node() }),
    }])
}

fn the_commands_of_the_page_install_run_and_stop_a_node() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = binaries::orderer()
        .parent()
        .expect("a folder")
        .display()
        .to_string();
    let stand_ins = tests.join("tests/install_page/bin").display().to_string();
    let layers = tempfile::tempdir().expect("a temporary folder");
    mount(&["-t", "tmpfs", "tmpfs", &layers.path().display().to_string()]);
    for folder in ["etc", "usr", "var"] {
        overlay(layers.path(), folder);
    }
    let source = tests.join("..").display().to_string();
    let variables = [("SOURCE", source), ("ORDAIN_BINARIES", built)];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shell = Shell::start(folder.path(), &variables);
    // Before everything else that is called so.
    shell.step(&page::Step {
        command: format!("PATH={stand_ins}:$PATH"),
        output: None,
    });
    let steps = page::read("operating/install.md");
    let printed: String = steps.iter().map(|step| shell.step(step)).collect();
    assert!(
        printed.contains("installed"),
        "the channel is not read back:\n{printed}"
    );
    let log = std::fs::read_to_string("/run/journal-of-orderer").expect("what the node printed");
    assert_eq!(log.matches("Beginning to serve requests").count(), 2, "{log}");
    assert_eq!(
        log.matches("Received signal: 15 (terminated)").count(),
        2,
        "{log}"
    );
    assert!(!log.contains("ERRO"), "{log}");
}

/// Lays an empty layer over a folder of the machine; what is written goes there.
fn overlay(layers: &Path, folder: &str) {
    let (upper, work) = (layers.join(folder), layers.join(format!("{folder}.work")));
    for layer in [&upper, &work] {
        std::fs::create_dir(layer).expect("a folder");
    }
    let options = format!(
        "lowerdir=/{folder},upperdir={},workdir={}",
        upper.display(),
        work.display()
    );
    mount(&["-t", "overlay", "overlay", "-o", &options, &format!("/{folder}")]);
}

fn mount(arguments: &[&str]) {
    let status = Command::new("mount").args(arguments).status();
    assert!(
        status.expect("mount runs").success(),
        "cannot mount {arguments:?}; is this a container without the right?"
    );
}
