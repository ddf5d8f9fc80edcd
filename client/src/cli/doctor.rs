//! `ordain doctor`

use std::collections::BTreeMap;
use std::time::SystemTime;

use configtx::Bundle;
use protos::ChannelId;

use super::nodes::{Nodes, NodesArgs};
use super::{Failure, output};
use crate::doctor::{Diagnosis, Finding, channel, nodes};
use crate::participation::BlockChoice;
use crate::status::{ClusterStatus, NodeAccess, look};
use crate::tls::ClientTls;

/// Says what is wrong with a cluster, and what to do next.
///
/// Looks at the nodes from outside, as an operator or a peer does: what each says of itself (/readyz), clocks and versions
/// side by side, and for each channel the config in force against what its consenters show when they are dialled:
/// reachable, certificate valid for that name and known to the channel, the same key as in the config, soon to expire,
/// enough for a quorum. Nothing is changed. Run orderer doctor on a node's own machine for its files, ports and settings.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain doctor -c ordain-quickstart/connection.json
  ordain doctor -c connection.json --json | jq -r '.findings[] | select(.severity != \"ok\") | .what'
  ordain doctor --operations node1:8443 --admin node1:9443 --ca tlsca.pem --client-cert a.crt --client-key a.key

Exit status: 0 nothing wrong; 1 it could not look; 2 the command line makes no sense; 3 problems or warnings.")]
pub(super) struct Args {
    #[command(flatten)]
    nodes: NodesArgs,
    /// Prints all findings as one JSON object.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Nodes { access, tls } = self.nodes.resolve()?;
        let status = look(&access).await;
        let mut findings = nodes::findings(&status);
        findings.extend(of_channels(&access, &status, tls.as_ref()).await?);
        let diagnosis = Diagnosis { findings };
        if self.json {
            output::json(&diagnosis)?;
        } else {
            output::text(diagnosis.text())?;
        }
        if diagnosis.is_well() {
            Ok(())
        } else {
            Err(Failure::not_well())
        }
    }
}

/// Each channel once, by the newest config that a node has.
async fn of_channels(
    access: &[NodeAccess],
    status: &ClusterStatus,
    tls: Option<&ClientTls>,
) -> Result<Vec<Finding>, Failure> {
    let nobody = ClientTls::for_authorities([], None).map_err(Failure::new)?;
    let tls = tls.unwrap_or(&nobody);
    let mut findings = Vec::new();
    for (name, nodes) in by_channel(access, status) {
        match newest_config(&name, &nodes).await {
            Ok(config) => findings.extend(channel::findings(&config, tls, SystemTime::now()).await),
            Err(reason) => findings.push(Finding::warning(
                format!("channel {name}"),
                format!("its config cannot be fetched, so its consenters were not looked at: {reason}"),
                "give the admin listener of a node that orders the channel: --admin, or admin in the connection file",
            )),
        }
    }
    Ok(findings)
}

/// The nodes that have each channel, those with the most blocks first.
fn by_channel<'a>(access: &'a [NodeAccess], status: &ClusterStatus) -> BTreeMap<String, Vec<&'a NodeAccess>> {
    let mut found: BTreeMap<String, Vec<(u64, &NodeAccess)>> = BTreeMap::new();
    for (node, access) in status.nodes.iter().zip(access) {
        for channel in &node.channels {
            let nodes = found.entry(channel.said.info.name.clone()).or_default();
            nodes.push((channel.lag, access));
        }
    }
    let sorted = |mut nodes: Vec<(u64, &'a NodeAccess)>| {
        nodes.sort_by_key(|(lag, _)| *lag);
        nodes.into_iter().map(|(_, access)| access).collect()
    };
    found
        .into_iter()
        .map(|(name, nodes)| (name, sorted(nodes)))
        .collect()
}

async fn newest_config(name: &str, nodes: &[&NodeAccess]) -> Result<Bundle, String> {
    let channel = ChannelId::parse(name).map_err(|error| error.to_string())?;
    let mut reason = "no admin listener is known".to_owned();
    for admin in nodes.iter().filter_map(|node| node.admin.as_ref()) {
        match admin.block(&channel, BlockChoice::Config).await {
            Ok(block) => {
                let block = block.decode().map_err(|error| error.to_string())?;
                return Bundle::from_block(&block).map_err(|error| error.to_string());
            }
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}
