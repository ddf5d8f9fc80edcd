//! `orderer quickstart` as a newcomer runs it: the real binary, in an empty folder.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tests::fixture::binaries;

/// Bound on each single step. Machines that run tests are busy.
const STEP_TIME_MAX: Duration = Duration::from_mins(5);
/// How often a condition is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// What the commands it prints order and read back.
const HELLO_IN_BASE64: &str = "\"aGVsbG8=\"";

fn quickstart(folder: &Path, arguments: &[&str]) -> Command {
    // So that the commands it prints name the binary and not cargo.
    binaries::ordain();
    let mut command = Command::new(binaries::orderer());
    command
        .arg("quickstart")
        .args(arguments)
        .current_dir(folder)
        .env_remove("CARGO")
        .stdin(Stdio::null());
    command
}

/// A quickstart that goes on while the test does something. Killed when dropped.
struct Running {
    child: Child,
    lines: Receiver<String>,
    /// What came on stdout so far.
    stdout: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            child,
            lines,
            stdout: String::new(),
        }
    }

    /// Waits for a line with `text` in it.
    fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + STEP_TIME_MAX;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.stdout.push_str(&line);
                    self.stdout.push('\n');
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} in time:\n{}", self.stdout),
                Err(RecvTimeoutError::Disconnected) => {
                    let stderr = self.stderr();
                    panic!("no {text:?}:\n{}\n{stderr}", self.stdout)
                }
            }
        }
    }

    /// Address and process of its node.
    fn node(&mut self) -> (String, Pid) {
        let line = self.wait_for("serves on");
        let words: Vec<_> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let after = |word: &str| {
            let at = words.iter().position(|other| *other == word);
            words[at.expect("the word is there") + 1]
        };
        let id = after("process").parse().ok().and_then(Pid::from_raw);
        (after("on").to_owned(), id.expect("a process id"))
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), signal).expect("a process of ours can be signalled");
    }

    fn wait_for_end(&mut self) -> ExitStatus {
        wait_until("the quickstart has ended", || {
            self.child.try_wait().expect("a child can be asked")
        })
    }

    fn stderr(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut text).expect("stderr is text");
        }
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + STEP_TIME_MAX;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {STEP_TIME_MAX:?}");
        std::thread::sleep(LOOK_INTERVAL);
    }
}

fn wait_until_nobody_listens(address: &str) {
    wait_until("the node is gone", || {
        TcpStream::connect(address).is_err().then_some(())
    });
}

fn folder() -> TempDir {
    TempDir::with_prefix("ordain-quickstart-").expect("a temporary folder")
}

fn text_of(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// The number of blocks that a summary states.
fn height(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("chain "));
    let number = line.and_then(|line| line.trim().strip_suffix(" blocks"));
    let number = number.unwrap_or_else(|| panic!("no height in:\n{text}"));
    number.replace(',', "").parse().expect("a number")
}

#[test]
fn a_second_run_goes_on_with_the_chain_of_the_first() {
    let folder = folder();
    let run = || {
        let command = &mut quickstart(folder.path(), &["--exit", "--dir", "network", "--count", "2000"]);
        let output = command.output().expect("it runs");
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(
            text.contains("All 2,000 acknowledged envelopes came back exactly once"),
            "{text}"
        );
        assert!(text.contains("envelopes/s") && text.contains("p99"), "{text}");
        text
    };
    let (first, second) = (run(), run());
    assert!(
        first.contains("made: identities") && second.contains("found, and resumed"),
        "{second}"
    );
    assert!(
        height(&first) > 4 && height(&second) > height(&first),
        "{first}{second}"
    );
}

fn run_to_end(folder: &TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let output = quickstart(folder.path(), arguments).output().expect("it runs");
    (output.status.code(), text_of(&output))
}

/// What stands before `after` and behind `before`, where both come in this order.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).map(|(_, rest)| rest);
    let found = rest
        .and_then(|rest| rest.split_once(after))
        .map(|(found, _)| found);
    found.unwrap_or_else(|| panic!("no {before:?} ... {after:?} in:\n{text}"))
}

#[test]
fn three_nodes_have_equal_ledgers_with_every_envelope_once_and_go_on_with_their_chain() {
    let folder = folder();
    let run = || {
        let (code, text) = run_to_end(&folder, &["--nodes", "3", "--exit", "--count", "3000"]);
        assert_eq!(code, Some(0), "{text}");
        for part in [
            "orderer3 serves on",
            "leads; blocks: orderer1",
            "All 3,000 acknowledged envelopes came back exactly once",
            "All 3,000 envelopes stand exactly once in the ledger of each of the 3 nodes",
        ] {
            assert!(text.contains(part), "no {part:?} in:\n{text}");
        }
        text
    };
    let (first, second) = (run(), run());
    assert!(second.contains("found, and resumed"), "{second}");
    assert!(height(&second) > height(&first), "{first}{second}");
}

#[test]
fn a_leader_that_is_killed_in_the_middle_costs_no_envelope() {
    let folder = folder();
    let (code, text) = run_to_end(&folder, &["--kill-leader", "--exit"]);
    assert_eq!(code, Some(0), "{text}");
    let killed = between(&text, "killed    ", ", which led");
    let successor = between(&text, "leader    ", " leads in term");
    assert_ne!(killed, successor, "{text}");
    assert!(
        text.contains(&format!("back      {killed} serves again")),
        "{text}"
    );
    assert!(
        text.contains("All 20,000 envelopes stand exactly once in the ledger of each of the 3 nodes"),
        "{text}"
    );
}

#[test]
fn there_is_no_leader_to_kill_of_one_node() {
    let folder = folder();
    let (code, text) = run_to_end(&folder, &["--nodes", "1", "--kill-leader", "--exit"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("nobody is left to lead"), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn a_network_of_another_size_is_refused_with_advice() {
    let folder = folder();
    let network = |nodes| {
        run_to_end(
            &folder,
            &["--nodes", nodes, "--dir", "network", "--count", "0", "--exit"],
        )
    };
    assert_eq!(network("1").0, Some(0));
    let (code, text) = network("3");
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("1 node(s), not 3") && text.contains("--dir"),
        "{text}"
    );
}

#[test]
fn a_node_that_dies_under_load_is_a_clear_error() {
    let folder = folder();
    let mut run = Running::start(quickstart(folder.path(), &["--count", "200000"]));
    let (_, node) = run.node();
    run.wait_for("envelopes ordered");
    kill_process(node, Signal::KILL).expect("the node runs");
    assert_eq!(run.wait_for_end().code(), Some(1));
    let text = run.stderr();
    for part in [
        "orderer1 died: signal: 9",
        "The end of ordain-quickstart/orderer.log",
        "What next: ",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn the_commands_it_prints_work_until_ctrl_c() {
    let folder = folder();
    let mut run = Running::start(quickstart(folder.path(), &["--count", "500"]));
    let (address, _) = run.node();
    run.wait_for("Serving until Ctrl-C");
    let (_, next) = run.stdout.split_once("Try next").expect("commands to try");
    let is_command = |line: &&str| line.starts_with("  ") && !line.starts_with("  #");
    let commands: Vec<_> = next.lines().filter(is_command).collect();
    assert!(commands.len() >= 4, "{commands:?}");
    let mut outputs = String::new();
    for command in commands {
        let mut shell = Command::new("sh");
        let output = shell
            .args(["-c", command])
            .current_dir(folder.path())
            .output()
            .expect("a shell");
        let text = text_of(&output);
        assert!(output.status.success(), "{command}\n{text}");
        outputs.push_str(&text);
    }
    assert!(outputs.contains(HELLO_IN_BASE64), "{outputs}");
    run.signal(Signal::INT);
    assert_eq!(run.wait_for_end().code(), Some(0));
    wait_until_nobody_listens(&address);
}

#[test]
fn a_killed_quickstart_leaves_no_node_behind() {
    let folder = folder();
    let mut run = Running::start(quickstart(folder.path(), &["--count", "0"]));
    let (address, _) = run.node();
    run.wait_for("Serving until Ctrl-C");
    run.signal(Signal::KILL);
    run.wait_for_end();
    wait_until_nobody_listens(&address);
    let output = quickstart(folder.path(), &["--count", "0", "--exit"])
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", text_of(&output));
}

#[test]
fn a_folder_of_something_else_is_refused_with_advice() {
    let folder = folder();
    std::fs::write(folder.path().join("letter.txt"), "dear").expect("a file");
    let output = quickstart(folder.path(), &["--dir", ".", "--exit"])
        .output()
        .expect("it runs");
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("is not empty") && text.contains("--dir"), "{text}");
}
