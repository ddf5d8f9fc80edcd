use proptest::prelude::*;
use prost::Message as _;
use protos::wire::common::implicit_meta_policy::Rule as MetaRule;
use protos::wire::common::msp_principal::Classification;
use protos::wire::common::signature_policy::{NOutOf, Type};
use protos::wire::common::{
    ConfigGroup, ConfigPolicy, ImplicitMetaPolicy, MspPrincipal, MspRole, Policy as WirePolicy,
    SignaturePolicy as WireRule, SignaturePolicyEnvelope,
};

use super::*;
use crate::identity::MspLevel;
use crate::identity::testing::{Issuer, Spec, certificate_pem, config, ed25519, p256, serialized, settings};

/// One organisation "Org" and a way to sign in its name.
struct World {
    root: Issuer,
    msps: Arc<MspManager>,
}

/// The parts of a [`SignedData`].
struct Signed {
    identity: Vec<u8>,
    data: Vec<u8>,
    signature: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let root = Issuer::root(&Spec::authority("root"), ed25519());
        let orgs = [(
            "/Channel/Application/Org".to_owned(),
            config(&settings(&[&root], &[])),
        )];
        let msps = Arc::new(MspManager::new(orgs, MspLevel::V3_0).unwrap());
        Self { root, msps }
    }

    fn signed_by(&self, unit: &'static str) -> Signed {
        let key = ed25519();
        let spec = Spec {
            units: vec![unit],
            ..Spec::leaf("user")
        };
        let identity = serialized(self.root.issue_pem(&spec, &key));
        Signed {
            identity,
            data: b"data".to_vec(),
            signature: key.signer().sign(b"data"),
        }
    }

    fn tree(&self, root: &ConfigGroup) -> Result<PolicyTree, PolicyTreeError> {
        PolicyTree::new(root, &self.msps)
    }

    fn accepted(&self, signed: &[&Signed]) -> Vec<Arc<Identity>> {
        accepted_identities(&self.msps, &views(signed))
    }
}

fn views<'a>(signed: &[&'a Signed]) -> Vec<SignedData<'a>> {
    let view = |one: &&'a Signed| SignedData {
        identity: &one.identity,
        data: &one.data,
        signature: &one.signature,
    };
    signed.iter().map(view).collect()
}

fn entry(r#type: i32, value: Vec<u8>) -> ConfigPolicy {
    ConfigPolicy {
        policy: Some(WirePolicy {
            r#type,
            value: value.into(),
        }),
        ..ConfigPolicy::default()
    }
}

fn signed_by(index: i32) -> WireRule {
    WireRule {
        r#type: Some(Type::SignedBy(index)),
    }
}

fn n_out_of(n: i32, rules: Vec<WireRule>) -> WireRule {
    WireRule {
        r#type: Some(Type::NOutOf(NOutOf { n, rules })),
    }
}

/// Principal 0 is member, then admin, client, peer, orderer.
fn envelope(rule: WireRule) -> SignaturePolicyEnvelope {
    let principal = |role| MspPrincipal {
        principal_classification: Classification::Role as i32,
        principal: MspRole {
            msp_identifier: "Org".to_owned(),
            role,
        }
        .encode_to_vec()
        .into(),
    };
    SignaturePolicyEnvelope {
        version: 0,
        rule: Some(rule),
        identities: (0..5).map(principal).collect(),
    }
}

fn signature(rule: WireRule) -> ConfigPolicy {
    entry(1, envelope(rule).encode_to_vec())
}

fn meta(rule: i32, sub_policy: &str) -> ConfigPolicy {
    entry(
        3,
        ImplicitMetaPolicy {
            sub_policy: sub_policy.to_owned(),
            rule,
        }
        .encode_to_vec(),
    )
}

fn group(policies: &[(&str, ConfigPolicy)], groups: Vec<(&str, ConfigGroup)>) -> ConfigGroup {
    ConfigGroup {
        policies: policies
            .iter()
            .map(|(name, policy)| ((*name).to_owned(), policy.clone()))
            .collect(),
        groups: groups
            .into_iter()
            .map(|(name, group)| (name.to_owned(), group))
            .collect(),
        ..ConfigGroup::default()
    }
}

/// A channel with Application above two organisations; clients write, admins administer.
fn channel() -> ConfigGroup {
    let org = |name| {
        (
            name,
            group(
                &[
                    ("Writers", signature(signed_by(2))),
                    ("Admins", signature(signed_by(1))),
                ],
                vec![],
            ),
        )
    };
    let application = group(
        &[
            ("Writers", meta(MetaRule::Any as i32, "Writers")),
            ("Admins", meta(MetaRule::All as i32, "Admins")),
        ],
        vec![org("One"), org("Two")],
    );
    group(
        &[("Writers", meta(MetaRule::Any as i32, "Writers"))],
        vec![("Application", application)],
    )
}

#[test]
fn policies_are_found_by_absolute_and_relative_names() {
    let world = World::new();
    let tree = world.tree(&channel()).unwrap();
    for name in ["/Channel/Application/One/Writers", "Application/One/Writers"] {
        assert_eq!(tree.get(name).unwrap().path(), "/Channel/Application/One/Writers");
    }
    for missing in [
        "",
        "/",
        "/Channel",
        "/Channel/",
        "/ChannelX/Writers",
        "/Other/Writers",
        "Readers",
    ] {
        assert!(tree.get(missing).is_none(), "{missing:?}");
    }
    let path = |group, name| tree.resolve(group, name).map(|policy| policy.path().to_owned());
    assert_eq!(
        path("/Channel/Application", "Admins").unwrap(),
        "/Channel/Application/Admins"
    );
    assert_eq!(path("/Channel", "Writers").unwrap(), "/Channel/Writers");
    assert_eq!(
        path("/Channel/Application/One", "/Channel/Writers").unwrap(),
        "/Channel/Writers"
    );
    assert_eq!(
        path("/Channel/Application", "One/Admins").unwrap(),
        "/Channel/Application/One/Admins"
    );
    assert_eq!(path("/Channel/Application", ""), None);
}

#[test]
fn an_unknown_policy_says_no() {
    let world = World::new();
    let tree = world.tree(&channel()).unwrap();
    let unknown = PolicyError::Unknown {
        policy: "/Channel/Nobody".to_owned(),
    };
    assert_eq!(tree.evaluate("/Channel/Nobody", &[]), Err(unknown));
}

#[test]
fn sub_policies_may_be_paths_below_the_sub_groups() {
    let world = World::new();
    let mut root = channel();
    root.policies
        .insert("Deep".to_owned(), meta(MetaRule::All as i32, "One/Admins"));
    let absolute = meta(MetaRule::All as i32, "/Channel/Application/One/Admins");
    root.policies.insert("Absolute".to_owned(), absolute);
    let tree = world.tree(&root).unwrap();
    let admin = world.signed_by("admin");
    for name in ["Deep", "Absolute"] {
        assert_eq!(tree.evaluate(name, &views(&[&admin])), Ok(()));
        assert!(
            tree.evaluate(name, &views(&[&world.signed_by("client")]))
                .is_err()
        );
    }
}

#[test]
fn a_sub_group_without_the_policy_never_holds() {
    let world = World::new();
    let mut root = channel();
    let application = root.groups.get_mut("Application").unwrap();
    application
        .groups
        .get_mut("Two")
        .unwrap()
        .policies
        .remove("Admins");
    let tree = world.tree(&root).unwrap();
    let admin = world.signed_by("admin");
    assert!(
        tree.evaluate("/Channel/Application/Admins", &views(&[&admin]))
            .is_err(),
        "ALL needs both"
    );
}

#[test]
fn an_unknown_rule_number_holds_exactly_when_no_sub_policy_does_and_is_reported() {
    let world = World::new();
    let mut root = channel();
    root.policies.insert("Odd".to_owned(), meta(7, "Writers"));
    let tree = world.tree(&root).unwrap();
    assert!(
        tree.evaluate("Odd", &views(&[&world.signed_by("client")]))
            .is_err()
    );
    assert_eq!(tree.evaluate("Odd", &views(&[&world.signed_by("peer")])), Ok(()));
    let odd: Vec<_> = tree.with_unknown_rule().map(|policy| policy.path()).collect();
    assert_eq!(odd, ["/Channel/Odd"]);
}

#[test]
fn policies_that_do_not_compile_are_named() {
    let world = World::new();
    let fault = |policy| world.tree(&group(&[("P", policy)], vec![])).unwrap_err().fault;
    let version = SignaturePolicyEnvelope {
        version: 1,
        ..envelope(signed_by(0))
    };
    let no_rule = SignaturePolicyEnvelope {
        rule: None,
        ..envelope(signed_by(0))
    };
    assert_eq!(fault(ConfigPolicy::default()), PolicyFault::Missing);
    assert_eq!(fault(entry(0, vec![])), PolicyFault::Type { found: 0 });
    assert_eq!(fault(entry(2, vec![])), PolicyFault::Type { found: 2 });
    assert_eq!(fault(entry(1, vec![0xff])), PolicyFault::Malformed);
    assert_eq!(fault(entry(3, vec![0xff])), PolicyFault::Malformed);
    assert_eq!(
        fault(entry(1, version.encode_to_vec())),
        PolicyFault::Version { found: 1 }
    );
    assert_eq!(fault(entry(1, no_rule.encode_to_vec())), PolicyFault::NoRule);
    assert_eq!(
        fault(signature(n_out_of(1, vec![WireRule::default()]))),
        PolicyFault::NoRule
    );
    assert_eq!(
        fault(signature(signed_by(5))),
        PolicyFault::Index {
            index: 5,
            principals: 5
        }
    );
    assert_eq!(
        fault(signature(signed_by(-1))),
        PolicyFault::Index {
            index: -1,
            principals: 5
        }
    );
    let error = world
        .tree(&group(&[("P", entry(0, vec![]))], vec![]))
        .unwrap_err();
    assert!(
        error.to_string().starts_with("policy /Channel/P: has type 0"),
        "{error}"
    );
}

#[test]
fn a_bad_signature_does_not_spoil_a_later_good_one() {
    let world = World::new();
    let good = world.signed_by("client");
    let bad = Signed {
        data: b"other".to_vec(),
        ..clone(&good)
    };
    assert_eq!(world.accepted(&[&bad, &good, &good]).len(), 1);
    assert!(world.accepted(&[&bad]).is_empty());
    let ghost = Signed {
        identity: b"junk".to_vec(),
        ..clone(&good)
    };
    assert_eq!(world.accepted(&[&ghost, &good]).len(), 1);
}

fn clone(signed: &Signed) -> Signed {
    Signed {
        identity: signed.identity.clone(),
        data: signed.data.clone(),
        signature: signed.signature.clone(),
    }
}

#[test]
fn two_encodings_of_one_certificate_are_one_signer() {
    let world = World::new();
    let key = p256();
    let der = world.root.issue(&Spec::leaf("user"), &key);
    // An element behind the signature, which readers skip, under a length two bytes longer.
    let content = [&der[4..], &[5, 0]].concat();
    let twin = crate::identity::testing::sequence(&content);
    let sign = |der: &[u8]| Signed {
        identity: serialized(certificate_pem(der)),
        data: b"data".to_vec(),
        signature: key.signer().sign(b"data"),
    };
    let (one, other) = (sign(&der), sign(&twin));
    assert_eq!(world.accepted(&[&other]).len(), 1, "it reads");
    assert_eq!(world.accepted(&[&one, &other]).len(), 1);
}

/// Evaluation as it is defined: every rule works on its own copy of the flags.
fn model(rule: &WireRule, fits: &dyn Fn(i32, usize) -> bool, used: &mut Vec<bool>) -> bool {
    match rule.r#type.as_ref().unwrap() {
        Type::SignedBy(index) => {
            let found = (0..used.len()).find(|place| !used[*place] && fits(*index, *place));
            found.inspect(|place| used[*place] = true).is_some()
        }
        Type::NOutOf(gate) => {
            let mut holding = 0;
            for rule in &gate.rules {
                let mut copy = used.clone();
                if model(rule, fits, &mut copy) {
                    holding += 1;
                    *used = copy;
                }
            }
            holding >= i64::from(gate.n)
        }
    }
}

fn any_rule() -> impl Strategy<Value = WireRule> {
    let leaf = (0..5_i32).prop_map(signed_by);
    leaf.prop_recursive(4, 24, 4, |inner| {
        (-1..4_i32, proptest::collection::vec(inner, 0..4)).prop_map(|(n, rules)| n_out_of(n, rules))
    })
}

proptest! {
    #[test]
    fn evaluation_is_greedy_over_copies_of_the_flags(
        rule in any_rule(),
        units in proptest::collection::vec(0..4_usize, 0..5),
    ) {
        const UNITS: [&str; 4] = ["admin", "client", "peer", "orderer"];
        let world = World::new();
        let signers: Vec<_> = units.iter().map(|unit| world.signed_by(UNITS[*unit])).collect();
        let signers: Vec<_> = signers.iter().collect();
        let tree = world.tree(&group(&[("P", signature(rule.clone()))], vec![])).unwrap();
        // Principal 0 is member; principal k is the unit k - 1.
        let fits = |index: i32, place: usize| index == 0 || usize::try_from(index).unwrap() == units[place] + 1;
        let expected = model(&rule, &fits, &mut vec![false; units.len()]);
        prop_assert_eq!(tree.evaluate("P", &views(&signers)).is_ok(), expected);
    }

    #[test]
    fn any_policy_bytes_compile_or_are_refused(
        r#type in -1..5_i32,
        value in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let world = World::new();
        if let Ok(tree) = world.tree(&group(&[("P", entry(r#type, value))], vec![])) {
            let _ = tree.evaluate("P", &views(&[&world.signed_by("client")]));
        }
    }
}
