use consensus::ClusterStatus;
use protos::{ChannelId, ConsenterId, Height};

use super::*;
use crate::admin::ConsensusInfo;

const GIB: u64 = 1024 * 1024 * 1024;

fn info(relation: Relation, status: ChannelStatus) -> ChannelInfo {
    ChannelInfo {
        name: ChannelId::parse("ch").unwrap(),
        relation,
        status,
        height: Height(7),
        consensus: None,
        reason: None,
    }
}

fn ids(numbers: &[u64]) -> Vec<ConsenterId> {
    numbers.iter().copied().map(ConsenterId).collect()
}

/// A member of three.
fn member(leader: Option<u64>, active: &[u64], trouble: Option<&str>) -> ChannelFacts {
    let cluster = ClusterStatus {
        id: ConsenterId(1),
        members: ids(&[1, 2, 3]),
        term: 4,
        leader: leader.map(ConsenterId),
        active: ids(active),
        answering: leader.is_none().then_some(active.len()),
        trouble: trouble.map(str::to_owned),
    };
    let consensus = ConsensusInfo {
        kind: "etcdraft".to_owned(),
        cluster,
    };
    ChannelFacts {
        info: ChannelInfo {
            consensus: Some(consensus),
            ..info(Relation::Consenter, ChannelStatus::Active)
        },
        health: Health::Running,
        behind: 0,
    }
}

fn told(facts: ChannelFacts) -> Vec<(Code, bool)> {
    let reasons = judge_channel(facts).reasons;
    reasons
        .iter()
        .map(|reason| (reason.code, reason.blocking))
        .collect()
}

#[test]
fn a_member_is_ready_while_a_leader_has_a_quorum() {
    for (facts, expected) in [
        (member(Some(2), &[1, 2, 3], None), vec![]),
        (member(Some(2), &[], None), vec![]),
        (member(Some(1), &[1, 2], None), vec![(Code::MemberMissing, false)]),
        (
            member(Some(1), &[1], None),
            vec![(Code::NoQuorum, true), (Code::MemberMissing, false)],
        ),
        (
            member(None, &[1], Some("1 of 3 consenters answer, 2 are needed")),
            vec![(Code::NoQuorum, true)],
        ),
        (
            member(None, &[1, 2], Some("an election is under way")),
            vec![(Code::NoLeader, true)],
        ),
        (
            member(Some(2), &[1, 2, 3], Some("blocks are being fetched")),
            vec![(Code::NotOrdering, true)],
        ),
    ] {
        let shown = format!("{facts:?}");
        assert_eq!(told(facts), expected, "{shown}");
    }
}

#[test]
fn a_missing_member_is_named_with_how_many_more_may_fail() {
    let report = judge_channel(member(Some(1), &[1, 3], None));
    assert!(report.is_ready());
    assert_eq!(
        report.reasons[0].message,
        "the leader hears nothing of member 2; 0 more may fail before the channel stops"
    );
}

#[test]
fn a_channel_that_is_not_ordered_here_says_why() {
    let consenter = || info(Relation::Consenter, ChannelStatus::Inactive);
    let follower = || info(Relation::Follower, ChannelStatus::Active);
    let following = |reason: Option<&str>| Health::Following {
        reason: reason.map(str::to_owned),
    };
    let onboarding = info(Relation::Follower, ChannelStatus::Onboarding);
    let stuck = ChannelInfo {
        reason: Some("nobody has block 7".to_owned()),
        ..follower()
    };
    for (info, health, expected) in [
        (
            consenter(),
            Health::Quarantined("torn".to_owned()),
            Some(Code::Quarantined),
        ),
        (consenter(), Health::Starting, Some(Code::Starting)),
        (consenter(), Health::Stopped, Some(Code::Stopping)),
        (consenter(), Health::Removing, Some(Code::Removing)),
        (
            consenter(),
            Health::HalfRemoved("busy".to_owned()),
            Some(Code::Removing),
        ),
        (follower(), following(None), None),
        (
            follower(),
            following(Some("its log is lost")),
            Some(Code::NotTakingPart),
        ),
        (onboarding, following(None), Some(Code::Onboarding)),
        (stuck, following(None), Some(Code::Behind)),
        (
            info(Relation::Consenter, ChannelStatus::Active),
            Health::Running,
            None,
        ),
    ] {
        let shown = format!("{health:?}");
        let expected: Vec<_> = expected.map(|code| (code, true)).into_iter().collect();
        let facts = ChannelFacts {
            info,
            health,
            behind: 0,
        };
        assert_eq!(told(facts), expected, "{shown}");
    }
}

#[test]
fn a_member_that_lacks_many_blocks_is_not_ready() {
    for (behind, expected) in [(500, vec![]), (501, vec![(Code::Behind, true)])] {
        let facts = ChannelFacts {
            behind,
            ..member(Some(2), &[1, 2, 3], None)
        };
        assert_eq!(told(facts), expected, "{behind}");
    }
}

fn disk(free_bytes: u64, total_bytes: u64) -> Disk {
    Disk {
        purpose: "blocks",
        folder: "/data".into(),
        free_bytes,
        total_bytes,
    }
}

fn certificate(seconds_left: i64) -> Certificate {
    Certificate {
        purpose: "General.TLS.Certificate",
        file: "/tls/server.crt".into(),
        subject: "CN=o1".to_owned(),
        not_after: "2027-01-01T00:00:00Z".to_owned(),
        days_left: seconds_left.div_euclid(DAY_SECONDS),
        seconds_left,
    }
}

fn node(stage: Stage) -> Facts {
    Facts {
        stage,
        disks: vec![disk(50 * GIB, 100 * GIB)],
        no_room: None,
        free_bytes_min: GIB,
        certificates: vec![certificate(100 * DAY_SECONDS)],
        certificate_warning_time: Duration::from_hours(7 * 24),
        unreadable: Vec::new(),
        channels: Vec::new(),
    }
}

#[test]
fn a_node_that_serves_with_room_and_valid_certificates_is_ready_without_channels() {
    let report = judge(node(Stage::Serving));
    assert!(report.node_is_ready());
    assert_eq!(report.reasons, []);
}

#[test]
fn a_node_is_not_ready_before_and_after_it_serves() {
    for (stage, code) in [
        (Stage::Starting, Code::Starting),
        (Stage::Stopping, Code::Stopping),
    ] {
        let report = judge(node(stage));
        assert!(!report.node_is_ready());
        assert_eq!(report.reasons[0].code, code);
    }
}

#[test]
fn little_room_is_a_warning_and_none_blocks() {
    for (free, total, expected) in [
        (50 * GIB, 100 * GIB, vec![]),
        (GIB / 2, 2 * GIB, vec![(Code::DiskLow, false)]),
        (4 * GIB, 100 * GIB, vec![]),
        (0, 0, vec![(Code::DiskLow, false)]),
    ] {
        let facts = Facts {
            disks: vec![disk(free, total)],
            ..node(Stage::Serving)
        };
        let reasons = judge(facts).reasons;
        let told: Vec<_> = reasons
            .iter()
            .map(|reason| (reason.code, reason.blocking))
            .collect();
        assert_eq!(told, expected, "{free} of {total}");
    }
    let facts = Facts {
        no_room: Some("5 MB are free".to_owned()),
        ..node(Stage::Serving)
    };
    assert!(!judge(facts).node_is_ready());
}

#[test]
fn a_certificate_is_warned_of_before_its_end_and_blocks_after_it() {
    for (seconds_left, expected) in [
        (8 * DAY_SECONDS, None),
        (3 * DAY_SECONDS, Some((Code::CertificateExpires, false))),
        (0, Some((Code::CertificateExpired, true))),
        (-5, Some((Code::CertificateExpired, true))),
    ] {
        let facts = Facts {
            certificates: vec![certificate(seconds_left)],
            ..node(Stage::Serving)
        };
        let reasons = judge(facts).reasons;
        let told = reasons.first().map(|reason| (reason.code, reason.blocking));
        assert_eq!(told, expected, "{seconds_left}");
        if let Some(reason) = reasons.first() {
            assert!(reason.message.contains("/tls/server.crt"), "{reason:?}");
        }
    }
}
