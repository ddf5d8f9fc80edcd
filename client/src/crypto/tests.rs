//! Against the trees that the reference key tool made (`tests/vectors/tools/cryptogen`).

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde_json::Value;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::*;

use super::*;

fn expected(case: &str) -> Value {
    let path = format!(
        "{}/../tests/vectors/tools/cryptogen/{case}.expected.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn tree(orgs: &[OrgSpec]) -> FileTree {
    let mut tree = FileTree::default();
    for org in orgs {
        tree.extend(org.files(SystemTime::now()).unwrap());
    }
    tree
}

/// An organisation as the reference tool makes it by default: everything P-256.
fn org(kind: OrgKind, domain: &str, node_ous: bool) -> OrgSpec {
    OrgSpec {
        node_ous,
        ..OrgSpec::new(kind, domain, KeyType::P256)
    }
}

fn text(value: impl AsRef<std::path::Path>) -> Value {
    Value::String(value.as_ref().to_str().unwrap().to_owned())
}

fn check(case: &str, orgs: &[OrgSpec]) {
    let (tree, expected) = (tree(orgs), expected(case));
    let folders: Vec<_> = tree.folders().map(text).collect();
    assert_eq!(Value::Array(folders), expected["directories"], "{case}");
    let files: Vec<_> = tree.files().map(|(path, ..)| text(path)).collect();
    assert_eq!(Value::Array(files), expected["files"], "{case}");
    let contents: BTreeMap<_, _> = tree
        .files()
        .map(|(path, content, access)| (path.to_str().unwrap(), (content, access)))
        .collect();
    for (path, certificate) in expected["certificates"].as_object().unwrap() {
        check_certificate(path, certificate, &contents);
    }
    for config in expected["config_yaml"].as_array().unwrap() {
        for file in config["files"].as_array().unwrap() {
            assert_eq!(
                contents[file.as_str().unwrap()].0,
                config["text"].as_str().unwrap()
            );
        }
    }
    for (path, (_, access)) in contents {
        let private = ["_sk", ".key"].iter().any(|end| path.ends_with(end));
        assert_eq!(access == Access::Private, private, "{path}");
    }
}

fn check_certificate(path: &str, expected: &Value, files: &BTreeMap<&str, (&str, Access)>) {
    let pem = ::pem::parse(files[path].0).unwrap();
    let (rest, certificate) = X509Certificate::from_der(pem.contents()).unwrap();
    assert!(rest.is_empty());
    let mut seen = described(&certificate);
    for key in ["private_key", "signed_by", "copies"] {
        if let Some(value) = expected.get(key) {
            seen[key] = value.clone();
        }
    }
    assert_eq!(&seen, expected, "{path}");
    for copy in expected["copies"].as_array().into_iter().flatten() {
        assert_eq!(files[copy.as_str().unwrap()].0, files[path].0, "{copy}");
    }
    let issuer = expected.get("signed_by").map_or(path, |by| by.as_str().unwrap());
    let issuer_pem = ::pem::parse(files[issuer].0).unwrap();
    let (_, issuer) = X509Certificate::from_der(issuer_pem.contents()).unwrap();
    if let Some(identifier) = key_identifiers(&certificate).1 {
        assert_eq!(Some(identifier), key_identifiers(&issuer).0, "{path}");
    }
    verify_signature(&certificate, &issuer);
    let key = ::pem::parse(files[expected["private_key"].as_str().unwrap()].0).unwrap();
    assert_eq!(key.tag(), "PRIVATE KEY");
}

fn verify_signature(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) {
    let algorithm: &dyn VerificationAlgorithm = match signature_name(certificate) {
        "ed25519" => &ED25519,
        _ => &ECDSA_P256_SHA256_ASN1,
    };
    let key = &issuer.public_key().subject_public_key.data;
    UnparsedPublicKey::new(algorithm, key)
        .verify(
            certificate.tbs_certificate.as_ref(),
            &certificate.signature_value.data,
        )
        .unwrap();
}

/// Own and authority's key identifier.
fn key_identifiers<'a>(certificate: &'a X509Certificate<'_>) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    let mut found = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => found.0 = Some(id.0),
            ParsedExtension::AuthorityKeyIdentifier(aki) => {
                found.1 = aki.key_identifier.as_ref().map(|id| id.0);
            }
            _ => {}
        }
    }
    for identifier in [found.0, found.1].into_iter().flatten() {
        assert_eq!(identifier.len(), 32);
    }
    found
}

fn described(certificate: &X509Certificate<'_>) -> Value {
    let usage = certificate.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    let flags = [
        (usage.value.digital_signature(), "digital_signature"),
        (usage.value.key_encipherment(), "key_encipherment"),
        (usage.value.key_cert_sign(), "key_cert_sign"),
        (usage.value.crl_sign(), "crl_sign"),
    ];
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical);
    let validity = certificate.validity();
    let seconds = validity.not_after.timestamp() - validity.not_before.timestamp();
    let mut out = serde_json::json!({
        "subject": name(certificate.subject()),
        "issuer": name(certificate.issuer()),
        "key": key_name(certificate),
        "signature": signature_name(certificate),
        "days": seconds / 86400,
        "key_usage": flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect::<Vec<_>>(),
        "ca": constraints.value.ca,
    });
    let (own, authority) = key_identifiers(certificate);
    if own.is_some() {
        out["ski"] = true.into();
    }
    if authority.is_some() {
        out["aki"] = true.into();
    }
    if let Some(extended) = certificate.extended_key_usage().unwrap() {
        // The order is not kept by the parser; what counts is which there are.
        assert!(extended.value.client_auth && extended.value.server_auth);
        let order = if constraints.value.ca {
            ["clientAuth", "serverAuth"]
        } else {
            ["serverAuth", "clientAuth"]
        };
        out["ext_key_usage"] = Value::from(order.to_vec());
    }
    if let Some(names) = certificate.subject_alternative_name().unwrap() {
        out["san"] = names
            .value
            .general_names
            .iter()
            .map(alternative_name)
            .collect::<Vec<_>>()
            .into();
    }
    out
}

fn alternative_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => format!("DNS:{name}"),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => format!("IP:{}", std::net::Ipv4Addr::from(v4)),
            Err(_) => format!(
                "IP:{}",
                std::net::Ipv6Addr::from(<[u8; 16]>::try_from(*bytes).unwrap())
            ),
        },
        other => panic!("unexpected name {other:?}"),
    }
}

fn key_name(certificate: &X509Certificate<'_>) -> &'static str {
    match certificate
        .public_key()
        .algorithm
        .algorithm
        .to_id_string()
        .as_str()
    {
        "1.3.101.112" => "ed25519",
        "1.2.840.10045.2.1" => "ecdsa-p256",
        _ => "other",
    }
}

fn signature_name(certificate: &X509Certificate<'_>) -> &'static str {
    match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.3.101.112" => "ed25519",
        "1.2.840.10045.4.3.2" => "ecdsa-sha256",
        _ => "other",
    }
}

fn name(name: &X509Name<'_>) -> Vec<String> {
    let attribute = |attribute: &AttributeTypeAndValue<'_>| {
        let short = match attribute.attr_type().to_id_string().as_str() {
            "2.5.4.3" => "CN",
            "2.5.4.6" => "C",
            "2.5.4.7" => "L",
            "2.5.4.8" => "ST",
            "2.5.4.9" => "STREET",
            "2.5.4.10" => "O",
            "2.5.4.11" => "OU",
            "2.5.4.17" => "POSTALCODE",
            other => panic!("unexpected attribute {other}"),
        };
        format!("{short}={}", attribute.as_str().unwrap())
    };
    let part = |rdn: &RelativeDistinguishedName<'_>| rdn.iter().map(attribute).collect::<Vec<_>>().join("+");
    name.iter().map(part).collect()
}

#[test]
fn node_roles_as_the_reference_tool_makes_them() {
    check(
        "nodeous",
        &[
            org(OrgKind::Orderer, "ord.tool.test", true)
                .with_node("o1", &["localhost", "127.0.0.1", "::1"])
                .with_node("o2", &[]),
            org(OrgKind::Peer, "org1.tool.test", true)
                .with_node("peer0", &["localhost"])
                .with_node("peer1", &["localhost"])
                .with_users(2),
        ],
    );
}

#[test]
fn listed_administrators_as_the_reference_tool_makes_them() {
    check(
        "no-nodeous",
        &[
            org(OrgKind::Orderer, "ord.tool.test", false).with_node("o1", &[]),
            org(OrgKind::Peer, "org1.tool.test", false)
                .with_node("peer0", &[])
                .with_users(1),
        ],
    );
}

#[test]
fn subjects_and_double_units_as_the_reference_tool_makes_them() {
    let mut spec = org(OrgKind::Peer, "org1.tool.test", true).with_node("p0", &[]);
    spec.ca.common_name = "the-root.org1.tool.test".into();
    spec.ca.subject = SubjectSpec {
        country: "CH".into(),
        province: "Zürich".into(),
        locality: "Zürich*".into(),
        organizational_unit: "Operations".into(),
        street_address: "Main Street 1".into(),
        postal_code: "8000".into(),
    };
    check("subject", &[spec]);
}

#[test]
fn mixed_key_types_as_the_reference_tool_makes_them() {
    let mut orderers = org(OrgKind::Orderer, "ord.tool.test", true);
    orderers.ca.key = KeyType::Ed25519;
    orderers = orderers
        .with_node("o1", &[])
        .with_node("o2", &[])
        .with_node("orderer0", &[]);
    orderers.nodes[1].key = KeyType::P256;
    let mut peers = org(OrgKind::Peer, "org1.tool.test", false)
        .with_node("peer0", &[])
        .with_users(1);
    peers.users[0].key = KeyType::Ed25519;
    check("ed25519", &[orderers, peers]);
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
    let org = |domain| OrgSpec::new(OrgKind::Orderer, domain, KeyType::Ed25519).with_node("o", &[]);
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
