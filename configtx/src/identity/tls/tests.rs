use std::time::Duration;

use super::*;
use crate::identity::msp::MspLevel;
use crate::identity::testing::{EKU_CLIENT, EKU_SERVER, Issuer, Spec, config, p256, settings};

/// 2026-07-01, within the validity of everything the tests make unless they say otherwise.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(495_240)
}

struct World {
    root: Issuer,
    authorities: TlsAuthorities,
}

impl World {
    fn with(root: &Spec) -> Self {
        let root = Issuer::root(root, p256());
        let identities = Issuer::root(&Spec::authority("identities"), p256());
        let mut org = settings(&[&identities], &[]);
        org.tls_root_certs = vec![root.pem()];
        let msp = Msp::new(&config(&org), MspLevel::V3_0).unwrap();
        Self {
            root,
            authorities: TlsAuthorities::new([&msp]),
        }
    }

    fn check(&self, spec: &Spec) -> Result<Arc<Certificate>, TlsCertificateError> {
        self.authorities.check(&self.root.issue_pem(spec, &p256()), now())
    }
}

fn usual() -> World {
    World::with(&Spec::authority("tls"))
}

#[test]
fn a_certificate_for_clients_or_servers_of_a_known_authority_passes() {
    let world = usual();
    for usages in [vec![], vec![EKU_CLIENT], vec![EKU_SERVER]] {
        assert!(
            world
                .check(&Spec {
                    extended_usage: usages,
                    ..Spec::leaf("node")
                })
                .is_ok()
        );
    }
    let code_signing: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];
    let other = Spec {
        extended_usage: vec![code_signing],
        ..Spec::leaf("node")
    };
    assert!(matches!(
        world.check(&other),
        Err(TlsCertificateError::Chain(ChainError::Usage { .. }))
    ));
}

#[test]
fn only_the_dates_of_the_certificate_itself_are_told_apart() {
    let world = usual();
    let past = Spec {
        end: "20260630000000Z",
        ..Spec::leaf("node")
    };
    let future = Spec {
        start: "20260702000000Z",
        ..Spec::leaf("node")
    };
    let error = world.check(&past).unwrap_err();
    assert!(error.is_validity() && matches!(error, TlsCertificateError::Expired { .. }));
    let error = world.check(&future).unwrap_err();
    assert!(error.is_validity() && matches!(error, TlsCertificateError::NotYetValid { .. }));
    let expired_authority = World::with(&Spec {
        end: "20260630000000Z",
        ..Spec::authority("tls")
    });
    assert!(
        !expired_authority
            .check(&Spec::leaf("node"))
            .unwrap_err()
            .is_validity()
    );
}

#[test]
fn the_last_second_ends_where_it_begins() {
    let world = usual();
    let pem = world.root.issue_pem(
        &Spec {
            end: "20260701000000Z",
            ..Spec::leaf("node")
        },
        &p256(),
    );
    assert!(world.authorities.check(&pem, now()).is_ok());
    let error = world
        .authorities
        .check(&pem, now() + Duration::from_millis(1))
        .unwrap_err();
    assert!(error.is_validity());
}

#[test]
fn another_authority_of_the_same_name_is_unknown() {
    let stranger = Issuer::root(&Spec::authority("tls"), p256());
    let pem = stranger.issue_pem(&Spec::leaf("node"), &p256());
    let error = usual().authorities.check(&pem, now()).unwrap_err();
    assert!(matches!(
        error,
        TlsCertificateError::Chain(ChainError::UnknownAuthority { .. })
    ));
    assert!(error.to_string().contains("did not issue it"), "{error}");
    assert!(matches!(
        usual().authorities.check(b"no PEM", now()),
        Err(TlsCertificateError::Certificate(CertificateError::NotPem))
    ));
}
