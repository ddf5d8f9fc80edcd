use super::*;

fn orgs(text: &str) -> Result<Vec<OrgSpec>, YamlError> {
    organisations(&yaml::parse(Path::new("c.yaml"), text)?)
}

/// The only organisation of a file with the keys `text` beside its domain `d.test`.
fn peer_org(text: &str) -> OrgSpec {
    let text = format!("PeerOrgs: [{{Domain: d.test, {text}}}]");
    orgs(&text).unwrap_or_else(|error| panic!("{error}")).remove(0)
}

fn refusal(text: &str) -> String {
    let text = format!("PeerOrgs:\n  - Domain: d.test\n    {text}\n");
    orgs(&text).unwrap_err().to_string()
}

fn names(org: &OrgSpec) -> Vec<&str> {
    org.nodes.iter().map(|node| node.common_name.as_str()).collect()
}

#[test]
fn nothing_asked_for_is_nothing_made() {
    for text in [
        "",
        "{}",
        "PeerOrgs:",
        "PeerOrgs: []\nOrdererOrgs: ~",
        "# only this",
        "Else: 1",
    ] {
        assert!(orgs(text).unwrap().is_empty(), "{text:?}");
    }
}

#[test]
fn peer_organisations_come_first_in_the_order_of_the_file() {
    let text =
        "OrdererOrgs: [{Domain: o}]\nPeerOrgs: [{Domain: b}, {Domain: a}]\n---\nPeerOrgs: [{Domain: z}]\n";
    let domains: Vec<_> = orgs(text).unwrap().into_iter().map(|org| org.domain).collect();
    assert_eq!(domains, ["b", "a", "o"]);
}

#[test]
fn defaults_are_p256_without_roles_and_the_usual_names() {
    let org = peer_org("Template: {Count: 1}, Users: {Count: 2}");
    assert!(!org.node_ous);
    assert_eq!(
        (org.ca.key, org.admin_key, org.nodes[0].key),
        (KeyType::P256, KeyType::P256, KeyType::P256)
    );
    assert_eq!(org.ca.common_name, "ca.d.test");
    assert_eq!(org.nodes[0].alternative_names, ["peer0.d.test", "peer0"]);
    let users: Vec<_> = org.users.iter().map(|user| user.common_name.as_str()).collect();
    assert_eq!(users, ["User1@d.test", "User2@d.test"]);
}

#[test]
fn specs_stand_before_template_nodes_and_indexes_may_be_negative() {
    let org = peer_org(
        "Template: {Count: 2, Start: -1, CommonName: x, Country: [1]}, Specs: [{Hostname: s}, {CommonName: 7}]",
    );
    assert_eq!(names(&org), ["s.d.test", "7", "peer-1.d.test", "peer0.d.test"]);
    assert_eq!(org.nodes[1].alternative_names, ["7"]);
    assert!(peer_org("Template: {Count: -3}").nodes.is_empty());
}

#[test]
fn names_are_made_of_each_other() {
    let org = peer_org(
        "Specs: [{Hostname: h, CommonName: \"{{.Hostname}}-x.{{.Domain}}\", SANS: [\"{{.CommonName}}\", 10.0.0.1]}]",
    );
    assert_eq!(
        org.nodes[0].alternative_names,
        ["h-x.d.test", "h", "h-x.d.test", "10.0.0.1"]
    );
}

#[test]
fn an_authority_has_names_a_place_and_a_kind_of_key() {
    let org = peer_org(
        "CA: {Hostname: root, Country: CH, Locality: '', PostalCode: 8000, PublicKeyAlgorithm: ed25519}",
    );
    assert_eq!(
        (org.ca.common_name.as_str(), org.ca.key),
        ("root.d.test", KeyType::Ed25519)
    );
    let subject = org.ca.subject;
    assert_eq!(
        [subject.country, subject.locality, subject.postal_code],
        ["CH", "San Francisco", "8000"]
    );
}

#[test]
fn the_admin_keeps_p256_and_orderer_organisations_have_no_users() {
    let org = orgs("OrdererOrgs: [{Domain: o, Users: {Count: 3, PublicKeyAlgorithm: RSA}, CA: {PublicKeyAlgorithm: ed25519}}]")
        .unwrap()
        .remove(0);
    assert_eq!((org.users.len(), org.admin_key), (0, KeyType::P256));
}

#[test]
fn bools_and_numbers_take_the_forms_of_yaml() {
    for (text, on) in [
        ("yes", true),
        ("on", true),
        ("y", true),
        ("TRUE", true),
        ("no", false),
        ("Off", false),
        ("~", false),
    ] {
        assert_eq!(peer_org(&format!("EnableNodeOUs: {text}")).node_ous, on, "{text}");
    }
    assert_eq!(peer_org("Users: {Count: 0x2}").users.len(), 2);
    assert_eq!(peer_org("Users: {Count: 2.0}").users.len(), 2);
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = "x: &T {Template: {Count: 1}, EnableNodeOUs: true}\nPeerOrgs: [{<<: *T, Domain: a}, {Domain: b, <<: *T, Template: }]";
    let orgs = orgs(text).unwrap();
    assert_eq!((names(&orgs[0]), orgs[0].node_ous), (vec!["peer0.a"], true));
    assert_eq!((orgs[1].nodes.len(), orgs[1].node_ous), (0, true));
}

#[test]
fn mistakes_are_refused_with_line_key_and_what_would_do() {
    for (text, refused) in [
        (
            "Template: {Count: many}",
            "c.yaml:3: PeerOrgs[0].Template.Count: should be a whole number without quotes, not \"many\"",
        ),
        (
            "EnableNodeOUs: 'true'",
            "c.yaml:3: PeerOrgs[0].EnableNodeOUs: should be true or false without quotes, not \"true\"",
        ),
        (
            "Template: {Count: 1, Hostname: '{{.Foo}}'}",
            "c.yaml:3: PeerOrgs[0].Template.Hostname: {{.Foo}} is unknown here; known are {{.Prefix}}, {{.Index}}, \
             {{.Domain}}",
        ),
        (
            "Specs: [{Hostname: a, SANS: [b, '{{.Index}}']}]",
            "c.yaml:3: PeerOrgs[0].Specs[0].SANS[1]: {{.Index}} is unknown here; known are {{.Hostname}}, {{.Domain}}, \
             {{.CommonName}}",
        ),
        (
            "CA: {PublicKeyAlgorithm: rsa}",
            "c.yaml:3: PeerOrgs[0].CA.PublicKeyAlgorithm: the authorities of d.test cannot have keys of kind \"rsa\"; \
             ecdsa or ed25519, in lower case",
        ),
        (
            "Specs: [~]",
            "c.yaml:3: PeerOrgs[0].Specs[0]: this list element is empty",
        ),
        (
            "Specs: {Hostname: a}",
            "c.yaml:3: PeerOrgs[0].Specs: should be a list, not a map of keys",
        ),
        (
            "Users: {Count: '1'}",
            "c.yaml:3: PeerOrgs[0].Users.Count: should be a whole number without quotes, not \"1\"",
        ),
        (
            "Users: {Count: 100001}",
            "c.yaml:3: PeerOrgs[0].Users.Count: 100001 is more than 100000",
        ),
        (
            "Specs: [{CommonName: ../../etc}]",
            "c.yaml:3: PeerOrgs[0].Specs[0].CommonName: the name \"../../etc\" cannot be that of a folder",
        ),
        (
            "Domain: e.test",
            "c.yaml:3: PeerOrgs[0].Domain: this key stands here a second time, after line 2",
        ),
    ] {
        assert_eq!(refusal(text), refused);
    }
    let twice = orgs("PeerOrgs: [{Domain: a}, {Domain: a}]")
        .unwrap_err()
        .to_string();
    assert!(
        twice.starts_with("c.yaml:1: PeerOrgs[1]: a second organisation"),
        "{twice}"
    );
}

#[test]
fn the_template_makes_three_organisations() {
    let orgs = template().unwrap();
    let shape: Vec<_> = orgs
        .iter()
        .map(|org| (names(org).join(" "), org.users.len()))
        .collect();
    assert_eq!(
        shape,
        [
            ("peer0.org1.example.com".to_owned(), 1),
            ("peer0.org2.example.com".to_owned(), 1),
            ("orderer.example.com".to_owned(), 0)
        ]
    );
    assert!(orgs.iter().all(|org| !org.node_ous));
}

#[test]
fn what_the_template_shows_as_comments_is_taken_when_written() {
    let is_setting = |line: &str| {
        let text = line.trim_start().strip_prefix("# ").unwrap_or_default();
        text.trim_start().starts_with("- ")
            || text.split_once(':').is_some_and(|(key, _)| {
                let key = key.trim();
                !key.contains(' ') && key.starts_with(|c: char| c.is_ascii_uppercase())
            })
    };
    let mut written = String::new();
    for line in TEMPLATE.lines() {
        let line = if is_setting(line) {
            line.replacen("# ", "", 1)
        } else {
            line.to_owned()
        };
        written.push_str(&line);
        written.push('\n');
    }
    let orgs = orgs(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
    assert_eq!(orgs[2].ca.subject.postal_code, "8000");
    assert_eq!(orgs[2].nodes[0].alternative_names.len(), 5);
    assert_eq!(orgs[0].nodes[0].alternative_names.len(), 3);
}
