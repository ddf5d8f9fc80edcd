//! What an envelope on a channel is checked against: one config, and what was found out about signers under it.

use std::sync::Arc;
use std::time::SystemTime;

use blockcutter::{BatchLimits, LimitsError};
use configtx::Bundle;
use configtx::identity::{Identity, SignatureCheck};
use consensus::{BatchConfig, SubmissionKind};
use protos::envelope::Opened;
use protos::{ConfigSeq, Envelope};

use super::filter::signature::{Writers, WritersPath};
use super::filter::{empty, expiry, maintenance, size};
use super::{Admitted, Class, ProcessError, classify};

/// The checks of one channel under one config. Replaced as a whole when the config changes.
#[derive(Debug)]
pub struct Rules {
    bundle: Arc<Bundle>,
    batch: BatchConfig,
    writers: Writers,
    /// Off for repair (`General.Authentication.NoExpirationChecks`), and below the capability that brought it.
    checks_expiry: bool,
}

/// An envelope that passed every check but that of its signature.
#[derive(Debug)]
pub struct Prepared {
    opened: Opened,
    class: Class,
    signer: Arc<Identity>,
    rules: Arc<Rules>,
}

/// What came of an envelope that passed the checks on itself.
#[derive(Debug)]
pub enum Verdict {
    /// It is ordered as it is.
    Ready(Checked),
    /// It asks for another config, which is to be made of it.
    Update(Box<Admitted>),
}

/// An envelope that passed every check.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What is to be ordered.
    pub envelope: Envelope,
    /// How.
    pub kind: SubmissionKind,
    /// The config it was checked against.
    pub config_seq: ConfigSeq,
}

impl Rules {
    /// The checks under `bundle`. `no_expiration_checks` is the node's setting.
    ///
    /// # Errors
    /// The batch limits contradict each other, which a checked config does not let happen.
    pub fn new(bundle: Arc<Bundle>, no_expiration_checks: bool) -> Result<Self, LimitsError> {
        let orderer = bundle.orderer();
        let size = &orderer.batch_size;
        let batch = BatchConfig {
            limits: BatchLimits::new(
                size.max_message_count,
                size.absolute_max_bytes,
                size.preferred_max_bytes,
            )?,
            timeout: orderer.batch_timeout,
        };
        let checks_expiry = !no_expiration_checks && orderer.capabilities.expiration_check();
        let path = if maintenance::is_on(orderer) {
            WritersPath::Maintenance
        } else {
            WritersPath::Normal
        };
        Ok(Self {
            writers: Writers::new(path),
            batch,
            bundle,
            checks_expiry,
        })
    }

    /// How batches are cut.
    pub fn batch(&self) -> BatchConfig {
        self.batch
    }

    /// The config.
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// All checks before the signature, in the order of `docs/spec/behaviour.md` §1.2.
    pub fn prepare(self: &Arc<Self>, opened: Opened, now: SystemTime) -> Result<Prepared, ProcessError> {
        let class = classify(opened.channel_header.r#type)?;
        if class == Class::Normal {
            maintenance::check_normal(self.bundle.orderer())?;
        }
        let signer = self.filter(&opened, now).map_err(|error| class.refusal(error))?;
        Ok(Prepared {
            opened,
            class,
            signer,
            rules: Arc::clone(self),
        })
    }

    /// All filters, the signature verified singly.
    pub(super) fn check_signed(&self, opened: &Opened, now: SystemTime) -> Result<(), ProcessError> {
        let signer = self.filter(opened, now)?;
        if signer.verify(&opened.payload, &opened.signature) {
            Ok(())
        } else {
            Err(self.writers.bad_signature())
        }
    }

    /// The filters as far as they need no signature; answers who must have signed.
    fn filter(&self, opened: &Opened, now: SystemTime) -> Result<Arc<Identity>, ProcessError> {
        empty::check(&opened.payload)?;
        let limits = &self.bundle.orderer().batch_size;
        size::check(opened.envelope.size(), limits.absolute_max_bytes)?;
        // An unreadable header has no creator that could have expired; the signature filter refuses it.
        let header = opened.signature_header();
        let creator = header
            .as_ref()
            .map(|header| &header.creator[..])
            .unwrap_or_default();
        let known = self.writers.known(creator);
        if self.checks_expiry {
            let expires_at = match &known {
                Some(signer) => Some(signer.expires_at()),
                None => configtx::identity::expires_at(creator),
            };
            if expiry::expired_for(expires_at, now).is_some() {
                return Err(ProcessError::Expired);
            }
        }
        match (known, &header) {
            (Some(signer), _) => Ok(signer),
            (None, Ok(_)) => self.writers.admit(&self.bundle, creator),
            (None, Err(error)) => Err(ProcessError::SignatureHeader(error.clone())),
        }
    }
}

impl Prepared {
    /// What is left to verify.
    pub fn signature(&self) -> SignatureCheck<'_> {
        self.signer.check(&self.opened.payload, &self.opened.signature)
    }

    /// The end of the checks, `verified` being whether [`signature`](Self::signature) is good.
    pub fn verdict(self, verified: bool) -> Result<Verdict, ProcessError> {
        if !verified {
            return Err(self.class.refusal(self.rules.writers.bad_signature()));
        }
        Ok(match self.class {
            Class::ConfigUpdate => Verdict::Update(Box::new(Admitted::new(self.opened, self.rules))),
            Class::Normal => Verdict::Ready(Checked {
                envelope: self.opened.envelope,
                kind: SubmissionKind::Normal,
                config_seq: self.rules.bundle.sequence(),
            }),
        })
    }
}
