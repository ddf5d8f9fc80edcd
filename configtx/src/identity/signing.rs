//! An identity together with its private key.

use bytes::Bytes;
use prost::Message as _;
use protos::wire::msp::SerializedIdentity;

use super::certificate::{Certificate, CertificateError};
use super::key::{KeyError, Signer};

/// Signs in the name of a certificate.
#[derive(Debug)]
pub struct SigningIdentity {
    msp_id: String,
    certificate: Certificate,
    serialized: Bytes,
    signer: Signer,
}

/// Why certificate and key make no [`SigningIdentity`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningIdentityError {
    /// The certificate does not read.
    #[error("certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The key does not read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// They do not belong together.
    #[error("the private key does not belong to certificate {subject}")]
    Mismatch {
        /// Of the certificate.
        subject: String,
    },
}

impl SigningIdentity {
    /// Takes the first PEM block of each text.
    pub fn new(msp_id: &str, certificate_pem: &str, key_pem: &str) -> Result<Self, SigningIdentityError> {
        let certificate = Certificate::from_pem(certificate_pem.as_bytes())?;
        let signer = Signer::from_pem(key_pem)?;
        if certificate.public_key() != signer.public_key() {
            return Err(SigningIdentityError::Mismatch {
                subject: certificate.subject().to_owned(),
            });
        }
        let identity = SerializedIdentity {
            mspid: msp_id.to_owned(),
            id_bytes: certificate.to_pem().into(),
        };
        let serialized = identity.encode_to_vec().into();
        Ok(Self {
            msp_id: msp_id.to_owned(),
            certificate,
            serialized,
            signer,
        })
    }

    /// The name of the MSP it speaks for.
    pub fn msp_id(&self) -> &str {
        &self.msp_id
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The encoded `SerializedIdentity` that goes into signature headers.
    pub fn serialized(&self) -> &Bytes {
        &self.serialized
    }

    /// Signs `message`; see [`Signer::sign`].
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signer.sign(message)
    }
}
