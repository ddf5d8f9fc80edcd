//! Changes to a channel's configuration, each a function from one config to the next.
//!
//! ```text
//! Config ──> batch | organisation | msp | consenter | policy | capability ──> Config
//!                                                     (versions untouched; compute_update sets them)
//! ```
//!
//! | module | changes |
//! |---|---|
//! | [`batch`] | limits and timeout of a block |
//! | [`organisation`] | which organisations there are, their endpoints and anchor peers |
//! | [`msp`] | an organisation's authorities and revocation lists |
//! | [`consenter`] | the members of a raft channel |
//! | [`policy`] | policies and access lists |
//! | [`settings`] | capabilities, maintenance mode |
//!
//! Everything is a function of its arguments: what stands in files was read before. An edit looks at what it
//! touches and at nothing else; whether the outcome is a config at all, [`configtx::Bundle`] says, and whether
//! the channel takes the step, its nodes (`docs/spec/rules.md` §8). Groups and values keep their `mod_policy`;
//! new ones get `Admins`, as genesis blocks have it (§5).

pub mod batch;
pub mod consenter;
pub mod msp;
pub mod organisation;
mod place;
pub mod policy;
pub mod settings;
#[cfg(test)]
mod tests;

use configtx::tree::KeyError;

/// Why a config cannot be changed so. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The config has no such group.
    #[error("{path}: there is no such group")]
    NoGroup {
        /// Where it should be.
        path: String,
    },
    /// The config has no such value.
    #[error("{path}: there is no such value")]
    NoValue {
        /// Where it should be.
        path: String,
    },
    /// A value is not the message that belongs there.
    #[error("{path} does not decode: {source}")]
    Decode {
        /// Where it stands.
        path: String,
        /// Where decoding failed.
        source: prost::DecodeError,
    },
    /// What should be added is there.
    #[error("{path} exists already")]
    Exists {
        /// Where it stands.
        path: String,
    },
    /// A name that no element can have.
    #[error("{path}: {name:?} cannot be a name: {reason}")]
    Name {
        /// The group it should stand in.
        path: String,
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: KeyError,
    },
    /// A path that does not lead to where this kind of element can stand.
    #[error("{path:?} is no path of a {what}; it should look like {example}")]
    Path {
        /// As given.
        path: String,
        /// What it should lead to.
        what: &'static str,
        /// One that does.
        example: &'static str,
    },
    /// Neither applications nor orderers have an organisation of this name.
    #[error("no organisation is called {name}; there are {}", list(known))]
    NoOrganisation {
        /// As given.
        name: String,
        /// Paths of those that exist.
        known: Vec<String>,
    },
    /// The last organisation of a group cannot go: nobody could change the group any more.
    #[error("{path} is the last organisation there; without it nobody could change the group any more")]
    LastOrganisation {
        /// The organisation.
        path: String,
    },
    /// BFT consenters of an organisation that should go.
    #[error("{path} still has consenters: {}", list(consenters))]
    HasConsenters {
        /// The organisation.
        path: String,
        /// `host:port` of each.
        consenters: Vec<String>,
    },
    /// An organisation keeps its MSP id for ever.
    #[error("{path} is {is:?} and stays so, it cannot become {given:?}")]
    MspId {
        /// The value with the MSP.
        path: String,
        /// As it is.
        is: String,
        /// As it should have become.
        given: String,
    },
    /// An MSP other than those with X.509 certificates.
    #[error("{path} has MSP type {kind}; only 0 (X.509) can be changed")]
    MspType {
        /// The value with the MSP.
        path: String,
        /// As configured.
        kind: i32,
    },
    /// No revocation list can be read.
    #[error("{path}: the revocation list is neither PEM (X509 CRL) nor DER")]
    RevocationList {
        /// The value with the MSP.
        path: String,
    },
    /// A revocation list of somebody else.
    #[error(
        "{path}: the revocation list is by {issuer:?}, and the authorities are {}",
        list(authorities)
    )]
    ForeignRevocationList {
        /// The value with the MSP.
        path: String,
        /// Who made it.
        issuer: String,
        /// Subjects of the organisation's authorities.
        authorities: Vec<String>,
    },
    /// Consenters are edited on raft channels only.
    #[error("{path} is {kind:?}; consenters can be edited on etcdraft channels only")]
    NotRaft {
        /// The value with the type.
        path: String,
        /// As configured.
        kind: String,
    },
    /// No consenter has this address.
    #[error("{path}: {address} is no consenter; there are {}", list(known))]
    NoConsenter {
        /// The value with the consenters.
        path: String,
        /// As given.
        address: String,
        /// Addresses of those that exist.
        known: Vec<String>,
    },
    /// A consenter has this address.
    #[error("{path}: {address} is a consenter already")]
    IsConsenter {
        /// The value with the consenters.
        path: String,
        /// As given.
        address: String,
    },
    /// No two consenters may share a TLS certificate.
    #[error("{path}: consenter {address} has this TLS certificate already")]
    CertificateTaken {
        /// The value with the consenters.
        path: String,
        /// Who has it.
        address: String,
    },
    /// A consenter's TLS certificate that is none.
    #[error("{path}: TLS certificate of {address}: {source}")]
    Certificate {
        /// The value with the consenters.
        path: String,
        /// Whose it should be.
        address: String,
        /// What is wrong with it.
        source: configtx::identity::CertificateError,
    },
    /// The last consenter.
    #[error("{path}: {address} is the last consenter; a channel needs one")]
    LastConsenter {
        /// The value with the consenters.
        path: String,
        /// As given.
        address: String,
    },
    /// A capability that this program does not know, so that its nodes would refuse the config.
    #[error("{path}: capability {name} is not known here")]
    Capability {
        /// The value with the capabilities.
        path: String,
        /// As given.
        name: String,
    },
    /// A batch timeout that is no duration above 0.
    #[error("{path}: a batch timeout must be longer than 0")]
    Timeout {
        /// The value with the timeout.
        path: String,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}
