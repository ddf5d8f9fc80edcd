//! `--sign-as`: whose signatures an update gets.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use configtx::Bundle;
use configtx::identity::SigningIdentity;

use super::super::Failure;
use crate::config_update::UpdateEnvelope;
use crate::connection_file::ConnectionFile;
use crate::msp_folder;

/// An identity on disk, in one of three forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SignAs {
    /// `MSPID=DIR`
    Named { msp_id: String, folder: PathBuf },
    /// A connection file, or an MSP folder whose MSP id the channel tells.
    Path(PathBuf),
}

impl FromStr for SignAs {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        // A path with = in it can be written as MSPID=PATH.
        Ok(match text.split_once('=') {
            Some((msp_id, folder)) if !msp_id.contains('/') => Self::Named {
                msp_id: msp_id.to_owned(),
                folder: folder.into(),
            },
            _ => Self::Path(text.into()),
        })
    }
}

impl SignAs {
    /// Loads it.
    pub(super) fn load(&self, channel: Option<&Bundle>) -> Result<SigningIdentity, Failure> {
        match self {
            Self::Named { msp_id, folder } => Ok(msp_folder::signing_identity(folder, msp_id)?),
            Self::Path(path) if path.is_file() => Ok(ConnectionFile::read(path)?.signing_identity()?),
            Self::Path(path) => find_owner(path, channel),
        }
    }
}

/// The organisation whose authorities issued the certificate is the one it signs for.
fn find_owner(folder: &Path, channel: Option<&Bundle>) -> Result<SigningIdentity, Failure> {
    let Some(bundle) = channel else {
        return Err(Failure::usage(format!("whose is {}?", folder.display()))
            .hint("give MSPID=DIR, or the channel with -c"));
    };
    for msp in bundle.msps().msps() {
        let identity = msp_folder::signing_identity(folder, msp.name())?;
        let read = bundle.identify(identity.serialized());
        if read.is_ok_and(|read| read.validate().is_ok()) {
            return Ok(identity);
        }
    }
    Err(Failure::new(format!(
        "the certificate in {} belongs to no organisation of channel {}",
        folder.display(),
        bundle.channel_id()
    ))
    .hint("to sign for an organisation all the same, name it: --sign-as MSPID=DIR"))
}

/// Adds the signature of each identity that has not signed yet.
pub(super) fn sign(update: &mut UpdateEnvelope, identities: &[Arc<SigningIdentity>]) {
    for identity in identities {
        if update.is_signed_by(identity) {
            eprintln!(
                "{} ({}) has signed already",
                identity.msp_id(),
                identity.certificate().common_name()
            );
        } else {
            update.sign(identity, rand::random());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_msp_id_stands_before_an_equals_sign() {
        let named = SignAs::Named {
            msp_id: "Org1MSP".into(),
            folder: "a=b/msp".into(),
        };
        assert_eq!("Org1MSP=a=b/msp".parse(), Ok(named));
        assert_eq!("./a=b/msp".parse(), Ok(SignAs::Path("./a=b/msp".into())));
        assert_eq!(
            "connection.json".parse(),
            Ok(SignAs::Path("connection.json".into()))
        );
    }
}
