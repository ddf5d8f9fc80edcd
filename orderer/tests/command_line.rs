//! The binary as a person or a script meets it.

use std::path::Path;
use std::process::{Command, Output};

/// `orderer` in `folder`, with nothing of this process's environment but `variables`.
fn orderer(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_orderer"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the binary runs")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn version_names_version_commit_and_platform() {
    let output = orderer(folder().path(), &["version"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    assert!(text.starts_with("orderer:\n Version: "), "{text}");
    assert!(
        text.contains("\n Commit SHA: ") && text.contains("\n OS/Arch: linux/"),
        "{text}"
    );
}

#[test]
fn the_version_is_a_flag_as_well() {
    for flag in ["--version", "-V"] {
        let output = orderer(folder().path(), &[flag], &[]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(
            stdout(&output),
            format!("orderer {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
}

#[test]
fn help_teaches_and_ends_well() {
    let output = orderer(folder().path(), &["--help"], &[]);
    assert_eq!(output.status.code(), Some(0));
    for part in [
        "quickstart",
        "FABRIC_CFG_PATH",
        "ORDERER_GENERAL_LISTENPORT",
        "FABRIC_LOGGING_SPEC",
    ] {
        assert!(stdout(&output).contains(part), "{part}");
    }
}

#[test]
fn every_command_teaches_by_example_and_without_colours_in_a_pipe() {
    for command in ["start", "version", "doctor", "quickstart", "config", "ledger"] {
        let output = orderer(folder().path(), &[command, "--help"], &[]);
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(text.contains("Examples:"), "{text}");
        assert!(text.contains(&format!("orderer {command}")), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
    }
}

#[test]
fn a_wrong_flag_or_value_is_refused_with_1_and_the_way_to_help() {
    for arguments in [
        &["start", "--fast"][..],
        &["version", "--fast"],
        &["quickstart", "--count", "many"],
        &["--fast"],
    ] {
        let output = orderer(folder().path(), arguments, &[]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("--help") && !text.contains('\x1b'), "{text}");
    }
}

#[test]
fn an_unknown_word_is_refused_with_1() {
    let output = orderer(folder().path(), &["begin"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("begin"));
}

#[test]
fn without_a_file_the_places_and_quickstart_are_named() {
    let (work, named) = (folder(), folder());
    let path = named.path().display().to_string();
    for arguments in [&[][..], &["start"][..]] {
        let output = orderer(work.path(), arguments, &[("FABRIC_CFG_PATH", &path)]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1));
        for part in [&path, "/etc/hyperledger/fabric", "orderer quickstart"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

#[test]
fn a_mistyped_key_is_refused_with_its_line() {
    let work = folder();
    std::fs::write(work.path().join("orderer.yaml"), "General:\n  ListenPrt: 1\n").expect("written");
    let output = orderer(work.path(), &[], &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("orderer.yaml:2: unknown key General.ListenPrt; did you mean General.ListenPort?"),
        "{text}"
    );
}

#[test]
fn a_bad_logging_spec_is_refused_with_2() {
    let output = orderer(folder().path(), &[], &[("FABRIC_LOGGING_SPEC", "loud")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("invalid logging specification 'loud': bad segment 'loud'"));
}

#[test]
fn the_effective_configuration_is_in_the_log_before_a_node_without_identity_ends_with_2() {
    let work = folder();
    let text = "General: {ListenPort: 27051, LocalMSPDir: nowhere}\nFileLedger: {Location: data}\n";
    std::fs::write(work.path().join("orderer.yaml"), text).expect("written");
    let output = orderer(work.path(), &[], &[("ORDERER_GENERAL_LOCALMSPID", "Org7")]);
    let log = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{log}");
    assert!(
        log.contains("\tGeneral.ListenPort = 27051\n") && log.contains("\tGeneral.LocalMSPID = \"Org7\"\n")
    );
    assert!(log.contains("without TLS"), "{log}");
    let last = log.lines().last().expect("a line");
    assert!(
        last.contains(" ERRO [orderer.common.server]") && last.contains("nowhere"),
        "{log}"
    );
}
