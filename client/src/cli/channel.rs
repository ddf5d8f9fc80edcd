//! `ordain channel`

use std::path::PathBuf;

use clap::Subcommand;
use protos::ChannelId;
use serde::Serialize;

use super::Failure;
use super::connect::TlsArgs;
use super::output;
use crate::connection_file::{ConnectionFile, TlsFiles};
use crate::participation::AdminClient;

/// Lets nodes join channels, and shows which they have.
///
/// Speaks to the admin listener of a node. Answers are printed as JSON; a refusal is an error and a non-zero exit.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain channel join --block mychannel.block --admin localhost:7053 --ca ca.crt --cert admin.crt --key admin.key
  ordain channel list -c ordain-quickstart/connection.json
  ordain channel info mychannel -c ordain-quickstart/connection.json")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lets a node join the channel of a config block; with a connection file, all its nodes.
    ///
    /// Example: ordain channel join --block mychannel.block --admin localhost:7053
    Join {
        /// Block file, such as ordain genesis makes.
        #[arg(short, long, value_name = "FILE")]
        block: PathBuf,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Lists the channels of a node.
    ///
    /// Example: ordain channel list --admin localhost:7053
    List {
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Shows how a node stands to one channel: relation, status, height.
    ///
    /// Example: ordain channel info mychannel --admin localhost:7053
    Info {
        /// The channel.
        #[arg(value_parser = |text: &str| ChannelId::parse(text))]
        channel: ChannelId,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Removes a channel, its blocks included, from a node.
    ///
    /// Example: ordain channel remove mychannel --admin localhost:7053
    Remove {
        /// The channel.
        #[arg(value_parser = |text: &str| ChannelId::parse(text))]
        channel: ChannelId,
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
                let read = std::fs::read(&block)
                    .map_err(|error| Failure::new(format!("cannot read {}: {error}", block.display())))?;
                for client in admin.clients()? {
                    print(&client.join(read.clone().into()).await?)?;
                }
                Ok(())
            }
            Action::List { admin } => print(&admin.first()?.list().await?),
            Action::Info { channel, admin } => print(&admin.first()?.info(&channel).await?),
            Action::Remove { channel, admin } => Ok(admin.first()?.remove(&channel).await?),
        }
    }
}

fn print(answer: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(answer).map_err(Failure::new)?;
    output::line(text)
}
