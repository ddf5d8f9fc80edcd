//! From settings to an MSP.

use super::*;

#[test]
fn only_x509_msps_with_a_name_and_a_root_are_set_up() {
    let root = root();
    let mut idemix = config(&settings(&[&root], &[]));
    idemix.r#type = 1;
    assert_eq!(
        Msp::new(&idemix, MspLevel::V1_4_3).unwrap_err(),
        MspError::Type { found: 1 }
    );
    let unnamed = FabricMspConfig {
        name: String::new(),
        ..settings(&[&root], &[])
    };
    assert_eq!(super::set_up(&unnamed).unwrap_err(), MspError::NoName);
    assert!(matches!(
        super::set_up(&settings(&[], &[])),
        Err(MspError::NoRoot { .. })
    ));
}

#[test]
fn an_authority_must_be_one_and_have_a_key_id() {
    let leaf = Issuer::root(
        &Spec {
            ca: None,
            ..Spec::authority("root")
        },
        ed25519(),
    );
    assert!(matches!(
        super::set_up(&settings(&[&leaf], &[])),
        Err(MspError::Authority {
            fault: AuthorityFault::NotAuthority,
            ..
        })
    ));
    let nameless = Issuer::root(
        &Spec {
            has_key_id: false,
            ..Spec::authority("root")
        },
        p256(),
    );
    assert!(matches!(
        super::set_up(&settings(&[&nameless], &[])),
        Err(MspError::Authority {
            fault: AuthorityFault::NoKeyId,
            ..
        })
    ));
}

#[test]
fn an_expired_authority_is_fine() {
    let spec = Spec {
        start: "20100101000000Z",
        end: "20110101000000Z",
        ..Spec::authority("root")
    };
    assert!(super::set_up(&settings(&[&Issuer::root(&spec, p256())], &[])).is_ok());
}

#[test]
fn the_usage_rule_binds_authorities_too() {
    let with = |usage| Spec {
        extended_usage: vec![usage],
        ..Spec::authority("root")
    };
    let set_up = |usage| super::set_up(&settings(&[&Issuer::root(&with(usage), p256())], &[]));
    assert!(set_up(EKU_SERVER).is_ok() && set_up(EKU_ANY).is_ok());
    let fault = set_up(EKU_CLIENT).unwrap_err();
    assert!(
        matches!(
            fault,
            MspError::Chain {
                source: ChainError::Usage { .. },
                ..
            }
        ),
        "{fault}"
    );
}

#[test]
fn an_authority_with_an_unknown_critical_extension_is_refused() {
    let spec = Spec {
        has_unknown_critical: true,
        ..Spec::authority("root")
    };
    let fault = super::set_up(&settings(&[&Issuer::root(&spec, p256())], &[])).unwrap_err();
    let is_critical = matches!(
        fault,
        MspError::Chain {
            source: ChainError::UnhandledCritical { .. },
            ..
        }
    );
    assert!(is_critical, "{fault}");
}

#[test]
fn a_revoked_intermediate_is_refused() {
    let root = root();
    let spec = Spec {
        serial: 7,
        ..Spec::authority("mid")
    };
    let mid = root.issue_authority(&spec, p256());
    let list = root.revocation_list(&[7], &root.key, Some(&root));
    let revoked = FabricMspConfig {
        revocation_list: vec![list.into()],
        ..settings(&[&root], &[&mid])
    };
    assert!(matches!(
        super::set_up(&revoked),
        Err(MspError::Authority {
            fault: AuthorityFault::Revocation(BrokenRule::Revoked),
            ..
        })
    ));
}

#[test]
fn tls_authorities_are_held_to_the_same_rules() {
    let root = root();
    let with = |tls_roots: Vec<Bytes>, tls_intermediates: Vec<Bytes>| FabricMspConfig {
        tls_root_certs: tls_roots,
        tls_intermediate_certs: tls_intermediates,
        ..settings(&[&root], &[])
    };
    let tls = Issuer::root(&Spec::authority("tls"), ed25519());
    let mid = tls.issue_authority(&Spec::authority("tls mid"), p256());
    let set_up = msp(&with(vec![tls.pem()], vec![mid.pem()]));
    assert_eq!(set_up.tls_roots()[0].der(), &tls.der);
    assert_eq!(set_up.tls_intermediates()[0].der(), &mid.der);
    assert!(super::set_up(&with(vec![], vec![mid.pem()])).is_err());
    let leaf = root.issue_pem(&Spec::leaf("leaf"), &p256());
    assert!(super::set_up(&with(vec![leaf], vec![])).is_err());
}

#[test]
fn node_ous_below_1_4_3_need_client_and_peer() {
    let root = root();
    let mut with = settings(&[&root], &[]);
    with.fabric_node_ous.as_mut().unwrap().peer_ou_identifier = None;
    assert!(Msp::new(&config(&with), MspLevel::V1_4_3).is_ok());
    let fault = Msp::new(&config(&with), MspLevel::V1_3).unwrap_err();
    assert!(matches!(fault, MspError::NodeOus { .. }));
    assert!(
        Msp::new(&config(&with), MspLevel::V1_0).is_ok(),
        "node OUs are not looked at"
    );
}

#[test]
fn a_node_ou_may_not_name_an_authority_that_issues_nothing() {
    let root = root();
    let mid = root.issue_authority(&Spec::authority("mid"), p256());
    let low = mid.issue_authority(&Spec::authority("low"), p256());
    let set_up = |certificate| {
        let mut with = settings(&[&root], &[&mid, &low]);
        with.fabric_node_ous.as_mut().unwrap().client_ou_identifier = Some(ou("client", certificate));
        super::set_up(&with)
    };
    assert!(set_up(low.pem()).is_ok());
    assert!(matches!(set_up(mid.pem()), Err(MspError::Certifier { .. })));
    assert!(set_up(root.pem()).is_ok(), "a root is not asked");
    assert!(matches!(
        set_up(super::root().pem()),
        Err(MspError::Certifier { .. })
    ));
}

#[test]
fn an_admin_must_chain_but_not_to_an_inner_authority() {
    let root = root();
    let mid = root.issue_authority(&Spec::authority("mid"), p256());
    let admin = Spec {
        units: vec!["admin"],
        ..Spec::leaf("admin")
    };
    let with = |pem: Bytes| {
        let with = FabricMspConfig {
            admins: vec![pem],
            ..settings(&[&root], &[&mid])
        };
        super::set_up(&with)
    };
    assert!(with(mid.issue_pem(&admin, &p256())).is_ok());
    assert!(matches!(
        with(root.issue_pem(&admin, &p256())),
        Err(MspError::AdminUnit { .. })
    ));
    let stranger = super::root().issue_pem(&admin, &p256());
    assert!(matches!(with(stranger), Err(MspError::Chain { .. })));
    let peer = Spec {
        units: vec!["peer"],
        ..admin
    };
    assert!(matches!(
        with(mid.issue_pem(&peer, &p256())),
        Err(MspError::AdminUnit { .. })
    ));
}
