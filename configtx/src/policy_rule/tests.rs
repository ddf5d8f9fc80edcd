use proptest::prelude::*;
use protos::wire::common::msp_role::MspRoleType;
use protos::wire::common::{MspRole, SignaturePolicy, signature_policy};

use super::*;

/// `2[0 1[1 2]]`: a gate as its number and its arguments.
fn shape(policy: &SignaturePolicy) -> String {
    match policy.r#type.as_ref().unwrap() {
        signature_policy::Type::SignedBy(index) => index.to_string(),
        signature_policy::Type::NOutOf(gate) => {
            let inner: Vec<_> = gate.rules.iter().map(shape).collect();
            format!("{}[{}]", gate.n, inner.join(" "))
        }
    }
}

/// The shape of a rule's tree, and its principals in order.
fn read(rule: &str) -> (String, Vec<String>) {
    let envelope = parse_signature(rule).unwrap_or_else(|error| panic!("{error}"));
    let named = envelope.identities.iter().map(|principal| {
        let named = MspRole::decode(principal.principal.clone()).unwrap();
        let kind = MspRoleType::try_from(named.role).unwrap();
        format!("{}.{}", named.msp_identifier, kind.as_str_name().to_lowercase())
    });
    (shape(envelope.rule.as_ref().unwrap()), named.collect())
}

fn fault(rule: &str) -> (usize, Fault) {
    match parse_signature(rule) {
        Err(PolicyRuleError::Signature { column, fault, .. }) => (column, fault),
        other => panic!("{rule}: {other:?}"),
    }
}

#[test]
fn principals_of_inner_gates_are_numbered_first() {
    let (tree, principals) = read("OR('A.admin', AND('B.peer','C.orderer'))");
    assert_eq!(tree, "1[2 2[0 1]]");
    assert_eq!(principals, ["B.peer", "C.orderer", "A.admin"]);
    let (tree, principals) = read(
        "OR('A.admin', AND('B.peer', 'C.orderer'), OutOf(2, 'D.client', OR('E.member', 'F.member'), 'G.member'))",
    );
    assert_eq!(tree, "1[6 2[0 1] 2[4 1[2 3] 5]]");
    assert_eq!(
        principals[2..],
        ["E.member", "F.member", "D.client", "G.member", "A.admin"]
    );
}

#[test]
fn every_spelling_of_the_grammar_is_read() {
    let cases = [
        (
            "Or(\"a-b.c.admin\", And(`A.member`, 'B.member',),)",
            "1[2 2[0 1]]",
        ),
        (" OutOf( 0 , 'A.member' ) ", "0[0]"),
        ("outof(3, 'A.member', 'B.member')", "3[0 1]"),
        ("OUTOF('1', 'A.member')", "1[0]"),
        ("AND('A.member', 'A.member')", "2[0 1]"),
        ("OR(OR(OR('A.peer')))", "1[1[1[0]]]"),
        ("AND ( 'A.member'\n, \t'B.member' )", "2[0 1]"),
    ];
    for (rule, tree) in cases {
        assert_eq!(read(rule).0, tree, "{rule}");
    }
    assert_eq!(read("OR('a.b.admin')").1, ["a.b.admin"]);
}

#[test]
fn what_is_no_rule_is_refused_with_its_place() {
    let cases = [
        ("or('A.admin')", 1, "unknown gate \"or\""),
        ("OR('A.admin'", 13, "expected , or ), found the end of the rule"),
        ("OR()", 5, "a gate needs at least one"),
        ("OutOf(1)", 8, "expected , behind the number, found ')'"),
        ("OutOf(1,)", 10, "a gate needs at least one"),
        ("OutOf(3, 'A.admin')", 20, "3 of 1 can never be met"),
        ("OutOf(-1, 'A.admin')", 7, "expected a number, found '-'"),
        ("OutOf('+1', 'A.admin')", 7, "expected a number"),
        ("OutOf(4294967296, 'A.admin')", 7, "expected a number"),
        ("OR('A.boss')", 4, "principal \"A.boss\" does not end in"),
        ("OR('A.Admin')", 4, "does not end in"),
        ("OR('admin')", 4, "does not end in"),
        ("OR('.admin')", 4, "MSP id \"\""),
        ("OR('Org1_MSP.admin')", 4, "MSP id \"Org1_MSP\""),
        ("OR('K\u{f6}ln.admin')", 4, "MSP id"),
        ("OR('A.admin\")", 4, "a text with a quote at its end"),
        ("OR(,)", 4, "expected a principal"),
        ("OR('A.admin',,)", 14, "expected a principal"),
        ("OR('A.admin' 'B.admin')", 14, "expected , or )"),
        ("OR('A.admin') x", 15, "expected the end of the rule, found 'x'"),
        ("'A.admin'", 1, "expected a gate such as OR(...), found '\\''"),
        ("", 1, "expected a gate"),
        ("OR", 3, "expected ( behind the gate's name"),
        ("\u{e9}\u{e9}('A.admin')", 1, "unknown gate"),
    ];
    for (rule, column, text) in cases {
        let (found, fault) = fault(rule);
        assert!(fault.to_string().contains(text), "{rule}: {fault}");
        assert_eq!(found, column, "{rule}: {fault}");
    }
}

#[test]
fn gates_nest_as_deep_as_a_node_can_read() {
    let nested = |depth: usize| format!("{}'A.peer'{}", "OR(".repeat(depth), ")".repeat(depth));
    let deepest = parse_policy("Signature", &nested(GATES_NESTED_MAX)).unwrap();
    assert!(SignaturePolicyEnvelope::decode(deepest.value).is_ok());
    assert_eq!(fault(&nested(GATES_NESTED_MAX + 1)).1, Fault::TooDeep);
    assert_eq!(fault(&"OR(".repeat(1_000_000)).1, Fault::TooDeep);
}

#[test]
fn implicit_rules_are_two_words_with_one_blank() {
    let rule = parse_implicit("MAJORITY Some.Name").unwrap();
    assert_eq!(
        (rule.rule(), rule.sub_policy.as_str()),
        (Rule::Majority, "Some.Name")
    );
    assert_eq!(parse_implicit("ANY ").unwrap().sub_policy, "");
    assert_eq!(parse_implicit("ALL Readers").unwrap().rule(), Rule::All);
    for rule in ["ANY", "", "ANY  Readers", "ANY Readers ", " ANY Readers"] {
        assert!(
            matches!(parse_implicit(rule), Err(PolicyRuleError::ImplicitWords { .. })),
            "{rule:?}"
        );
    }
    for rule in ["SOME Readers", "any Readers", " Readers"] {
        let error = parse_implicit(rule).unwrap_err();
        assert!(
            matches!(error, PolicyRuleError::ImplicitQuantity { .. }),
            "{rule:?}"
        );
    }
}

#[test]
fn policy_types_are_exact() {
    assert_eq!(parse_policy("ImplicitMeta", "ANY Readers").unwrap().r#type, 3);
    assert_eq!(parse_policy("Signature", "OR('A.peer')").unwrap().r#type, 1);
    let error = parse_policy("implicitmeta", "ANY Readers").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown policy type \"implicitmeta\": it is ImplicitMeta or Signature"
    );
}

proptest! {
    #[test]
    fn no_text_makes_parsing_panic(
        rule in r#"(AND|OR|OutOf|outof|\(|\)|,|'|"|`| |A\.admin|'B\.peer'|[0-9]|\PC){0,24}"#,
        kind in "Signature|ImplicitMeta|.{0,3}",
    ) {
        let _ = parse_policy(&kind, &rule);
    }

    #[test]
    fn principals_and_leaves_are_one_to_one(gates in 1_usize..12, width in 1_usize..5) {
        let leaves = vec!["'A.peer'"; width].join(",");
        let rule = (0..gates).fold(String::new(), |inner, _| format!("AND({leaves},{inner})"));
        let envelope = parse_signature(&rule).unwrap();
        prop_assert_eq!(envelope.identities.len(), gates * width);
        let tree = shape(envelope.rule.as_ref().unwrap());
        let mut indexes: Vec<usize> = tree
            .split(['[', ']', ' '])
            .zip(tree.split_inclusive(['[', ']', ' ']))
            .filter(|(_, with_end)| !with_end.ends_with('['))
            .filter_map(|(index, _)| index.parse().ok())
            .collect();
        indexes.sort_unstable();
        prop_assert_eq!(indexes, (0..gates * width).collect::<Vec<_>>());
    }
}
