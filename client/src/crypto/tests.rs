//! What the conformance vectors do not show: time, refusals, and what stays after a failure.

use std::time::{Duration, SystemTime};

use x509_parser::prelude::*;

use super::*;

fn org(domain: &str) -> OrgSpec {
    OrgSpec::new(OrgKind::Orderer, domain, KeyType::Ed25519).with_node("o", &[])
}

/// Every path below `root` with the bytes of files.
fn contents(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
                found.push((path, Vec::new()));
            } else {
                found.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn validity_is_whole_minutes_backdated_by_five() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + 29);
    let org = OrgSpec::new(OrgKind::Peer, "a.test", KeyType::Ed25519);
    let tree = org.files(at).unwrap();
    let (_, certificate, _) = tree
        .files()
        .find(|(path, ..)| path.starts_with("peerOrganizations/a.test/ca") && path.extension().is_some())
        .unwrap();
    let pem = ::pem::parse(certificate).unwrap();
    let (_, certificate) = X509Certificate::from_der(pem.contents()).unwrap();
    assert_eq!(certificate.validity().not_before.timestamp(), 1_800_000_000 - 300);
}

#[test]
fn nothing_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let made = make(root.path(), &[org("a.test")], now).unwrap();
    let key = made[0].node_msp("o.a.test").join("keystore/priv_sk");
    let before = std::fs::read(&key).unwrap();
    let error = make(root.path(), &[org("b.test"), org("a.test")], now).unwrap_err();
    assert!(matches!(error, CryptoError::Exists { .. }), "{error}");
    assert_eq!(std::fs::read(&key).unwrap(), before);
    assert!(!root.path().join("ordererOrganizations/b.test").exists());
}

#[test]
fn private_keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().unwrap();
    let org = OrgSpec::new(OrgKind::Orderer, "a.test", KeyType::P256).with_node("o", &[]);
    let made = make(root.path(), &[org], SystemTime::now()).unwrap();
    for path in [
        made[0].node_msp("o.a.test").join("keystore/priv_sk"),
        made[0].node_tls("o.a.test").join("server.key"),
        made[0].user_tls("Admin@a.test").join("client.key"),
    ] {
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn host_names_that_no_certificate_can_carry_are_refused() {
    let org = OrgSpec::new(OrgKind::Orderer, "a.test", KeyType::P256).with_node("ö", &[]);
    let error = org.files(SystemTime::now()).unwrap_err();
    assert!(matches!(error, CryptoError::HostName { .. }), "{error}");
}

#[test]
fn an_organisation_made_anew_leaves_the_old_one_beside_it() {
    let root = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let key = |org: &OrgPaths| std::fs::read(org.root().join("ca/priv_sk")).unwrap();
    let first = key(&make(root.path(), &[org("a.test")], now).unwrap()[0]);
    let second = key(&make_anew(root.path(), &[org("a.test"), org("b.test")], now).unwrap()[0]);
    let third = key(&make_anew(root.path(), &[org("a.test")], now).unwrap()[0]);
    let old = |name: &str| key(&OrgPaths::below(root.path(), OrgKind::Orderer, name));
    assert_eq!((old("a.test.old"), old("a.test.old2")), (first, second.clone()));
    assert!(third != second);
}

#[test]
fn a_failure_leaves_everything_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    make(root.path(), &[org("a.test")], now).unwrap();
    // A file where a folder has to be: the disk refuses half-way.
    std::fs::write(root.path().join("peerOrganizations"), "").unwrap();
    let before = contents(root.path());
    let peers = OrgSpec::new(OrgKind::Peer, "p.test", KeyType::P256);
    let orgs = [org("a.test"), org("b.test"), peers];
    for outcome in [
        make(root.path(), &orgs[1..], now).map(drop),
        make_anew(root.path(), &orgs, now).map(drop),
        extend(root.path(), &orgs, now).map(drop),
    ] {
        assert!(matches!(outcome, Err(CryptoError::Write { .. })), "{outcome:?}");
        assert!(contents(root.path()) == before);
    }
    let new = root.path().join("new");
    let bad = OrgSpec::new(OrgKind::Orderer, "a.test", KeyType::P256).with_node("ö", &[]);
    make(&new, &[org("b.test"), bad], now).unwrap_err();
    assert!(!new.exists());
}

#[test]
fn extending_adds_what_is_missing_and_touches_nothing_else() {
    for node_ous in [true, false] {
        let root = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let first = OrgSpec {
            node_ous,
            ..OrgSpec::new(OrgKind::Peer, "a.test", KeyType::P256).with_node("p0", &[])
        };
        make(root.path(), std::slice::from_ref(&first), now).unwrap();
        let before = contents(root.path());
        let more = [first.with_node("p1", &[]).with_users(1), org("b.test")];
        let outcome = extend(root.path(), &more, now).unwrap();
        assert_eq!(outcome[0].added, ["p1.a.test", "User1@a.test"]);
        assert_eq!((outcome[0].is_new, outcome[1].is_new), (false, true));
        let after = contents(root.path());
        assert!(before.iter().all(|known| after.contains(known)));
        let authorities = [
            &outcome[0].paths.root().join("ca"),
            &outcome[0].paths.msp().join("cacerts"),
        ]
        .map(|folder| std::fs::read(folder.join("ca.a.test-cert.pem")).unwrap());
        let trusted = outcome[0]
            .paths
            .node_msp("p1.a.test")
            .join("cacerts/ca.a.test-cert.pem");
        assert_eq!(std::fs::read(trusted).unwrap(), authorities[0]);
        let again = extend(root.path(), &more, now).unwrap();
        assert!(again.iter().all(|org| org.added.is_empty() && !org.is_new));
        assert!(contents(root.path()) == after);
    }
}

#[test]
fn an_authority_that_cannot_certify_is_named() {
    let root = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let ca = make(root.path(), &[org("a.test")], now).unwrap()[0]
        .root()
        .join("ca");
    let more = [org("a.test").with_node("o2", &[])];
    let (key, certificate) = (ca.join("priv_sk"), ca.join("ca.a.test-cert.pem"));
    let refusal = |change: &dyn Fn()| {
        let before = (std::fs::read(&key).unwrap(), std::fs::read(&certificate).unwrap());
        change();
        let error = extend(root.path(), &more, now).unwrap_err().to_string();
        std::fs::write(&key, before.0).unwrap();
        std::fs::write(&certificate, before.1).unwrap();
        error
    };
    let other = OrgSpec::new(OrgKind::Peer, "x", KeyType::P256)
        .files(now)
        .unwrap();
    let other_key = other
        .files()
        .find(|(path, ..)| path.ends_with("ca/priv_sk"))
        .unwrap()
        .1;
    for (error, named, reason) in [
        (refusal(&|| std::fs::write(&key, "junk").unwrap()), &key, "PKCS#8"),
        (
            refusal(&|| std::fs::write(&key, other_key).unwrap()),
            &certificate,
            "not the certificate of the key",
        ),
        (
            refusal(&|| std::fs::write(&certificate, "junk").unwrap()),
            &certificate,
            "PEM",
        ),
        (refusal(&|| std::fs::remove_file(&key).unwrap()), &ca, "_sk"),
        (
            refusal(&|| std::fs::remove_file(&certificate).unwrap()),
            &ca,
            ".pem",
        ),
    ] {
        assert!(
            error.contains(&named.display().to_string()) && error.contains(reason),
            "{error}"
        );
    }
    extend(root.path(), &more, now).unwrap();
}

#[test]
fn two_organisations_of_one_domain_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let twice = [org("a.test"), org("a.test")];
    let error = make(root.path(), &twice, SystemTime::now()).unwrap_err();
    assert!(matches!(error, CryptoError::Twice { .. }), "{error}");
}
