//! Organisations, consensus and batches from the command line, everything else by default.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use protos::ChannelId;

use crate::cli::Failure;
use crate::cli::genesis::duration;
use crate::connection::Address;
use crate::crypto::{Manifest, ManifestOrg, OrgKind};
use crate::genesis::{BatchSpec, ConsensusSpec, ConsenterSpec, GenesisOrg, GenesisSpec};

/// Ids of all arguments here, none of which goes with a profile.
pub(super) const IDS: [&str; 11] = [
    "crypto",
    "node",
    "orderer_org",
    "org",
    "endpoint",
    "consenter",
    "consensus",
    "max_count",
    "absolute_bytes",
    "preferred_bytes",
    "timeout",
];

/// The channel from flags.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Organisations and consensus from flags")]
pub(super) struct FlagArgs {
    /// Folder that ordain crypto made: all its organisations take part.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["orderer_org", "org", "endpoint", "consenter"])]
    crypto: Option<PathBuf>,
    /// Where a node of --crypto is reached; NAME:7050 if not given. May be repeated.
    #[arg(long, value_name = "NAME=HOST:PORT", requires = "crypto")]
    node: Vec<Pair<String, Address>>,
    /// Organisation that runs orderers, by its MSP folder. May be repeated.
    #[arg(long, value_name = "MSPID=DIR")]
    orderer_org: Vec<Pair<String, PathBuf>>,
    /// Organisation that uses the channel, by its MSP folder. May be repeated.
    #[arg(long, value_name = "MSPID=DIR")]
    org: Vec<Pair<String, PathBuf>>,
    /// Where clients reach the orderers, without --crypto. May be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    endpoint: Vec<Address>,
    /// Raft member and its TLS certificate (PEM), without --crypto. May be repeated.
    #[arg(long, value_name = "HOST:PORT=FILE")]
    consenter: Vec<Pair<Address, PathBuf>>,
    /// How the channel orders.
    #[arg(long, value_enum, default_value_t = ConsensusArg::Solo)]
    consensus: ConsensusArg,
    #[command(flatten)]
    batch: BatchArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ConsensusArg {
    /// One node alone.
    Solo,
    /// Raft among all nodes.
    Etcdraft,
}

/// When a block is cut: at whichever limit is met first.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Blocks from flags")]
struct BatchArgs {
    /// Envelopes in a block.
    #[arg(long = "batch-max-count", value_name = "N", default_value_t = 500)]
    max_count: u32,
    /// Bytes that no envelope may exceed.
    #[arg(long = "batch-absolute-bytes", value_name = "BYTES", default_value_t = 10 << 20)]
    absolute_bytes: u32,
    /// Bytes that a block should stay below.
    #[arg(long = "batch-preferred-bytes", value_name = "BYTES", default_value_t = 2 << 20)]
    preferred_bytes: u32,
    /// How long a block's first envelope waits for more, such as 500ms or 2s.
    #[arg(long = "batch-timeout", value_name = "TIME", default_value = "2s", value_parser = duration)]
    timeout: Duration,
}

/// `KEY=VALUE`
#[derive(Clone, Debug)]
struct Pair<K, V>(K, V);

impl<K: FromStr, V: FromStr> FromStr for Pair<K, V>
where
    K::Err: std::fmt::Display,
    V::Err: std::fmt::Display,
{
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("there should be a = in it")?;
        let key = key.parse().map_err(|error| format!("{error}"))?;
        let value = value.parse().map_err(|error| format!("{error}"))?;
        Ok(Self(key, value))
    }
}

impl FlagArgs {
    /// The channel that they describe.
    pub(super) fn spec(&self, channel: ChannelId) -> Result<GenesisSpec, Failure> {
        let mut spec = match &self.crypto {
            Some(root) => self.spec_of_tree(channel, &Manifest::read(root)?, root)?,
            None => self.spec_of_folders(channel),
        };
        if spec.orderer_orgs.is_empty() {
            return Err(
                Failure::usage("a channel needs an organisation that runs orderers").hint(
                    "give --crypto DIR, or --orderer-org MSPID=DIR with --endpoint HOST:PORT, or --profile NAME \
                     of a configtx.yaml",
                ),
            );
        }
        spec.batch = BatchSpec {
            max_message_count: self.batch.max_count,
            absolute_max_bytes: self.batch.absolute_bytes,
            preferred_max_bytes: self.batch.preferred_bytes,
            timeout: self.batch.timeout,
        };
        Ok(spec)
    }

    fn spec_of_tree(
        &self,
        channel: ChannelId,
        manifest: &Manifest,
        root: &Path,
    ) -> Result<GenesisSpec, Failure> {
        let known = |name: &String| manifest.organisations.iter().any(|org| org.nodes.contains(name));
        if let Some(Pair(name, _)) = self.node.iter().find(|Pair(name, _)| !known(name)) {
            return Err(Failure::usage(format!("no organisation has a node {name}"))
                .hint(format!("the nodes are: {}", all_nodes(manifest).join(", "))));
        }
        let (mut orderer_orgs, mut application_orgs, mut members) = (Vec::new(), Vec::new(), Vec::new());
        for org in &manifest.organisations {
            let paths = org.paths(root);
            let mut made = GenesisOrg {
                name: org.msp_id.clone(),
                msp_id: org.msp_id.clone(),
                msp_folder: paths.msp(),
                endpoints: Vec::new(),
            };
            if org.kind == OrgKind::Peer {
                application_orgs.push(made);
                continue;
            }
            for node in &org.nodes {
                let address = self.address_of(node)?;
                made.endpoints.push(address.clone());
                members.push(consenter(address, paths.node_tls(node).join("server.crt")));
            }
            orderer_orgs.push(made);
        }
        Ok(GenesisSpec {
            channel,
            orderer_orgs,
            application_orgs,
            consensus: self.consensus_of(members),
            batch: BatchSpec::default(),
        })
    }

    fn address_of(&self, node: &str) -> Result<Address, Failure> {
        let given = self.node.iter().find(|Pair(name, _)| name == node);
        let default = || format!("{node}:7050").parse().map_err(Failure::new);
        given.map_or_else(default, |Pair(_, address)| Ok(address.clone()))
    }

    fn spec_of_folders(&self, channel: ChannelId) -> GenesisSpec {
        let org = |Pair(msp_id, folder): &Pair<String, PathBuf>, endpoints: &[Address]| GenesisOrg {
            name: msp_id.clone(),
            msp_id: msp_id.clone(),
            msp_folder: folder.clone(),
            endpoints: endpoints.to_vec(),
        };
        let orderer_orgs = self.orderer_org.iter().map(|pair| org(pair, &self.endpoint));
        let members = self.consenter.iter();
        let members = members.map(|Pair(address, file)| consenter(address.clone(), file.clone()));
        GenesisSpec {
            channel,
            orderer_orgs: orderer_orgs.collect(),
            application_orgs: self.org.iter().map(|pair| org(pair, &[])).collect(),
            consensus: self.consensus_of(members.collect()),
            batch: BatchSpec::default(),
        }
    }

    fn consensus_of(&self, members: Vec<ConsenterSpec>) -> ConsensusSpec {
        match self.consensus {
            ConsensusArg::Solo => ConsensusSpec::Solo,
            ConsensusArg::Etcdraft => ConsensusSpec::Etcdraft(members),
        }
    }
}

fn consenter(address: Address, certificate: PathBuf) -> ConsenterSpec {
    ConsenterSpec {
        address,
        client_tls_certificate: certificate.clone(),
        server_tls_certificate: certificate,
    }
}

fn all_nodes(manifest: &Manifest) -> Vec<String> {
    let nodes = |org: &ManifestOrg| org.nodes.clone();
    manifest.organisations.iter().flat_map(nodes).collect()
}
