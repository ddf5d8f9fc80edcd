//! The three ways to look at a client's certificate (`docs/spec/dropin.md` §1.2).

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::TlsError;

/// What a listener asks of its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Asked for, and taken as it comes: none, any, or one nobody can verify. Its key must still sign the
    /// handshake, so that a certificate that was shown is one that is held.
    Unverified,
    /// Asked for; when one is shown it must verify.
    VerifiedIfShown,
    /// Must be shown and verify.
    Required,
}

/// The rustls verifier of one listener.
#[derive(Debug)]
pub(super) struct Verifier {
    clients: ClientCertificates,
    /// None: there are no roots, so nothing verifies.
    chains: Option<Arc<dyn ClientCertVerifier>>,
    /// A certificate listed here verifies by being itself, also where it is no authority.
    listed: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// `roots` are the authorities; unused when nothing is verified.
    pub(super) fn new(
        clients: ClientCertificates,
        roots: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let verifies = clients != ClientCertificates::Unverified && !roots.is_empty();
        let chains = if verifies {
            Some(chain_verifier(&roots, provider)?)
        } else {
            None
        };
        Ok(Self {
            clients,
            chains,
            listed: roots,
            algorithms: provider.signature_verification_algorithms,
        })
    }

    /// The reference takes a certificate that is in the pool of roots, whatever it is; webpki wants an issuer.
    fn is_listed(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
        self.listed.contains(certificate) && is_current(certificate, now)
    }
}

fn chain_verifier(
    roots: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store
            .add(root.clone())
            .map_err(|error| TlsError::ClientRoots(error.to_string()))?;
    }
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build();
    built
        .map(|verifier| verifier as Arc<dyn ClientCertVerifier>)
        .map_err(|error| TlsError::ClientRoots(error.to_string()))
}

pub(crate) fn is_current(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&seconds)
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.clients == ClientCertificates::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains
            .as_ref()
            .map_or(&[], |chains| chains.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.clients == ClientCertificates::Unverified || self.is_listed(end_entity, now) {
            return Ok(ClientCertVerified::assertion());
        }
        match &self.chains {
            Some(chains) => chains.verify_client_cert(end_entity, intermediates, now),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
