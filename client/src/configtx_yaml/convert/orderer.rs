//! The section `Orderer`: consensus type, members, options.

use bytes::Bytes;
use configtx::consensus_metadata::{BFT, ETCDRAFT, SOLO};
use configtx::genesis::{self, Consensus, OrdererProfile, raft_options};
use protos::wire::common::Consenter;
use protos::wire::etcdraft;
use protos::wire::orderer::{self, smartbft};

use super::{Converter, capabilities, policies, texts};
use crate::configtx_yaml::read::Text;
use crate::configtx_yaml::sections::{BftConsenter, EtcdRaft, Orderer, RaftConsenter, RaftOptions, SmartBft};
use crate::configtx_yaml::setting::{At, Fault};

/// How a channel orders, and the part of the section that says so.
enum Kind<'a> {
    Solo,
    Etcdraft(&'a EtcdRaft),
    Bft(&'a [BftConsenter]),
}

/// Checks that type, members and options fit together; the files they name are not looked at.
pub(in crate::configtx_yaml) fn check_orderer(section: &Orderer) -> Result<(), Fault> {
    kind(section).map(|_| ())
}

fn kind(section: &Orderer) -> Result<Kind<'_>, Fault> {
    match section.kind.text.as_str() {
        "" | SOLO => Ok(Kind::Solo),
        ETCDRAFT => {
            let raft = section
                .etcd_raft
                .as_ref()
                .filter(|raft| !raft.consenters.is_empty());
            let missing = || {
                section
                    .at
                    .key("EtcdRaft")
                    .wrong("etcdraft needs at least one of Consenters")
            };
            let raft = raft.ok_or_else(missing)?;
            raft.consenters.iter().try_for_each(check_raft_member)?;
            genesis::check_raft_options(&raft_options(&wire_raft_options(&raft.options)))
                .map_err(|error| raft.options.at_or(&raft.at).wrong(error.to_string()))?;
            Ok(Kind::Etcdraft(raft))
        }
        BFT => {
            let members = &section.consenter_mapping;
            if members.is_empty() {
                return Err(section
                    .at
                    .key("ConsenterMapping")
                    .wrong("BFT needs at least one consenter"));
            }
            members.iter().try_for_each(check_bft_member)?;
            Ok(Kind::Bft(members))
        }
        other => {
            let at = &section.kind.at;
            Err(at.wrong(format!(
                "unknown orderer type {other:?}: it is solo, etcdraft or BFT"
            )))
        }
    }
}

impl RaftOptions {
    /// Where the options stand, or where they would.
    fn at_or(&self, raft: &At) -> At {
        if self.at == At::default() {
            raft.key("Options")
        } else {
            self.at.clone()
        }
    }
}

fn check_raft_member(member: &RaftConsenter) -> Result<(), Fault> {
    let fields = [
        ("ClientTLSCert", &member.client_tls_cert),
        ("ServerTLSCert", &member.server_tls_cert),
    ];
    check_member(&member.at, &member.host, member.port, &fields)
}

fn check_bft_member(member: &BftConsenter) -> Result<(), Fault> {
    let fields = [
        ("MSPID", &member.msp_id),
        ("Identity", &member.identity),
        ("ClientTLSCert", &member.client_tls_cert),
        ("ServerTLSCert", &member.server_tls_cert),
    ];
    check_member(&member.at, &member.host, member.port, &fields)
}

fn check_member(at: &At, host: &Text, port: u32, fields: &[(&str, &Text)]) -> Result<(), Fault> {
    let address = [("Host", host.text.is_empty()), ("Port", port == 0)];
    let fields = fields.iter().map(|(key, text)| (*key, text.text.is_empty()));
    match address.into_iter().chain(fields).find(|(_, missing)| *missing) {
        None => Ok(()),
        Some((key, _)) => Err(at
            .key(key)
            .wrong(format!("consenter {}:{port} has no {key}", host.text))),
    }
}

impl Converter<'_> {
    pub(super) fn orderer(&mut self, section: &Orderer) -> Result<OrdererProfile, Fault> {
        let consensus = match kind(section)? {
            Kind::Solo => Consensus::Solo,
            Kind::Etcdraft(raft) => Consensus::Etcdraft(etcdraft::ConfigMetadata {
                consenters: raft
                    .consenters
                    .iter()
                    .map(|it| self.raft_member(it))
                    .collect::<Result<_, _>>()?,
                options: Some(wire_raft_options(&raft.options)),
            }),
            Kind::Bft(members) => Consensus::Bft {
                consenters: members
                    .iter()
                    .map(|it| self.bft_member(it))
                    .collect::<Result<_, _>>()?,
                options: section
                    .smart_bft
                    .as_ref()
                    .map(|options| Box::new(wire_bft_options(options))),
            },
        };
        Ok(OrdererProfile {
            consensus,
            addresses: texts(&section.addresses),
            batch_timeout: section.batch_timeout,
            batch_size: orderer::BatchSize {
                max_message_count: section.batch_size.max_message_count,
                absolute_max_bytes: section.batch_size.absolute_max_bytes,
                preferred_max_bytes: section.batch_size.preferred_max_bytes,
            },
            channels_max: section.max_channels,
            organizations: self.members(&section.organizations)?,
            policies: policies(&section.policies)?,
            capabilities: capabilities(&section.capabilities),
        })
    }

    fn raft_member(&self, member: &RaftConsenter) -> Result<etcdraft::Consenter, Fault> {
        let file = self.files_of(&member.host, member.port);
        Ok(etcdraft::Consenter {
            host: member.host.text.clone(),
            port: member.port,
            client_tls_cert: file(&member.client_tls_cert, "client TLS certificate")?,
            server_tls_cert: file(&member.server_tls_cert, "server TLS certificate")?,
        })
    }

    fn bft_member(&self, member: &BftConsenter) -> Result<Consenter, Fault> {
        let file = self.files_of(&member.host, member.port);
        Ok(Consenter {
            id: member.id,
            host: member.host.text.clone(),
            port: member.port,
            msp_id: member.msp_id.text.clone(),
            identity: file(&member.identity, "identity")?,
            client_tls_cert: file(&member.client_tls_cert, "client TLS certificate")?,
            server_tls_cert: file(&member.server_tls_cert, "server TLS certificate")?,
        })
    }

    /// Reads files of one consenter, which errors name.
    fn files_of(&self, host: &Text, port: u32) -> impl Fn(&Text, &str) -> Result<Bytes, Fault> {
        let about = format!("consenter {}:{port}", host.text);
        move |file, what| self.content(file, what).map_err(|fault| fault.about(&about))
    }
}

fn wire_raft_options(section: &RaftOptions) -> etcdraft::Options {
    etcdraft::Options {
        tick_interval: section.tick_interval.text.clone(),
        election_tick: section.election_tick,
        heartbeat_tick: section.heartbeat_tick,
        max_inflight_blocks: section.max_inflight_blocks,
        snapshot_interval_size: section.snapshot_interval_size,
    }
}

fn wire_bft_options(section: &SmartBft) -> smartbft::Options {
    let text = |text: &Text| text.text.clone();
    smartbft::Options {
        request_batch_max_count: section.request_batch_max_count,
        request_batch_max_bytes: section.request_batch_max_bytes,
        request_batch_max_interval: text(&section.request_batch_max_interval),
        incoming_message_buffer_size: section.incoming_message_buffer_size,
        request_pool_size: section.request_pool_size,
        request_forward_timeout: text(&section.request_forward_timeout),
        request_complain_timeout: text(&section.request_complain_timeout),
        request_auto_remove_timeout: text(&section.request_auto_remove_timeout),
        request_max_bytes: section.request_max_bytes,
        view_change_resend_interval: text(&section.view_change_resend_interval),
        view_change_timeout: text(&section.view_change_timeout),
        leader_heartbeat_timeout: text(&section.leader_heartbeat_timeout),
        leader_heartbeat_count: section.leader_heartbeat_count,
        collect_timeout: text(&section.collect_timeout),
        sync_on_start: section.sync_on_start,
        speed_up_view_change: section.speed_up_view_change,
        leader_rotation: section.leader_rotation,
        decisions_per_leader: section.decisions_per_leader,
    }
}
