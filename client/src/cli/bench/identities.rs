//! Who signs: the identity at hand, or those with the types of key that were asked for.

use std::sync::Arc;

use clap::ValueEnum;
use configtx::identity::{KeyAlgorithm, SigningIdentity};
use protos::ChannelId;

use super::Failure;
use crate::connection_file::{ConnectionFile, ConnectionFileError, IdentityFiles};
use crate::envelope::EnvelopeSigner;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum KeyArg {
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256.
    P256,
}

impl KeyArg {
    fn algorithm(self) -> KeyAlgorithm {
        match self {
            Self::Ed25519 => KeyAlgorithm::Ed25519,
            Self::P256 => KeyAlgorithm::EcdsaP256,
        }
    }
}

/// An identity, and which one it is.
struct Listed<'a> {
    files: &'a IdentityFiles,
    identity: Arc<SigningIdentity>,
}

impl Listed<'_> {
    fn algorithm(&self) -> KeyAlgorithm {
        self.identity.certificate().public_key().algorithm()
    }
}

/// A signer for each channel and each type of key, in the order in which they take turns.
pub(super) fn signers(
    connection: &ConnectionFile,
    keys: &[KeyArg],
    channels: &[String],
) -> Result<Vec<EnvelopeSigner>, Failure> {
    let identities = chosen(connection, keys)?;
    let mut signers = Vec::new();
    for identity in identities {
        for channel in channels {
            signers.push(EnvelopeSigner::new(identity.clone(), parse(channel)?));
        }
    }
    Ok(signers)
}

fn parse(channel: &str) -> Result<ChannelId, Failure> {
    ChannelId::parse(channel).map_err(|error| Failure::usage(format!("channel {channel:?}: {error}")))
}

/// Without a wish, the identity of the connection file and no other one.
fn chosen(connection: &ConnectionFile, keys: &[KeyArg]) -> Result<Vec<Arc<SigningIdentity>>, Failure> {
    if keys.is_empty() {
        return Ok(vec![Arc::new(connection.signing_identity()?)]);
    }
    let files = std::iter::once(&connection.identity).chain(&connection.identities);
    let listed = files.map(|files| {
        let identity = Arc::new(files.load()?);
        Ok(Listed { files, identity })
    });
    let listed = listed.collect::<Result<Vec<_>, ConnectionFileError>>()?;
    let with_key = |key: &KeyArg| {
        let fits = listed.iter().find(|listed| listed.algorithm() == key.algorithm());
        fits.map(|listed| listed.identity.clone())
            .ok_or_else(|| no_such_key(*key, &listed))
    };
    keys.iter().map(with_key).collect()
}

fn no_such_key(key: KeyArg, listed: &[Listed<'_>]) -> Failure {
    let at_hand = listed.iter().map(|listed| {
        let IdentityFiles { msp_id, msp } = listed.files;
        format!("{:?} of {msp_id} in {}", listed.algorithm(), msp.display())
    });
    let at_hand = at_hand.collect::<Vec<_>>().join(", ");
    Failure::usage(format!(
        "no identity with a key of type {:?} is at hand, only {at_hand}",
        key.algorithm()
    ))
    .hint(
        "name one with --msp and --msp-id, or list it under \"identities\" in the connection file (orderer \
         quickstart makes both types in a new folder)",
    )
}
