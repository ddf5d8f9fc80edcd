use super::*;
use crate::operations::{Certificate, ChannelReadiness, Disk};
use crate::participation::ChannelInfo;

fn info(height: u64, id: u64, leader: u64, active: &[u64]) -> ChannelInfo {
    let info = serde_json::json!({
        "name": "mych", "url": "/u", "consensusRelation": "consenter", "status": "active", "height": height,
        "consensus": {"type": "etcdraft", "id": id, "leader": leader, "term": 3, "members": [1, 2, 3], "active": active},
    });
    serde_json::from_value(info).unwrap()
}

fn node(name: &str, channel: ChannelStatus) -> NodeStatus {
    NodeStatus {
        node: name.to_owned(),
        state: if channel.said.ready { "ready" } else { "not_ready" }.to_owned(),
        version: Some("0.1.0".to_owned()),
        disks: vec![Disk {
            purpose: "blocks".to_owned(),
            folder: "/data".to_owned(),
            free_bytes: 3 << 30,
            total_bytes: 12 << 30,
        }],
        certificates: vec![Certificate {
            purpose: "General.TLS.Certificate".to_owned(),
            file: "/s.crt".to_owned(),
            subject: "CN=a".to_owned(),
            not_after: "2036-01-01T00:00:00Z".to_owned(),
            days_left: 3000,
        }],
        channels: vec![channel],
        ..NodeStatus::default()
    }
}

fn channel(info: ChannelInfo, lag: u64, reason: Option<(&str, &str)>) -> ChannelStatus {
    let reason = reason.map(|(code, message)| Reason {
        code: code.to_owned(),
        message: message.to_owned(),
        blocking: true,
    });
    ChannelStatus {
        lag,
        said: ChannelReadiness {
            ready: reason.is_none(),
            behind: 0,
            reasons: reason.into_iter().collect(),
            info,
        },
    }
}

#[test]
fn nodes_channels_and_what_is_wrong_are_shown_below_each_other() {
    let gone = NodeStatus {
        node: "n3:7050".to_owned(),
        state: "unreachable".to_owned(),
        error: Some("connection refused".to_owned()),
        ..NodeStatus::default()
    };
    let status = ClusterStatus {
        verdict: Verdict::Unreachable,
        nodes: vec![
            node("n1:7050", channel(info(12, 1, 1, &[1, 2]), 0, None)),
            node(
                "n2:7050",
                channel(
                    info(10, 2, 0, &[]),
                    2,
                    Some(("no_leader", "an election is under way")),
                ),
            ),
            gone,
        ],
    };
    assert_eq!(
        show(&status, false),
        "\
NODE     STATE        VERSION  DISK FREE     CERTIFICATES
n1:7050  ready        0.1.0    3 GiB (25 %)  3000 days
n2:7050  not ready    0.1.0    3 GiB (25 %)  3000 days
n3:7050  unreachable  -        -             -

CHANNEL  NODE     STATE      RELATION           HEIGHT  LAG  LEADER       TERM  ACTIVE
mych     n1:7050  ready      consenter, active  12      0    1, this one  3     2 of 3
mych     n2:7050  not ready  consenter, active  10      2    none         3     ? of 3

not ready mych at n2:7050: an election is under way (no_leader)
unreachable n3:7050: connection refused

not all reachable: 1 of 3 nodes ready
"
    );
}

#[test]
fn sizes_have_the_unit_that_fits() {
    for (bytes, text) in [
        (5, "5 B"),
        (2048, "2 KiB"),
        (3 << 20, "3 MiB"),
        (5 << 40, "5 TiB"),
    ] {
        assert_eq!(size(bytes), text);
    }
}

#[test]
fn certificates_that_end_are_painted() {
    let mut node = node("n", channel(info(1, 1, 1, &[1]), 0, None));
    for (days, cell) in [
        (3000, Cell::new("3000 days")),
        (3, Cell::painted("3 days", Paint::Yellow)),
        (-1, Cell::painted("expired", Paint::Red)),
    ] {
        node.certificates[0].days_left = days;
        assert_eq!(certificates(&node), cell);
    }
}
