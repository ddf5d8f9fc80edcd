use std::collections::BTreeSet;

use consensus::meter::ChainMeter as _;

use super::*;

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.render().1.to_vec()).unwrap()
}

fn channel(name: &str) -> ChannelId {
    ChannelId::parse(name).unwrap()
}

#[test]
fn names_are_unique_and_of_the_characters_that_prometheus_takes() {
    let metrics = Metrics::default();
    let mut names = BTreeSet::new();
    for (description, kind) in metrics.registry().descriptions() {
        let name = description.name();
        let fits = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(name.chars().all(fits), "{name}");
        assert!(description.help.ends_with('.'), "{name} {kind:?}");
        assert!(names.insert(name));
    }
    assert!(names.len() > 60);
}

#[test]
fn every_series_of_a_forgotten_channel_goes_and_none_comes_back() {
    let metrics = Metrics::default();
    let (first, second) = (
        metrics.open_channel(&channel("ch1")),
        metrics.open_channel(&channel("ch2")),
    );
    for channel in [&first, &second] {
        channel.taken(MessageType::of(3)).processed.add(7);
        channel.refused("too_large");
        channel.deliver().requests_received.inc();
        channel.leader_changed();
        channel.finished(std::time::Duration::from_millis(3), 2);
    }
    assert!(text(&metrics).contains("ch1"));
    metrics.forget_channel(first_id());
    first.taken(MessageType::of(3)).processed.inc();
    first.refused("too_large");
    first.block_cut(std::time::Duration::ZERO);
    metrics.refused("ch1", "unknown_channel");
    let text = text(&metrics);
    assert!(!text.contains("ch1"), "{text}");
    let kept =
        "broadcast_processed_count{channel=\"ch2\",status=\"SUCCESS\",type=\"ENDORSER_TRANSACTION\"} 7\n";
    assert!(text.contains(kept), "{text}");
    assert!(text.contains("ordain_refused_count{channel=\"unknown\",reason=\"unknown_channel\"} 1\n"));
}

fn first_id() -> &'static ChannelId {
    static ID: std::sync::LazyLock<ChannelId> = std::sync::LazyLock::new(|| channel("ch1"));
    &ID
}

#[test]
fn a_channel_that_is_opened_again_begins_anew() {
    let metrics = Metrics::default();
    let id = channel("ch");
    let before = metrics.open_channel(&id);
    assert!(Arc::ptr_eq(&before, &metrics.open_channel(&id)));
    before.raft().leader_changes.add(5);
    metrics.forget_channel(&id);
    metrics.open_channel(&id).raft().leader_changes.add(1);
    before.raft().leader_changes.add(5);
    let line = "consensus_etcdraft_leader_changes{channel=\"ch\"} 1\n";
    assert!(text(&metrics).contains(line));
}

#[test]
fn types_without_a_name_share_a_label() {
    for (number, name) in [
        (0, "MESSAGE"),
        (2, "CONFIG_UPDATE"),
        (6, "CHAINCODE_PACKAGE"),
        (7, "unknown"),
        (-1, "unknown"),
    ] {
        assert_eq!(MessageType::of(number).name(), name);
    }
    let metrics = Metrics::default();
    metrics
        .answered("", MessageType::default(), Status::BadRequest)
        .processed
        .inc();
    let line = "broadcast_processed_count{channel=\"unknown\",status=\"BAD_REQUEST\",type=\"unknown\"} 1\n";
    assert!(text(&metrics).contains(line));
}

#[test]
fn samplers_are_asked_before_anything_is_shown() {
    let metrics = Metrics::default();
    metrics.sample_with(|metrics| metrics.families().ours.host.intake_paused.set_flag(true));
    assert!(text(&metrics).contains("\nordain_intake_paused 1\n"));
    let version = format!(
        "\nfabric_version{{version=\"{}\"}} 1\n",
        env!("CARGO_PKG_VERSION")
    );
    assert!(text(&metrics).contains(&version));
}
