//! Conformance vectors, fixtures and process tests.
//!
//! | where | holds |
//! |---|---|
//! | [`fixture`] | real processes to test against: binaries, folders, ports, identities, channels |
//! | [`sim`] | whole clusters, simulated from a seed |
//! | [`invariants`] | what must hold in them |
//! | [`oracle`] | what clients were told, against what the blocks contain |
//! | `tests/compatibility` | the comparison with the reference, `docs/operating/compatibility.md` and `better.md`, against the specifications and the tests |
//! | `tests/conformance` | the vectors of `tests/vectors`, run through the code paths of the node |
//! | `tests/edges.rs` | the crate edges of `docs/architecture.md` against `cargo metadata` |
//! | `tests/bench_cli.rs` | `ordain bench` over a real node: two channels, Ctrl-C, a node that dies |
//! | `tests/cluster` | clusters of real nodes: killed, stopped, wiped, exchanged; what peers may not send |
//! | `tests/cluster_netns` | clusters whose links are cut or slow; needs root |
//! | `tests/config_edits.rs` | the edits of `ordain config` on the channels of the vectors, as nodes would judge them |
//! | `tests/config_page.rs` | the commands of `docs/operating/config.md`, as they stand there |
//! | `tests/deployment.rs` | a folder of Fabric's tools, walked through with settings from the environment alone |
//! | `tests/deployment_netns.rs` | the same with three nodes that find each other by name; needs root |
//! | `tests/drain.rs` | a node told to end orders what it accepted |
//! | `tests/dropin.rs` | what tools and scripts take for granted about one node |
//! | `tests/faults` | the faults of one node, each while another channel goes on |
//! | `tests/full_disk.rs` | a disk with little room, and one that is really full; needs root |
//! | `tests/install_page` | the commands of `docs/operating/install.md`, in copies of the machine's folders; needs root |
//! | `tests/kill.rs` | a node killed in the middle of load, again and again |
//! | `tests/limits.rs` | connections, calls, handshakes, heads and pings above their bounds |
//! | `tests/settings.rs` | listener combinations, files that change, what is private, `orderer config check` |
//! | `tests/throttling.rs` | a client above its share of the rate |
//! | `tests/packaging.rs` | unit, image and health check against the node |
//! | `tests/links.rs` | the links of the documentation |
//! | `tests/migrate_page.rs` | the commands of `docs/operating/migrate.md`, on block files as the reference writes them |
//! | `tests/monitor_page.rs` | the addresses and metrics of `docs/operating/monitor.md` |
//! | `tests/quickstart.rs` | the main job from an empty folder: resumed, with a node that dies, with three nodes whose leader is killed |
//! | `tests/restarts.rs` | three nodes stopped at once and started at once, twenty times, under load |
//! | `tests/upgrade_page.rs` | the commands of `docs/operating/upgrade.md`, with a client at work |
//! | `benches/cluster` | three real nodes: failing over, catching up, starting, at rest, under load |
//! | `tests/simulation` | runs simulated clusters, one a seed |
//! | `tests/troubleshoot.rs` | the texts of `docs/operating/troubleshoot.md` are in the sources |
//! | `benches/throughput.rs` | a real node under load: envelopes a second, and who used the cores |
//! | `benches/stages.rs` | what each stage of an envelope's path costs, beside the budget |
//!
//! Nothing imports this crate.

pub mod fixture;
pub mod invariants;
pub mod oracle;
pub mod sim;
