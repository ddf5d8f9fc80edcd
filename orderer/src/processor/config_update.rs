//! What becomes of a `CONFIG_UPDATE`: the new config is computed, checked and wrapped as a CONFIG envelope.
//!
//! ```text
//! Admitted -> new config -> maintenance step -> consenter's metadata -> wrapped, signed by this node -> filters again
//!          -> what the consenter asks before ordering -> Checked
//! ```
//!
//! The maintenance step comes early, since a consenter cannot judge the metadata of a type that it may not become.
//! The steps and their statuses are those of `docs/spec/behaviour.md` §1.4 and `docs/spec/rules.md` §8.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use configtx::encode::encode_config_envelope;
use configtx::identity::SigningIdentity;
use configtx::validator::{Proposal, ProposeError, propose_config_update};
use configtx::{Bundle, maintenance};
use consensus::{ConfigChange, Members, MetadataError, NotAvailable, SubmissionKind, metadata_validators};
use prost::Message;
use protos::Envelope;
use protos::envelope::Opened;
use protos::wire::common::{
    ChannelHeader, ConfigEnvelope, Envelope as WireEnvelope, Header, HeaderType, Payload, SignatureHeader,
};

use super::{Checked, ProcessError, Rules};

/// Random bytes in the header of a CONFIG envelope.
pub const NONCE_BYTES: usize = 24;

/// In whose name a config is made, and what is known at the time.
#[derive(Clone, Copy, Debug)]
pub struct Proposer<'a> {
    /// This node.
    pub identity: &'a SigningIdentity,
    /// Random, and new each time.
    pub nonce: [u8; NONCE_BYTES],
    /// What the channel's chain knows of its members.
    pub members: &'a Members,
    /// For timestamp and certificates.
    pub now: SystemTime,
}

/// A `CONFIG_UPDATE` envelope whose signer may write to the channel. The update in it was not looked at.
#[derive(Debug)]
pub struct Admitted {
    opened: Opened,
    rules: Arc<Rules>,
}

/// Why the update in an envelope does not lead to a config. A bad request.
#[derive(Debug, thiserror::Error)]
pub enum UpdateRefusal {
    /// It does not apply, or its config is not good.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// The consensus type in force is none that this build has rules for.
    #[error(transparent)]
    Consenter(#[from] NotAvailable),
    /// The consenter refuses its part of the config.
    #[error("consensus metadata update for channel config update is invalid: {0}")]
    Metadata(#[from] MetadataError),
}

impl Admitted {
    pub(super) fn new(opened: Opened, rules: Arc<Rules>) -> Self {
        Self { opened, rules }
    }

    /// Makes the CONFIG envelope to order.
    pub fn propose(&self, proposer: &Proposer<'_>) -> Result<Checked, ProcessError> {
        let current = self.rules.bundle();
        let refused = |reason: UpdateRefusal| ProcessError::ConfigUpdate {
            channel: current.channel_id().clone(),
            reason: Arc::new(reason),
        };
        let Proposal { update, bundle } = propose_config_update(current, self.opened.data.clone())
            .map_err(|error| refused(error.into()))?;
        maintenance::check(current, &bundle, &update).map_err(ProcessError::MaintenanceStep)?;
        let validator = metadata_validators()
            .get(&current.orderer().consensus_type.kind)
            .map_err(|error| refused(error.into()))?;
        let change = ConfigChange {
            old: Some(current),
            new: &bundle,
            members: proposer.members,
            now: proposer.now,
        };
        validator
            .validate(&change)
            .map_err(|error| refused(error.into()))?;
        let envelope = self.wrap(&bundle, proposer)?;
        validator
            .validate_for_ordering(&change)
            .map_err(ProcessError::Consensus)?;
        Ok(Checked {
            envelope,
            kind: SubmissionKind::Config,
            config_seq: current.sequence(),
        })
    }

    /// Wraps the new config and runs the filters on it, since it grew and has another signer.
    fn wrap(&self, bundle: &Bundle, proposer: &Proposer<'_>) -> Result<Envelope, ProcessError> {
        let final_checks = |error| ProcessError::FinalChecks(Box::new(error));
        let wrapped = config_envelope(bundle, self.opened.envelope.entry(), proposer);
        let opened = super::open(wrapped).map_err(final_checks)?;
        self.rules
            .check_signed(&opened, proposer.now)
            .map_err(final_checks)?;
        Ok(opened.envelope)
    }
}

/// The CONFIG envelope of `docs/spec/rules.md` §4, signed. `last_update` is kept byte for byte.
fn config_envelope(bundle: &Bundle, last_update: &Bytes, proposer: &Proposer<'_>) -> Bytes {
    let since = proposer.now.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.as_ref().map_or(0, Duration::as_secs);
    let channel_header = ChannelHeader {
        r#type: HeaderType::Config as i32,
        channel_id: bundle.channel_id().to_string(),
        timestamp: Some(prost_types::Timestamp {
            seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
            nanos: 0,
        }),
        ..ChannelHeader::default()
    };
    let signature_header = SignatureHeader {
        creator: proposer.identity.serialized().clone(),
        nonce: Bytes::copy_from_slice(&proposer.nonce),
    };
    let payload = Payload {
        header: Some(Header {
            channel_header: channel_header.encode_to_vec().into(),
            signature_header: signature_header.encode_to_vec().into(),
        }),
        data: encode_config_envelope(bundle.config(), last_update).into(),
    };
    let payload = payload.encode_to_vec();
    let envelope = WireEnvelope {
        signature: proposer.identity.sign(&payload).into(),
        payload: payload.into(),
    };
    envelope.encode_to_vec().into()
}

/// The update that a CONFIG envelope was made from, serialized.
pub fn last_update(envelope: &Envelope) -> Result<Bytes, ProcessError> {
    let opened = super::open(envelope.entry().clone())?;
    let found = opened.channel_header.r#type;
    if found != HeaderType::Config as i32 {
        return Err(ProcessError::NoLastUpdate);
    }
    let config = ConfigEnvelope::decode(opened.data).map_err(|_| ProcessError::NoLastUpdate)?;
    let update = config.last_update.ok_or(ProcessError::NoLastUpdate)?;
    Ok(update.encode_to_vec().into())
}
