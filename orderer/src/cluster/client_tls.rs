//! TLS where this node calls another orderer: its certificate, whom it trusts, and the one key it expects.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::tls_key::{TlsKey, describe};
use crate::config::CertificatePair;
use crate::tls::clients::is_current;
use crate::tls::{ShiftedClock, TlsError, files};

/// What outgoing connections are made with.
#[derive(Debug)]
pub(super) struct ClientTls {
    provider: Arc<CryptoProvider>,
    /// This node's certificate and key.
    shown: Arc<CertifiedKey>,
    resolver: Arc<dyn ResolvesClientCert>,
    /// None: there are no authorities, so nothing verifies.
    chains: Option<Arc<WebPkiServerVerifier>>,
    /// A certificate listed here verifies by being itself, also where it is no authority.
    listed: Arc<[CertificateDer<'static>]>,
    time_shift: Duration,
}

impl ClientTls {
    /// Reads the pair of files; trusts `roots`.
    pub(super) fn read(
        pair: &CertificatePair,
        roots: Vec<CertificateDer<'static>>,
        time_shift: Duration,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = files::certificates(&pair.certificate)?;
        let key = files::private_key(&pair.private_key)?;
        let shown = CertifiedKey::from_der(chain, key, &provider).map_err(|source| TlsError::Pair {
            certificate: pair.certificate.clone(),
            private_key: pair.private_key.clone(),
            source,
        })?;
        let shown = Arc::new(shown);
        Ok(Self {
            chains: chain_verifier(&roots, &provider)?,
            provider,
            resolver: Arc::new(SingleCertAndKey::from(Arc::clone(&shown))),
            shown,
            listed: roots.into(),
            time_shift,
        })
    }

    /// This node's own certificate in DER.
    pub(super) fn certificate(&self) -> &[u8] {
        self.shown.cert.first().map_or(&[], AsRef::as_ref)
    }

    /// Whether both show the same certificate.
    pub(super) fn shows_the_same(&self, other: &Self) -> bool {
        self.shown.cert == other.shown.cert
    }

    /// Settings for a server with this key, and what is known about the server afterwards.
    pub(super) fn expecting(&self, key: TlsKey) -> Result<(Arc<ClientConfig>, Arc<Pinned>), Error> {
        let pinned = Arc::new(Pinned {
            chains: self.chains.clone(),
            listed: Arc::clone(&self.listed),
            provider: Arc::clone(&self.provider),
            key,
            presented: Mutex::new(None),
        });
        let clock = Arc::new(ShiftedClock(self.time_shift));
        let mut config = ClientConfig::builder_with_details(Arc::clone(&self.provider), clock)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&pinned) as _)
            .with_client_cert_resolver(Arc::clone(&self.resolver));
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session would skip the check of the key.
        config.resumption = Resumption::disabled();
        Ok((Arc::new(config), pinned))
    }
}

fn chain_verifier(
    roots: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, TlsError> {
    if roots.is_empty() {
        return Ok(None);
    }
    let mut store = RootCertStore::empty();
    for root in roots {
        store
            .add(root.clone())
            .map_err(|error| TlsError::ServerRoots(error.to_string()))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
        .build()
        .map(Some)
        .map_err(|error| TlsError::ServerRoots(error.to_string()))
}

/// Checks chain and name as ever, and then that the public key is the one that the channel's config has for this
/// consenter.
#[derive(Debug)]
pub(super) struct Pinned {
    chains: Option<Arc<WebPkiServerVerifier>>,
    listed: Arc<[CertificateDer<'static>]>,
    provider: Arc<CryptoProvider>,
    key: TlsKey,
    presented: Mutex<Option<CertificateDer<'static>>>,
}

impl Pinned {
    /// What the server showed, in DER; none before it did.
    pub(super) fn presented(&self) -> Option<CertificateDer<'static>> {
        self.presented.lock().clone()
    }

    /// Whether the server showed another key than the expected one.
    pub(super) fn is_other_key(&self) -> bool {
        let presented = self.presented.lock();
        presented
            .as_ref()
            .is_some_and(|certificate| !self.has_key(certificate))
    }

    /// What the server showed, in words.
    pub(super) fn describe_presented(&self) -> String {
        match &*self.presented.lock() {
            Some(certificate) => describe(certificate),
            None => "none".to_owned(),
        }
    }

    fn has_key(&self, certificate: &CertificateDer<'_>) -> bool {
        TlsKey::of_der(certificate).is_ok_and(|key| key == self.key)
    }

    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.listed.contains(end_entity) && is_current(end_entity, now) {
            return verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name);
        }
        let Some(chains) = &self.chains else {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        chains
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .map(|_| ())
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.presented.lock() = Some(end_entity.clone().into_owned());
        self.verify_chain(end_entity, intermediates, server_name, ocsp_response, now)?;
        if !self.has_key(end_entity) {
            let error = CertificateError::ApplicationVerificationFailure;
            return Err(Error::InvalidCertificate(error));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
