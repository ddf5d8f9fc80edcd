//! `ordain bench` and `ordain channel` as a shell sees them, over a real node with two channels.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::fixture::binaries;
use tests::fixture::network::{Network, NetworkSpec};
use tokio::runtime::Runtime;

const SECOND: &str = "second";

/// How long a bench may take to get under way.
const STEP_TIME_MAX: Duration = Duration::from_mins(1);

/// How many blocks of load show that a bench is under way.
const BLOCKS_MIN: u64 = 3;

/// A running node with two channels, and the connection file to it.
struct Setting {
    network: Network,
    runtime: Runtime,
    connection: String,
}

impl Setting {
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let mut network = Network::new(&NetworkSpec::default());
        network.node.start();
        runtime.block_on(async {
            network.join().await;
            network.join_another(SECOND).await;
        });
        let connection = network.connection_file().display().to_string();
        Self {
            network,
            runtime,
            connection,
        }
    }

    fn ordain(&self, arguments: &str) -> Command {
        let mut command = Command::new(binaries::ordain());
        command
            .args(arguments.split_whitespace())
            .args(["-c", &self.connection])
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &str) -> Output {
        self.ordain(arguments).output().expect("ordain runs")
    }

    /// Starts a bench of both channels that would take minutes, and waits until blocks of it are there.
    fn start_long_bench(&self) -> Child {
        let both = format!("{} --channel {SECOND}", self.network.channel());
        let arguments = format!("bench --json -n 50000 --rate 200 --patience 2s --channel {both}");
        let mut command = self.ordain(&arguments);
        let bench = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let bench = bench.spawn().expect("ordain starts");
        self.runtime.block_on(async {
            let under_way = async {
                while self.height().await < BLOCKS_MIN {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let waited = tokio::time::timeout(STEP_TIME_MAX, under_way).await;
            waited.expect("a bench gets under way");
        });
        bench
    }

    async fn height(&self) -> u64 {
        let info = self.network.admin().info(self.network.channel()).await;
        info.expect("the node has the channel").height
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Exactly one line, and JSON.
fn json(output: &Output) -> Value {
    let stdout = text(&output.stdout);
    assert_eq!(stdout.lines().count(), 1, "{stdout}{}", text(&output.stderr));
    serde_json::from_str(&stdout).expect("a line of JSON")
}

#[test]
fn a_load_on_two_channels_comes_back_once_and_is_read_again() {
    let setting = Setting::new();
    let both = format!(
        "--json --channel {} --channel {SECOND}",
        setting.network.channel()
    );
    let output = setting.run(&format!("bench -n 3001 --acknowledge committed {both}"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = json(&output);
    assert_eq!(report["ok"], true, "{report}");
    for key in ["envelopes", "sent", "acknowledged", "delivered"] {
        assert_eq!(report[key], 3001, "{key} in {report}");
    }
    assert_eq!(report["channels"].as_array().map(Vec::len), Some(2), "{report}");
    assert!(
        output.stderr.is_empty(),
        "a bar in a pipe: {}",
        text(&output.stderr)
    );

    let output = setting.run(&format!("bench --read {both}"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = json(&output);
    assert_eq!(report["verified"], true, "{report}");
    // Each genesis block holds one entry.
    assert_eq!(report["envelopes"], 3001 + 2, "{report}");

    let output = setting.run("channel list");
    let lines = text(&output.stdout);
    assert!(lines.contains(SECOND) && lines.contains("active"), "{lines}");
    let output = setting.run("channel list --json");
    let names: Vec<_> = json(&output)["channels"]
        .as_array()
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_channel_that_the_node_does_not_have_is_exit_code_1_before_anything_is_signed() {
    let setting = Setting::new();
    let output = setting.run("bench --channel third");
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("third") && errors.contains("next: "), "{errors}");
    assert!(output.stdout.is_empty());
}

#[test]
fn ctrl_c_ends_a_load_with_a_report_of_what_was_done() {
    let setting = Setting::new();
    let bench = setting.start_long_bench();
    let id = i32::try_from(bench.id()).ok().and_then(Pid::from_raw);
    kill_process(id.expect("a process id"), Signal::INT).expect("a process of ours can be signalled");
    let output = bench.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    let report = json(&output);
    assert_eq!(
        (&report["ok"], &report["interrupted"]),
        (&false.into(), &true.into())
    );
    let count = |key: &str| report[key].as_u64().expect("a number");
    assert!(0 < count("sent") && count("sent") < 50_000, "{report}");
    assert_eq!(count("acknowledged"), count("sent"), "{report}");
    assert_eq!(count("delivered"), count("sent"), "{report}");
    assert_eq!((count("missing"), count("duplicated")), (0, 0), "{report}");
}

#[test]
fn a_node_that_dies_under_a_bench_is_exit_code_1_with_the_reason() {
    let mut setting = Setting::new();
    let bench = setting.start_long_bench();
    setting.network.node.kill();
    let output = bench.wait_with_output().expect("it ends");
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("next: "), "{errors}");
    let report = json(&output);
    assert_eq!(
        (&report["ok"], &report["interrupted"]),
        (&false.into(), &false.into())
    );
    assert!(
        report["failures"].as_array().is_some_and(|all| !all.is_empty()),
        "{report}"
    );
    assert_eq!(report["duplicated"], 0, "{report}");
}
