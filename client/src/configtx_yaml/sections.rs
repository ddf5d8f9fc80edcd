//! Every section of configtx.yaml: its keys, their types, their meaning (`docs/spec/tools.md` §2.3).
//!
//! A key that is missing, null, 0 or an empty text takes the default that stands behind it; most of them are
//! [`configtx::genesis`]' business. Types: a `u32` may have a unit of size, a `u64` may not.

use configtx::duration::GoDuration;

use super::read::{Names, Text, section};

section! {
    /// The whole file.
    Root {
        organizations: Vec<Organization> = "Organizations",
        /// By level; profiles take them by alias only.
        capabilities: Names<Names<bool>> = "Capabilities",
        application: Option<Application> = "Application",
        orderer: Option<Orderer> = "Orderer",
        channel: Option<Profile> = "Channel",
        profiles: Names<Profile> = "Profiles",
    }
}

section! {
    /// A profile, and the defaults of one in `Channel`.
    Profile {
        consortium: Text = "Consortium",
        capabilities: Names<bool> = "Capabilities",
        policies: Names<Policy> = "Policies",
        orderer: Option<Orderer> = "Orderer",
        application: Option<Application> = "Application",
        consortiums: Option<Names<Consortium>> = "Consortiums",
    }
}

section! {
    /// Group `Orderer`.
    Orderer {
        /// `solo`, `etcdraft` or `BFT`; `solo`
        kind: Text = "OrdererType",
        addresses: Vec<Text> = "Addresses",
        /// 2s
        batch_timeout: GoDuration = "BatchTimeout",
        batch_size: BatchSize = "BatchSize",
        max_channels: u64 = "MaxChannels",
        etcd_raft: Option<EtcdRaft> = "EtcdRaft",
        consenter_mapping: Vec<BftConsenter> = "ConsenterMapping",
        smart_bft: Option<SmartBft> = "SmartBFT",
        organizations: Vec<Organization> = "Organizations",
        policies: Names<Policy> = "Policies",
        capabilities: Names<bool> = "Capabilities",
    }
}

section! {
    /// Limits of a block.
    BatchSize {
        /// 500
        max_message_count: u32 = "MaxMessageCount",
        /// 10 MB
        absolute_max_bytes: u32 = "AbsoluteMaxBytes",
        /// 2 MB
        preferred_max_bytes: u32 = "PreferredMaxBytes",
    }
}

section! {
    /// Members and timing of a raft channel.
    EtcdRaft {
        consenters: Vec<RaftConsenter> = "Consenters",
        options: RaftOptions = "Options",
    }
}

section! {
    /// A member of a raft channel.
    RaftConsenter {
        host: Text = "Host",
        port: u32 = "Port",
        /// Path of a PEM file.
        client_tls_cert: Text = "ClientTLSCert",
        /// Path of a PEM file.
        server_tls_cert: Text = "ServerTLSCert",
    }
}

section! {
    /// Timing of a raft channel; each default on its own.
    RaftOptions {
        /// 500ms
        tick_interval: Text = "TickInterval",
        /// 10
        election_tick: u32 = "ElectionTick",
        /// 1
        heartbeat_tick: u32 = "HeartbeatTick",
        /// 5
        max_inflight_blocks: u32 = "MaxInflightBlocks",
        /// 16 MB
        snapshot_interval_size: u32 = "SnapshotIntervalSize",
    }
}

section! {
    /// A member of a BFT channel.
    BftConsenter {
        id: u32 = "ID",
        host: Text = "Host",
        port: u32 = "Port",
        msp_id: Text = "MSPID",
        /// Path of a PEM file.
        identity: Text = "Identity",
        /// Path of a PEM file.
        client_tls_cert: Text = "ClientTLSCert",
        /// Path of a PEM file.
        server_tls_cert: Text = "ServerTLSCert",
    }
}

section! {
    /// Options of a BFT channel: all defaults together if the section is missing, and none if it is there.
    SmartBft {
        request_batch_max_count: u64 = "RequestBatchMaxCount",
        request_batch_max_bytes: u64 = "RequestBatchMaxBytes",
        request_batch_max_interval: Text = "RequestBatchMaxInterval",
        incoming_message_buffer_size: u64 = "IncomingMessageBufferSize",
        request_pool_size: u64 = "RequestPoolSize",
        request_forward_timeout: Text = "RequestForwardTimeout",
        request_complain_timeout: Text = "RequestComplainTimeout",
        request_auto_remove_timeout: Text = "RequestAutoRemoveTimeout",
        request_max_bytes: u64 = "RequestMaxBytes",
        view_change_resend_interval: Text = "ViewChangeResendInterval",
        view_change_timeout: Text = "ViewChangeTimeout",
        leader_heartbeat_timeout: Text = "LeaderHeartbeatTimeout",
        leader_heartbeat_count: u64 = "LeaderHeartbeatCount",
        collect_timeout: Text = "CollectTimeout",
        sync_on_start: bool = "SyncOnStart",
        speed_up_view_change: bool = "SpeedUpViewChange",
        /// 0 unspecified, 1 off, 2 on; not by name.
        leader_rotation: i32 = "LeaderRotation",
        decisions_per_leader: u64 = "DecisionsPerLeader",
    }
}

section! {
    /// Group `Application`.
    Application {
        organizations: Vec<Organization> = "Organizations",
        policies: Names<Policy> = "Policies",
        capabilities: Names<bool> = "Capabilities",
        /// Resource to policy.
        acls: Names<Text> = "ACLs",
    }
}

section! {
    /// An organisation, wherever it stands.
    Organization {
        name: Text = "Name",
        id: Text = "ID",
        /// Path of an MSP folder.
        msp_dir: Text = "MSPDir",
        /// `bccsp` or `idemix`; `bccsp`
        msp_type: Text = "MSPType",
        policies: Names<Policy> = "Policies",
        orderer_endpoints: Vec<Text> = "OrdererEndpoints",
        anchor_peers: Vec<AnchorPeer> = "AnchorPeers",
        /// Without effect.
        admin_principal: Text = "AdminPrincipal",
        skip_as_foreign: bool = "SkipAsForeign",
    }
}

section! {
    /// A first contact of an organisation.
    AnchorPeer {
        host: Text = "Host",
        port: i32 = "Port",
    }
}

section! {
    /// A consortium of a system channel.
    Consortium {
        organizations: Vec<Organization> = "Organizations",
    }
}

section! {
    /// A policy: its type and its rule.
    Policy {
        kind: Text = "Type",
        rule: Text = "Rule",
    }
}
