//! `ordain config`: changing a channel's configuration.
//!
//! ```text
//! fetch ─▶ edit ─▶ compute ─▶ show ─▶ sign ─▶ confirm ─▶ submit ─▶ wait       a task command does all of it
//!   │                │         │        │                   │
//! fetch            diff     explain    sign               submit               and these do one step each
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `edits` | the arguments of each task, and the edit they ask for |
//! | `task` | what all tasks do around their edit |
//! | `session` | a node, its channel's config, and whom to speak as |
//! | `signers` | `--sign-as` |
//! | `file` | configs and updates in files |
//! | `report`, `needs` | what an update changes, what it needs and has |
//! | `show` | that as text or JSON |
//! | `send` | confirming, submitting, waiting |

mod diff;
mod edits;
mod explain;
mod fetch;
mod file;
mod needs;
mod report;
mod send;
mod session;
mod show;
mod sign;
mod signers;
mod submit;
mod task;

use clap::Subcommand;

use super::Failure;
use task::Task;

/// Changes the configuration of a channel.
///
/// A task command fetches the config in force, makes one change, shows what it means and who must sign it, signs,
/// asks, submits, and waits until the new config is in a block. Where signatures of several organisations are
/// needed, --output writes the update to a file, which each of them signs in turn (sign) and one submits (submit).
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  One administrator is enough:
    ordain config set-batch -c connection.json --max-messages 200 --sign-as crypto/ordererOrganizations/example.com/users/Admin@example.com/msp

  Two organisations have to agree:
    ordain config add-org application Org3MSP --org-msp org3/msp -c connection.json --sign-as org1/admin/msp --output add-org3.pb
    ordain config explain add-org3.pb -c connection.json
    ordain config sign add-org3.pb -c connection.json --sign-as org2/admin/msp
    ordain config submit add-org3.pb -c connection.json

  What no task does, by editing the config as JSON:
    ordain config fetch -c connection.json > config.json
    ordain config diff edited.json -c connection.json --output update.pb")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Fetch(fetch::Args),
    Diff(diff::Args),
    Explain(explain::Args),
    Sign(sign::Args),
    Submit(submit::Args),
    /// Changes when a block is complete.
    #[command(after_long_help = "Example:
  ordain config set-batch -c connection.json --max-messages 200 --timeout 500ms --sign-as admin/msp")]
    SetBatch(Task<edits::SetBatch>),
    /// Adds an organisation, with the usual policies.
    #[command(after_long_help = "Example:
  ordain config add-org application Org3MSP --org-msp org3/msp \\
      -c connection.json --sign-as org1/admin/msp --sign-as org2/admin/msp")]
    AddOrg(Task<edits::AddOrg>),
    /// Takes an organisation out.
    #[command(after_long_help = "Example:
  ordain config remove-org application Org3MSP \\
      -c connection.json --sign-as org1/admin/msp --sign-as org2/admin/msp")]
    RemoveOrg(Task<edits::RemoveOrg>),
    /// Gives an organisation other certificate authorities, administrators or roles.
    ///
    /// All of its MSP is replaced by what the folder says, but for its revocation lists, which stay. To change
    /// authorities without a break, first give it a folder with the old and the new ones, and later one with the
    /// new ones alone.
    #[command(after_long_help = "Example:
  ordain config set-org-msp Org1MSP --org-msp org1/new-msp -c connection.json --sign-as org1/admin/msp")]
    SetOrgMsp(Task<edits::SetOrgMsp>),
    /// Adds a certificate revocation list to an organisation's MSP.
    #[command(after_long_help = "Example:
  ordain config revoke Org1MSP --crl org1.crl -c connection.json --sign-as org1/admin/msp")]
    Revoke(Task<edits::Revoke>),
    /// Sets the anchor peers of an application organisation, in place of those it has.
    #[command(after_long_help = "Example:
  ordain config set-anchor-peers Org1MSP peer0.org1.example.com:7051 \\
      -c connection.json --sign-as org1/admin/msp")]
    SetAnchorPeers(Task<edits::SetAnchorPeers>),
    /// Sets the endpoints of an orderer organisation, in place of those it has: where clients and nodes reach it.
    #[command(after_long_help = "Example:
  ordain config set-endpoints OrdererMSP orderer0.example.com:7050 \\
      -c connection.json --sign-as ordererorg/admin/msp")]
    SetEndpoints(Task<edits::SetEndpoints>),
    /// Adds a node to the consenters of a raft channel.
    ///
    /// Start it, and let it join, when the update is ordered. One consenter at a time is added or removed.
    #[command(after_long_help = "Example:
  ordain config add-consenter orderer3.example.com:7050 --tls-cert orderer3/tls/server.crt \\
      -c connection.json --sign-as admin/msp")]
    AddConsenter(Task<edits::AddConsenter>),
    /// Takes a node out of the consenters of a raft channel.
    #[command(after_long_help = "Example:
  ordain config remove-consenter orderer3.example.com:7050 -c connection.json --sign-as admin/msp")]
    RemoveConsenter(Task<edits::RemoveConsenter>),
    /// Puts another node in the place of a consenter, or the same one under another address.
    #[command(after_long_help = "Example:
  ordain config replace-consenter orderer3.example.com:7050 orderer4.example.com:7050 --tls-cert orderer4/tls/server.crt \\
      -c connection.json --sign-as admin/msp")]
    ReplaceConsenter(Task<edits::ReplaceConsenter>),
    /// Gives a consenter other TLS certificates.
    ///
    /// Submit it first, and restart the node with the new certificate when the update is ordered.
    #[command(after_long_help = "Example:
  ordain config rotate-consenter-cert orderer0.example.com:7050 --tls-cert new/server.crt \\
      -c connection.json --sign-as admin/msp")]
    RotateConsenterCert(Task<edits::RotateConsenterCert>),
    /// Sets a policy.
    ///
    /// A rule is ANY, ALL or MAJORITY and the name of a policy one level below; or an expression over roles with
    /// AND, OR and `OutOf`.
    #[command(after_long_help = "Example:
  ordain config set-policy /Channel/Application/Endorsement \"OutOf(2, 'Org1MSP.peer', 'Org2MSP.peer', 'Org3MSP.peer')\" \\
      -c connection.json --sign-as org1/admin/msp")]
    SetPolicy(Task<edits::SetPolicy>),
    /// Sets which capabilities a group requires, in place of those it has.
    #[command(after_long_help = "Example:
  ordain config set-capability channel V3_0 \\
      -c connection.json --sign-as org1/admin/msp --sign-as ordererorg/admin/msp")]
    SetCapability(Task<edits::SetCapability>),
    /// Sets which policy guards a resource of the applications.
    #[command(after_long_help = "Example:
  ordain config set-acl event/Block /Channel/Application/Readers \\
      -c connection.json --sign-as org1/admin/msp")]
    SetAcl(Task<edits::SetAcl>),
    /// Switches maintenance mode, in which only config updates by the orderers' organisations are let in.
    ///
    /// Reading needs an identity of an orderer organisation too while it is on: use a connection file of one.
    #[command(after_long_help = "Example:
  ordain config maintenance on -c orderer-connection.json --sign-as ordererorg/admin/msp")]
    Maintenance(Task<edits::Maintenance>),
}

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Fetch(args) => args.run().await,
            Action::Diff(args) => args.run().await,
            Action::Explain(args) => args.run().await,
            Action::Sign(args) => args.run().await,
            Action::Submit(args) => args.run().await,
            Action::SetBatch(task) => task.run().await,
            Action::AddOrg(task) => task.run().await,
            Action::RemoveOrg(task) => task.run().await,
            Action::SetOrgMsp(task) => task.run().await,
            Action::Revoke(task) => task.run().await,
            Action::SetAnchorPeers(task) => task.run().await,
            Action::SetEndpoints(task) => task.run().await,
            Action::AddConsenter(task) => task.run().await,
            Action::RemoveConsenter(task) => task.run().await,
            Action::ReplaceConsenter(task) => task.run().await,
            Action::RotateConsenterCert(task) => task.run().await,
            Action::SetPolicy(task) => task.run().await,
            Action::SetCapability(task) => task.run().await,
            Action::SetAcl(task) => task.run().await,
            Action::Maintenance(task) => task.run().await,
        }
    }
}
