//! `ordain channel`

mod update;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Subcommand;
use protos::ChannelId;
use serde::Serialize;

use super::Failure;
use super::connect::TlsArgs;
use super::output;
use crate::connection_file::{ConnectionFile, TlsFiles};
use crate::participation::{AdminClient, AdminError, ChannelInfo};

/// Lets nodes join and leave channels, shows which they have, and hands in config updates.
///
/// Speaks to the admin listener of a node, as osnadmin does: https with --ca, --client-cert and --client-key, plain
/// http without. Prints a line for people, or with --json the node's own answer. A refusal is an error with the node's
/// words, and exit code 1 whatever the HTTP status was.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain channel list -c ordain-quickstart/connection.json
  ordain channel info mychannel -c ordain-quickstart/connection.json --json
  ordain channel join --block mychannel.block --admin localhost:7053 --ca ca.crt \\
      --client-cert admin.crt --client-key admin.key")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lets a node join the channel of a config block; with a connection file, all its nodes.
    #[command(after_long_help = "Example:
  ordain channel join --block mychannel.block --admin localhost:7053")]
    Join {
        /// Block file, such as ordain genesis makes.
        #[arg(short, long, value_name = "FILE")]
        block: PathBuf,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Lists the channels of a node: name, relation, status, height.
    ///
    /// With --json the list as the node gives it, which has the names only.
    #[command(after_long_help = "Examples:
  ordain channel list --admin localhost:7053
  ordain channel list -c connection.json --json | jq -r .channels[].name")]
    List {
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Shows how a node stands to one channel: relation, status, height.
    #[command(after_long_help = "Example:
  ordain channel info mychannel --admin localhost:7053")]
    Info {
        /// The channel.
        #[arg(value_parser = |text: &str| ChannelId::parse(text))]
        channel: ChannelId,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Removes a channel, its blocks included, from one node.
    ///
    /// The other nodes keep it. A node that cannot remove channels refuses.
    #[command(after_long_help = "Example:
  ordain channel remove mychannel --admin localhost:7053")]
    Remove {
        /// The channel.
        #[arg(value_parser = |text: &str| ChannelId::parse(text))]
        channel: ChannelId,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Hands in a config update of a channel, signed by whom its policies ask for.
    ///
    /// What is in the file is compared with CHANNEL, and the node asked whether it has that channel, before anything
    /// is sent. The answer comes before the update stands in a block: ordain channel info shows when the height has
    /// grown. A node that takes no config updates refuses.
    #[command(after_long_help = "Example:
  ordain channel update mychannel --envelope update.envelope --admin localhost:7053")]
    Update {
        /// The channel.
        #[arg(value_parser = |text: &str| ChannelId::parse(text))]
        channel: ChannelId,
        /// File with the signed, serialized envelope of a config update.
        #[arg(short, long, value_name = "FILE", visible_alias = "config-update-envelope")]
        envelope: PathBuf,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

/// Which admin listener.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
struct AdminArgs {
    /// Connection file (JSON) with the nodes' admin addresses.
    #[arg(short, long, value_name = "FILE")]
    connection: Option<PathBuf>,
    /// Admin listener of one node.
    #[arg(short, long, value_name = "HOST:PORT")]
    admin: Option<String>,
    /// Prints the node's answers as JSON, an object a line.
    #[arg(long, help_heading = "Options")]
    json: bool,
    #[command(flatten)]
    tls: TlsArgs,
}

impl AdminArgs {
    /// The chosen node, or all of the connection file.
    fn clients(self) -> Result<Vec<AdminClient>, Failure> {
        let file = self.connection.as_deref().map(ConnectionFile::read).transpose()?;
        let tls = self
            .tls
            .over(file.as_ref().and_then(|file| file.admin_tls.clone()))?;
        if let Some(address) = self.admin {
            let address = address.parse().map_err(Failure::usage)?;
            let tls = tls.as_ref().map(TlsFiles::load).transpose()?;
            return Ok(vec![AdminClient::new(&address, tls.as_ref())?]);
        }
        let file = file.ok_or_else(|| {
            Failure::usage("no node is given")
                .hint("name its admin listener with --admin, or a connection file with -c")
        })?;
        let file = ConnectionFile {
            admin_tls: tls,
            ..file
        };
        Ok(file.admins()?)
    }

    fn first(self) -> Result<AdminClient, Failure> {
        let first = self.clients()?.into_iter().next();
        first.ok_or_else(|| Failure::usage("no node is given"))
    }
}

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Join { block, admin } => {
                let block = read(&block)?;
                let json = admin.json;
                for client in admin.clients()? {
                    tell(&client.join(block.clone()).await?, json)?;
                }
                Ok(())
            }
            Action::List { admin } => list(admin).await,
            Action::Info { channel, admin } => {
                let json = admin.json;
                tell(&admin.first()?.info(&channel).await?, json)
            }
            Action::Remove { channel, admin } => remove(&channel, admin).await,
            Action::Update {
                channel,
                envelope,
                admin,
            } => {
                let json = admin.json;
                let update = update::check(read(&envelope)?, &channel, &envelope)?;
                tell(&update::hand_in(&admin.first()?, &channel, update).await?, json)
            }
        }
    }
}

fn read(path: &Path) -> Result<Bytes, Failure> {
    let content = std::fs::read(path).map_err(|error| Failure::unreadable(path, &error))?;
    Ok(content.into())
}

async fn list(admin: AdminArgs) -> Result<(), Failure> {
    let json = admin.json;
    let client = admin.first()?;
    let list = client.list().await?;
    if json {
        return output::json(&list);
    }
    for entry in &list.channels {
        let channel = ChannelId::parse(&entry.name).map_err(Failure::new)?;
        match client.info(&channel).await {
            Ok(info) => tell(&info, false)?,
            // Removed since it was listed.
            Err(AdminError::Refused { status: 404, .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if list.channels.is_empty() {
        eprintln!("the node has no channels; ordain channel join gives it one");
    }
    Ok(())
}

/// What a script reads when there is no answer to hand on.
#[derive(Serialize)]
struct Removed<'a> {
    removed: &'a str,
}

async fn remove(channel: &ChannelId, admin: AdminArgs) -> Result<(), Failure> {
    let json = admin.json;
    admin.first()?.remove(channel).await?;
    if json {
        return output::json(&Removed {
            removed: channel.as_str(),
        });
    }
    output::line(format!("{channel} is removed from this node"))
}

/// One line, or one line of JSON.
fn tell(info: &ChannelInfo, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(info);
    }
    let ChannelInfo {
        name,
        consensus_relation: relation,
        status,
        height,
        ..
    } = info;
    output::line(format!("{name:<24} {relation:<10} {status:<10} height {height}"))
}
