//! Genesis blocks with built-in defaults, out of MSP folders.
//!
//! [`GenesisSpec`] names organisations, consensus and batch limits; policies and capabilities are the usual
//! ones. Whoever needs others builds a [`configtx::genesis::Profile`] of their own, or has it read out of a
//! [`configtx.yaml`](crate::configtx_yaml). [`review()`] says what is odd about a block before somebody uses it.

mod review;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use configtx::duration::GoDuration;
use configtx::genesis::{
    ApplicationProfile, Consensus, GenesisError, OrdererProfile, Organization, Policies, Profile,
    any_of_roles, application_org_group, genesis_block, implicit, orderer_org_group,
};
use prost::Message as _;
use protos::ChannelId;
use protos::wire::common::implicit_meta_policy::Rule;
use protos::wire::common::msp_role::MspRoleType as Role;
use protos::wire::common::{Block, ConfigGroup, Policy};
use protos::wire::etcdraft;
use protos::wire::orderer::BatchSize;

pub use review::review;

use crate::config_edit::organisation::Part;
use crate::connection::Address;
use crate::msp_folder::{MspFolder, MspFolderError};

/// A profile with the content of all files it was made of.
#[derive(Clone, Debug)]
pub struct ReadProfile {
    /// The profile.
    pub profile: Profile,
    /// What an operator should hear about these files, a line each.
    pub warnings: Vec<String>,
}

/// A channel to be.
#[derive(Clone, Debug)]
pub struct GenesisSpec {
    /// Its name.
    pub channel: ChannelId,
    /// Organisations that run orderers, at least one.
    pub orderer_orgs: Vec<GenesisOrg>,
    /// Organisations that use the channel. One may stand in both lists.
    pub application_orgs: Vec<GenesisOrg>,
    /// How it orders.
    pub consensus: ConsensusSpec,
    /// When blocks are cut.
    pub batch: BatchSpec,
}

/// An organisation of a channel.
#[derive(Clone, Debug)]
pub struct GenesisOrg {
    /// Its name in the config; by habit often the MSP id.
    pub name: String,
    /// Its MSP id.
    pub msp_id: String,
    /// Its verifying MSP folder.
    pub msp_folder: PathBuf,
    /// Where clients reach its orderers; orderer organisations need one.
    pub endpoints: Vec<Address>,
}

/// How a channel orders.
#[derive(Clone, Debug, Default)]
pub enum ConsensusSpec {
    /// One node alone: for development.
    #[default]
    Solo,
    /// Raft among these.
    Etcdraft(Vec<ConsenterSpec>),
}

/// A member of a raft channel.
#[derive(Clone, Debug)]
pub struct ConsenterSpec {
    /// Where the other members reach it.
    pub address: Address,
    /// PEM file of the certificate it shows as a client.
    pub client_tls_certificate: PathBuf,
    /// PEM file of the certificate it shows as a server.
    pub server_tls_certificate: PathBuf,
}

/// When a block is cut: at whichever limit is met first. 0 stands for the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchSpec {
    /// Envelopes in a block (500).
    pub max_message_count: u32,
    /// Bytes no envelope may exceed (10 MiB).
    pub absolute_max_bytes: u32,
    /// Bytes a block should stay below (2 MiB).
    pub preferred_max_bytes: u32,
    /// How long the first envelope of a block waits for more (2 s).
    pub timeout: Duration,
}

/// Why there is no genesis block.
#[derive(Debug, thiserror::Error)]
pub enum GenesisSpecError {
    /// An organisation's MSP folder is unusable.
    #[error("organisation {msp_id}: {source}")]
    Msp {
        /// Whose.
        msp_id: String,
        /// Why.
        source: MspFolderError,
    },
    /// A consenter's certificate cannot be read.
    #[error("cannot load a TLS certificate of consenter {address}: {}: {source}", path.display())]
    Consenter {
        /// Whose.
        address: Address,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was given contradicts itself.
    #[error(transparent)]
    Profile(#[from] GenesisError),
    /// The block cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl GenesisSpec {
    /// Reads every file it names.
    pub fn profile(&self) -> Result<ReadProfile, GenesisSpecError> {
        let mut warnings = Vec::new();
        let profile = Profile {
            capabilities: Some(only("V3_0")),
            policies: standard_policies(),
            orderer: OrdererProfile {
                consensus: self.consensus.read()?,
                batch_timeout: GoDuration::from_std(self.batch.timeout),
                batch_size: self.batch.to_wire(),
                organizations: read_orgs(&self.orderer_orgs, orderer_org_policies, &mut warnings)?,
                policies: with(
                    standard_policies(),
                    "BlockValidation",
                    implicit(Rule::Any, "Writers"),
                ),
                capabilities: Some(only("V2_0")),
                ..OrdererProfile::default()
            },
            application: Some(ApplicationProfile {
                organizations: read_orgs(&self.application_orgs, application_org_policies, &mut warnings)?,
                policies: application_policies(),
                capabilities: Some(only("V2_5")),
                acls: BTreeMap::new(),
            }),
            ..Profile::default()
        };
        Ok(ReadProfile { profile, warnings })
    }

    /// The block, dated `now`.
    pub fn block(&self, now: SystemTime) -> Result<Block, GenesisSpecError> {
        let profile = self.profile()?.profile;
        let nonce = rand::random();
        Ok(genesis_block(&profile, self.channel.as_str(), nonce, now)?)
    }
}

/// Writes a block file: mode 0640, missing folders 0750, an existing file is replaced in one step.
pub fn write_block(path: &Path, block: &Block) -> Result<(), GenesisSpecError> {
    write_in_one_step(path, &block.encode_to_vec()).map_err(|source| GenesisSpecError::Write {
        path: path.to_owned(),
        source,
    })
}

fn write_in_one_step(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let written = write_new(&part, content).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // What went wrong is the news; that the rest of it stays as well would be no more.
        let _ = fs::remove_file(&part);
    }
    written
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

impl ConsensusSpec {
    fn read(&self) -> Result<Consensus, GenesisSpecError> {
        match self {
            Self::Solo => Ok(Consensus::Solo),
            Self::Etcdraft(members) => {
                let consenters = members
                    .iter()
                    .map(ConsenterSpec::read)
                    .collect::<Result<_, _>>()?;
                Ok(Consensus::Etcdraft(etcdraft::ConfigMetadata {
                    consenters,
                    options: None,
                }))
            }
        }
    }
}

impl ConsenterSpec {
    fn read(&self) -> Result<etcdraft::Consenter, GenesisSpecError> {
        let certificate = |path: &Path| {
            let failed = |source| GenesisSpecError::Consenter {
                address: self.address.clone(),
                path: path.to_owned(),
                source,
            };
            fs::read(path).map_err(failed)
        };
        Ok(etcdraft::Consenter {
            host: self.address.host().to_owned(),
            port: u32::from(self.address.port()),
            client_tls_cert: certificate(&self.client_tls_certificate)?.into(),
            server_tls_cert: certificate(&self.server_tls_certificate)?.into(),
        })
    }
}

impl BatchSpec {
    fn to_wire(self) -> BatchSize {
        BatchSize {
            max_message_count: self.max_message_count,
            absolute_max_bytes: self.absolute_max_bytes,
            preferred_max_bytes: self.preferred_max_bytes,
        }
    }
}

fn read_orgs(
    orgs: &[GenesisOrg],
    policies: PoliciesOf,
    warnings: &mut Vec<String>,
) -> Result<Vec<Organization>, GenesisSpecError> {
    orgs.iter().map(|org| read_org(org, policies, warnings)).collect()
}

fn read_org(
    org: &GenesisOrg,
    policies: PoliciesOf,
    warnings: &mut Vec<String>,
) -> Result<Organization, GenesisSpecError> {
    let folder = MspFolder::read(&org.msp_folder, &org.msp_id).map_err(|source| GenesisSpecError::Msp {
        msp_id: org.msp_id.clone(),
        source,
    })?;
    let said = folder.warnings.iter();
    warnings.extend(said.map(|warning| format!("organisation {}: {warning}", org.name)));
    Ok(Organization {
        name: org.name.clone(),
        msp: folder.to_wire(),
        policies: policies(&org.msp_id, folder.has_node_ous()),
        endpoints: org.endpoints.iter().map(ToString::to_string).collect(),
        ..Organization::default()
    })
}

/// The group of an organisation as genesis blocks hold it: its MSP, the usual policies, and with
/// [`Part::Orderer`] its endpoints. `warnings` gets what an operator should know of the MSP folder.
pub fn organisation_group(
    part: Part,
    org: &GenesisOrg,
    warnings: &mut Vec<String>,
) -> Result<ConfigGroup, GenesisSpecError> {
    let (policies, group): (PoliciesOf, GroupOf) = match part {
        Part::Orderer => (orderer_org_policies, orderer_org_group),
        Part::Application => (application_org_policies, application_org_group),
    };
    Ok(group(&read_org(org, policies, warnings)?)?)
}

/// Policies of an organisation by its MSP id, and whether its certificates state roles.
type PoliciesOf = fn(&str, bool) -> Policies;
type GroupOf = fn(&Organization) -> Result<ConfigGroup, GenesisError>;

fn only(capability: &str) -> BTreeSet<String> {
    [capability.to_owned()].into()
}

fn with(mut policies: Policies, name: &str, policy: Policy) -> Policies {
    policies.insert(name.to_owned(), policy);
    policies
}

fn named<const N: usize>(policies: [(&str, Policy); N]) -> Policies {
    policies.map(|(name, policy)| (name.to_owned(), policy)).into()
}

/// Anybody's readers and writers, most administrators.
fn standard_policies() -> Policies {
    named([
        ("Readers", implicit(Rule::Any, "Readers")),
        ("Writers", implicit(Rule::Any, "Writers")),
        ("Admins", implicit(Rule::Majority, "Admins")),
    ])
}

fn application_policies() -> Policies {
    let most = || implicit(Rule::Majority, "Endorsement");
    let policies = with(standard_policies(), "Endorsement", most());
    with(policies, "LifecycleEndorsement", most())
}

fn orderer_org_policies(msp_id: &str, _: bool) -> Policies {
    named([
        ("Readers", any_of_roles(msp_id, &[Role::Member])),
        ("Writers", any_of_roles(msp_id, &[Role::Member])),
        ("Admins", any_of_roles(msp_id, &[Role::Admin])),
    ])
}

/// Without node OUs nobody is a client or a peer, only a member.
fn application_org_policies(msp_id: &str, node_ous: bool) -> Policies {
    let (readers, writers, endorsers): (&[_], &[_], &[_]) = if node_ous {
        (
            &[Role::Admin, Role::Peer, Role::Client],
            &[Role::Admin, Role::Client],
            &[Role::Peer],
        )
    } else {
        (&[Role::Member], &[Role::Member], &[Role::Member])
    };
    named([
        ("Readers", any_of_roles(msp_id, readers)),
        ("Writers", any_of_roles(msp_id, writers)),
        ("Admins", any_of_roles(msp_id, &[Role::Admin])),
        ("Endorsement", any_of_roles(msp_id, endorsers)),
    ])
}
