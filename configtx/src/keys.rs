//! Names of groups, values and policies that have a fixed meaning (`docs/spec/rules.md` §5).

/// Group with the ordering service's settings and organisations.
pub const ORDERER: &str = "Orderer";
/// Group with the applications' settings and organisations.
pub const APPLICATION: &str = "Application";
/// Group of a system channel; no channel of today has it.
pub const CONSORTIUMS: &str = "Consortiums";

/// Value: names of required features.
pub const CAPABILITIES: &str = "Capabilities";
/// Channel value: hash function.
pub const HASHING_ALGORITHM: &str = "HashingAlgorithm";
/// Channel value: width of the data hash.
pub const BLOCK_DATA_HASHING_STRUCTURE: &str = "BlockDataHashingStructure";
/// Channel value: channel-wide addresses.
pub const ORDERER_ADDRESSES: &str = "OrdererAddresses";
/// Channel value: a name from the days of the system channel.
pub const CONSORTIUM: &str = "Consortium";
/// Orderer value: BFT consenters. Also accepted, and unused, as a channel value.
pub const ORDERERS: &str = "Orderers";
/// Orderer value: type, metadata, state.
pub const CONSENSUS_TYPE: &str = "ConsensusType";
/// Orderer value: limits on the size of a block.
pub const BATCH_SIZE: &str = "BatchSize";
/// Orderer value: how long a block may stay open.
pub const BATCH_TIMEOUT: &str = "BatchTimeout";
/// Orderer value: a limit nothing applies.
pub const CHANNEL_RESTRICTIONS: &str = "ChannelRestrictions";
/// Orderer value: left over, read and ignored.
pub const KAFKA_BROKERS: &str = "KafkaBrokers";
/// Application value: resource names to policies.
pub const ACLS: &str = "ACLs";
/// Organisation value: its MSP.
pub const MSP: &str = "MSP";
/// Orderer organisation value: where its nodes listen.
pub const ENDPOINTS: &str = "Endpoints";
/// Application organisation value: its first contacts.
pub const ANCHOR_PEERS: &str = "AnchorPeers";
/// Consortium value: who may create channels.
pub const CHANNEL_CREATION_POLICY: &str = "ChannelCreationPolicy";

/// Policy: who may read.
pub const READERS: &str = "Readers";
/// Policy: who may write.
pub const WRITERS: &str = "Writers";
/// Policy: who may administer.
pub const ADMINS: &str = "Admins";
/// Policy of the orderer group: what makes a block's signatures enough.
pub const BLOCK_VALIDATION: &str = "BlockValidation";

/// Path of the policy a block's signatures must satisfy.
pub const BLOCK_VALIDATION_PATH: &str = "/Channel/Orderer/BlockValidation";
/// Path of the policy of submitters.
pub const CHANNEL_WRITERS_PATH: &str = "/Channel/Writers";
/// Path of the policy of readers.
pub const CHANNEL_READERS_PATH: &str = "/Channel/Readers";
/// Path of the policy of submitters in maintenance mode.
pub const ORDERER_WRITERS_PATH: &str = "/Channel/Orderer/Writers";
/// Path of the policy of readers in maintenance mode.
pub const ORDERER_READERS_PATH: &str = "/Channel/Orderer/Readers";
