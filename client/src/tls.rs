//! TLS of a client: own authorities, an optional certificate, an optional name to expect of the server.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ConfigBuilder, InconsistentKeys, RootCertStore};
use sha2::{Digest as _, Sha256};

/// What to trust and what to show. Cheap to clone.
///
/// Certificates may have Ed25519, P-256, P-384 or RSA keys; TLS 1.2 and 1.3 are spoken.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    certificate_hash: Option<Bytes>,
    server_name: Option<ServerName<'static>>,
}

/// A client certificate with its key, both PEM.
#[derive(Clone, Copy)]
pub struct ClientCertificate<'a> {
    /// The certificate; more of its chain may follow.
    pub certificate: &'a [u8],
    /// Its private key.
    pub key: &'a [u8],
}

/// Why PEM files make no [`ClientTls`].
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The authorities' file is no PEM, or holds no certificate.
    #[error("certificate authority file holds no certificate: {0}")]
    Authority(pem::Error),
    /// An authority's certificate cannot be used.
    #[error("certificate authority is unusable: {0}")]
    AuthorityUnusable(rustls::Error),
    /// The client's certificate file is no PEM, or holds no certificate.
    #[error("client certificate file holds no certificate: {0}")]
    Certificate(pem::Error),
    /// The client's key file is no PEM, or holds no private key.
    #[error("client key file holds no private key: {0}")]
    Key(pem::Error),
    /// Certificate and key do not fit each other, or are of an unknown kind.
    #[error("client certificate and key are unusable: {}", pair_fault(.0))]
    Pair(rustls::Error),
    /// Not a DNS name and not an IP address.
    #[error("{name:?} is no server name")]
    ServerName {
        /// The name as given.
        name: String,
    },
}

/// Why a certificate and a key are no pair, in words.
pub fn pair_fault(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the key is not that of the certificate".to_owned()
        }
        other => other.to_string(),
    }
}

impl ClientTls {
    /// Trusts the certificates of `authority_pem` and nothing else.
    pub fn new(authority_pem: &[u8], client: Option<ClientCertificate<'_>>) -> Result<Self, TlsError> {
        Self::trusting(authorities(authority_pem)?, client)
    }

    /// Trusts these certificates, in DER, and nothing else; those that can be no authority are left out.
    pub fn for_authorities<'a>(
        authorities: impl IntoIterator<Item = &'a [u8]>,
        client: Option<ClientCertificate<'_>>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for der in authorities {
            // A channel's config may list what this library takes for no authority; the others still count.
            let _ = roots.add(CertificateDer::from(der));
        }
        Self::trusting(roots, client)
    }

    fn trusting(roots: RootCertStore, client: Option<ClientCertificate<'_>>) -> Result<Self, TlsError> {
        let builder = trusting(roots)?;
        let Some(client) = client else {
            return Ok(Self::from_config(builder.with_no_client_auth(), None));
        };
        let chain = certificates(client.certificate).map_err(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(client.key).map_err(TlsError::Key)?;
        let hash = chain
            .first()
            .map(|leaf| Bytes::copy_from_slice(&Sha256::digest(leaf)));
        let config = builder
            .with_client_auth_cert(chain, key)
            .map_err(TlsError::Pair)?;
        Ok(Self::from_config(config, hash))
    }

    /// Looks at certificates as of `shift` ago, so that some that have expired pass.
    #[must_use]
    pub fn looking_back(mut self, shift: Duration) -> Self {
        if !shift.is_zero() {
            let config = Arc::make_mut(&mut self.config);
            config.time_provider = Arc::new(ClockSetBack(shift));
        }
        self
    }

    fn from_config(config: ClientConfig, certificate_hash: Option<Bytes>) -> Self {
        Self {
            config: Arc::new(config),
            certificate_hash,
            server_name: None,
        }
    }

    /// Expects the server's certificate to hold for `name`, whatever address is dialled.
    pub fn with_server_name(mut self, name: &str) -> Result<Self, TlsError> {
        self.server_name = Some(parse_name(name)?);
        Ok(self)
    }

    /// SHA-256 of the client certificate's DER: what Deliver requests are bound to under mutual TLS.
    pub fn certificate_hash(&self) -> Option<&Bytes> {
        self.certificate_hash.as_ref()
    }

    /// The name to expect when dialling `host`.
    pub(crate) fn name_for(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        self.server_name.clone().map_or_else(|| parse_name(host), Ok)
    }

    /// The settings, offering one application protocol: `h2` or `http/1.1`.
    pub(crate) fn config_for(&self, protocol: &str) -> ClientConfig {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        config
    }
}

/// The system's clock, set back.
#[derive(Debug)]
struct ClockSetBack(Duration);

impl TimeProvider for ClockSetBack {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(since_epoch.saturating_sub(self.0)))
    }
}

/// For HTTP without TLS: the library wants settings all the same, and no `https` address gets past them.
pub(crate) fn trusting_nobody() -> Result<ClientConfig, TlsError> {
    Ok(trusting(RootCertStore::empty())?.with_no_client_auth())
}

fn trusting(roots: RootCertStore) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::AuthorityUnusable)?;
    Ok(builder.with_root_certificates(roots))
}

fn parse_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName {
        name: name.to_owned(),
    })
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).map_err(TlsError::Authority)? {
        roots.add(certificate).map_err(TlsError::AuthorityUnusable)?;
    }
    Ok(roots)
}

/// All certificates of a PEM text, at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() {
        return Err(pem::Error::NoItemsFound);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use rustls::ServerConfig;
    use rustls::server::WebPkiClientVerifier;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::connection::{ConnectError, Target};
    use crate::crypto::{self, KeyType, OrgKind, OrgPaths, OrgSpec};
    use crate::deliver::{DeliverStream, Position, Resume, Seek};
    use crate::fake_orderer::{FakeOrderer, Faults, signer, target};

    fn org(root: &Path, key: KeyType) -> OrgPaths {
        let org = OrgSpec::new(OrgKind::Orderer, "ord.test", key).with_node("o1", &["127.0.0.1"]);
        crypto::make(root, &[org], SystemTime::now()).unwrap().remove(0)
    }

    /// Demands a client certificate of the same organisation.
    fn acceptor(org: &OrgPaths) -> TlsAcceptor {
        let folder = org.node_tls("o1.ord.test");
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::new(authorities(&read("ca.crt")).unwrap());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
        let key = PrivateKeyDer::from_pem_slice(&read("server.key")).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(certificates(&read("server.crt")).unwrap(), key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    fn client(org: &OrgPaths) -> ClientTls {
        let folder = org.user_tls("Admin@ord.test");
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        let pair = ClientCertificate {
            certificate: &read("client.crt"),
            key: &read("client.key"),
        };
        ClientTls::new(&read("ca.crt"), Some(pair)).unwrap()
    }

    async fn deliver_over_mutual_tls(key: KeyType) {
        let root = tempfile::tempdir().unwrap();
        let org = org(root.path(), key);
        let (orderer, address) = FakeOrderer::start(Faults::default(), 1, Some(acceptor(&org))).await;
        let tls = client(&org);
        let target = Target {
            tls: Some(tls.clone()),
            ..target(address)
        };
        let connection = target.connect().await.unwrap();
        let seek = Seek::one(Position::Newest);
        let mut stream = DeliverStream::new(&connection, signer(), seek, Resume::NEVER);
        assert!(stream.next().await.unwrap().is_some());
        let hash = orderer.seeks.lock()[0].tls_cert_hash.clone();
        assert_eq!(Some(&hash), tls.certificate_hash());
        assert_eq!(hash.len(), 32);
    }

    #[tokio::test]
    async fn ed25519_certificates_serve_for_mutual_tls_and_bind_requests() {
        deliver_over_mutual_tls(KeyType::Ed25519).await;
    }

    #[tokio::test]
    async fn p256_certificates_serve_for_mutual_tls_and_bind_requests() {
        deliver_over_mutual_tls(KeyType::P256).await;
    }

    #[tokio::test]
    async fn a_server_of_another_authority_is_not_trusted() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let server = org(root.path(), KeyType::Ed25519);
        let (_orderer, address) = FakeOrderer::start(Faults::default(), 1, Some(acceptor(&server))).await;
        let target = Target {
            tls: Some(client(&org(other.path(), KeyType::Ed25519))),
            ..target(address)
        };
        let error = target.connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    }

    #[tokio::test]
    async fn an_expected_server_name_stands_in_for_the_address() {
        let root = tempfile::tempdir().unwrap();
        let org = org(root.path(), KeyType::Ed25519);
        let (_orderer, address) = FakeOrderer::start(Faults::default(), 1, Some(acceptor(&org))).await;
        for (name, fits) in [("o1", true), ("o2", false)] {
            let target = Target {
                tls: Some(client(&org).with_server_name(name).unwrap()),
                ..target(address)
            };
            assert_eq!(target.connect().await.is_ok(), fits, "{name}");
        }
    }

    #[test]
    fn a_file_without_certificate_is_named_so() {
        let error = ClientTls::new(b"nothing here", None).unwrap_err().to_string();
        assert!(error.contains("certificate authority file"), "{error}");
    }
}
