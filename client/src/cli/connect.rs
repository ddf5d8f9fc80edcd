//! Arguments that say which node to speak to, and as whom: a connection file, or everything one by one.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::connection_file::{ConnectionFile, IdentityFiles, OrdererAddresses, TlsFiles};

/// Which node, which channel, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectionArgs {
    /// Channel.
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

impl ConnectionArgs {
    /// The channel alone, where one is given.
    pub(super) fn channel_name(&self) -> Result<Option<String>, Failure> {
        let file = self.node.connection.as_deref();
        let file = file.map(ConnectionFile::read).transpose()?;
        Ok(self.channel.clone().or(file.map(|file| file.channel)))
    }

    /// Reads the file and lays the arguments over it.
    pub(super) fn resolve(self) -> Result<ConnectionFile, Failure> {
        self.node.resolve(self.channel)
    }
}

/// Which node, and as whom.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct NodeArgs {
    /// Connection file (JSON) that holds all that follows; single arguments override it.
    #[arg(short, long, value_name = "FILE")]
    connection: Option<PathBuf>,
    /// Orderer to speak to.
    #[arg(short, long, value_name = "HOST:PORT")]
    orderer: Option<String>,
    /// MSP folder of the user who signs (with signcerts and keystore).
    #[arg(long, value_name = "DIR")]
    msp: Option<PathBuf>,
    /// MSP id of that user's organisation.
    #[arg(long, value_name = "ID")]
    msp_id: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
}

/// TLS of a connection.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct TlsArgs {
    /// TLS authorities to trust (PEM). Without any, plain text is spoken.
    #[arg(long, value_name = "FILE", visible_alias = "ca-file")]
    ca: Option<PathBuf>,
    /// TLS client certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Name to expect in the server's certificate, in place of the address.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
}

impl TlsArgs {
    /// What the arguments say, over what `file` says.
    pub(super) fn over(self, file: Option<TlsFiles>) -> Result<Option<TlsFiles>, Failure> {
        let given = self.client_cert.is_some() || self.server_name.is_some();
        let mut tls = match (self.ca, file) {
            (Some(ca), file) => TlsFiles {
                ca,
                certificate: file.as_ref().and_then(|file| file.certificate.clone()),
                key: file.as_ref().and_then(|file| file.key.clone()),
                server_name: file.and_then(|file| file.server_name),
            },
            (None, Some(file)) => file,
            (None, None) if given => return Err(Failure::usage("--ca is missing: whom to trust for TLS")),
            (None, None) => return Ok(None),
        };
        if self.client_cert.is_some() {
            (tls.certificate, tls.key) = (self.client_cert, self.client_key);
        }
        tls.server_name = self.server_name.or(tls.server_name);
        Ok(Some(tls))
    }
}

impl NodeArgs {
    /// Reads the file and lays the arguments over it. An identity that is given is the only one.
    pub(super) fn resolve(self, channel: Option<String>) -> Result<ConnectionFile, Failure> {
        let mut file = self.connection.as_deref().map(ConnectionFile::read).transpose()?;
        let identities = match &mut file {
            Some(file) if self.msp.is_none() => std::mem::take(&mut file.identities),
            _ => Vec::new(),
        };
        let missing = |what: &str| {
            Failure::usage(format!("{what} is missing")).hint(
                "give a connection file with -c (orderer quickstart writes one), or --orderer, --channel, --msp and \
                 --msp-id",
            )
        };
        let file_identity = file.as_ref().map(|file| file.identity.clone());
        let identity = IdentityFiles {
            msp_id: self
                .msp_id
                .or(file_identity.as_ref().map(|identity| identity.msp_id.clone()))
                .ok_or_else(|| missing("--msp-id"))?,
            msp: self
                .msp
                .or(file_identity.map(|identity| identity.msp))
                .ok_or_else(|| missing("--msp"))?,
        };
        let channel = channel.or(file.as_ref().map(|file| file.channel.clone()));
        let given = self.orderer.map(|address| {
            vec![OrdererAddresses {
                address,
                ..OrdererAddresses::default()
            }]
        });
        let orderers = given.or(file.as_ref().map(|file| file.orderers.clone()));
        let channel = channel.ok_or_else(|| missing("--channel"))?;
        // The file's block is of the file's channel.
        let same_channel = |file: &&ConnectionFile| file.channel == channel;
        Ok(ConnectionFile {
            genesis: file
                .as_ref()
                .filter(same_channel)
                .and_then(|file| file.genesis.clone()),
            channel,
            identity,
            identities,
            admin_tls: file.as_ref().and_then(|file| file.admin_tls.clone()),
            operations_tls: file.as_ref().and_then(|file| file.operations_tls.clone()),
            tls: self.tls.over(file.and_then(|file| file.tls))?,
            orderers: orderers.ok_or_else(|| missing("--orderer"))?,
        })
    }
}
