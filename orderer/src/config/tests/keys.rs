//! Every key of the table: its default, and that file and environment reach it.

use super::super::keys::{Effect, KEYS, Key, Kind};
use super::*;

/// Each key with what is in force where nothing is set: `docs/spec/behaviour.md` §10.2, "def", and where `Config` says
/// that we differ, ours.
const DEFAULTS: &[(&str, &str)] = &[
    ("General.ListenAddress", "\"127.0.0.1\""),
    ("General.ListenPort", "7050"),
    ("General.TLS.Enabled", "false"),
    ("General.TLS.PrivateKey", "\"\""),
    ("General.TLS.Certificate", "\"\""),
    ("General.TLS.RootCAs", "[]"),
    ("General.TLS.ClientAuthRequired", "false"),
    ("General.TLS.ClientRootCAs", "[]"),
    ("General.TLS.TLSHandshakeTimeShift", "0s"),
    ("General.Keepalive.ServerMinInterval", "1m0s"),
    ("General.Keepalive.ServerInterval", "2h0m0s"),
    ("General.Keepalive.ServerTimeout", "20s"),
    ("General.Backoff.BaseDelay", "1s"),
    ("General.Backoff.Multiplier", "1.6"),
    ("General.Backoff.MaxDelay", "2m0s"),
    ("General.ConnectionTimeout", "5s"),
    ("General.MaxRecvMsgSize", "104857600"),
    ("General.Throttling.Rate", "0"),
    ("General.Throttling.InactivityTimeout", "5s"),
    ("General.Limits.Connections", "10000"),
    ("General.Limits.Handshakes", "1024"),
    ("General.Limits.StreamsPerConnection", "1024"),
    ("General.Limits.HeaderTime", "10s"),
    ("General.DiskGuard.MinFree", "100 MB"),
    ("General.DiskGuard.ResumeFree", "150 MB"),
    ("General.DiskGuard.Interval", "1s"),
    ("General.CertReloadInterval", "10s"),
    ("General.Broadcast.Acknowledge", "\"accepted\""),
    ("General.Broadcast.LeaderWait", "\"\""),
    ("General.Tracing.Endpoint", "\"\""),
    ("General.Tracing.SampleRatio", "0.01"),
    ("General.Cluster.SendBufferSize", "100"),
    ("General.Cluster.ClientCertificate", "\"\""),
    ("General.Cluster.ClientPrivateKey", "\"\""),
    ("General.Cluster.ListenPort", "0"),
    ("General.Cluster.ListenAddress", "\"\""),
    ("General.Cluster.ServerCertificate", "\"\""),
    ("General.Cluster.ServerPrivateKey", "\"\""),
    ("General.Cluster.RootCAs", "[]"),
    ("General.Cluster.DialTimeout", "5s"),
    ("General.Cluster.RPCTimeout", "7s"),
    ("General.Cluster.ReplicationBufferSize", "20971520"),
    ("General.Cluster.ReplicationPullTimeout", "5s"),
    ("General.Cluster.ReplicationRetryTimeout", "5s"),
    ("General.Cluster.CertExpirationWarningThreshold", "168h0m0s"),
    ("General.Cluster.TLSHandshakeTimeShift", "0s"),
    ("General.BootstrapMethod", "\"none\""),
    ("General.LocalMSPDir", "\"/etc/node/msp\""),
    ("General.LocalMSPID", "\"SampleOrg\""),
    ("General.BCCSP.Default", "\"SW\""),
    ("General.BCCSP.SW.Hash", "\"SHA2\""),
    ("General.BCCSP.SW.Security", "256"),
    (
        "General.BCCSP.SW.FileKeyStore.KeyStore",
        "\"/etc/node/msp/keystore\"",
    ),
    ("General.Authentication.TimeWindow", "15m0s"),
    ("General.Authentication.NoExpirationChecks", "false"),
    ("FileLedger.Location", "\"/etc/node\""),
    ("Admin.ListenAddress", "\"127.0.0.1:9443\""),
    ("Admin.TLS.Enabled", "false"),
    ("Admin.TLS.PrivateKey", "\"\""),
    ("Admin.TLS.Certificate", "\"\""),
    ("Admin.TLS.RootCAs", "[]"),
    ("Admin.TLS.ClientAuthRequired", "false"),
    ("Admin.TLS.ClientRootCAs", "[]"),
    ("Admin.TLS.TLSHandshakeTimeShift", "0s"),
    ("ChannelParticipation.MaxRequestBodySize", "1048576"),
    ("Consensus.WALDir", "\"/etc/node/etcdraft/wal\""),
    ("Consensus.SnapDir", "\"/etc/node/etcdraft/snapshot\""),
    ("Consensus.EvictionSuspicion", "10m0s"),
    ("Consensus.TickIntervalOverride", "\"\""),
];

/// Sections whose keys are proved where they are used: the operations listener, metrics, traces.
const ELSEWHERE: [&str; 3] = ["Operations.", "Metrics.", "Debug."];

#[test]
fn every_key_has_the_default_of_the_reference() {
    let effective = good("").effective;
    for (key, value) in DEFAULTS {
        let found = effective.iter().find(|setting| setting.key == *key);
        assert_eq!(found.map(|setting| setting.value.as_str()), Some(*value), "{key}");
    }
    let is_listed = |key: &Key| DEFAULTS.iter().any(|(listed, _)| *listed == key.path);
    let left_out: Vec<_> = KEYS
        .iter()
        .filter(|key| key.effect == Effect::Full && !is_listed(key))
        .map(|key| key.path)
        .filter(|path| !ELSEWHERE.iter().any(|section| path.starts_with(section)))
        .collect();
    assert_eq!(
        left_out, [""; 0],
        "their defaults are not in the table of this test"
    );
}

/// A value that is nobody's default, with how it is shown.
fn sample(key: &Key) -> (String, String) {
    match key.kind {
        Kind::Text if key.path == "General.BootstrapMethod" => ("none".into(), "\"none\"".into()),
        Kind::Text if key.path.ends_with("ListenAddress") && !key.path.starts_with("General") => {
            ("127.0.0.1:4321".into(), "\"127.0.0.1:4321\"".into())
        }
        Kind::Text if key.path == "General.Tracing.Endpoint" => {
            ("http://localhost:1/x".into(), "\"http://localhost:1/x\"".into())
        }
        Kind::Text => ("sample".into(), "\"sample\"".into()),
        Kind::Secret => ("sesame".into(), "(secret)".into()),
        Kind::Choice(choices) if key.path.ends_with("BCCSP.Default") => {
            (choices[0].to_lowercase(), format!("{:?}", choices[0]))
        }
        Kind::Choice(choices) => (choices[1].to_uppercase(), format!("{:?}", choices[1])),
        // With TLS enabled other keys are wanted; that is proved elsewhere.
        Kind::Flag if key.path.ends_with("TLS.Enabled") => ("false".into(), "false".into()),
        Kind::Flag => ("true".into(), "true".into()),
        Kind::Port => ("4321".into(), "4321".into()),
        Kind::Count if key.path.ends_with("Security") => ("384".into(), "384".into()),
        Kind::Count => ("77".into(), "77".into()),
        Kind::Size => ("2 MB".into(), "2097152".into()),
        Kind::Room => ("7 GB".into(), "7 GB".into()),
        Kind::Decimal if key.path.ends_with("SampleRatio") => ("0.5".into(), "0.5".into()),
        Kind::Decimal => ("2.5".into(), "2.5".into()),
        Kind::Duration => ("1m7s".into(), "1m7s".into()),
        Kind::Path(_) => ("/some/path".into(), "\"/some/path\"".into()),
        Kind::Paths(_) => ("[/a, /b]".into(), "[/a, /b]".into()),
    }
}

/// Keys that are only taken together with others.
const TOGETHER: [&str; 7] = [
    "General.Cluster.ListenPort",
    "General.Cluster.ListenAddress",
    "General.Cluster.ServerCertificate",
    "General.Cluster.ServerPrivateKey",
    "General.Cluster.ClientCertificate",
    "General.Cluster.ClientPrivateKey",
    "General.DiskGuard.MinFree",
];

/// What must stand beside `key`, at the same place.
fn companions(key: &Key) -> Vec<(&'static str, String)> {
    let group: &[&str] = match key.path {
        "General.DiskGuard.MinFree" => return vec![("General.DiskGuard.ResumeFree", "8 GB".to_owned())],
        path if TOGETHER.contains(&path) => &TOGETHER[..6],
        _ => &[],
    };
    let others = KEYS
        .iter()
        .filter(|other| group.contains(&other.path) && other.path != key.path);
    others.map(|other| (other.path, sample(other).0)).collect()
}

/// A file that sets these, each in a section of its own nesting.
fn file_with(settings: &[(&str, String)]) -> String {
    let mut tree = serde_json::Map::new();
    for (path, value) in settings {
        let mut names: Vec<&str> = path.split('.').collect();
        let last = names.pop().expect("a name");
        let mut section = &mut tree;
        for name in names {
            let inner = section.entry(name).or_insert_with(|| serde_json::json!({}));
            section = inner.as_object_mut().expect("a section");
        }
        section.insert(last.to_owned(), serde_json::json!(value));
    }
    // JSON is YAML.
    serde_json::Value::Object(tree).to_string()
}

fn assert_shown(config: &Config, key: &Key, shown: &str, is_origin: impl Fn(&Origin) -> bool) {
    let found = config.effective.iter().find(|setting| setting.key == key.path);
    let found = found.unwrap_or_else(|| panic!("{} is not listed", key.path));
    assert_eq!(found.value, shown, "{}", key.path);
    assert!(is_origin(&found.origin), "{}: {:?}", key.path, found.origin);
}

#[test]
fn every_key_can_be_set_in_the_file() {
    for key in KEYS {
        let (value, shown) = sample(key);
        let mut all = companions(key);
        all.push((key.path, value));
        let config = good(&file_with(&all));
        if key.effect == Effect::Full {
            assert_shown(&config, key, &shown, |origin| matches!(origin, Origin::Line(1)));
        }
    }
}

#[test]
fn every_key_can_be_set_by_its_variable_whether_or_not_its_section_is_in_the_file() {
    for key in KEYS {
        let (value, shown) = sample(key);
        let mut all = companions(key);
        all.push((key.path, value));
        let variables: Vec<(String, String)> = all
            .iter()
            .map(|(path, value)| {
                (
                    format!("ORDERER_{}", path.replace('.', "_").to_uppercase()),
                    value.clone(),
                )
            })
            .collect();
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let section = key.path.rsplit_once('.').map_or("", |(section, _)| section);
        let with_section =
            file_with(&[(&format!("{section}.File"), String::new())]).replace("\"File\":\"\"", "");
        for text in ["", &with_section] {
            let config = parse_with(text, &variables).unwrap_or_else(|error| panic!("{}: {error}", key.path));
            if key.effect == Effect::Full {
                assert_shown(
                    &config,
                    key,
                    &shown,
                    |origin| matches!(origin, Origin::Variable(name) if *name == key.variable()),
                );
            }
        }
    }
}

#[test]
fn every_key_may_be_empty_or_null_and_is_then_as_absent() {
    let absent = good("").effective;
    for key in KEYS {
        for nothing in ["\"\"", "null", "~", "{}"] {
            let (section, name) = key.path.rsplit_once('.').expect("a section");
            let mut text = format!("{{{name}: {nothing}}}");
            for outer in section.rsplit('.') {
                text = format!("{{{outer}: {text}}}");
            }
            assert_eq!(good(&text).effective, absent, "{text}");
        }
    }
}
