//! TLS certificates of consenters against the TLS authorities of organisations.

use std::sync::Arc;
use std::time::SystemTime;

use super::certificate::{Certificate, CertificateError};
use super::chain::{ChainError, Moment, Pool};
use super::extensions::Usage;
use super::msp::Msp;

/// TLS roots and intermediates of several organisations.
#[derive(Debug, Default)]
pub struct TlsAuthorities(Pool);

/// Why a TLS certificate is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsCertificateError {
    /// It does not read.
    #[error("TLS certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// It has expired. Its chain was not looked at.
    #[error("TLS certificate {subject} has expired")]
    Expired {
        /// Of the certificate.
        subject: String,
    },
    /// It is not valid yet. Its chain was not looked at.
    #[error("TLS certificate {subject} is not yet valid")]
    NotYetValid {
        /// Of the certificate.
        subject: String,
    },
    /// It has no chain to a root, or none for a TLS client or server.
    #[error("TLS certificate: {0}")]
    Chain(ChainError),
}

impl TlsCertificateError {
    /// True when only the certificate's own dates are wrong, which is forgiven to consenters that are not new
    /// (`docs/spec/rules.md` §8.3).
    pub fn is_validity(&self) -> bool {
        matches!(self, Self::Expired { .. } | Self::NotYetValid { .. })
    }
}

impl TlsAuthorities {
    /// The TLS roots and intermediates of `msps` together.
    pub fn new<'a>(msps: impl IntoIterator<Item = &'a Msp>) -> Self {
        let mut pool = Pool::default();
        for msp in msps {
            for root in msp.tls_roots() {
                pool.add_root(root.clone());
            }
            for intermediate in msp.tls_intermediates() {
                pool.add_intermediate(intermediate.clone());
            }
        }
        Self(pool)
    }

    /// Checks a PEM certificate: valid at `now`, with a chain that is, for a TLS client or server.
    pub fn check(&self, pem: &[u8], now: SystemTime) -> Result<Arc<Certificate>, TlsCertificateError> {
        let certificate = Arc::new(Certificate::from_pem(pem)?);
        let found = self.0.chains(
            &certificate,
            Moment::from(now),
            &[Usage::ClientAuth, Usage::ServerAuth],
        );
        match found {
            Ok(_) => Ok(certificate),
            Err(ChainError::OutsideValidity { subject }) if now < certificate.valid_from() => {
                Err(TlsCertificateError::NotYetValid { subject })
            }
            Err(ChainError::OutsideValidity { subject }) => Err(TlsCertificateError::Expired { subject }),
            Err(source) => Err(TlsCertificateError::Chain(source)),
        }
    }
}

#[cfg(test)]
mod tests;
