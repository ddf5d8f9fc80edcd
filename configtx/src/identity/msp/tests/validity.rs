//! Which identities are valid.

use super::*;

#[test]
fn all_keys_of_identities_and_authorities_may_be_mixed() {
    let keys = || {
        use crate::identity::ecdsa::Curve::{P224, P256, P384, P521};
        vec![ecdsa(P224), ecdsa(P256), ecdsa(P384), ecdsa(P521), ed25519()]
    };
    let mut authorities = keys();
    authorities.extend([rsa(false), rsa(true)]);
    for authority in authorities {
        let root = Issuer::root(&Spec::authority("root"), authority);
        let msp = msp(&settings(&[&root], &[]));
        for key in keys() {
            let pem = root.issue_pem(&Spec::leaf("user"), &key);
            let identity = msp.deserialize(&serialized(pem)).unwrap();
            assert_eq!(identity.validate(), Ok(()), "{:?}", identity.public_key());
            assert!(identity.verify(b"message", &key.signer().sign(b"message")));
        }
    }
}

#[test]
fn rsa_keys_are_never_identities_and_ed25519_ones_only_at_level_3() {
    let root = root();
    let msp = msp(&settings(&[&root], &[]));
    let rsa = judge_key(&msp, &root, &Spec::leaf("user"), &rsa(false));
    assert_eq!(broken(rsa), BrokenRule::KeyAlgorithm(KeyAlgorithm::Rsa));
    let lower = Msp::new(&config(&settings(&[&root], &[])), MspLevel::V1_4_3).unwrap();
    let ed25519 = judge_key(&lower, &root, &Spec::leaf("user"), &ed25519());
    assert_eq!(broken(ed25519), BrokenRule::KeyAlgorithm(KeyAlgorithm::Ed25519));
}

#[test]
fn an_authority_is_no_identity() {
    let root = root();
    let msp = msp(&settings(&[&root], &[]));
    let own = msp.deserialize(&serialized(root.pem())).unwrap();
    assert_eq!(broken(own.validate()), BrokenRule::Authority);
    let below = judge(
        &msp,
        &root,
        &Spec {
            ca: Some(true),
            ..Spec::leaf("user")
        },
    );
    assert_eq!(broken(below), BrokenRule::Authority);
}

#[test]
fn a_root_above_an_intermediate_issues_no_identities() {
    let root = root();
    let mid = root.issue_authority(&Spec::authority("mid"), p256());
    let msp = msp(&settings(&[&root], &[&mid]));
    assert_eq!(judge(&msp, &mid, &Spec::leaf("user")), Ok(()));
    let by_root = broken(judge(&msp, &root, &Spec::leaf("user")));
    assert!(matches!(by_root, BrokenRule::InnerIssuer { .. }));
}

#[test]
fn only_the_second_after_the_start_counts() {
    let root = Issuer::root(
        &Spec {
            end: "20270101000000Z",
            ..Spec::authority("root")
        },
        p256(),
    );
    let msp = msp(&settings(&[&root], &[]));
    let from = |start| {
        judge(
            &msp,
            &root,
            &Spec {
                start,
                ..Spec::leaf("user")
            },
        )
    };
    assert_eq!(
        from("20261231235959Z"),
        Ok(()),
        "the root ends in that very second"
    );
    assert!(matches!(
        chain_fault(from("20270101000000Z")),
        ChainError::UnknownAuthority { .. }
    ));
    let past = Spec {
        start: "20260101000000Z",
        end: "20260102000000Z",
        ..Spec::leaf("user")
    };
    assert_eq!(judge(&msp, &root, &past), Ok(()), "expired long ago");
}

#[test]
fn two_chains_are_one_too_many() {
    let key = p256();
    let pkcs8 = crate::identity::testing::ecdsa_pkcs8(crate::identity::ecdsa::Curve::P256);
    let same_key = || TestKey::Signer(crate::identity::Signer::from_der(&pkcs8).unwrap());
    let root = Issuer::root(&Spec::authority("root"), same_key());
    let again = Issuer::root(
        &Spec {
            serial: 2,
            ..Spec::authority("root")
        },
        same_key(),
    );
    let msp = msp(&settings(&[&root, &again], &[]));
    let result = judge_key(&msp, &root, &Spec::leaf("user"), &key);
    assert!(matches!(
        chain_fault(result),
        ChainError::Ambiguous { chains: 2, .. }
    ));
}

#[test]
fn extended_usage_if_present_must_include_servers() {
    let root = root();
    let msp = msp(&settings(&[&root], &[]));
    let with = |usages: &[&'static [u8]]| {
        judge(
            &msp,
            &root,
            &Spec {
                extended_usage: usages.to_vec(),
                ..Spec::leaf("user")
            },
        )
    };
    for good in [&[][..], &[EKU_SERVER], &[EKU_CLIENT, EKU_SERVER], &[EKU_ANY]] {
        assert_eq!(with(good), Ok(()));
    }
    assert!(matches!(
        chain_fault(with(&[EKU_CLIENT])),
        ChainError::Usage { .. }
    ));
}

#[test]
fn an_unknown_critical_extension_invalidates() {
    let root = root();
    let msp = msp(&settings(&[&root], &[]));
    let result = judge(
        &msp,
        &root,
        &Spec {
            has_unknown_critical: true,
            ..Spec::leaf("user")
        },
    );
    assert!(matches!(
        chain_fault(result),
        ChainError::UnhandledCritical { .. }
    ));
}

#[test]
fn name_constraints_bind_alternative_names_and_hosts_without_them() {
    let spec = Spec {
        permitted_dns: vec!["example.com"],
        ..Spec::authority("root")
    };
    let root = Issuer::root(&spec, p256());
    let msp = msp(&settings(&[&root], &[]));
    let with = |name, dns_names: &[&'static str]| {
        judge(
            &msp,
            &root,
            &Spec {
                dns_names: dns_names.to_vec(),
                ..Spec::leaf(name)
            },
        )
    };
    assert_eq!(with("User1@org.example.com", &[]), Ok(()), "no host");
    assert_eq!(with("peer0.example.com", &["peer0.example.com"]), Ok(()));
    assert!(matches!(
        chain_fault(with("peer0.example.com", &[])),
        ChainError::NameConstraintsWithoutNames { .. }
    ));
    assert!(matches!(
        chain_fault(with("peer0", &["peer0.elsewhere.com"])),
        ChainError::UnknownAuthority {
            fault: Some(crate::identity::LinkFault::Name),
            ..
        }
    ));
}

#[test]
fn path_lengths_hold() {
    let root = Issuer::root(
        &Spec {
            path_length: Some(0),
            ..Spec::authority("root")
        },
        p256(),
    );
    assert_eq!(
        judge(&msp(&settings(&[&root], &[])), &root, &Spec::leaf("user")),
        Ok(())
    );
    let mid = root.issue_authority(&Spec::authority("mid"), p256());
    // The intermediate itself is one step below the root and so within bounds; what it issues is not.
    let msp = msp(&settings(&[&root], &[&mid]));
    assert!(matches!(
        chain_fault(judge(&msp, &mid, &Spec::leaf("user"))),
        ChainError::UnknownAuthority {
            fault: Some(crate::identity::LinkFault::PathLength),
            ..
        }
    ));
}

#[test]
fn an_issuer_without_cert_sign_issues_nothing() {
    let spec = Spec {
        key_usage: Some(DIGITAL_SIGNATURE),
        ..Spec::authority("root")
    };
    let root = Issuer::root(&spec, ed25519());
    let msp = msp(&settings(&[&root], &[]));
    assert!(matches!(
        chain_fault(judge(&msp, &root, &Spec::leaf("user"))),
        ChainError::UnknownAuthority {
            fault: Some(crate::identity::LinkFault::NotSigned),
            ..
        }
    ));
}

#[test]
fn only_a_list_that_the_issuer_signed_revokes() {
    let (root, other) = (root(), root());
    let user = Spec {
        serial: 7,
        ..Spec::leaf("user")
    };
    let with = |lists: Vec<Vec<u8>>, user: &Spec| {
        let revocation_list = lists.into_iter().map(Bytes::from).collect();
        let msp = msp(&FabricMspConfig {
            revocation_list,
            ..settings(&[&root], &[])
        });
        judge(&msp, &root, user)
    };
    let genuine = || root.revocation_list(&[3, 7], &root.key, Some(&root));
    let forged = || root.revocation_list(&[7], &other.key, Some(&root));
    let of_another = || other.revocation_list(&[7], &other.key, Some(&other));
    assert_eq!(broken(with(vec![genuine()], &user)), BrokenRule::Revoked);
    assert_eq!(
        with(
            vec![genuine()],
            &Spec {
                serial: 8,
                ..user.clone()
            }
        ),
        Ok(())
    );
    assert_eq!(with(vec![forged(), of_another()], &user), Ok(()));
    assert_eq!(
        broken(with(vec![forged(), genuine()], &user)),
        BrokenRule::Revoked
    );
    let unnamed = root.revocation_list(&[9], &root.key, None);
    assert_eq!(
        broken(with(vec![unnamed], &user)),
        BrokenRule::UnnamedRevocationList
    );
}

#[test]
fn a_required_unit_must_come_from_its_certifier() {
    let root = root();
    let (one, two) = ("mid one", "mid two");
    let one = root.issue_authority(&Spec::authority(one), p256());
    let two = root.issue_authority(&Spec::authority(two), p256());
    let msp = msp(&FabricMspConfig {
        organizational_unit_identifiers: vec![ou("sales", one.pem())],
        ..settings(&[&root], &[&one, &two])
    });
    let sales = Spec {
        units: vec!["client", "sales"],
        ..Spec::leaf("user")
    };
    assert_eq!(judge(&msp, &one, &sales), Ok(()));
    assert!(matches!(
        broken(judge(&msp, &two, &sales)),
        BrokenRule::Unit { .. }
    ));
    assert!(matches!(
        broken(judge(&msp, &one, &Spec::leaf("user"))),
        BrokenRule::Unit { .. }
    ));
}

#[test]
fn exactly_one_node_ou_under_its_certifier() {
    let root = root();
    let one = root.issue_authority(&Spec::authority("mid one"), p256());
    let two = root.issue_authority(&Spec::authority("mid two"), p256());
    let mut with = settings(&[&root], &[&one, &two]);
    with.fabric_node_ous.as_mut().unwrap().client_ou_identifier = Some(ou("client", one.pem()));
    let msp = msp(&with);
    let units = |issuer: &Issuer, units: &[&'static str]| {
        judge(
            &msp,
            issuer,
            &Spec {
                units: units.to_vec(),
                ..Spec::leaf("user")
            },
        )
    };
    assert_eq!(units(&one, &["client", "sales"]), Ok(()));
    assert_eq!(units(&two, &["peer"]), Ok(()));
    let elsewhere = BrokenRule::NodeOuCertifier {
        unit: "client".to_owned(),
    };
    assert_eq!(broken(units(&two, &["client"])), elsewhere);
    for (wrong, found) in [
        (&[][..], 0),
        (&["sales"], 0),
        (&["client", "peer"], 2),
        (&["client", "client"], 2),
    ] {
        assert_eq!(
            broken(units(&one, wrong)),
            BrokenRule::NodeOuCount { found },
            "{wrong:?}"
        );
    }
}

#[test]
fn below_1_4_3_admin_is_no_node_ou() {
    let root = root();
    let msp = Msp::new(&config(&settings(&[&root], &[])), MspLevel::V1_3).unwrap();
    let units = |units: &[&'static str]| {
        judge(
            &msp,
            &root,
            &Spec {
                units: units.to_vec(),
                ..Spec::leaf("user")
            },
        )
    };
    assert_eq!(units(&["client", "admin"]), Ok(()));
    assert_eq!(broken(units(&["admin"])), BrokenRule::NodeOuCount { found: 0 });
}
