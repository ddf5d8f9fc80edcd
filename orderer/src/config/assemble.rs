//! Typed values into [`Config`], with the relations between keys.

mod cluster;
mod derived;
mod metrics;
mod protection;

use std::path::{Path, PathBuf};

use super::error::Problem;
use super::values::Values;
use super::{
    Acknowledge, Admin, Authentication, Bccsp, ChannelParticipation, Config, Debug, FileLedger, General,
    Keepalive, Listen, Operations, ServerTls, Tracing,
};

/// Builds the configuration, or says everything that does not fit together.
pub(super) fn config(file: &Path, values: &Values) -> Result<Config, Vec<Problem>> {
    let mut assembly = Assembly {
        values,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let ledger = assembly.ledger(file);
    let config = Config {
        file: file.to_owned(),
        general: assembly.general(),
        consensus: assembly.consensus(&ledger),
        ledger,
        admin: assembly.admin(),
        operations: assembly.operations(),
        metrics: assembly.metrics(),
        participation: ChannelParticipation {
            request_body_bytes_max: assembly.bytes("ChannelParticipation.MaxRequestBodySize"),
        },
        debug: assembly.debug(),
        effective: Vec::new(),
        warnings: Vec::new(),
    };
    assembly.warn_of_keys();
    assembly.warn_of_variables();
    if assembly.problems.is_empty() {
        Ok(Config {
            warnings: assembly.warnings,
            effective: derived::complete(values.effective(), &config),
            ..config
        })
    } else {
        Err(assembly.problems)
    }
}

struct Assembly<'a> {
    values: &'a Values,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Assembly<'_> {
    fn general(&mut self) -> General {
        self.check_bootstrap();
        let tls = self.tls("General.TLS");
        let cluster = self.cluster(tls.as_ref());
        if tls.is_none() {
            self.warnings.push(
                "General.TLS.Enabled is false: clients are served without TLS, and anyone on the path can read \
                 and change what they send"
                    .to_owned(),
            );
        }
        General {
            listen: self.host_and_port("General.ListenAddress", "General.ListenPort"),
            keepalive: Keepalive {
                server_interval_min: self.values.duration("General.Keepalive.ServerMinInterval"),
                server_interval: self.values.duration("General.Keepalive.ServerInterval"),
                server_timeout: self.values.duration("General.Keepalive.ServerTimeout"),
            },
            connection_timeout: self.values.duration("General.ConnectionTimeout"),
            recv_bytes_max: self.bytes("General.MaxRecvMsgSize"),
            local_msp_dir: PathBuf::from(self.values.text("General.LocalMSPDir")),
            local_msp_id: self.values.text("General.LocalMSPID").to_owned(),
            bccsp: self.bccsp(),
            authentication: Authentication {
                time_window: self.values.duration("General.Authentication.TimeWindow"),
                no_expiration_checks: self.values.flag("General.Authentication.NoExpirationChecks"),
            },
            acknowledge: match self.values.text("General.Broadcast.Acknowledge") {
                "committed" => Acknowledge::Committed,
                _ => Acknowledge::Accepted,
            },
            throttling: self.throttling(tls.as_ref()),
            limits: self.limits(),
            disk_guard: self.disk_guard(),
            cert_reload_interval: Some(self.values.duration("General.CertReloadInterval"))
                .filter(|interval| !interval.is_zero()),
            leader_wait: self.values.duration_if_set("General.Broadcast.LeaderWait"),
            cluster,
            tls,
            tracing: self.tracing(),
        }
    }

    /// Off without an endpoint.
    fn tracing(&mut self) -> Option<Tracing> {
        let text = self.values.text("General.Tracing.Endpoint");
        let sample_ratio = self.values.decimal("General.Tracing.SampleRatio");
        if !(0.0..=1.0).contains(&sample_ratio) {
            let what =
                format!("General.Tracing.SampleRatio is {sample_ratio}; a number from 0 to 1 is expected");
            self.problem("General.Tracing.SampleRatio", what);
        }
        if text.is_empty() {
            return None;
        }
        let whole = match text.trim_end_matches('/').matches('/').count() {
            2 => format!("{}/v1/traces", text.trim_end_matches('/')),
            _ => text.to_owned(),
        };
        let parsed = whole.parse::<http::Uri>().ok();
        let endpoint = parsed.filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
        let Some(endpoint) = endpoint else {
            let what = format!(
                "General.Tracing.Endpoint is '{text}'; http://HOST:PORT or http://HOST:PORT/PATH of a collector is \
                 expected (without TLS: a collector on the same machine passes it on)"
            );
            self.problem("General.Tracing.Endpoint", what);
            return None;
        };
        Some(Tracing {
            endpoint,
            sample_ratio,
        })
    }

    /// Only `none` is left in v3; a file with another method expects a system channel.
    fn check_bootstrap(&mut self) {
        let method = self.values.text("General.BootstrapMethod");
        if method != "none" {
            let what = format!(
                "General.BootstrapMethod is '{method}', but only 'none' exists since v3: channels are joined \
                 through the admin API"
            );
            self.problem("General.BootstrapMethod", what);
        }
    }

    fn bccsp(&mut self) -> Bccsp {
        if self.values.text("General.BCCSP.Default") == "PKCS11" {
            let what = "General.BCCSP.Default is PKCS11, which is not supported; refusing to look for the key in a \
                        file instead";
            self.problem("General.BCCSP.Default", what.to_owned());
        }
        let security = self.values.number("General.BCCSP.SW.Security");
        if security != 256 && security != 384 {
            let what = format!("General.BCCSP.SW.Security is {security}; 256 and 384 exist");
            self.problem("General.BCCSP.SW.Security", what);
        }
        let key_store = self.values.text("General.BCCSP.SW.FileKeyStore.KeyStore");
        Bccsp {
            hash: self.values.text("General.BCCSP.SW.Hash").to_owned(),
            security_bits: u32::try_from(security).unwrap_or_default(),
            key_store: Some(key_store).filter(|path| !path.is_empty()).map(PathBuf::from),
        }
    }

    /// Without a location, blocks go beside the file, as in the reference; said aloud, since few want that.
    fn ledger(&mut self, file: &Path) -> FileLedger {
        let written = self.values.text("FileLedger.Location");
        let location = match written {
            "" => file.parent().unwrap_or(Path::new(".")).to_owned(),
            written => PathBuf::from(written),
        };
        if written.is_empty() {
            self.warnings.push(format!(
                "FileLedger.Location is not set: blocks are kept in {}",
                location.display()
            ));
        }
        FileLedger { location }
    }

    fn debug(&self) -> Debug {
        let folder =
            |key| Some(PathBuf::from(self.values.text(key))).filter(|path| !path.as_os_str().is_empty());
        Debug {
            broadcast_trace: folder("Debug.BroadcastTraceDir"),
            deliver_trace: folder("Debug.DeliverTraceDir"),
        }
    }

    fn admin(&mut self) -> Admin {
        let tls = self.tls("Admin.TLS");
        if tls.as_ref().is_some_and(|tls| !tls.client_auth_required) {
            let what = "Admin.TLS.Enabled is true, so Admin.TLS.ClientAuthRequired must be true as well: whoever \
                        reaches the admin listener may add and remove channels";
            self.problem("Admin.TLS.ClientAuthRequired", what.to_owned());
        }
        let listen = self.listen("Admin.ListenAddress");
        if tls.is_none() && !listen.is_loopback() {
            self.warnings.push(format!(
                "Admin.TLS.Enabled is false and Admin.ListenAddress is {listen}: whoever reaches that address may \
                 add and remove channels"
            ));
        }
        Admin { listen, tls }
    }

    fn operations(&mut self) -> Operations {
        let tls = self.tls("Operations.TLS");
        let listen = self.listen("Operations.ListenAddress");
        if tls.is_none() && !listen.is_loopback() {
            self.warnings.push(format!(
                "Operations.TLS.Enabled is false and Operations.ListenAddress is {listen}: whoever reaches that \
                 address may read the metrics and the names of the channels, and change what is logged"
            ));
        }
        Operations { listen, tls }
    }

    fn listen(&mut self, path: &str) -> Listen {
        let text = self.values.text(path);
        Listen::parse(text).unwrap_or_else(|| {
            self.problem(path, format!("{path} is '{text}', but HOST:PORT is expected"));
            Listen {
                host: String::new(),
                port: 0,
            }
        })
    }

    /// The TLS section at `section`; none when it is not enabled.
    fn tls(&mut self, section: &str) -> Option<ServerTls> {
        let name = |key: &str| format!("{section}.{key}");
        if !self.values.flag(&name("Enabled")) {
            return None;
        }
        let tls = ServerTls {
            private_key: PathBuf::from(self.values.text(&name("PrivateKey"))),
            certificate: PathBuf::from(self.values.text(&name("Certificate"))),
            root_cas: self.paths(&name("RootCAs")),
            client_auth_required: self.values.flag(&name("ClientAuthRequired")),
            client_root_cas: self.paths(&name("ClientRootCAs")),
            handshake_time_shift: self.values.duration(&name("TLSHandshakeTimeShift")),
        };
        for (key, path) in [
            ("PrivateKey", &tls.private_key),
            ("Certificate", &tls.certificate),
        ] {
            if path.as_os_str().is_empty() {
                let what = format!("{} is true, but {} is not set", name("Enabled"), name(key));
                self.problem(&name("Enabled"), what);
            }
        }
        Some(tls)
    }

    fn paths(&self, path: &str) -> Vec<PathBuf> {
        self.values.list(path).iter().map(PathBuf::from).collect()
    }

    fn bytes(&self, path: &str) -> usize {
        usize::try_from(self.values.number(path)).unwrap_or(usize::MAX)
    }

    fn warn_of_keys(&mut self) {
        for (key, why) in self.values.unsupported() {
            self.warnings
                .push(format!("{key} is set, but has no effect here: {why}"));
        }
        if !self.values.unknown_accepted.is_empty() {
            let keys = self.values.unknown_accepted.join(", ");
            self.warnings
                .push(format!("these keys are set but unknown: {keys}"));
        }
    }

    fn warn_of_variables(&mut self) {
        if !self.values.idle_variables.is_empty() {
            let names = self.values.idle_variables.join(", ");
            self.warnings
                .push(format!("these environment variables set no key: {names}"));
        }
    }

    fn problem(&mut self, path: &str, what: String) {
        self.problems.push(Problem {
            origin: self.values.origin(path),
            what,
        });
    }
}
