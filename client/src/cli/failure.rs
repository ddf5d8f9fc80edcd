//! A command that failed: what went wrong, and what to do next.

use std::fmt::Display;
use std::process::ExitCode;

use crate::broadcast::BroadcastError;
use crate::connection::ConnectError;
use crate::connection_file::ConnectionFileError;
use crate::crypto::{CryptoError, ManifestError};
use crate::deliver::DeliverError;
use crate::genesis::GenesisSpecError;
use crate::load::LoadError;
use crate::participation::AdminError;
use crate::verify::VerifyError;

/// Refused or failed.
const FAILED: u8 = 1;
/// The command line makes no sense.
const USAGE: u8 = 2;

#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    pub(super) fn new(message: impl Display) -> Self {
        Self {
            message: message.to_string(),
            hint: None,
            code: FAILED,
        }
    }

    /// Standard output was closed by its reader: an end, and no failure.
    pub(super) fn nobody_reads() -> Self {
        Self {
            message: String::new(),
            hint: None,
            code: 0,
        }
    }

    /// The arguments contradict each other, or one is missing.
    pub(super) fn usage(message: impl Display) -> Self {
        Self {
            code: USAGE,
            ..Self::new(message)
        }
    }

    pub(super) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Prints it; the code to exit with.
    pub(super) fn report(&self) -> ExitCode {
        if self.code != 0 {
            eprintln!("error: {}", self.message);
        }
        if let Some(hint) = &self.hint {
            eprintln!("  next: {hint}");
        }
        ExitCode::from(self.code)
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let hint = match &error {
            ConnectError::Tcp { .. } | ConnectError::Timeout { .. } => {
                "is the node running, and is this the address of its general listener?"
            }
            ConnectError::Tls { .. } => {
                "check that --ca is the TLS authority of the node, that the address is a name in its \
                 certificate (else give --server-name), and whether the node wants a client certificate \
                 (--cert, --key)"
            }
            ConnectError::Name(_) => "give a host name with --server-name",
            ConnectError::Http { .. } => {
                "does the node use TLS on this port (then give --ca), or is it the admin listener?"
            }
        };
        Self::new(&error).hint(hint)
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let failure = Self::new(&error);
        match &error {
            AdminError::Transport { .. } => failure.hint(
                "is this the address of the node's admin listener? With TLS it wants --ca, --cert and --key of \
                 the orderer organisation's TLS authority",
            ),
            AdminError::Refused { status: 404, .. } => {
                failure.hint("ordain channel list shows what the node has")
            }
            AdminError::Refused { status: 405, .. } => failure.hint("ordain channel info shows how it stands to it"),
            _ => failure,
        }
    }
}

impl From<BroadcastError> for Failure {
    fn from(error: BroadcastError) -> Self {
        let failure = Self::new(&error);
        match &error {
            BroadcastError::Refused { status: 403, .. } => failure.hint(
                "the identity does not meet the channel's writers policy: check --msp, --msp-id and the channel",
            ),
            BroadcastError::Refused { status: 503, .. } => {
                failure.hint("the node has no working consensus at the moment; try again shortly")
            }
            BroadcastError::Broken { .. } | BroadcastError::Ended { .. } => failure.hint(
                "the unanswered envelopes may or may not have been ordered; look with ordain deliver before \
                 sending them again",
            ),
            _ => failure,
        }
    }
}

impl From<CryptoError> for Failure {
    fn from(error: CryptoError) -> Self {
        Self::new(error)
    }
}

impl From<ManifestError> for Failure {
    fn from(error: ManifestError) -> Self {
        Self::new(error)
    }
}

impl From<GenesisSpecError> for Failure {
    fn from(error: GenesisSpecError) -> Self {
        Self::new(error)
    }
}

impl From<ConnectionFileError> for Failure {
    fn from(error: ConnectionFileError) -> Self {
        Self::new(error)
    }
}

impl From<DeliverError> for Failure {
    fn from(error: DeliverError) -> Self {
        Self::new(error)
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        Self::new(error).hint(
            "do not trust this node's answers: compare the block with another node's, and with your genesis block",
        )
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Connect(error) => error.into(),
            other => Self::new(other),
        }
    }
}
