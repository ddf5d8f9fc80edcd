//! Authorities, certificates and clients for tests of listeners.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SignatureAlgorithm,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::ServerTls;

/// A certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    algorithm: &'static SignatureAlgorithm,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// Everything it issues has a key of the same algorithm.
    pub(crate) fn with(name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate_for(algorithm).expect("a key");
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate"),
            algorithm,
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A pair for both server and client, valid now.
    pub(crate) fn issue(&self, name: &str) -> Pair {
        self.issue_between(name, 2020, 2090)
    }

    /// Another certificate for the key of `pair`.
    pub(crate) fn renew(&self, name: &str, pair: &Pair) -> Pair {
        let key = KeyPair::from_pem(&pair.key).expect("a key");
        self.certify(name, &key, (2021, 2090))
    }

    /// As [`issue`](Self::issue), valid from the first day of one year to the first day of another.
    pub(crate) fn issue_between(&self, name: &str, from: i32, to: i32) -> Pair {
        let key = KeyPair::generate_for(self.algorithm).expect("a key");
        self.certify(name, &key, (from, to))
    }

    fn certify(&self, name: &str, key: &KeyPair, (from, to): (i32, i32)) -> Pair {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(key, &self.issuer).expect("a certificate");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Pair {
    /// Its certificate in DER.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("a certificate")
    }
}

/// A folder with the files of one listener.
pub(crate) struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    pub(crate) fn new(pair: &Pair) -> Self {
        let files = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        files.replace(pair);
        files
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        file
    }

    /// Puts another certificate and key in their place.
    pub(crate) fn replace(&self, pair: &Pair) {
        self.write("server.crt", &pair.certificate);
        self.write("server.key", &pair.key);
    }

    /// Settings over these files; `roots` are PEM texts of client root CAs.
    pub(crate) fn settings(&self, client_auth_required: bool, roots: &[String]) -> ServerTls {
        let root_file = |(at, pem): (usize, &String)| self.write(&format!("client-ca-{at}.crt"), pem);
        ServerTls {
            private_key: self.folder.path().join("server.key"),
            certificate: self.folder.path().join("server.crt"),
            root_cas: Vec::new(),
            client_auth_required,
            client_root_cas: roots.iter().enumerate().map(root_file).collect(),
            handshake_time_shift: Duration::ZERO,
        }
    }
}

/// A client that trusts `authority` and shows `pair` whatever the server hints at.
pub(crate) fn client(authority: &Authority, pair: Option<&Pair>) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).expect("a root");
    let wants = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match pair {
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
            wants
                .with_client_auth_cert(vec![pair.der()], key)
                .expect("a pair")
        }
        None => wants.with_no_client_auth(),
    };
    TlsConnector::from(Arc::new(config))
}

/// Connects and waits for the server's first byte: in TLS 1.3 a client learns only then that it was refused.
pub(crate) async fn greet(connector: &TlsConnector, to: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(to).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = connector.connect(name, tcp).await?;
    stream.write_all(b"?").await?;
    stream.read_u8().await?;
    Ok(stream)
}
