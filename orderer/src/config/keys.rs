//! The table of every key of `orderer.yaml` (`docs/spec/behaviour.md` §10.2).
//!
//! Parsing, defaults, environment names, warnings and suggestions all read this table, so a key is added here
//! and in `assemble`, nowhere else.

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted path in the reference's spelling; matched without regard to case.
    pub path: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// The value when absent, empty or null, in the file's own notation; empty: none.
    pub default: &'static str,
    /// Whether a written 0 means the default too, as in the reference.
    pub zero_is_default: bool,
    /// What setting it does.
    pub effect: Effect,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that is never printed.
    Secret,
    /// One of these, case ignored.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// 0 to 65535.
    Port,
    /// A whole number.
    Count,
    /// Bytes: `65536`, `64k`, `1 MB`; below 4 GiB.
    Size,
    /// Bytes of a disk: as a size, of any size.
    Room,
    /// A number with a fraction.
    Decimal,
    /// A Go duration: `5s`, `1m0s`.
    Duration,
    /// A file or folder.
    Path(Base),
    /// Several files.
    Paths(Base),
}

/// What a relative path is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The folder of `orderer.yaml`.
    ConfigFile,
    /// The working directory of the process.
    WorkingDirectory,
}

/// What setting a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does what the reference documents.
    Full,
    /// Accepted and ignored, as the reference ignores it.
    Ignored,
    /// Checked for its shape only: there is no such feature here, for the reason given. A warning says so where the key is
    /// set to something else than its default.
    Unsupported(&'static str),
}

/// Sections whose unknown keys are accepted, with a warning: the reference takes anything there.
pub const OPEN_SECTIONS: [&str; 2] = ["Consensus", "General.BCCSP.PKCS11"];

/// Keys and sections of earlier versions: refused like unknown ones, with what to do instead.
pub const REMOVED: [(&str, &str); 6] = [
    ("Kafka", "Kafka ordering is gone since v3; delete the section"),
    ("RAMLedger", "the ledger is always on disk; delete the section"),
    (
        "General.LedgerType",
        "the ledger is always on disk; delete the key",
    ),
    (
        "General.LogLevel",
        "set FABRIC_LOGGING_SPEC in the environment instead",
    ),
    (
        "General.GenesisProfile",
        "channels are joined through the admin API; delete the key",
    ),
    (
        "General.SystemChannel",
        "there is no system channel since v3; delete the key",
    ),
];

const fn key(path: &'static str, kind: Kind, default: &'static str) -> Key {
    Key {
        path,
        kind,
        default,
        zero_is_default: false,
        effect: Effect::Full,
    }
}

const fn unsupported(path: &'static str, kind: Kind, default: &'static str, why: &'static str) -> Key {
    Key {
        effect: Effect::Unsupported(why),
        ..key(path, kind, default)
    }
}

const fn ignored(path: &'static str, kind: Kind) -> Key {
    ignored_beside(path, kind, "")
}

/// Another key says that the feature is wanted, and that one is refused or warned of.
const fn ignored_beside(path: &'static str, kind: Kind, default: &'static str) -> Key {
    Key {
        effect: Effect::Ignored,
        ..key(path, kind, default)
    }
}

const fn or_zero(key: Key) -> Key {
    Key {
        zero_is_default: true,
        ..key
    }
}

const FILE: Kind = Kind::Path(Base::ConfigFile);
const FILES: Kind = Kind::Paths(Base::ConfigFile);
const CWD_FILE: Kind = Kind::Path(Base::WorkingDirectory);
const CWD_FILES: Kind = Kind::Paths(Base::WorkingDirectory);

/// Every key, in the order of the reference's sample file.
pub const KEYS: &[Key] = &[
    key("General.ListenAddress", Kind::Text, "127.0.0.1"),
    or_zero(key("General.ListenPort", Kind::Port, "7050")),
    key("General.TLS.Enabled", Kind::Flag, "false"),
    key("General.TLS.PrivateKey", FILE, ""),
    key("General.TLS.Certificate", FILE, ""),
    key("General.TLS.RootCAs", FILES, ""),
    key("General.TLS.ClientAuthRequired", Kind::Flag, "false"),
    key("General.TLS.ClientRootCAs", FILES, ""),
    key("General.TLS.TLSHandshakeTimeShift", Kind::Duration, "0s"),
    or_zero(key("General.Keepalive.ServerMinInterval", Kind::Duration, "60s")),
    or_zero(key("General.Keepalive.ServerInterval", Kind::Duration, "2h")),
    or_zero(key("General.Keepalive.ServerTimeout", Kind::Duration, "20s")),
    or_zero(key("General.Backoff.BaseDelay", Kind::Duration, "0s")),
    or_zero(key("General.Backoff.Multiplier", Kind::Decimal, "0")),
    or_zero(key("General.Backoff.MaxDelay", Kind::Duration, "0s")),
    or_zero(key("General.ConnectionTimeout", Kind::Duration, "5s")),
    or_zero(key("General.MaxRecvMsgSize", Kind::Size, "104857600")),
    or_zero(unsupported(
        "General.MaxSendMsgSize",
        Kind::Size,
        "104857600",
        "a block is sent whatever its size, since no reader could go on without it; who takes less refuses it",
    )),
    key("General.Throttling.Rate", Kind::Count, "0"),
    or_zero(key("General.Throttling.InactivityTimeout", Kind::Duration, "5s")),
    or_zero(key("General.Limits.Connections", Kind::Count, "10000")),
    or_zero(key("General.Limits.Handshakes", Kind::Count, "1024")),
    or_zero(key("General.Limits.StreamsPerConnection", Kind::Count, "1024")),
    or_zero(key("General.Limits.HeaderTime", Kind::Duration, "10s")),
    key("General.DiskGuard.MinFree", Kind::Room, "100 MB"),
    or_zero(key("General.DiskGuard.ResumeFree", Kind::Room, "")),
    or_zero(key("General.DiskGuard.Interval", Kind::Duration, "1s")),
    key("General.CertReloadInterval", Kind::Duration, "10s"),
    key(
        "General.Broadcast.Acknowledge",
        Kind::Choice(&["accepted", "committed"]),
        "accepted",
    ),
    key("General.Broadcast.LeaderWait", Kind::Duration, ""),
    key("General.Tracing.Endpoint", Kind::Text, ""),
    key("General.Tracing.SampleRatio", Kind::Decimal, "0.01"),
    or_zero(key("General.Cluster.SendBufferSize", Kind::Count, "100")),
    key("General.Cluster.ClientCertificate", FILE, ""),
    key("General.Cluster.ClientPrivateKey", FILE, ""),
    key("General.Cluster.ListenPort", Kind::Port, "0"),
    key("General.Cluster.ListenAddress", Kind::Text, ""),
    key("General.Cluster.ServerCertificate", CWD_FILE, ""),
    key("General.Cluster.ServerPrivateKey", CWD_FILE, ""),
    key("General.Cluster.RootCAs", FILES, ""),
    or_zero(key("General.Cluster.DialTimeout", Kind::Duration, "5s")),
    or_zero(key("General.Cluster.RPCTimeout", Kind::Duration, "7s")),
    or_zero(key(
        "General.Cluster.ReplicationBufferSize",
        Kind::Size,
        "20971520",
    )),
    or_zero(key(
        "General.Cluster.ReplicationPullTimeout",
        Kind::Duration,
        "5s",
    )),
    or_zero(key(
        "General.Cluster.ReplicationRetryTimeout",
        Kind::Duration,
        "5s",
    )),
    or_zero(unsupported(
        "General.Cluster.ReplicationMaxRetries",
        Kind::Count,
        "12",
        "blocks that are missing are asked for until they are there",
    )),
    ignored(
        "General.Cluster.ReplicationBackgroundRefreshInterval",
        Kind::Duration,
    ),
    unsupported(
        "General.Cluster.ReplicationPolicy",
        Kind::Choice(&["consensus", "simple"]),
        "consensus",
        "blocks are fetched from several orderers and each is verified, whatever the policy",
    ),
    or_zero(key(
        "General.Cluster.CertExpirationWarningThreshold",
        Kind::Duration,
        "168h",
    )),
    key("General.Cluster.TLSHandshakeTimeShift", Kind::Duration, "0s"),
    key("General.BootstrapMethod", Kind::Text, "none"),
    ignored("General.BootstrapFile", FILE),
    ignored("General.GenesisMethod", Kind::Text),
    ignored("General.GenesisFile", FILE),
    key("General.LocalMSPDir", FILE, "msp"),
    key("General.LocalMSPID", Kind::Text, "SampleOrg"),
    unsupported(
        "General.Profile.Enabled",
        Kind::Flag,
        "false",
        "the profiles are those of a Go program; use perf on the process, and the metrics of the operations listener",
    ),
    ignored_beside("General.Profile.Address", Kind::Text, "0.0.0.0:6060"),
    key("General.BCCSP.Default", Kind::Choice(&["SW", "PKCS11"]), "SW"),
    key("General.BCCSP.SW.Hash", Kind::Choice(&["SHA2", "SHA3"]), "SHA2"),
    or_zero(key("General.BCCSP.SW.Security", Kind::Count, "256")),
    key("General.BCCSP.SW.FileKeyStore.KeyStore", CWD_FILE, ""),
    ignored("General.BCCSP.PKCS11.Library", CWD_FILE),
    ignored("General.BCCSP.PKCS11.Label", Kind::Text),
    ignored("General.BCCSP.PKCS11.Pin", Kind::Secret),
    ignored("General.BCCSP.PKCS11.Hash", Kind::Text),
    ignored_beside("General.BCCSP.PKCS11.Security", Kind::Count, "0"),
    ignored_beside("General.BCCSP.PKCS11.Immutable", Kind::Flag, "false"),
    ignored("General.BCCSP.PKCS11.AltID", Kind::Text),
    ignored("General.BCCSP.PKCS11.FileKeyStore.KeyStore", CWD_FILE),
    or_zero(key("General.Authentication.TimeWindow", Kind::Duration, "15m")),
    key("General.Authentication.NoExpirationChecks", Kind::Flag, "false"),
    key("FileLedger.Location", FILE, ""),
    ignored("FileLedger.Prefix", Kind::Text),
    key("Debug.BroadcastTraceDir", CWD_FILE, ""),
    key("Debug.DeliverTraceDir", CWD_FILE, ""),
    key("Operations.ListenAddress", Kind::Text, "127.0.0.1:0"),
    key("Operations.TLS.Enabled", Kind::Flag, "false"),
    key("Operations.TLS.PrivateKey", CWD_FILE, ""),
    key("Operations.TLS.Certificate", CWD_FILE, ""),
    key("Operations.TLS.RootCAs", CWD_FILES, ""),
    key("Operations.TLS.ClientAuthRequired", Kind::Flag, "false"),
    key("Operations.TLS.ClientRootCAs", CWD_FILES, ""),
    key("Operations.TLS.TLSHandshakeTimeShift", Kind::Duration, "0s"),
    key(
        "Metrics.Provider",
        Kind::Choice(&["disabled", "prometheus", "statsd"]),
        "disabled",
    ),
    key("Metrics.Statsd.Network", Kind::Choice(&["udp", "tcp"]), "udp"),
    key("Metrics.Statsd.Address", Kind::Text, "127.0.0.1:8125"),
    or_zero(key("Metrics.Statsd.WriteInterval", Kind::Duration, "30s")),
    key("Metrics.Statsd.Prefix", Kind::Text, ""),
    key("Admin.ListenAddress", Kind::Text, "127.0.0.1:9443"),
    key("Admin.TLS.Enabled", Kind::Flag, "false"),
    key("Admin.TLS.PrivateKey", CWD_FILE, ""),
    key("Admin.TLS.Certificate", CWD_FILE, ""),
    key("Admin.TLS.RootCAs", CWD_FILES, ""),
    key("Admin.TLS.ClientAuthRequired", Kind::Flag, "false"),
    key("Admin.TLS.ClientRootCAs", CWD_FILES, ""),
    key("Admin.TLS.TLSHandshakeTimeShift", Kind::Duration, "0s"),
    ignored("ChannelParticipation.Enabled", Kind::Flag),
    or_zero(key("ChannelParticipation.MaxRequestBodySize", Kind::Size, "1 MB")),
    key("Consensus.WALDir", CWD_FILE, ""),
    key("Consensus.SnapDir", CWD_FILE, ""),
    or_zero(key("Consensus.EvictionSuspicion", Kind::Duration, "10m")),
    key("Consensus.TickIntervalOverride", Kind::Duration, ""),
];

impl Key {
    /// The environment variable that overrides it.
    pub fn variable(&self) -> String {
        format!("ORDERER_{}", self.path.replace('.', "_").to_ascii_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::kind;
    use super::*;

    #[test]
    fn every_default_is_a_value_of_its_kind() {
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            assert!(kind::parse(key.kind, key.default).is_ok(), "{}", key.path);
        }
    }

    #[test]
    fn no_two_keys_share_a_path_or_a_variable() {
        let paths: BTreeSet<String> = KEYS.iter().map(|key| key.path.to_lowercase()).collect();
        let variables: BTreeSet<String> = KEYS.iter().map(Key::variable).collect();
        assert_eq!(paths.len(), KEYS.len());
        assert_eq!(variables.len(), KEYS.len());
    }
}
