//! A command that failed: what went wrong, and what to do next.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

use crate::backup::{AppendError, CopyError};
use crate::broadcast::BroadcastError;
use crate::config_edit::EditError;
use crate::config_update::{FetchError, WaitError};
use crate::configtx_yaml::ConfigtxError;
use crate::connection::ConnectError;
use crate::connection_file::ConnectionFileError;
use crate::crypto::{CryptoError, ManifestError};
use crate::deliver::DeliverError;
use crate::genesis::GenesisSpecError;
use crate::load::{LoadError, ReadError};
use crate::msp_folder::MspFolderError;
use crate::participation::AdminError;
use crate::tls::TlsError;
use crate::verify::VerifyError;
use crate::yaml::{YamlError, YamlFault};

/// Refused or failed.
const FAILED: u8 = 1;
/// The command line makes no sense.
const USAGE: u8 = 2;
/// Nodes were looked at, and are not well.
const NOT_WELL: u8 = 3;
/// What shells show for a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// What a block that does not verify means.
const DISTRUST: &str =
    "do not trust this node's answers: compare the block with another node's, and with your genesis block";

/// What the folder of somebody who signs looks like.
const MSP_FOLDER: &str = "an MSP folder has the user's certificate in signcerts and the key in keystore";

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

    /// What was looked at is not well, and was shown: nothing more is said.
    pub(super) fn not_well() -> Self {
        Self {
            message: String::new(),
            hint: None,
            code: NOT_WELL,
        }
    }

    /// What was looked at could not be reached, and that was shown: nothing more is said.
    pub(super) fn unreachable() -> Self {
        Self {
            code: FAILED,
            ..Self::not_well()
        }
    }

    /// The arguments contradict each other, or one is missing.
    pub(super) fn usage(message: impl Display) -> Self {
        Self {
            code: USAGE,
            ..Self::new(message)
        }
    }

    /// A signal ended it before everything was done.
    pub(super) fn interrupted(message: impl Display) -> Self {
        Self {
            code: INTERRUPTED,
            ..Self::new(message)
        }
    }

    /// A file that cannot be read.
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let failure = Self::new(format!("cannot read {}: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                failure.hint("check the path; relative ones start from the working folder")
            }
            std::io::ErrorKind::PermissionDenied => failure.hint("check who may read it"),
            _ => failure,
        }
    }

    pub(super) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Prints it; the code to exit with.
    pub(super) fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
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
                 (--client-cert, --client-key)"
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
                "is this the address of the node's admin listener? With TLS it wants --ca, --client-cert and \
                 --client-key of the orderer organisation's TLS authority",
            ),
            AdminError::Refused {
                status: 405, reason, ..
            } if reason.starts_with("invalid request method") => {
                failure.hint("this node does not offer that; ordain channel --help says which nodes do")
            }
            AdminError::Refused { status: 404, .. } => {
                failure.hint("ordain channel list shows what the node has")
            }
            AdminError::Refused { status: 405, .. } => {
                failure.hint("ordain channel info shows how it stands to it")
            }
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
        Self::new(error).hint("it should be a folder that ordain crypto made from --orderer-org and --org")
    }
}

impl From<MspFolderError> for Failure {
    fn from(error: MspFolderError) -> Self {
        Self::new(error).hint(MSP_FOLDER)
    }
}

impl From<YamlError> for Failure {
    fn from(error: YamlError) -> Self {
        match &error.fault {
            YamlFault::Unreadable(reason) => Self::unreadable(&error.file, reason),
            _ => Self::new(error),
        }
    }
}

impl From<GenesisSpecError> for Failure {
    fn from(error: GenesisSpecError) -> Self {
        Self::new(error)
    }
}

impl From<ConfigtxError> for Failure {
    fn from(error: ConfigtxError) -> Self {
        let failure = Self::new(&error);
        match error {
            ConfigtxError::NotFound { .. } => failure.hint("give --config FILE or --config-path DIR"),
            _ => failure,
        }
    }
}

impl From<ConnectionFileError> for Failure {
    fn from(error: ConnectionFileError) -> Self {
        let hint = match &error {
            ConnectionFileError::Io { .. } => {
                "check the path; relative ones start from the working folder, and inside a connection file from its \
                 folder. orderer quickstart writes such a file, FOLDER/connection.json"
            }
            ConnectionFileError::Parse { .. } => {
                "it should be JSON with the keys channel, identity, orderers, and optionally genesis, identities, tls, \
                 admin_tls, operations_tls"
            }
            ConnectionFileError::Channel { .. } => {
                "a channel's name is a lower-case letter, then lower-case letters, digits, dots and dashes"
            }
            ConnectionFileError::NoAddress(_) => {
                "list it under orderers in the connection file, or give --orderer or --admin"
            }
            ConnectionFileError::HalfPair => "give --client-cert and --client-key together",
            ConnectionFileError::Address(_) => "give host and port, such as localhost:7050",
            ConnectionFileError::Tls {
                source: TlsError::Pair(_),
                ..
            } => "give certificate and key of one pair",
            ConnectionFileError::Tls { .. } => "authorities, certificate and key should be PEM files",
            ConnectionFileError::Identity(_) => MSP_FOLDER,
            ConnectionFileError::Admin(_) => return Self::new(error),
        };
        Self::new(&error).hint(hint)
    }
}

impl From<DeliverError> for Failure {
    fn from(error: DeliverError) -> Self {
        let failure = Self::new(&error);
        match &error {
            DeliverError::Refused { status: 404 } => {
                failure.hint("check the channel's name; ordain channel list shows what the node has")
            }
            DeliverError::Refused { status: 403 } => failure.hint("check --msp, --msp-id and the channel"),
            DeliverError::Refused { status: 503 } => {
                failure.hint("ordain channel info shows how the node stands to the channel")
            }
            DeliverError::Broken { .. } => {
                failure.hint("is the node still running? --from goes on from any block")
            }
            _ => failure,
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Connect(error) => error.into(),
            ReadError::Deliver { source, channel } => Self {
                message: format!("cannot read channel {channel}: {source}"),
                ..source.into()
            },
            ReadError::Verify { .. } => Self::new(error).hint(DISTRUST),
            ReadError::OtherGenesis { .. } => Self::new(error).hint(
                "the node serves another channel of this name, or the connection file is of another network",
            ),
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        Self::new(error).hint(DISTRUST)
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        let failure = Self::new(&error);
        match &error {
            CopyError::Broken { .. } | CopyError::Newest { .. } => failure
                .hint("nothing in it was changed: keep it aside, and begin another copy with another name"),
            CopyError::InUse { .. } => {
                failure.hint("one at a time; it goes on from where the other has ended")
            }
            CopyError::Disk { .. } => failure,
        }
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Verify(error) => error.into(),
            AppendError::Disk(_) => {
                Self::new(error).hint("what is in the copy stays good; run the command again")
            }
        }
    }
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        Self::new(error)
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Deliver(error) => error.into(),
            other => Self::new(other),
        }
    }
}

impl From<WaitError> for Failure {
    fn from(error: WaitError) -> Self {
        let failure = Self::new(&error);
        match &error {
            WaitError::Overtaken { .. } => {
                failure.hint("make the update again: it is then computed from the config that won")
            }
            WaitError::Timeout { .. } => {
                failure.hint("ordain config explain FILE tells whether the update still applies")
            }
            _ => failure,
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Connect(error) => error.into(),
            LoadError::Deliver { source, channel } => Self {
                message: format!("cannot follow channel {channel}: {source}"),
                ..source.into()
            },
            LoadError::TooLarge { .. } => Self::usage(error)
                .hint("send fewer or smaller ones (-n, --payload), or allow more with --memory"),
            LoadError::Interrupted => Self::interrupted(error),
            LoadError::Empty | LoadError::NotReached { .. } | LoadError::Signing(_) => Self::new(error),
        }
    }
}
