//! What can be wrong with an MSP and with an identity.

use crate::identity::certificate::CertificateError;
use crate::identity::chain::ChainError;
use crate::identity::key::KeyAlgorithm;

/// Why settings make no MSP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MspError {
    /// Not an X.509 MSP. Idemix is not supported at any level.
    #[error("msp type {found} is not supported, only X.509 (0) is")]
    Type {
        /// As given.
        found: i32,
    },
    /// The settings do not decode.
    #[error("msp settings do not decode")]
    Malformed,
    /// The MSP ID is empty.
    #[error("msp has no name")]
    NoName,
    /// Unknown hash for chain identifiers.
    #[error("msp {msp_id}: identity hash {found:?} is not known")]
    IdentityHash {
        /// Of the MSP.
        msp_id: String,
        /// As given.
        found: String,
    },
    /// There is no root.
    #[error("msp {msp_id}: no root certificate")]
    NoRoot {
        /// Of the MSP.
        msp_id: String,
    },
    /// A certificate does not read.
    #[error("msp {msp_id}: entry {entry} of {list}: {source}")]
    Certificate {
        /// Of the MSP.
        msp_id: String,
        /// Field of the settings.
        list: &'static str,
        /// Its place in the field, from 0.
        entry: usize,
        /// What is wrong.
        source: CertificateError,
    },
    /// A certificate of the settings has not exactly one chain to a root.
    #[error("msp {msp_id}: {list}: {source}")]
    Chain {
        /// Of the MSP.
        msp_id: String,
        /// Field of the settings.
        list: &'static str,
        /// What is wrong.
        source: ChainError,
    },
    /// A revocation list does not read.
    #[error("msp {msp_id}: entry {entry} of revocation_list is neither PEM nor DER")]
    RevocationList {
        /// Of the MSP.
        msp_id: String,
        /// Its place, from 0.
        entry: usize,
    },
    /// A certificate listed as authority breaks a rule.
    #[error("msp {msp_id}: {list}: authority {subject} {fault}")]
    Authority {
        /// Of the MSP.
        msp_id: String,
        /// Field of the settings.
        list: &'static str,
        /// Of the certificate.
        subject: String,
        /// What is wrong.
        fault: AuthorityFault,
    },
    /// An organizational unit names a certificate that is no root or intermediate of the MSP.
    #[error("msp {msp_id}: organizational unit {unit:?} names a certifier that is no root or intermediate")]
    Certifier {
        /// Of the MSP.
        msp_id: String,
        /// The unit.
        unit: String,
    },
    /// Below level 1.4.3 node OUs need both a client and a peer unit.
    #[error("msp {msp_id}: node OUs without a client and a peer unit")]
    NodeOus {
        /// Of the MSP.
        msp_id: String,
    },
    /// Nobody could ever be admin.
    #[error("msp {msp_id}: no admin certificate and no admin node OU")]
    NoAdmin {
        /// Of the MSP.
        msp_id: String,
    },
    /// An admin certificate is not valid.
    #[error("msp {msp_id}: admins: {source}")]
    Admin {
        /// Of the MSP.
        msp_id: String,
        /// What is wrong.
        source: IdentityError,
    },
    /// With node OUs on, an admin certificate carries neither the client nor the admin unit.
    #[error("msp {msp_id}: admins: {subject} carries neither the client nor the admin unit")]
    AdminUnit {
        /// Of the MSP.
        msp_id: String,
        /// Of the certificate.
        subject: String,
    },
}

/// What is wrong with an authority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityFault {
    /// basicConstraints does not say CA.
    #[error("is no authority")]
    NotAuthority,
    /// No subject key identifier.
    #[error("has no subject key identifier")]
    NoKeyId,
    /// Revoked, or cannot be told unrevoked.
    #[error("is not usable: {0}")]
    Revocation(BrokenRule),
}

/// Why an identity cannot be read or is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The bytes are no `SerializedIdentity`.
    #[error("creator is no serialized identity")]
    Malformed,
    /// No organisation of the channel has this MSP ID.
    #[error("msp {msp_id:?} is not known")]
    UnknownMsp {
        /// As the identity gives it.
        msp_id: String,
    },
    /// The identity is of another MSP than the one asked.
    #[error("identity is of msp {found}, not {expected}")]
    OtherMsp {
        /// The MSP that was asked.
        expected: String,
        /// As the identity gives it.
        found: String,
    },
    /// The certificate does not read.
    #[error("certificate of an identity of msp {msp_id}: {source}")]
    Certificate {
        /// Its MSP.
        msp_id: String,
        /// What is wrong.
        source: CertificateError,
    },
    /// There is not exactly one chain to a root of the MSP.
    #[error("msp {msp_id}: {source}")]
    Chain {
        /// Its MSP.
        msp_id: String,
        /// What is wrong.
        source: ChainError,
    },
    /// A rule of validity is broken.
    #[error("msp {msp_id}, certificate {subject}: {rule}")]
    Invalid {
        /// Its MSP.
        msp_id: String,
        /// Of the certificate.
        subject: String,
        /// Which.
        rule: BrokenRule,
    },
}

/// What an identity certificate may not do (`docs/spec/rules.md` §10.2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    /// RSA, or Ed25519 below level 3.0.
    #[error("identities may not have a {0:?} key on this channel")]
    KeyAlgorithm(KeyAlgorithm),
    /// CA = true.
    #[error("an authority cannot be an identity")]
    Authority,
    /// It is itself a root.
    #[error("a root cannot be an identity")]
    NoIssuer,
    /// Its issuer has other authorities below it.
    #[error("issuer {issuer} has authorities below it and may not issue identities")]
    InnerIssuer {
        /// Subject of the issuer.
        issuer: String,
    },
    /// In a revocation list of its issuer.
    #[error("revoked")]
    Revoked,
    /// A revocation list without authority key identifier: nobody can be told unrevoked.
    #[error("a revocation list of the msp does not name its authority")]
    UnnamedRevocationList,
    /// None of the MSP's organizational unit identifiers matches.
    #[error("none of the msp's organizational units, under its certifier, is among {units:?}")]
    Unit {
        /// What the certificate has.
        units: Vec<String>,
    },
    /// A node OU names another CA than the one that issued.
    #[error("node OU {unit:?} belongs to another certifier")]
    NodeOuCertifier {
        /// Which.
        unit: String,
    },
    /// Not exactly one node OU.
    #[error("{found} node OUs, exactly one is needed")]
    NodeOuCount {
        /// How many.
        found: usize,
    },
}
