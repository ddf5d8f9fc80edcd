use std::sync::Arc;

use proptest::prelude::*;
use protos::wire::msp::{FabricMspConfig, MspConfig};

use super::*;
use crate::identity::MspManager;
use crate::identity::testing::{Issuer, Spec, config, p256, serialized, settings};

const ROLES: [MspRoleType; 5] = [
    MspRoleType::Member,
    MspRoleType::Admin,
    MspRoleType::Client,
    MspRoleType::Peer,
    MspRoleType::Orderer,
];

struct World {
    root: Issuer,
    manager: MspManager,
}

impl World {
    fn new(level: MspLevel, change: impl FnOnce(&Issuer, FabricMspConfig) -> FabricMspConfig) -> Self {
        let root = Issuer::root(&Spec::authority("root"), p256());
        let wire: MspConfig = config(&change(&root, settings(&[&root], &[])));
        let manager = MspManager::new([("/Channel/Application/Org".to_owned(), wire)], level).unwrap();
        Self { root, manager }
    }

    fn usual() -> Self {
        Self::new(MspLevel::V3_0, |_, settings| settings)
    }

    fn identity(&self, units: &[&'static str]) -> Arc<Identity> {
        let spec = Spec {
            units: units.to_vec(),
            ..Spec::leaf("user")
        };
        self.manager
            .identity(&serialized(self.root.issue_pem(&spec, &p256())))
            .unwrap()
    }

    fn satisfied(&self, identity: &Identity, principal: &MspPrincipal) -> bool {
        identity.satisfies(&self.manager.principal(principal))
    }

    fn roles(&self, identity: &Identity) -> Vec<MspRoleType> {
        let has = |role: &MspRoleType| self.satisfied(identity, &role_principal("Org", *role as i32));
        ROLES.into_iter().filter(has).collect()
    }
}

fn principal(class: Classification, message: &impl prost::Message) -> MspPrincipal {
    MspPrincipal {
        principal_classification: class as i32,
        principal: message.encode_to_vec().into(),
    }
}

fn role_principal(msp_id: &str, role: i32) -> MspPrincipal {
    let role = MspRole {
        msp_identifier: msp_id.to_owned(),
        role,
    };
    principal(Classification::Role, &role)
}

fn all(principals: Vec<MspPrincipal>) -> MspPrincipal {
    principal(Classification::Combined, &CombinedPrincipal { principals })
}

fn nominal() -> MspPrincipal {
    principal(
        Classification::Anonymity,
        &MspIdentityAnonymity { anonymity_type: 0 },
    )
}

#[test]
fn a_node_ou_gives_its_role_and_membership() {
    let world = World::usual();
    for (unit, role) in [
        ("client", MspRoleType::Client),
        ("peer", MspRoleType::Peer),
        ("admin", MspRoleType::Admin),
        ("orderer", MspRoleType::Orderer),
    ] {
        let roles = world.roles(&world.identity(&[unit]));
        assert!(
            roles.len() == 2 && roles.contains(&MspRoleType::Member) && roles.contains(&role),
            "{unit}"
        );
    }
}

#[test]
fn an_invalid_identity_has_no_role() {
    let world = World::usual();
    assert!(world.roles(&world.identity(&["client", "admin"])).is_empty());
    assert!(world.roles(&world.identity(&[])).is_empty());
}

#[test]
fn another_msp_or_role_number_is_never_satisfied() {
    let world = World::usual();
    let client = world.identity(&["client"]);
    assert!(!world.satisfied(&client, &role_principal("Elsewhere", 0)));
    for number in [5, 9, -1] {
        assert!(!world.satisfied(&client, &role_principal("Org", number)));
    }
}

#[test]
fn a_listed_admin_is_admin_without_any_further_look() {
    let spec = Spec {
        serial: 7,
        ..Spec::leaf("admin")
    };
    let key = p256();
    let world = World::new(MspLevel::V3_0, |root, settings| FabricMspConfig {
        admins: vec![root.issue_pem(&spec, &key)],
        revocation_list: vec![root.revocation_list(&[7], &root.key, Some(root)).into()],
        ..settings
    });
    // ECDSA signatures differ from one issue to the next, so the listed bytes are fetched from the settings.
    let listed = world.manager.msp("Org").unwrap().listed_admin(0);
    let pem = crate::identity::testing::certificate_pem(&listed);
    let admin = world.manager.identity(&serialized(pem)).unwrap();
    assert!(admin.validate().is_err(), "revoked");
    assert_eq!(world.roles(&admin), [MspRoleType::Admin]);
}

#[test]
fn without_node_ous_there_are_members_and_listed_admins_only() {
    let world = World::new(MspLevel::V3_0, |root, settings| FabricMspConfig {
        admins: vec![root.issue_pem(&Spec::leaf("admin"), &p256())],
        fabric_node_ous: None,
        ..settings
    });
    for unit in ["client", "peer", "admin", "orderer"] {
        assert_eq!(
            world.roles(&world.identity(&[unit])),
            [MspRoleType::Member],
            "{unit}"
        );
    }
}

#[test]
fn below_1_4_3_units_make_no_admins_and_no_orderers() {
    let world = World::new(MspLevel::V1_3, |_, settings| settings);
    assert!(world.roles(&world.identity(&["admin"])).is_empty());
    assert!(world.roles(&world.identity(&["orderer"])).is_empty());
    assert_eq!(
        world.roles(&world.identity(&["peer"])),
        [MspRoleType::Member, MspRoleType::Peer]
    );
}

#[test]
fn combinations_and_anonymity_need_level_1_3() {
    for (level, expected) in [
        (MspLevel::V1_1, false),
        (MspLevel::V1_3, true),
        (MspLevel::V3_0, true),
    ] {
        let world = World::new(level, |_, settings| settings);
        let client = world.identity(&["client"]);
        let member = || role_principal("Org", 0);
        assert!(world.satisfied(&client, &member()));
        assert_eq!(
            world.satisfied(&client, &all(vec![member(), member()])),
            expected,
            "{level:?}"
        );
        assert_eq!(world.satisfied(&client, &nominal()), expected, "{level:?}");
    }
}

#[test]
fn combinations_nest_up_to_a_bound() {
    let world = World::usual();
    let client = world.identity(&["client"]);
    let nested = |depth: usize| (0..depth).fold(role_principal("Org", 0), |inner, _| all(vec![inner]));
    assert!(world.satisfied(&client, &nested(COMBINED_DEPTH_MAX)));
    assert!(!world.satisfied(&client, &nested(COMBINED_DEPTH_MAX + 1)));
    assert!(!world.satisfied(&client, &nested(20_000)));
}

#[test]
fn an_identity_principal_wants_the_same_certificate_and_a_valid_one() {
    let world = World::usual();
    let pem = world.root.issue_pem(&Spec::leaf("user"), &p256());
    let spec = Spec {
        units: Vec::new(),
        ..Spec::leaf("user")
    };
    let invalid = world.root.issue_pem(&spec, &p256());
    for (pem, valid) in [(pem, true), (invalid, false)] {
        let bytes = serialized(pem);
        let exact = MspPrincipal {
            principal_classification: Classification::Identity as i32,
            principal: bytes.clone().into(),
        };
        let identity = world.manager.identity(&bytes).unwrap();
        assert_eq!(world.satisfied(&identity, &exact), valid);
        assert!(!world.satisfied(&world.identity(&["client"]), &exact));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_principal_or_one_that_nobody_satisfies(
        principal_classification in -1..7_i32,
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let world = World::usual();
        let wire = MspPrincipal { principal_classification, principal: bytes.into() };
        let principal = world.manager.principal(&wire);
        let _ = world.identity(&["client"]).satisfies(&principal);
    }
}
