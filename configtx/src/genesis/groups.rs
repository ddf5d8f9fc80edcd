//! The config tree of a profile.

use bytes::Bytes;
use prost::Message;
use protos::wire::common::{
    BlockDataHashingStructure, ConfigGroup, ConfigPolicy, ConfigValue, Consenter, Consortium,
    HashingAlgorithm, OrdererAddresses, Orderers, Policy, implicit_meta_policy::Rule,
};
use protos::wire::etcdraft;
use protos::wire::orderer::{BatchTimeout, ChannelRestrictions, ConsensusType};
use protos::wire::protos::{AnchorPeers, ApiResource};

use super::{
    ApplicationProfile, CapabilityNames, Consensus, GenesisError, OrdererProfile, Organization, Policies,
    Profile, defaults, policies,
};
use crate::capability::encode_capabilities;
use crate::consensus_metadata::{BFT, ETCDRAFT, SOLO};
use crate::duration::GoDuration;
use crate::encode::map_entry;
use crate::{bft, keys};

const ORDERER_ADMINS: &str = "/Channel/Orderer/Admins";
const REQUIRED_POLICIES: [&str; 3] = [keys::READERS, keys::WRITERS, keys::ADMINS];

/// The root group of `profile`'s configuration; all versions are 0.
pub fn channel_group(profile: &Profile) -> Result<ConfigGroup, GenesisError> {
    if profile.application.is_none() && profile.consortiums.is_none() {
        return Err(GenesisError::NoApplication);
    }
    let v3 = profile
        .capabilities
        .as_ref()
        .is_some_and(|names| names.contains("V3_0"));
    if v3 && !profile.orderer.addresses.is_empty() {
        return Err(GenesisError::GlobalAddresses {
            addresses: profile.orderer.addresses.join(", "),
        });
    }
    if !v3 && matches!(profile.orderer.consensus, Consensus::Bft { .. }) {
        return Err(GenesisError::BftWithoutV3);
    }
    let mut channel = new_group("/Channel", &profile.policies, &REQUIRED_POLICIES)?;
    put_channel_values(&mut channel, profile);
    channel
        .groups
        .insert(keys::ORDERER.into(), orderer_group(&profile.orderer, v3)?);
    if let Some(application) = &profile.application {
        channel
            .groups
            .insert(keys::APPLICATION.into(), application_group(application)?);
    }
    if let Some(consortiums) = &profile.consortiums {
        let mut group = under_orderer_admins();
        put_policy(&mut group, keys::ADMINS, policies::accept_all(), ORDERER_ADMINS);
        for (name, organizations) in consortiums {
            group
                .groups
                .insert(name.clone(), consortium_group(name, organizations)?);
        }
        channel.groups.insert(keys::CONSORTIUMS.into(), group);
    }
    Ok(channel)
}

fn put_channel_values(channel: &mut ConfigGroup, profile: &Profile) {
    let algorithm = HashingAlgorithm {
        name: "SHA256".into(),
    };
    put(channel, keys::HASHING_ALGORITHM, &algorithm);
    let structure = BlockDataHashingStructure { width: u32::MAX };
    put(channel, keys::BLOCK_DATA_HASHING_STRUCTURE, &structure);
    put_capabilities(channel, &profile.capabilities);
    if !profile.consortium.is_empty() {
        let consortium = Consortium {
            name: profile.consortium.clone(),
        };
        put(channel, keys::CONSORTIUM, &consortium);
    }
    if !profile.orderer.addresses.is_empty() {
        let addresses = OrdererAddresses {
            addresses: profile.orderer.addresses.clone(),
        };
        let bytes = addresses.encode_to_vec().into();
        put_bytes(channel, keys::ORDERER_ADDRESSES, bytes, ORDERER_ADMINS);
    }
}

fn orderer_group(orderer: &OrdererProfile, v3: bool) -> Result<ConfigGroup, GenesisError> {
    let required = [&REQUIRED_POLICIES[..], &[keys::BLOCK_VALIDATION]].concat();
    let mut group = new_group("/Channel/Orderer", &orderer.policies, &required)?;
    put_consensus(&mut group, &orderer.consensus)?;
    put(
        &mut group,
        keys::BATCH_SIZE,
        &defaults::batch_size(&orderer.batch_size),
    );
    let timeout = if orderer.batch_timeout == GoDuration::default() {
        defaults::BATCH_TIMEOUT
    } else {
        orderer.batch_timeout
    };
    let timeout = BatchTimeout {
        timeout: timeout.to_string(),
    };
    put(&mut group, keys::BATCH_TIMEOUT, &timeout);
    let restrictions = ChannelRestrictions {
        max_count: orderer.channels_max,
    };
    put(&mut group, keys::CHANNEL_RESTRICTIONS, &restrictions);
    put_capabilities(&mut group, &orderer.capabilities);
    for org in &orderer.organizations {
        if v3 && org.endpoints.is_empty() {
            return Err(GenesisError::EndpointsMissing {
                org: org.name.clone(),
            });
        }
        let path = format!("/Channel/Orderer/{}", org.name);
        group
            .groups
            .insert(org.name.clone(), orderer_org_group_at(&path, org)?);
    }
    Ok(group)
}

/// Puts the values `ConsensusType` and, for BFT, `Orderers`; BFT also decides the policy `BlockValidation`.
fn put_consensus(group: &mut ConfigGroup, consensus: &Consensus) -> Result<(), GenesisError> {
    let (kind, metadata) = match consensus {
        Consensus::Solo => (SOLO, Vec::new()),
        Consensus::Etcdraft(metadata) => (ETCDRAFT, check_raft(metadata)?.encode_to_vec()),
        Consensus::Bft { consenters, options } => {
            check_bft(consenters)?;
            let mapping = Orderers {
                consenter_mapping: consenters.clone(),
            };
            put(group, keys::ORDERERS, &mapping);
            let policy = bft::block_validation_policy(consenters);
            put_policy(group, keys::BLOCK_VALIDATION, policy, keys::ADMINS);
            let options = options.as_deref().cloned().unwrap_or_else(defaults::bft_options);
            (BFT, options.encode_to_vec())
        }
    };
    let value = ConsensusType {
        r#type: kind.to_owned(),
        metadata: metadata.into(),
        state: 0,
    };
    put(group, keys::CONSENSUS_TYPE, &value);
    Ok(())
}

fn check_raft(metadata: &etcdraft::ConfigMetadata) -> Result<etcdraft::ConfigMetadata, GenesisError> {
    if metadata.consenters.is_empty() {
        return Err(GenesisError::NoConsenters { kind: ETCDRAFT });
    }
    for member in &metadata.consenters {
        let fields = [
            ("client TLS certificate", member.client_tls_cert.is_empty()),
            ("server TLS certificate", member.server_tls_cert.is_empty()),
        ];
        check_fields(&member.host, member.port, &fields)?;
    }
    let options = defaults::raft_options(metadata.options.as_ref().unwrap_or(&etcdraft::Options::default()));
    check_raft_options(&options)?;
    Ok(etcdraft::ConfigMetadata {
        consenters: metadata.consenters.clone(),
        options: Some(options),
    })
}

/// Checks [completed](defaults::raft_options) raft options against each other.
pub fn check_raft_options(options: &etcdraft::Options) -> Result<(), GenesisError> {
    let interval: Result<GoDuration, _> = options.tick_interval.parse();
    interval.map_err(GenesisError::TickInterval)?;
    if options.election_tick <= options.heartbeat_tick {
        return Err(GenesisError::ElectionTick {
            election: options.election_tick,
            heartbeat: options.heartbeat_tick,
        });
    }
    Ok(())
}

fn check_bft(consenters: &[Consenter]) -> Result<(), GenesisError> {
    if consenters.is_empty() {
        return Err(GenesisError::NoConsenters { kind: BFT });
    }
    for member in consenters {
        let fields = [
            ("MSP ID", member.msp_id.is_empty()),
            ("identity", member.identity.is_empty()),
            ("client TLS certificate", member.client_tls_cert.is_empty()),
            ("server TLS certificate", member.server_tls_cert.is_empty()),
        ];
        check_fields(&member.host, member.port, &fields)?;
    }
    Ok(())
}

/// Refuses a consenter without host or port, or with one of `fields` (name, is empty) missing.
fn check_fields(host: &str, port: u32, fields: &[(&'static str, bool)]) -> Result<(), GenesisError> {
    let address = [("host", host.is_empty()), ("port", port == 0)];
    match address.iter().chain(fields).find(|(_, missing)| *missing) {
        None => Ok(()),
        Some((field, _)) => Err(GenesisError::ConsenterField {
            host: host.to_owned(),
            port,
            field,
        }),
    }
}

fn application_group(application: &ApplicationProfile) -> Result<ConfigGroup, GenesisError> {
    let mut group = new_group("/Channel/Application", &application.policies, &REQUIRED_POLICIES)?;
    put_capabilities(&mut group, &application.capabilities);
    if !application.acls.is_empty() {
        let mut acls = Vec::new();
        for (resource, policy) in &application.acls {
            let guard = ApiResource {
                policy_ref: policy.clone(),
            };
            map_entry(&mut acls, 1, resource, &guard.encode_to_vec());
        }
        put_bytes(&mut group, keys::ACLS, acls.into(), keys::ADMINS);
    }
    for org in &application.organizations {
        let path = format!("/Channel/Application/{}", org.name);
        group
            .groups
            .insert(org.name.clone(), application_org_group_at(&path, org)?);
    }
    Ok(group)
}

fn consortium_group(name: &str, organizations: &[Organization]) -> Result<ConfigGroup, GenesisError> {
    let mut group = under_orderer_admins();
    let creation = policies::implicit(Rule::Any, keys::ADMINS);
    let creation = creation.encode_to_vec().into();
    put_bytes(
        &mut group,
        keys::CHANNEL_CREATION_POLICY,
        creation,
        ORDERER_ADMINS,
    );
    for org in organizations {
        let path = format!("/Channel/Consortiums/{name}/{}", org.name);
        group.groups.insert(org.name.clone(), org_group(&path, org)?);
    }
    Ok(group)
}

/// The group of an organisation below `Orderer`: its MSP and endpoints.
pub fn orderer_org_group(org: &Organization) -> Result<ConfigGroup, GenesisError> {
    orderer_org_group_at(&org.name, org)
}

fn orderer_org_group_at(path: &str, org: &Organization) -> Result<ConfigGroup, GenesisError> {
    let mut group = org_group(path, org)?;
    if !org.endpoints.is_empty() {
        let endpoints = OrdererAddresses {
            addresses: org.endpoints.clone(),
        };
        put(&mut group, keys::ENDPOINTS, &endpoints);
    }
    Ok(group)
}

/// The group of an organisation below `Application`: its MSP and anchor peers.
pub fn application_org_group(org: &Organization) -> Result<ConfigGroup, GenesisError> {
    application_org_group_at(&org.name, org)
}

fn application_org_group_at(path: &str, org: &Organization) -> Result<ConfigGroup, GenesisError> {
    let mut group = org_group(path, org)?;
    if !org.anchor_peers.is_empty() {
        let peers = AnchorPeers {
            anchor_peers: org.anchor_peers.clone(),
        };
        put(&mut group, keys::ANCHOR_PEERS, &peers);
    }
    Ok(group)
}

fn org_group(path: &str, org: &Organization) -> Result<ConfigGroup, GenesisError> {
    let mut group = new_group(path, &org.policies, &REQUIRED_POLICIES)?;
    put(&mut group, keys::MSP, &org.msp);
    Ok(group)
}

/// A group with its policies. Like every element made here it answers to `Admins`, unless said otherwise.
fn new_group(path: &str, given: &Policies, required: &[&'static str]) -> Result<ConfigGroup, GenesisError> {
    if let Some(policy) = required.iter().find(|policy| !given.contains_key(**policy)) {
        return Err(GenesisError::PolicyMissing {
            group: path.to_owned(),
            policy,
        });
    }
    let mut group = ConfigGroup {
        mod_policy: keys::ADMINS.to_owned(),
        ..Default::default()
    };
    for (name, policy) in given {
        put_policy(&mut group, name, policy.clone(), keys::ADMINS);
    }
    Ok(group)
}

fn under_orderer_admins() -> ConfigGroup {
    ConfigGroup {
        mod_policy: ORDERER_ADMINS.to_owned(),
        ..Default::default()
    }
}

fn put(group: &mut ConfigGroup, key: &str, message: &impl Message) {
    put_bytes(group, key, message.encode_to_vec().into(), keys::ADMINS);
}

fn put_capabilities(group: &mut ConfigGroup, names: &CapabilityNames) {
    if let Some(names) = names {
        let bytes = encode_capabilities(names.iter().map(String::as_str));
        put_bytes(group, keys::CAPABILITIES, bytes, keys::ADMINS);
    }
}

fn put_bytes(group: &mut ConfigGroup, key: &str, value: Bytes, mod_policy: &str) {
    let value = ConfigValue {
        version: 0,
        value,
        mod_policy: mod_policy.to_owned(),
    };
    group.values.insert(key.to_owned(), value);
}

fn put_policy(group: &mut ConfigGroup, name: &str, policy: Policy, mod_policy: &str) {
    let policy = ConfigPolicy {
        version: 0,
        policy: Some(policy),
        mod_policy: mod_policy.to_owned(),
    };
    group.policies.insert(name.to_owned(), policy);
}
