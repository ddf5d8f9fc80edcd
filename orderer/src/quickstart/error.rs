//! What can go wrong, and what to do then.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use client::connection::ConnectError;
use client::connection_file::ConnectionFileError;
use client::deliver::DeliverError;
use client::load::{LoadError, LoadReport};
use client::participation::AdminError;
use client::verify::VerifyError;

use super::drill::DrillError;
use super::layout::LayoutError;
use super::ledgers::LedgersError;
use super::node::{LogEnd, NodeError};
use super::settings::SettingsError;

/// As shells show a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Why a quickstart did not end well.
#[derive(Debug, thiserror::Error)]
pub(super) enum QuickstartError {
    /// No threads, or no signal handlers.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    /// The folder cannot be used.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A node's process failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A file of the folder cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The connection file cannot be used.
    #[error(transparent)]
    Connection(#[from] ConnectionFileError),
    /// The admin listener does not do what it should.
    #[error("admin listener: {0}")]
    Admin(#[from] AdminError),
    /// No connection to a node.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Blocks cannot be fetched.
    #[error("cannot fetch blocks: {0}")]
    Deliver(#[from] DeliverError),
    /// A block is wrong.
    #[error("the chain does not verify: {0}")]
    Verify(#[from] VerifyError),
    /// The load could not start.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A bug of the load's own.
    #[error("the load crashed: {0}")]
    Crashed(tokio::task::JoinError),
    /// The load ran, and not everything was as it should be.
    #[error("{}", broken(.0))]
    Broken(Box<LoadReport>),
    /// Nobody leads.
    #[error("no node leads the channel after {} s", .0.as_secs())]
    NoLeader(Duration),
    /// Some nodes do not get the blocks that others have.
    #[error("the nodes do not come to one height within {} s: {now}", time_max.as_secs())]
    Apart {
        /// How long that was waited for.
        time_max: Duration,
        /// How they stand.
        now: String,
    },
    /// Killing the leader did not go as it should.
    #[error(transparent)]
    Drill(#[from] DrillError),
    /// The nodes' ledgers are not as they should be.
    #[error(transparent)]
    Ledgers(#[from] LedgersError),
    /// What was asked for contradicts itself.
    #[error("{0}")]
    Usage(&'static str),
    /// A signal came.
    #[error("interrupted")]
    Interrupted,
}

impl QuickstartError {
    /// What the process ends with.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted => INTERRUPTED,
            _ => 1,
        }
    }

    /// The end of a log that says more.
    pub(super) fn log(&self) -> Option<&LogEnd> {
        match self {
            Self::Node(error) | Self::Drill(DrillError::Node(error)) => error.log(),
            _ => None,
        }
    }

    /// What to do next.
    pub(super) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Layout(error) => layout_advice(error),
            Self::Node(NodeError::Start { .. }) => {
                Some("was this program moved or rebuilt a moment ago? The same command again should work")
            }
            Self::Node(NodeError::Died { .. } | NodeError::NotReady { .. }) => Some(
                "the log above says why; the same command again goes on with the same chain, --dir ANOTHER-FOLDER \
                 begins a new one",
            ),
            Self::Verify(_) => Some(
                "blocks or genesis block of this folder were changed or mixed with others; --dir ANOTHER-FOLDER \
                 begins a new chain",
            ),
            Self::Connection(_) | Self::Read { .. } => {
                Some("put the file right, or begin a new chain with --dir ANOTHER-FOLDER")
            }
            Self::Drill(DrillError::TooShort) => Some("order more envelopes with --count NUMBER"),
            Self::Admin(_)
            | Self::Connect(_)
            | Self::Deliver(_)
            | Self::Load(_)
            | Self::Broken(_)
            | Self::NoLeader(_)
            | Self::Apart { .. }
            | Self::Drill(_)
            | Self::Ledgers(_) => Some("orderer.log in the folder of each node says what it thinks of it"),
            Self::Node(NodeError::Stop { .. })
            | Self::Runtime(_)
            | Self::Crashed(_)
            | Self::Usage(_)
            | Self::Interrupted => None,
        }
    }
}

fn layout_advice(error: &LayoutError) -> Option<&'static str> {
    match error {
        LayoutError::InUse { .. } => Some("stop that one, or give this one a folder of its own with --dir"),
        LayoutError::OtherSize { .. } => {
            Some("leave out --nodes to go on with it, or name another folder with --dir")
        }
        LayoutError::PortTaken { .. } => {
            Some("end the other program, or begin a new chain with --dir ANOTHER-FOLDER")
        }
        LayoutError::Foreign { .. } => Some("name another folder with --dir, or remove this one"),
        LayoutError::Settings(SettingsError::Ports { .. }) => {
            Some("end the other program, or change the port by hand; the connection file follows by itself")
        }
        LayoutError::Settings(_) | LayoutError::Connection(_) => {
            Some("put the file right, or begin a new chain with --dir ANOTHER-FOLDER")
        }
        LayoutError::Io { .. }
        | LayoutError::Crypto(_)
        | LayoutError::Genesis(_)
        | LayoutError::Manifest(_) => Some("a folder elsewhere can be named with --dir"),
        LayoutError::Ports(_) | LayoutError::Channel(_) | LayoutError::Address(_) => None,
    }
}

/// The promise comes first: what was acknowledged and is not there, or is there twice.
fn broken(report: &LoadReport) -> String {
    let LoadReport {
        sent,
        acknowledged,
        missing,
        duplicated,
        ..
    } = report;
    let mut text = if *missing > 0 || *duplicated > 0 {
        format!("of {acknowledged} acknowledged envelopes {missing} are missing and {duplicated} came twice")
    } else {
        format!("{acknowledged} of {sent} envelopes were acknowledged")
    };
    for failure in &report.failures {
        text.push_str("; ");
        text.push_str(failure);
    }
    text
}
