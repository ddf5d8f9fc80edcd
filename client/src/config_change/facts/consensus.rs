//! Consensus: type, state, options, members.

use configtx::consensus_metadata::{BFT, ETCDRAFT};
use prost::Message as _;
use protos::wire::common::{Consenter, Orderers};
use protos::wire::etcdraft::{self, ConfigMetadata};
use protos::wire::orderer::ConsensusType;
use protos::wire::orderer::consensus_type::State;
use protos::wire::orderer::smartbft;

use super::super::certificate;
use super::{Fact, bytes_text, fingerprint};

pub(super) fn consensus_type(value: &ConsensusType) -> Vec<Fact> {
    let state = match State::try_from(value.state) {
        Ok(State::Normal) => "normal".to_owned(),
        Ok(State::Maintenance) => "maintenance".to_owned(),
        Err(_) => format!("unknown state {}", value.state),
    };
    let mut facts = vec![Fact::new("type", &value.r#type), Fact::new("state", state)];
    let metadata = match value.r#type.as_str() {
        ETCDRAFT => ConfigMetadata::decode(value.metadata.clone())
            .ok()
            .map(|read| raft(&read)),
        BFT => smartbft::Options::decode(value.metadata.clone())
            .ok()
            .map(|read| bft(&read)),
        _ if value.metadata.is_empty() => Some(Vec::new()),
        _ => None,
    };
    facts.extend(metadata.unwrap_or_else(|| vec![Fact::new("metadata", fingerprint(&value.metadata))]));
    facts
}

fn raft(metadata: &ConfigMetadata) -> Vec<Fact> {
    let members = metadata.consenters.iter();
    let mut facts: Vec<_> = members.flat_map(raft_member).collect();
    if let Some(options) = &metadata.options {
        facts.extend([
            Fact::new("tick_interval", &options.tick_interval),
            Fact::new("election_tick", options.election_tick),
            Fact::new("heartbeat_tick", options.heartbeat_tick),
            Fact::new("max_inflight_blocks", options.max_inflight_blocks),
            Fact::new(
                "snapshot_interval_size",
                bytes_text(options.snapshot_interval_size),
            ),
        ]);
    }
    facts
}

fn raft_member(member: &etcdraft::Consenter) -> Vec<Fact> {
    let label = format!("consenter {}:{}", member.host, member.port);
    tls(&label, &member.client_tls_cert, &member.server_tls_cert)
}

fn tls(label: &str, client: &[u8], server: &[u8]) -> Vec<Fact> {
    vec![
        Fact::new(format!("{label} client TLS"), certificate::line(client)),
        Fact::new(format!("{label} server TLS"), certificate::line(server)),
    ]
}

pub(super) fn orderers(value: &Orderers) -> Vec<Fact> {
    value.consenter_mapping.iter().flat_map(bft_member).collect()
}

fn bft_member(member: &Consenter) -> Vec<Fact> {
    let label = format!("consenter {}", member.id);
    let mut facts = vec![
        Fact::new(
            format!("{label} address"),
            format!("{}:{}", member.host, member.port),
        ),
        Fact::new(
            format!("{label} identity"),
            format!("{}: {}", member.msp_id, certificate::line(&member.identity)),
        ),
    ];
    facts.extend(tls(&label, &member.client_tls_cert, &member.server_tls_cert));
    facts
}

fn bft(options: &smartbft::Options) -> Vec<Fact> {
    let rotation = smartbft::options::Rotation::try_from(options.leader_rotation);
    let rotation = rotation.map_or_else(
        |_| options.leader_rotation.to_string(),
        |known| known.as_str_name().to_owned(),
    );
    vec![
        Fact::new("request_batch_max_count", options.request_batch_max_count),
        Fact::new("request_batch_max_bytes", options.request_batch_max_bytes),
        Fact::new("request_batch_max_interval", &options.request_batch_max_interval),
        Fact::new(
            "incoming_message_buffer_size",
            options.incoming_message_buffer_size,
        ),
        Fact::new("request_pool_size", options.request_pool_size),
        Fact::new("request_forward_timeout", &options.request_forward_timeout),
        Fact::new("request_complain_timeout", &options.request_complain_timeout),
        Fact::new(
            "request_auto_remove_timeout",
            &options.request_auto_remove_timeout,
        ),
        Fact::new("request_max_bytes", options.request_max_bytes),
        Fact::new(
            "view_change_resend_interval",
            &options.view_change_resend_interval,
        ),
        Fact::new("view_change_timeout", &options.view_change_timeout),
        Fact::new("leader_heartbeat_timeout", &options.leader_heartbeat_timeout),
        Fact::new("leader_heartbeat_count", options.leader_heartbeat_count),
        Fact::new("collect_timeout", &options.collect_timeout),
        Fact::new("sync_on_start", options.sync_on_start),
        Fact::new("speed_up_view_change", options.speed_up_view_change),
        Fact::new("leader_rotation", rotation),
        Fact::new("decisions_per_leader", options.decisions_per_leader),
    ]
}
