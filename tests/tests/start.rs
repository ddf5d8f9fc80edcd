//! The commands of `docs/start.md`, run as they stand there: by a shell, in an empty folder, with the real binaries.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tests::fixture::{binaries, ports};

/// Bound on each command. Machines that run tests are busy.
const COMMAND_TIME_MAX: Duration = Duration::from_mins(2);
/// How often a condition is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// The page promises fewer.
const COMMANDS_MAX: usize = 9;
/// What the shell prints behind the output of a command.
const MARK: &str = "--- that was it ---";
/// Words of fewer characters are the same each time: block numbers, counts.
const VOLATILE_CHARS_MIN: usize = 4;

/// A command of the page, with the output that the page shows for it.
#[derive(Debug)]
struct Step {
    command: String,
    output: Option<String>,
}

/// The blocks marked `sh`, each with the block marked `text` that follows it.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    // Every second piece stands between fences.
    for block in page.split("```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').expect("a block has lines");
        match (language, steps.last_mut()) {
            ("sh", _) => steps.push(Step {
                command: text.to_owned(),
                output: None,
            }),
            ("text", Some(step)) => step.output = Some(text.to_owned()),
            other => panic!("a block of a kind that this test does not know: {other:?}"),
        }
    }
    steps
}

/// A shell and all that it started, killed when dropped.
struct Shell {
    child: Child,
    commands: ChildStdin,
    lines: Receiver<String>,
}

impl Shell {
    fn start(folder: &Path, variables: &[(&str, String)]) -> Self {
        let mut child = Command::new("sh")
            .current_dir(folder)
            .env("PATH", path())
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut lines = output.lines().map_while(Result::ok);
            lines.try_for_each(|line| sender.send(line))
        });
        let mut shell = Self {
            commands: child.stdin.take().expect("stdin is piped"),
            child,
            lines,
        };
        shell.write("set -eu; exec 2>&1\n");
        shell
    }

    fn write(&mut self, text: &str) {
        self.commands.write_all(text.as_bytes()).expect("the shell reads");
    }

    /// Runs one command to its end, and returns what it printed.
    fn run(&mut self, command: &str) -> String {
        self.write(&format!("{command}\necho '{MARK}'\n"));
        let deadline = Instant::now() + COMMAND_TIME_MAX;
        let mut output = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line == MARK => return output,
                Ok(line) => {
                    output.push_str(&line);
                    output.push('\n');
                }
                Err(reason) => panic!("{command}\n{output}: {reason}: it failed, or took too long"),
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The shell may have ended by itself; there is nothing to do about a failure here.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Our binaries before all others.
fn path() -> OsString {
    let own =
        [binaries::orderer(), binaries::ordain()].map(|binary| binary.parent().expect("a folder").to_owned());
    let others = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(own.into_iter().chain(std::env::split_paths(&others))).expect("folders for PATH")
}

/// Waits until each of `ports` is listened on, or none.
fn wait_until(listening: bool, ports: &[u16]) {
    let deadline = Instant::now() + COMMAND_TIME_MAX;
    while ports.iter().any(|port| is_listening(*port) != listening) {
        assert!(
            Instant::now() < deadline,
            "ports {ports:?}: listening is not {listening}"
        );
        std::thread::sleep(LOOK_INTERVAL);
    }
}

fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Whether `line` is what the page shows, apart from hashes, times, sizes, and the blanks between words.
fn is_shown(line: &str, shown: &str) -> bool {
    let words = |line: &str| {
        let words = line.split_whitespace();
        words
            .map(|word| if is_volatile(word) { "" } else { word }.to_owned())
            .collect::<Vec<_>>()
    };
    words(line) == words(shown)
}

fn is_volatile(word: &str) -> bool {
    let fits = |c: char| c.is_ascii_hexdigit() || "-:.TZ".contains(c);
    word.len() >= VOLATILE_CHARS_MIN && word.chars().all(fits) && word.contains(|c: char| c.is_ascii_digit())
}

fn check_output(step: &Step, got: &str) {
    let Some(shown) = &step.output else { return };
    let same = shown.lines().count() == got.lines().count()
        && shown
            .lines()
            .zip(got.lines())
            .all(|(shown, line)| is_shown(line, shown));
    assert!(
        same,
        "{}\nthe page shows:\n{shown}\nit printed:\n{got}",
        step.command
    );
}

#[test]
fn the_commands_of_the_page_lead_to_a_channel_that_two_organisations_share() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/start.md")).expect("the page");
    let steps = steps(&page);
    assert!(
        (1..=COMMANDS_MAX).contains(&steps.len()),
        "{} commands",
        steps.len()
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let chosen = [ports::free(), ports::free()];
    let variables = [
        ("PORT", chosen[0].to_string()),
        ("ADMIN_PORT", chosen[1].to_string()),
    ];
    let mut shell = Shell::start(folder.path(), &variables);
    let mut printed = String::new();
    for step in &steps {
        let output = shell.run(&step.command);
        check_output(step, &output);
        printed.push_str(&output);
        if step.command.trim_end().ends_with('&') {
            // As a person who reads the page would, before typing on.
            wait_until(true, &chosen);
        }
    }
    for text in ["hello", "and again", "Org1MSP"] {
        assert!(printed.contains(text), "no {text:?} in:\n{printed}");
    }
    drop(shell);
    wait_until(false, &chosen);
}

#[test]
fn lines_are_compared_without_what_differs_each_time() {
    for (line, shown, is_it) in [
        (
            "block 1  2816 bytes  10260963dbad1e49",
            "block 1 900 bytes 00ff",
            false,
        ),
        (
            "block 1  2816 bytes  10260963dbad1e49",
            "block 1 9001 bytes 00ff",
            true,
        ),
        ("block 1", "block 2", false),
        (
            "2026-11-21T11:51:38.000Z  hello",
            "2025-01-01T00:00:00.000Z hello",
            true,
        ),
        ("hello", "hello there", false),
    ] {
        assert_eq!(is_shown(line, shown), is_it, "{line} {shown}");
    }
}
