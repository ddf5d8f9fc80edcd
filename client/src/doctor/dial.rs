//! One TLS handshake in which the server's certificate is judged and not refused, so that more can be said of it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::connection::Address;
use crate::tls::ClientTls;

/// How long TCP, and then TLS, may take.
const STEP_TIME_MAX: Duration = Duration::from_secs(4);
/// How long a server may take to say that it does not want our certificate.
const REFUSAL_TIME_MAX: Duration = Duration::from_millis(700);

/// What a server showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its certificate, in DER.
    pub certificate: Vec<u8>,
    /// Whether the authorities vouch for it under the name that was dialled, now; if not, why.
    pub verdict: Result<(), String>,
    /// Whether it took our certificate, or the lack of one; if not, what it said.
    pub accepted: Result<(), String>,
}

/// Why nothing was shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// No connection.
    #[error("{0}")]
    Tcp(String),
    /// A connection, and no TLS on it.
    #[error("no TLS there: {0}")]
    Tls(String),
}

/// Dials `address` as a caller with the certificate of `tls`. `authorities` (DER) are to vouch for the server.
pub async fn dial(address: &Address, tls: &ClientTls, authorities: &[Vec<u8>]) -> Result<Shown, DialError> {
    let no_tls = |error: &dyn std::fmt::Display| DialError::Tls(error.to_string());
    let connecting = TcpStream::connect((address.host(), address.port()));
    let tcp = match tokio::time::timeout(STEP_TIME_MAX, connecting).await {
        Ok(connected) => connected.map_err(|error| DialError::Tcp(error.to_string()))?,
        Err(_) => return Err(DialError::Tcp(format!("no answer within {STEP_TIME_MAX:?}"))),
    };
    let name = ServerName::try_from(address.host().to_owned()).map_err(|error| no_tls(&error))?;
    let witness = Arc::new(Witness::new(authorities).map_err(|error| no_tls(&error))?);
    let mut config = tls.config_for("h2");
    config
        .dangerous()
        .set_certificate_verifier(Arc::clone(&witness) as _);
    let shaking = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let shaken = match tokio::time::timeout(STEP_TIME_MAX, shaking).await {
        Ok(shaken) => shaken.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no handshake within {STEP_TIME_MAX:?}")),
    };
    let Some(seen) = witness.seen.lock().take() else {
        return Err(DialError::Tls(shaken.err().unwrap_or_default()));
    };
    let accepted = match shaken {
        Ok(stream) => taken(stream).await,
        Err(refusal) => Err(refusal),
    };
    Ok(Shown {
        certificate: seen.certificate,
        verdict: seen.verdict,
        accepted,
    })
}

/// A server of TLS 1.3 refuses a client after the client thinks that all is done.
async fn taken(mut stream: tokio_rustls::client::TlsStream<TcpStream>) -> Result<(), String> {
    let mut first = [0];
    match tokio::time::timeout(REFUSAL_TIME_MAX, stream.read(&mut first)).await {
        Ok(Ok(0)) => Err("it closed the connection".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        // It speaks, or waits for us to.
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// Lets every certificate pass, and remembers it with what a real verifier says.
#[derive(Debug)]
struct Witness {
    /// None: no authority, so nothing is vouched for.
    judge: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    certificate: Vec<u8>,
    verdict: Result<(), String>,
}

impl Witness {
    fn new(authorities: &[Vec<u8>]) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for der in authorities {
            // What this library takes for no authority vouches for nobody.
            let _ = roots.add(CertificateDer::from(der.clone()));
        }
        let judge = if roots.is_empty() {
            None
        } else {
            let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            Some(built.build().map_err(|error| error.to_string())?)
        };
        Ok(Self {
            judge,
            provider,
            seen: Mutex::default(),
        })
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = match &self.judge {
            Some(judge) => judge
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(drop)
                .map_err(|error| error.to_string()),
            None => Err("no TLS authority is known".to_owned()),
        };
        *self.seen.lock() = Some(Seen {
            certificate: end_entity.to_vec(),
            verdict,
        });
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
