//! Certificates and keys out of PEM files.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// All certificates of `file`, in its order; at least one.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| broken(file, &error))?;
    if found.is_empty() {
        return Err(TlsError::Missing {
            file: file.to_owned(),
            what: "certificate",
        });
    }
    Ok(found)
}

/// The first private key of `file`: PKCS#8, SEC1 or PKCS#1.
pub(crate) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => TlsError::Missing {
            file: file.to_owned(),
            what: "private key",
        },
        error => broken(file, &error),
    })
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::Unreadable {
        file: file.to_owned(),
        source,
    })
}

fn broken(file: &Path, error: &rustls::pki_types::pem::Error) -> TlsError {
    TlsError::Broken {
        file: file.to_owned(),
        what: error.to_string(),
    }
}
