use prost::Message as _;
use protos::wire::msp::SerializedIdentity;

use super::*;
use crate::identity::testing::{Issuer, Spec, config, ed25519, p256, serialized, settings};

fn org(path: &str, config: &MspConfig) -> (String, MspConfig) {
    (path.to_owned(), config.clone())
}

#[test]
fn one_msp_may_stand_in_several_groups_with_the_same_settings() {
    let root = Issuer::root(&Spec::authority("root"), p256());
    let wire = config(&settings(&[&root], &[]));
    let orgs = [
        org("/Channel/Orderer/A", &wire),
        org("/Channel/Application/B", &wire),
    ];
    let manager = MspManager::new(orgs, MspLevel::V3_0).unwrap();
    assert_eq!(manager.msps().count(), 1);
    assert_eq!(manager.orgs().count(), 2);
    assert_eq!(manager.org("/Channel/Orderer/A").unwrap().name(), "Org");
    assert!(manager.msp("Org").is_some() && manager.msp("Other").is_none());
}

#[test]
fn one_msp_id_with_two_settings_is_a_conflict() {
    let one = config(&settings(&[&Issuer::root(&Spec::authority("one"), p256())], &[]));
    let two = config(&settings(&[&Issuer::root(&Spec::authority("two"), p256())], &[]));
    let error = MspManager::new([org("/a", &one), org("/b", &two)], MspLevel::V3_0).unwrap_err();
    let expected = MspManagerError::Conflict {
        msp_id: "Org".to_owned(),
        first: "/a".to_owned(),
        second: "/b".to_owned(),
    };
    assert_eq!(error, expected);
}

#[test]
fn an_invalid_msp_is_reported_with_its_organisation() {
    let wire = config(&settings(&[], &[]));
    let error = MspManager::new([org("/Channel/Orderer/A", &wire)], MspLevel::V3_0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "organisation /Channel/Orderer/A: msp Org: no root certificate"
    );
}

#[test]
fn an_identity_is_read_once_and_then_shared() {
    let root = Issuer::root(&Spec::authority("root"), p256());
    let orgs = [org("/a", &config(&settings(&[&root], &[])))];
    let manager = MspManager::new(orgs, MspLevel::V3_0).unwrap();
    let bytes = serialized(root.issue_pem(&Spec::leaf("user"), &p256()));
    let first = manager.identity(&bytes).unwrap();
    assert!(Arc::ptr_eq(&first, &manager.identity(&bytes).unwrap()));
    let error = manager.identity(b"\xff").unwrap_err();
    assert_eq!(error, IdentityError::Malformed);
    let ghost = SerializedIdentity {
        mspid: "Ghost".to_owned(),
        ..Default::default()
    };
    let error = manager.identity(&ghost.encode_to_vec()).unwrap_err();
    assert_eq!(
        error,
        IdentityError::UnknownMsp {
            msp_id: "Ghost".to_owned()
        }
    );
}

#[test]
fn the_cache_forgets_what_was_not_used_and_stays_bounded() {
    let root = Issuer::root(&Spec::authority("root"), ed25519());
    let orgs = [org("/a", &config(&settings(&[&root], &[])))];
    let manager = MspManager::new(orgs, MspLevel::V3_0).unwrap();
    let pem = root.issue_pem(&Spec::leaf("user"), &ed25519());
    // Header lines of PEM do not change the certificate, so they make new bytes for one identity.
    let variant = |number: usize| {
        let text = format!("{number}\n{}", str::from_utf8(&pem).unwrap());
        serialized(text.into())
    };
    let used = manager.identity(&variant(0)).unwrap();
    let unused = manager.identity(&variant(1)).unwrap();
    for number in 2..5000 {
        manager.identity(&variant(number)).unwrap();
        if number % 1000 == 0 {
            assert!(
                Arc::ptr_eq(&used, &manager.identity(&variant(0)).unwrap()),
                "{number}"
            );
        }
    }
    assert!(!Arc::ptr_eq(&unused, &manager.identity(&variant(1)).unwrap()));
    assert!(manager.cache.len() <= 4096);
}
