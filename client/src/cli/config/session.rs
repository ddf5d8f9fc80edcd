//! A node, its channel's config, and whom to speak as.

use std::sync::Arc;

use configtx::identity::SigningIdentity;

use super::super::Failure;
use super::super::connect::ConnectionArgs;
use crate::config_update::{FetchedConfig, newest_config};
use crate::connection::Connection;
use crate::connection_file::ConnectionFile;
use crate::envelope::EnvelopeSigner;

/// A connection to a channel.
pub(super) struct Session {
    pub(super) file: ConnectionFile,
    pub(super) connection: Connection,
    /// Whose signature envelopes and requests carry.
    pub(super) identity: Arc<SigningIdentity>,
    pub(super) signer: EnvelopeSigner,
}

impl Session {
    /// Connects to the first node of the connection file.
    pub(super) async fn open(arguments: ConnectionArgs) -> Result<Self, Failure> {
        let file = arguments.resolve()?;
        let identity = Arc::new(file.signing_identity()?);
        let signer = EnvelopeSigner::new(identity.clone(), file.channel_id()?);
        let targets = file.targets()?;
        let target = targets
            .first()
            .ok_or_else(|| Failure::usage("no orderer is given"))?;
        Ok(Self {
            connection: target.connect().await?,
            file,
            identity,
            signer,
        })
    }

    /// The config in force.
    pub(super) async fn config(&self) -> Result<FetchedConfig, Failure> {
        Ok(newest_config(&self.connection, &self.signer).await?)
    }
}
