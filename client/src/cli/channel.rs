//! `ordain channel`

mod fetch;
mod update;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Subcommand;
use protos::ChannelId;
use serde::Serialize;

use super::Failure;
use super::connect::TlsArgs;
use super::{confirm, output};
use crate::connection_file::{ConnectionFile, TlsFiles};
use crate::participation::{AdminClient, AdminError, BlockChoice, ChannelInfo, Consensus};

/// Lets nodes join and leave channels, shows which they have, fetches blocks, and hands in config updates.
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
    /// Shows how a node stands to one channel: relation, status, height; its cluster, and what is wrong.
    ///
    /// On a raft channel the second line has the node's raft id, who leads and in which term, and which members are
    /// there. What keeps the channel from ordering, or the node from taking part, is told in a line of its own.
    #[command(after_long_help = "Example:
  ordain channel info mychannel --admin localhost:7053")]
    Info {
        /// The channel.
        #[arg(value_parser = |text: &str| ChannelId::parse(text))]
        channel: ChannelId,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Removes a channel, its blocks and consensus log included, from one node.
    ///
    /// The other nodes keep it, and so does the channel's config: a consenter is removed from that with ordain config.
    /// What is removed is gone for good, so it is asked for first. The name can be joined again at once.
    #[command(after_long_help = "Examples:
  ordain channel remove mychannel --admin localhost:7053
  ordain channel remove mychannel --admin localhost:7053 --yes       in a script")]
    Remove {
        /// The channel.
        #[arg(value_parser = |text: &str| ChannelId::parse(text))]
        channel: ChannelId,
        /// Removes it without being asked.
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Fetches one block of a channel from a node.
    ///
    /// The block is written as the node has it, a serialized common.Block: ordain block and ordain config read it, and
    /// the newest config block lets another node join. Nothing in it is verified; ordain deliver does that. A node that
    /// only follows the channel refuses, and one without a leader does not.
    #[command(after_long_help = "Examples:
  ordain channel fetch mychannel config -o mychannel_config.block --admin localhost:7053
  ordain channel fetch mychannel newest -o newest.block --admin localhost:7053 && ordain block newest.block
  ordain channel fetch mychannel 0 -o genesis.block -c connection.json

Exit status: 0 when the block is written; 1 when the node has no such block or channel, follows the channel only, or
does not answer.")]
    Fetch {
        /// The channel.
        #[arg(value_parser = |text: &str| ChannelId::parse(text))]
        channel: ChannelId,
        /// newest, oldest, config (the newest config block), or a number.
        #[arg(value_name = "BLOCK")]
        block: BlockChoice,
        /// File to write, only when all went well; standard output if not given.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
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
            Action::Remove { channel, yes, admin } => remove(&channel, yes, admin).await,
            Action::Fetch {
                channel,
                block,
                output,
                admin,
            } => {
                let json = admin.json;
                let fetched = admin.first()?.block(&channel, block).await?;
                fetch::write(&fetched, output, json)
            }
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

async fn remove(channel: &ChannelId, yes: bool, admin: AdminArgs) -> Result<(), Failure> {
    let json = admin.json;
    let client = admin.first()?;
    confirm::refuse_unless_possible(yes, "remove it", "give --yes to remove it without being asked")?;
    if !yes {
        let wants = format!("remove {channel} with all its blocks from this node");
        confirm::ask(&wants, "not removed")?;
    }
    client.remove(channel).await?;
    if json {
        return output::json(&Removed {
            removed: channel.as_str(),
        });
    }
    output::line(format!("{channel} is removed from this node"))
}

/// One line and what there is to say beyond it, or one line of JSON.
fn tell(info: &ChannelInfo, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(info);
    }
    let ChannelInfo {
        name,
        consensus_relation: relation,
        status,
        height,
        consensus,
        reason,
        ..
    } = info;
    output::line(format!("{name:<24} {relation:<10} {status:<10} height {height}"))?;
    let cluster = consensus.as_ref().map(in_words);
    let trouble = consensus
        .as_ref()
        .and_then(|consensus| consensus.trouble.as_ref());
    let told = cluster.iter().chain(trouble).chain(reason);
    told.into_iter()
        .try_for_each(|what| output::line(format!("  {what}")))
}

fn in_words(consensus: &Consensus) -> String {
    let Consensus {
        kind,
        id,
        leader,
        term,
        members,
        active,
        ..
    } = consensus;
    let leads = match leader {
        0 => format!("nobody leads in term {term}"),
        leader if leader == id => format!("leads in term {term}"),
        leader => format!("{leader} leads in term {term}"),
    };
    let numbers = |ids: &[u64]| ids.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
    let mut text = format!("{kind}: this is {id} of {}, {leads}", numbers(members));
    if !active.is_empty() {
        // A String takes everything.
        let _ = write!(text, "; active: {}", numbers(active));
    }
    text
}
