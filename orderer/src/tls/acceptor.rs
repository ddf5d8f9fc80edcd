//! Files into a rustls configuration that can be swapped while the listener runs.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::TimeProvider;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::clients::{ClientCertificates, Verifier};
use super::connection::Connection;
use super::{TlsError, files};
use crate::config::ServerTls;

/// Takes TCP connections to [`Connection`]s, with or without TLS. Cheap to clone; clones share reloads.
#[derive(Clone)]
pub struct Acceptor {
    /// None: plain.
    tls: Option<Arc<Tls>>,
    handshake_time_max: Duration,
}

/// The TLS half of an acceptor.
struct Tls {
    settings: ServerTls,
    clients: ClientCertificates,
    /// What is offered by ALPN.
    protocol: &'static [u8],
    provider: Arc<CryptoProvider>,
    /// Authorities beside those of the files: the channels'. Also the lock around a swap.
    channel_roots: Mutex<Vec<CertificateDer<'static>>>,
    current: ArcSwap<Current>,
}

/// What connections are made with from now on.
struct Current {
    config: Arc<ServerConfig>,
    /// When the certificate that is shown ends.
    certificate_end: Option<SystemTime>,
}

/// Why a connection did not come about.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client took longer than `General.ConnectionTimeout`.
    #[error("no TLS handshake within {0:?}")]
    TooSlow(Duration),
    /// The handshake failed, on either side.
    #[error("{}", handshake_text(.0))]
    Failed(std::io::Error),
}

impl Acceptor {
    /// The client-facing gRPC listener: a client certificate is verified where it is required, otherwise asked
    /// for and taken as it comes. Without `tls`: plain.
    pub fn for_grpc(tls: Option<&ServerTls>, handshake_time_max: Duration) -> Result<Self, TlsError> {
        let unverified = ClientCertificates::Unverified;
        Self::new(tls, unverified, b"h2", handshake_time_max)
    }

    /// An HTTP listener (admin, operations): a client certificate is verified when shown, and must be shown
    /// where it is required. Without `tls`: plain.
    pub fn for_http(tls: Option<&ServerTls>, handshake_time_max: Duration) -> Result<Self, TlsError> {
        if tls.is_some_and(|tls| tls.client_auth_required && tls.client_root_cas.is_empty()) {
            return Err(TlsError::NoClientRoots);
        }
        let if_shown = ClientCertificates::VerifiedIfShown;
        Self::new(tls, if_shown, b"http/1.1", handshake_time_max)
    }

    fn new(
        tls: Option<&ServerTls>,
        not_required: ClientCertificates,
        protocol: &'static [u8],
        handshake_time_max: Duration,
    ) -> Result<Self, TlsError> {
        let tls = tls.map(|files| {
            let required = files.client_auth_required;
            let clients = if required {
                ClientCertificates::Required
            } else {
                not_required
            };
            Tls::new(files.clone(), clients, protocol).map(Arc::new)
        });
        Ok(Self {
            tls: tls.transpose()?,
            handshake_time_max,
        })
    }

    /// Reads the files again; connections made from now on use them, open ones are left alone.
    ///
    /// On an error the acceptor goes on with what it had.
    pub fn reload(&self) -> Result<(), TlsError> {
        match &self.tls {
            Some(tls) => tls.swap(None),
            None => Ok(()),
        }
    }

    /// Sets the authorities that clients are verified against beside those of the files: the TLS roots of the
    /// channels' organisations. Replaces those set before.
    ///
    /// On an error the acceptor goes on with what it had.
    pub fn set_channel_roots(&self, roots: Vec<CertificateDer<'static>>) -> Result<(), TlsError> {
        match &self.tls {
            Some(tls) => tls.swap(Some(roots)),
            None => Ok(()),
        }
    }

    /// Whether connections are encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// When the certificate ends that connections are shown from now on; none without TLS.
    pub fn certificate_end(&self) -> Option<SystemTime> {
        self.tls.as_ref()?.current.load().certificate_end
    }

    /// Does the handshake of one connection.
    pub async fn accept(&self, stream: TcpStream) -> Result<Connection, HandshakeError> {
        let Some(tls) = &self.tls else {
            return Connection::plain(stream).map_err(HandshakeError::Failed);
        };
        let handshake = TlsAcceptor::from(Arc::clone(&tls.current.load().config)).accept(stream);
        match tokio::time::timeout(self.handshake_time_max, handshake).await {
            Ok(Ok(stream)) => Connection::tls(stream).map_err(HandshakeError::Failed),
            Ok(Err(error)) => Err(HandshakeError::Failed(error)),
            Err(_) => Err(HandshakeError::TooSlow(self.handshake_time_max)),
        }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = self.tls.as_ref().map(|tls| tls.clients);
        f.debug_struct("Acceptor")
            .field("clients", &clients)
            .finish_non_exhaustive()
    }
}

impl Tls {
    fn new(
        settings: ServerTls,
        clients: ClientCertificates,
        protocol: &'static [u8],
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let first = build(&settings, clients, protocol, &provider, &[])?;
        Ok(Self {
            settings,
            clients,
            protocol,
            provider,
            channel_roots: Mutex::new(Vec::new()),
            current: ArcSwap::from_pointee(first),
        })
    }

    /// Builds anew, with other channel roots if some are given, and swaps. The lock keeps two swaps from undoing
    /// each other.
    fn swap(&self, channel_roots: Option<Vec<CertificateDer<'static>>>) -> Result<(), TlsError> {
        let mut held = self.channel_roots.lock();
        let roots = channel_roots.unwrap_or_else(|| held.clone());
        let next = build(
            &self.settings,
            self.clients,
            self.protocol,
            &self.provider,
            &roots,
        )?;
        self.current.store(Arc::new(next));
        *held = roots;
        Ok(())
    }
}

/// An expired certificate is served all the same: clients with a shifted clock still take it.
fn build(
    settings: &ServerTls,
    clients: ClientCertificates,
    protocol: &'static [u8],
    provider: &Arc<CryptoProvider>,
    channel_roots: &[CertificateDer<'static>],
) -> Result<Current, TlsError> {
    let chain = files::certificates(&settings.certificate)?;
    let certificate_end = chain.first().and_then(|leaf| end_of(leaf));
    let key = files::private_key(&settings.private_key)?;
    let mut roots = channel_roots.to_vec();
    for file in &settings.client_root_cas {
        roots.extend(files::certificates(file)?);
    }
    let verifier = Verifier::new(clients, roots, provider)?;
    let clock = Arc::new(ShiftedClock(settings.handshake_time_shift));
    let pair_error = |source| TlsError::Pair {
        certificate: settings.certificate.clone(),
        private_key: settings.private_key.clone(),
        source,
    };
    let mut config = ServerConfig::builder_with_details(Arc::clone(provider), clock)
        .with_safe_default_protocol_versions()
        .map_err(pair_error)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(chain, key)
        .map_err(pair_error)?;
    config.alpn_protocols = vec![protocol.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Current {
        config: Arc::new(config),
        certificate_end,
    })
}

/// When a certificate in DER ends.
pub(crate) fn end_of(certificate: &[u8]) -> Option<SystemTime> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The system's clock, set back: certificates that expired within the shift pass (`TLSHandshakeTimeShift`).
#[derive(Debug)]
pub(crate) struct ShiftedClock(pub(crate) Duration);

impl TimeProvider for ShiftedClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(since_epoch.saturating_sub(self.0)))
    }
}

/// A failed handshake in words. A client that refuses our certificate is always told by `tls: bad certificate`,
/// whichever of the alerts it chose (`docs/spec/dropin.md` §2).
fn handshake_text(error: &std::io::Error) -> String {
    use rustls::AlertDescription as Alert;
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::AlertReceived(Alert::BadCertificate)) => {
            "remote error: tls: bad certificate".to_owned()
        }
        Some(rustls::Error::AlertReceived(
            alert @ (Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::UnsupportedCertificate),
        )) => format!("remote error: tls: bad certificate ({alert:?})"),
        _ => error.to_string(),
    }
}
