//! What holds for every command of `ordain`, those to come included: the binary is asked command by command.

use std::path::Path;
use std::process::{Command, Output};

use client::ConnectionFile;
use client::connection_file::{IdentityFiles, OrdererAddresses};

/// Nobody listens there.
const NOWHERE: &str = "127.0.0.1:1";

fn ordain(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ordain"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Every command, as the words after `ordain`.
fn commands() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, prefix: &[String], found: &mut Vec<Vec<String>>) {
        for inner in command.get_subcommands() {
            let name = [prefix, &[inner.get_name().to_owned()]].concat();
            walk(inner, &name, found);
            found.push(name);
        }
    }
    let mut found = Vec::new();
    walk(&client::cli::command(), &[], &mut found);
    assert!(found.len() > 10, "{found:?}");
    found
}

fn with(command: &[String], more: &'static str) -> Output {
    let arguments: Vec<_> = command.iter().map(String::as_str).chain([more]).collect();
    ordain(folder().path(), &arguments)
}

#[test]
fn every_command_has_help_on_stdout_without_colours() {
    for command in commands() {
        let output = with(&command, "--help");
        let help = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let usage = format!("Usage: ordain {}", command.join(" "));
        assert!(help.contains(&usage), "no {usage:?} in:\n{help}");
        assert!(help.contains("Example"), "{help}");
        assert!(!help.contains('\x1b'), "colours in a pipe: {help}");
    }
}

#[test]
fn every_command_refuses_an_unknown_flag_with_2_and_the_way_to_help() {
    for command in commands() {
        let output = with(&command, "--no-such-flag");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {errors}");
        assert!(errors.contains("--no-such-flag"), "{command:?}: {errors}");
        assert!(errors.contains("--help"), "{command:?}: {errors}");
        assert!(output.stdout.is_empty() && !errors.contains('\x1b'), "{errors}");
    }
}

#[test]
fn colours_are_for_terminals_and_never_with_no_color() {
    let output = Command::new(env!("CARGO_BIN_EXE_ordain"))
        .args(["bench", "--no-such-flag"])
        .env("NO_COLOR", "1")
        .env("TERM", "xterm-256color")
        .output()
        .unwrap();
    assert!(!text(&output.stderr).contains('\x1b'));
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = ordain(folder().path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = text(&output.stdout);
        for command in commands() {
            let name = command.last().unwrap();
            assert!(
                script.contains(name.as_str()),
                "{shell} does not know {command:?}"
            );
        }
    }
}

/// Commands that speak to a node, with all that they need but the connection.
const REMOTE: [&str; 15] = [
    "deliver",
    "deliver --from 3 --to 4 --json",
    "broadcast there",
    "bench -n 5",
    "bench --read",
    "channel list",
    "channel list --json",
    "channel info mych",
    "channel join --block there",
    "channel remove mych --yes",
    "channel fetch mych newest",
    "config fetch",
    "config fetch --block --format protobuf",
    "config set-batch --max-messages 5 --yes",
    "config maintenance on --dry-run",
];

#[test]
fn a_connection_file_that_is_not_there_is_exit_code_1_and_advice() {
    let folder = folder();
    std::fs::write(folder.path().join("there"), "content").unwrap();
    for command in REMOTE {
        let command = format!("{command} -c missing.json");
        let output = ordain(folder.path(), &words(&command));
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {errors}");
        assert!(
            errors.contains("missing.json") && errors.contains("next: "),
            "{command}: {errors}"
        );
        assert!(output.stdout.is_empty(), "{command}");
    }
}

#[test]
fn status_shows_a_node_that_is_not_there_and_ends_with_1() {
    let folder = folder();
    write_connection(folder.path());
    let output = ordain(folder.path(), &words("status -c connection.json"));
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("not all reachable: 0 of 1 node ready"), "{shown}");
    assert!(shown.contains(&format!("unreachable {NOWHERE}: ")), "{shown}");
    assert!(!shown.contains('\x1b') && output.stderr.is_empty(), "{shown}");
    let output = ordain(folder.path(), &words("status -c connection.json --json"));
    assert!(text(&output.stdout).starts_with(r#"{"verdict":"unreachable","nodes":[{"node":""#));
    let output = ordain(folder.path(), &["status"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn a_file_that_is_not_there_is_exit_code_1_and_advice() {
    let folder = folder();
    write_connection(folder.path());
    for command in [
        "channel join -c connection.json --block missing",
        "channel update mych -c connection.json --envelope missing",
        "channel list --admin localhost:1 --ca missing",
        "config explain missing -c connection.json",
        "config submit missing -c connection.json --yes",
        "config sign missing -c connection.json",
        "deliver -c connection.json --msp missing",
        "bench -c connection.json --msp missing",
    ] {
        let output = ordain(folder.path(), &words(command));
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {errors}");
        assert!(
            errors.contains("missing") && errors.contains("next: "),
            "{command}: {errors}"
        );
    }
}

/// An identity, and a connection to a node that does not run.
fn write_connection(folder: &Path) {
    let made = ordain(folder, &["crypto", "--org", "A:a.test"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let file = ConnectionFile {
        channel: "mych".into(),
        genesis: None,
        identity: IdentityFiles {
            msp_id: "A".into(),
            msp: folder.join("crypto/peerOrganizations/a.test/users/User1@a.test/msp"),
        },
        identities: Vec::new(),
        tls: None,
        admin_tls: None,
        operations_tls: None,
        orderers: vec![OrdererAddresses {
            address: NOWHERE.into(),
            admin: Some(NOWHERE.into()),
            operations: None,
        }],
    };
    file.write(&folder.join("connection.json")).unwrap();
}

#[test]
fn a_node_that_is_not_there_is_exit_code_1_and_advice() {
    let folder = folder();
    write_connection(folder.path());
    std::fs::write(folder.path().join("there"), "content").unwrap();
    for command in REMOTE {
        let command = format!("{command} -c connection.json");
        let output = ordain(folder.path(), &words(&command));
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {errors}");
        assert!(
            errors.contains(NOWHERE) && errors.contains("next: "),
            "{command}: {errors}"
        );
        assert!(output.stdout.is_empty(), "{command}");
    }
}

#[test]
fn a_key_type_that_no_identity_has_is_named_with_what_there_is() {
    let folder = folder();
    write_connection(folder.path());
    let output = ordain(folder.path(), &words("bench -c connection.json --key p256"));
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for part in ["EcdsaP256", "only Ed25519 of A", "identities"] {
        assert!(errors.contains(part), "no {part:?} in {errors}");
    }
}

#[test]
fn a_load_that_memory_cannot_hold_is_refused_in_plain_words() {
    let folder = folder();
    write_connection(folder.path());
    let output = ordain(folder.path(), &words("bench -c connection.json -n 100000000"));
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for part in ["100000000 envelopes", "4096 MiB are allowed", "--memory"] {
        assert!(errors.contains(part), "no {part:?} in {errors}");
    }
}

#[test]
fn a_file_that_is_no_config_update_is_not_handed_in() {
    let folder = folder();
    write_connection(folder.path());
    std::fs::write(folder.path().join("junk"), "junk").unwrap();
    let output = ordain(
        folder.path(),
        &words("channel update mych -c connection.json --envelope junk"),
    );
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("junk: ") && errors.contains("CONFIG_UPDATE"),
        "{errors}"
    );
}
