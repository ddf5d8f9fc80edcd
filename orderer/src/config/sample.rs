//! The sample that is shipped, `packaging/orderer.yaml`, against the table of keys.

use std::collections::BTreeSet;
use std::path::Path;

use super::keys::KEYS;
use super::{Config, Effective, Environment, file};

/// Keys whose packaged value differs from the default; the sample says why at each.
const PACKAGED: [&str; 8] = [
    "General.TLS.PrivateKey",
    "General.TLS.Certificate",
    "General.TLS.RootCAs",
    "FileLedger.Location",
    "Operations.ListenAddress",
    "Admin.TLS.ClientAuthRequired",
    "Consensus.WALDir",
    "Consensus.SnapDir",
];

fn sample() -> (std::path::PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/orderer.yaml");
    let text = std::fs::read_to_string(&path).expect("the sample");
    (path, text)
}

#[test]
fn the_shipped_sample_has_every_key_once_and_no_other() {
    let (path, text) = sample();
    let written = file::settings(&path, &text).expect("a file of settings");
    let written: Vec<String> = written.into_iter().map(|setting| setting.path).collect();
    for key in KEYS {
        let times = written.iter().filter(|path| *path == key.path).count();
        assert_eq!(times, 1, "{} stands {times} times in the sample", key.path);
    }
    for path in &written {
        let is_section = KEYS.iter().any(|key| key.path.starts_with(&format!("{path}.")));
        assert!(
            is_section || KEYS.iter().any(|key| key.path == path),
            "{path} is no key"
        );
    }
}

#[test]
fn the_shipped_sample_has_the_defaults_except_where_it_says_packaged() {
    let (path, text) = sample();
    let read = |text: &str| Config::parse(&path, text, &Environment::new()).expect("a configuration");
    let (shipped, defaults) = (read(&text), read(""));
    let differing: BTreeSet<&str> = shipped
        .effective
        .iter()
        .filter(|setting| {
            let same = |other: &&Effective| other.key == setting.key && other.value == setting.value;
            !defaults.effective.iter().any(|other| same(&other))
        })
        .map(|setting| setting.key)
        .collect();
    assert_eq!(differing, BTreeSet::from(PACKAGED));
    assert_eq!(
        Config {
            effective: Vec::new(),
            warnings: Vec::new(),
            ledger: defaults.ledger.clone(),
            consensus: defaults.consensus.clone(),
            operations: defaults.operations.clone(),
            ..shipped.clone()
        },
        Config {
            effective: Vec::new(),
            warnings: Vec::new(),
            ..defaults
        },
        "what the node makes of them is the same as without a file"
    );
}

#[test]
fn the_shipped_sample_warns_of_missing_tls_only() {
    let (path, text) = sample();
    let shipped = Config::parse(&path, &text, &Environment::new()).expect("a configuration");
    let [warning] = &shipped.warnings[..] else {
        panic!("{:?}", shipped.warnings);
    };
    assert!(warning.starts_with("General.TLS.Enabled is false"), "{warning}");
}
