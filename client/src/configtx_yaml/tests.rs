use std::collections::BTreeSet;

use configtx::genesis::{Consensus, Profile, channel_group};
use proptest::prelude::*;

use super::*;

type Set<'a> = &'a [(&'a str, &'a str)];

fn read(text: &str, set: Set<'_>) -> Result<ConfigtxFile, ConfigtxError> {
    let document = yaml::parse(Path::new("configtx.yaml"), text)?;
    let variables = |name: &str| {
        let found = set.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    ConfigtxFile::of_document(&document, &variables)
}

fn refused(text: &str, set: Set<'_>) -> String {
    match read(text, set) {
        Ok(file) => panic!("{text:?} was taken: {file:?}"),
        Err(error) => error.to_string(),
    }
}

/// A file whose profile P needs no other file, with `orderer` as further keys of its section Orderer.
fn solo(orderer: &str) -> String {
    format!(
        r#"Profiles:
  P:
    Policies: &Meta
      Readers: {{Type: ImplicitMeta, Rule: "ANY Readers"}}
      Writers: {{Type: ImplicitMeta, Rule: "ANY Writers"}}
      Admins: {{Type: ImplicitMeta, Rule: "MAJORITY Admins"}}
    Orderer:
      Policies: {{<<: *Meta, BlockValidation: {{Type: ImplicitMeta, Rule: "ANY Writers"}}}}
      {orderer}
    Application:
      Policies: *Meta
"#
    )
}

fn profile(text: &str, set: Set<'_>) -> Profile {
    let file = read(text, set).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let read = file
        .profile("P")
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert!(channel_group(&read.profile).is_ok());
    read.profile
}

#[test]
fn what_is_missing_or_null_takes_its_default() {
    for nothing in [
        "MaxChannels: 0",
        "BatchTimeout:",
        "BatchSize: ~",
        "Addresses: null",
        "OrdererType: ''",
    ] {
        let orderer = profile(&solo(nothing), &[]).orderer;
        assert_eq!(orderer.consensus, Consensus::Solo);
        assert_eq!(orderer.channels_max, 0);
        assert!(orderer.addresses.is_empty() && orderer.capabilities.is_none());
        let group = channel_group(&profile(&solo(nothing), &[])).unwrap();
        let timeout = &group.groups["Orderer"].values["BatchTimeout"].value;
        assert_eq!(timeout[..], b"\x0a\x022s"[..]);
    }
}

#[test]
fn section_keys_match_in_any_letter_case_and_names_exactly() {
    let orderer = profile(
        &solo("batchSIZE: {maxmessagecount: 8}\n      CAPABILITIES: {v2_0: true}"),
        &[],
    )
    .orderer;
    assert_eq!(orderer.batch_size.max_message_count, 8);
    assert_eq!(orderer.capabilities, Some(BTreeSet::from(["v2_0".to_owned()])));
    assert_eq!(
        refused(&solo("MaxChannels: 1\n      maxChannels: 2"), &[]),
        "configtx.yaml:10: Profiles.P.Orderer.maxChannels: the same key stands on line 9 in another spelling"
    );
    let error = read(&solo(""), &[]).unwrap().profile("p").unwrap_err();
    assert_eq!(error.to_string(), "configtx.yaml has no profile p; it has P");
}

#[test]
fn the_whole_file_is_checked() {
    let unknown = "configtx.yaml:3: Profiles.Q.Orderer.Foo: unknown key; the keys here are OrdererType, ";
    let error = refused("Profiles:\n  P: {}\n  Q: {Orderer: {Foo: }}\n", &[]);
    assert!(error.starts_with(unknown), "{error}");
    assert!(refused("x-note: 1\n", &[]).contains("configtx.yaml:1: x-note: unknown key"));
    assert!(refused("Profiles: [1]\n", &[]).contains("Profiles: should be a map of names, not a list"));
    assert!(
        refused("Organizations: [~]\n", &[]).contains("Organizations[0]: should be a map with the keys Name")
    );
    assert!(refused("Organizations: {Name: A}\n", &[]).contains("should be a list, not a map of keys"));
    assert!(refused("text\n", &[]).contains("configtx.yaml:1: should be a map with the keys Organizations"));
    assert_eq!(refused("# nothing\n", &[]), "configtx.yaml is empty");
    assert!(read("~\n", &[]).unwrap().profile("P").is_err());
}

#[test]
fn values_of_another_type_are_refused_with_what_was_expected() {
    let cases = [
        (
            "BatchTimeout: 2 fortnights",
            "BatchTimeout: should be a duration such as 500ms or 1m30s",
        ),
        (
            "BatchSize: {AbsoluteMaxBytes: 10 MiB}",
            "AbsoluteMaxBytes: should be a number from 0 to 4294967295",
        ),
        ("BatchSize: {AbsoluteMaxBytes: 4 GB}", ", not \"4 GB\""),
        ("BatchSize: {MaxMessageCount: -1}", ", not \"-1\""),
        (
            "MaxChannels: 1 k",
            "MaxChannels: should be a number from 0 to 18446744073709551615, not \"1 k\"",
        ),
        (
            "Capabilities: {V2_0: yes}",
            "Capabilities.V2_0: should be true or false, not \"yes\"",
        ),
        (
            "SmartBFT: {LeaderRotation: ROTATION_ON}",
            "LeaderRotation: should be a whole number of 32 bits",
        ),
        ("OrdererType: [solo]", "OrdererType: should be a text, not a list"),
        ("Policies: {}", "a second time"),
    ];
    for (line, text) in cases {
        let error = refused(&solo(line), &[]);
        assert!(error.contains(text), "{line}: {error}");
        assert!(
            error.starts_with("configtx.yaml:9: Profiles.P.Orderer."),
            "{error}"
        );
    }
}

#[test]
fn the_environment_replaces_keys_that_stand_in_the_file() {
    let text = solo(
        "BatchTimeout: 3s\n      BatchSize: {MaxMessageCount: }\n      Addresses:\n      Capabilities: {V1.1: false}",
    );
    let set: Set<'_> = &[
        ("CONFIGTX_PROFILES_P_ORDERER_BATCHTIMEOUT", "7s"),
        ("CONFIGTX_PROFILES_P_ORDERER_BATCHSIZE_MAXMESSAGECOUNT", "0x10"),
        ("CONFIGTX_PROFILES_P_ORDERER_ADDRESSES", "[x:1, y:2]"),
        ("CONFIGTX_PROFILES_P_ORDERER_CAPABILITIES_V1_1", "true"),
        ("CONFIGTX_PROFILES_P_ORDERER_POLICIES_READERS_RULE", "ALL Readers"),
    ];
    let changed = profile(&text, set).orderer;
    assert_eq!(changed.batch_timeout.to_string(), "7s");
    assert_eq!(changed.batch_size.max_message_count, 16);
    assert_eq!(changed.addresses, ["x:1", "y:2"]);
    assert_eq!(changed.capabilities, Some(BTreeSet::from(["V1.1".to_owned()])));
    assert_ne!(
        changed.policies["Readers"],
        profile(&text, &[]).orderer.policies["Readers"]
    );
}

#[test]
fn other_variables_change_nothing() {
    let text = solo("BatchTimeout: 3s\n      ConsenterMapping: [{Host: a}]");
    let set: Set<'_> = &[
        ("CONFIGTX_PROFILES_P_ORDERER_MAXCHANNELS", "9"),
        ("CONFIGTX_PROFILES_P_ORDERER_BATCHTIMEOUT", ""),
        ("configtx_profiles_p_orderer_batchtimeout", "9s"),
        ("CONFIGTX_ORDERER_BATCHTIMEOUT", "9s"),
        ("CONFIGTX_PROFILES_P_ORDERER_CONSENTERMAPPING_0_HOST", "b"),
        ("CONFIGTX_PROFILES_P_ORDERER_CONSENTERMAPPING_HOST", "b"),
    ];
    assert_eq!(profile(&text, set), profile(&text, &[]));
}

#[test]
fn a_merged_key_takes_its_variable_where_it_was_merged_to() {
    let text = "Orderer: &O {MaxChannels: 3}\nProfiles: {P: {Orderer: {<<: *O}}}\n";
    let set: Set<'_> = &[("CONFIGTX_PROFILES_P_ORDERER_MAXCHANNELS", "9")];
    let root = read(text, set).unwrap().root;
    assert_eq!(root.profiles["P"].orderer.as_ref().unwrap().max_channels, 9);
    assert_eq!(root.orderer.unwrap().max_channels, 3);
}

#[test]
fn a_bad_value_of_the_environment_names_its_variable() {
    let set: Set<'_> = &[("CONFIGTX_PROFILES_P_ORDERER_BATCHTIMEOUT", "soon")];
    assert_eq!(
        refused(&solo("BatchTimeout: 2s"), set),
        "configtx.yaml:9: Profiles.P.Orderer.BatchTimeout: should be a duration such as 500ms or 1m30s, or a number \
         of nanoseconds, not \"soon\" (from the environment variable CONFIGTX_PROFILES_P_ORDERER_BATCHTIMEOUT)"
    );
    let set: Set<'_> = &[("CONFIGTX_PROFILES", "x")];
    assert!(refused(&solo(""), set).contains("Profiles: should be a map of names, not \"x\""));
}

#[test]
fn lists_of_texts_may_be_one_text() {
    for (written, addresses) in [
        ("[a:1, b:2]", &["a:1", "b:2"][..]),
        ("a:1", &["a:1"]),
        ("'[a:1,  b:2 ]'", &["a:1", "b:2"]),
        ("[]", &[]),
        ("[1, ~]", &["1", ""]),
    ] {
        let orderer = profile(&solo(&format!("Addresses: {written}")), &[]).orderer;
        assert_eq!(orderer.addresses, addresses, "{written}");
    }
}

#[test]
fn a_text_may_be_the_content_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("type");
    std::fs::write(&file, "solo").unwrap();
    let with = |path: &Path| solo(&format!("OrdererType: {{File: {}}}", path.display()));
    assert_eq!(profile(&with(&file), &[]).orderer.consensus, Consensus::Solo);
    let error = refused(&with(&folder.path().join("none")), &[]);
    assert!(
        error.contains("Orderer.OrdererType.File: cannot read ") && error.contains("none"),
        "{error}"
    );
    for (written, text) in [
        ("{}", "a map with File"),
        ("{File: }", "the path of a file, not nothing"),
    ] {
        let error = refused(&solo(&format!("OrdererType: {written}")), &[]);
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn explicit_keys_win_over_merged_ones_and_maps_are_taken_whole() {
    let text = "Orderer: &O {BatchTimeout: 3s, MaxChannels: 3, BatchSize: {MaxMessageCount: 30, PreferredMaxBytes: 9}}\n\
                Profiles:\n  P:\n    Orderer:\n      BatchTimeout: 4s\n      <<: [{MaxChannels: 5}, *O]\n      \
                BatchSize: {MaxMessageCount: 6}\n  Q: {Orderer: {<<: *O, MaxChannels: }}\n";
    let root = read(text, &[]).unwrap().root;
    let p = root.profiles["P"].orderer.as_ref().unwrap();
    assert_eq!(p.batch_timeout.to_string(), "4s");
    assert_eq!(
        (
            p.max_channels,
            p.batch_size.max_message_count,
            p.batch_size.preferred_max_bytes
        ),
        (5, 6, 0)
    );
    let q = root.profiles["Q"].orderer.as_ref().unwrap();
    assert_eq!((q.max_channels, q.batch_size.max_message_count), (0, 30));
}

#[test]
fn capabilities_that_are_all_off_are_an_empty_set_and_none_at_all_no_set() {
    let of = |written: &str| {
        profile(&solo(&format!("Capabilities: {written}")), &[])
            .orderer
            .capabilities
    };
    assert_eq!(of("{V2_0: false}"), Some(BTreeSet::new()));
    assert_eq!(of("{}"), None);
    assert_eq!(of("{V2_0: }"), None);
    assert_eq!(
        of("{V2_0: T, V1_1: 0}"),
        Some(BTreeSet::from(["V2_0".to_owned()]))
    );
}

#[test]
fn members_and_options_must_fit_the_type() {
    let member = "Host: h, Port: 1, ClientTLSCert: c, ServerTLSCert: s";
    let cases = [
        (
            "OrdererType: kafka".to_owned(),
            "OrdererType: unknown orderer type \"kafka\"",
        ),
        (
            "OrdererType: etcdraft".to_owned(),
            "EtcdRaft: etcdraft needs at least one of Consenters",
        ),
        (
            "OrdererType: BFT".to_owned(),
            "ConsenterMapping: BFT needs at least one consenter",
        ),
        (
            "{OrdererType: etcdraft, EtcdRaft: {Consenters: [{Host: h, Port: 1}]}}".to_owned(),
            "EtcdRaft.Consenters[0].ClientTLSCert: consenter h:1 has no ClientTLSCert",
        ),
        (
            format!(
                "{{OrdererType: etcdraft, EtcdRaft: {{Consenters: [{{{member}}}], Options: {{HeartbeatTick: 10}}}}}}"
            ),
            "EtcdRaft.Options: etcdraft ElectionTick (10) must be greater than HeartbeatTick (10)",
        ),
        (
            format!("{{OrdererType: BFT, ConsenterMapping: [{{{member}, MSPID: m}}]}}"),
            "ConsenterMapping[0].Identity: consenter h:1 has no Identity",
        ),
        (
            format!("{{OrdererType: etcdraft, EtcdRaft: {{Consenters: [{{{member}}}]}}}}"),
            "ClientTLSCert: consenter h:1: cannot read the client TLS certificate c: ",
        ),
    ];
    for (orderer, text) in cases {
        let file = read(
            &format!("Profiles: {{P: {{Orderer: {}}}}}\n", braced(&orderer)),
            &[],
        )
        .unwrap();
        let error = file.profile("P").unwrap_err().to_string();
        assert!(error.contains(text), "{orderer}: {error}");
    }
}

fn braced(keys: &str) -> String {
    if keys.starts_with('{') {
        keys.to_owned()
    } else {
        format!("{{{keys}}}")
    }
}

#[test]
fn a_policy_that_cannot_be_read_is_named_with_its_organisation() {
    let text = "Organizations:\n  - Name: Org1\n    ID: M\n    MSPDir: none\n    Policies:\n      \
                Admins: {Type: Signature, Rule: OR('M.boss')}\n";
    let error = read(text, &[])
        .unwrap()
        .organization("Org1")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("configtx.yaml:4: Organizations[0].MSPDir: organisation Org1: none/cacerts"),
        "{error}"
    );
    let sections = &read(text, &[]).unwrap().root.organizations[0].policies;
    let fault = convert::policies(sections)
        .unwrap_err()
        .about("organisation Org1");
    assert_eq!(
        (fault.at.line, fault.at.path.as_str()),
        (6, "Organizations[0].Policies.Admins.Rule")
    );
    assert!(
        fault
            .what
            .contains("organisation Org1: signature rule \"OR('M.boss')\", column 4"),
        "{}",
        fault.what
    );
}

#[test]
fn an_organisation_that_others_describe_is_an_empty_group_and_no_member() {
    let text = "Organizations: [&O {Name: Org1, SkipAsForeign: true}]\n\
                Profiles: {P: {Orderer: {Organizations: [*O]}}}\n";
    let file = read(text, &[]).unwrap();
    assert_eq!(file.organization("Org1").unwrap().group, foreign_group());
    let error = file.profile("P").unwrap_err().to_string();
    assert!(
        error.contains("SkipAsForeign: organisation Org1 is described by others"),
        "{error}"
    );
    let error = file.organization("Org2").unwrap_err().to_string();
    assert_eq!(error, "configtx.yaml has no organisation named Org2; it has Org1");
}

#[test]
fn a_top_level_orderer_must_be_complete_when_an_organisation_is_printed() {
    let text = "Orderer: {OrdererType: BFT}\nOrganizations: [{Name: A, SkipAsForeign: true}]\n";
    let error = read(text, &[])
        .unwrap()
        .organization("A")
        .unwrap_err()
        .to_string();
    assert!(error.contains("Orderer.ConsenterMapping"), "{error}");
}

#[test]
fn the_first_folder_with_a_file_counts() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let second_choice = first.path().join("configtx.yml");
    std::fs::write(&second_choice, "").unwrap();
    assert_eq!(find(Source::Folder(first.path())).unwrap(), second_choice);
    let anywhere = Source::Anywhere {
        fabric_cfg_path: Some(first.path()),
    };
    assert_eq!(find(anywhere).unwrap(), second_choice);
    let first_choice = first.path().join("configtx.yaml");
    std::fs::write(&first_choice, "").unwrap();
    assert_eq!(find(anywhere).unwrap(), first_choice);
    let error = find(Source::Folder(second.path())).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("no configtx.yaml or configtx.yml in {}", second.path().display())
    );
    assert_eq!(find(Source::File(second.path())).unwrap(), second.path());
}

#[test]
fn an_alias_bomb_is_an_error_and_not_a_hang() {
    let level = |level: usize| {
        let below = level - 1;
        format!("  P{level}: &p{level} {{Application: *p{below}, Orderer: *p{below}}}\n")
    };
    let levels: String = (1..40).map(level).collect();
    let text = format!("Profiles:\n  P0: &p0 {{Consortiums: {{A: {{Organizations: []}}}}}}\n{levels}");
    assert!(read(&text, &[]).is_err());
    assert!(read(&"{Profiles: ".repeat(10_000), &[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_reading_panic(
        text in r"(Profiles|Orderer|Organizations|P|BatchSize|Addresses|EtcdRaft|Consenters|Policies|: |:\n  |\n- |\[|\]|\{|\}|, |&a |\*a|<<|~|5 MB|2s|[a-z]|\PC){0,40}",
    ) {
        if let Ok(file) = read(&text, &[]) {
            let _ = file.profile("P");
            let _ = file.organization("");
        }
    }
}
