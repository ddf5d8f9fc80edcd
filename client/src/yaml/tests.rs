use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Document {
    parse(Path::new("f.yaml"), text).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> String {
    match parse(Path::new("f.yaml"), text) {
        Ok(document) => panic!("{text:?} was taken: {document:?}"),
        Err(error) => error.to_string(),
    }
}

/// The tree in a form that is easy to compare: `{a: 1, b: ['x', ~]}`, quoted texts in quotes.
fn shown(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) if scalar.is_null() => "~".to_owned(),
        Value::Scalar(scalar) if scalar.quoted => format!("'{}'", scalar.text),
        Value::Scalar(scalar) => scalar.text.clone(),
        Value::List(elements) => {
            let elements: Vec<_> = elements.iter().map(shown).collect();
            format!("[{}]", elements.join(", "))
        }
        Value::Map(map) => {
            let entry = |entry: &Entry| format!("{}: {}", entry.key, shown(&entry.value));
            let entries: Vec<_> = map.entries.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn tree(text: &str) -> String {
    shown(parsed(text).root().unwrap().node())
}

#[test]
fn scalars_keep_their_text_and_quotes() {
    assert_eq!(
        tree("{a: 010, b: \"010\", c: 'y', d: y, e: !!str 5, f: !!int '6'}"),
        "{a: 010, b: '010', c: 'y', d: y, e: '5', f: 6}"
    );
    assert_eq!(
        tree("a: |\n  two\n  lines\nb: on # said\n"),
        "{a: 'two\nlines\n', b: on}"
    );
}

#[test]
fn every_spelling_of_null_is_one_and_quotes_make_it_a_text() {
    assert_eq!(
        tree("{a: , b: ~, c: null, d: NULL, e: Null, f: 'null', g: \"\"}"),
        "{a: ~, b: ~, c: ~, d: ~, e: ~, f: 'null', g: ''}"
    );
}

#[test]
fn lines_are_those_of_the_file() {
    let document = parsed("# head\na:\n  b:\n  c:\n    - 1\n    - 2\n");
    let root = document.root().unwrap();
    let a = root.get("a").unwrap().unwrap();
    let lines: Vec<_> = a.entries().unwrap().iter().map(|(_, e)| e.line()).collect();
    assert_eq!(lines, [3, 5]);
    let second = &a.get("c").unwrap().unwrap().elements().unwrap()[1];
    assert_eq!((second.line(), second.path()), (6, "a.c[1]"));
    assert_eq!(second.wrong("is odd").to_string(), "f.yaml:6: a.c[1]: is odd");
}

#[test]
fn an_empty_file_differs_from_an_empty_document() {
    for empty in ["", "\n \n", "# only a comment\n"] {
        assert!(parsed(empty).is_empty(), "{empty:?}");
    }
    for (text, shape) in [("{}", "{}"), ("null", "~"), ("---\n", "~"), ("---\n...\n", "~")] {
        assert_eq!(tree(text), shape);
        assert!(parsed(text).root().unwrap().get("a").unwrap().is_none());
    }
}

#[test]
fn only_the_first_document_counts() {
    assert_eq!(tree("a: 1\n---\nb: [\n"), "{a: 1}");
}

#[test]
fn aliases_stand_for_a_copy_with_the_line_of_the_original() {
    let text = "base: &B {x: 1}\nlist: [*B, &C two, *C]\n*C : three\n";
    assert_eq!(tree(text), "{base: {x: 1}, list: [{x: 1}, two, two], two: three}");
    let document = parsed("a: &A\n  x: 1\nb: *A\n");
    let b = document.root().unwrap().get("b").unwrap().unwrap();
    assert_eq!(b.get("x").unwrap().unwrap().line(), 2);
}

#[test]
fn an_alias_without_anchor_is_named() {
    assert_eq!(
        refused("a: 1\nb: {c: [*Org9, 2]}\n"),
        "f.yaml:2: b.c: alias *Org9 stands for nothing: no &Org9 comes before it"
    );
    assert!(refused("ö: *Örg9\n").contains("*Örg9"));
    assert!(refused("a: &A [1, *A]").contains("inside"));
}

#[test]
fn an_alias_bomb_is_refused() {
    let level = |level: usize| {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("a{level}: &a{level} [{aliases}]\n")
    };
    let text = "a0: &a0 [x, x]\n".to_owned() + &(1..12).map(level).collect::<String>();
    assert!(refused(&text).contains("larger than"), "{}", refused(&text));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 16), "*a, ".repeat(1000));
    assert!(refused(&long).contains("larger than"));
}

#[test]
fn deep_nesting_is_refused_also_by_aliases() {
    assert!(refused(&"[".repeat(100)).contains("nested"));
    assert!(refused(&"- ".repeat(1000)).contains("nested"));
    let level = |level: usize| format!("a{level}: &a{level} [*a{}]\n", level - 1);
    let text = "a0: &a0 x\n".to_owned() + &(1..100).map(level).collect::<String>();
    assert!(refused(&text).contains("nested"));
}

#[test]
fn a_key_twice_is_refused_with_both_lines() {
    assert_eq!(
        refused("a:\n  b: 1\n  c: 2\n  'b': 3\n"),
        "f.yaml:4: a.b: this key stands here a second time, after line 2"
    );
    assert!(refused("{<<: {a: 1}, <<: {b: 1}}").contains("<<"));
}

#[test]
fn explicit_keys_win_over_merged_ones_wherever_they_stand() {
    let base = "base: &B {x: 1, y: {p: 1, q: 2}, z: 3}\n";
    for (entry, shape) in [
        ("{<<: *B, x: 2}", "{x: 2, y: {p: 1, q: 2}, z: 3}"),
        ("{x: 2, <<: *B}", "{x: 2, y: {p: 1, q: 2}, z: 3}"),
        ("{<<: *B, y: {p: 5}}", "{y: {p: 5}, x: 1, z: 3}"),
        ("{<<: *B, y: }", "{y: ~, x: 1, z: 3}"),
        ("{<<: [{x: 7}, *B]}", "{x: 7, y: {p: 1, q: 2}, z: 3}"),
        ("{'<<': 1}", "{<<: 1}"),
    ] {
        assert_eq!(
            tree(&format!("{base}a: {entry}\n")),
            format!("{{base: {{x: 1, y: {{p: 1, q: 2}}, z: 3}}, a: {shape}}}"),
            "{entry}"
        );
    }
}

#[test]
fn a_merged_null_is_not_filled_by_a_later_merge() {
    assert_eq!(tree("<<: [{x: }, {x: 1}]"), "{x: ~}");
    assert_eq!(tree("a: &A {x: 1}\nb: &B {<<: *A, y: 2}\nc: {<<: *B}"), {
        "{a: {x: 1}, b: {y: 2, x: 1}, c: {y: 2, x: 1}}"
    });
}

#[test]
fn merging_something_else_than_maps_is_refused() {
    for text in [
        "a: {<<: 1}",
        "a: {<<: [{x: 1}, 2]}",
        "a: {<<: [[{x: 1}]]}",
        "a: {<<: }",
    ] {
        assert_eq!(
            refused(text),
            "f.yaml:1: a.<<: << takes a map, an alias of one, or a list of those"
        );
    }
}

#[test]
fn keys_are_found_exactly_or_in_any_letter_case() {
    let document = parsed("BatchSize: 1\nother: ~\ntwo: 1\nTWO: 2\n");
    let root = document.root().unwrap();
    assert!(root.get("batchsize").unwrap().is_none());
    let found = root.get_any_case("batchsize").unwrap().unwrap();
    assert_eq!(found.path(), "BatchSize");
    assert!(root.get_any_case("OTHER").unwrap().is_none());
    assert_eq!(
        root.get_any_case("Two").unwrap_err().to_string(),
        "f.yaml:4: TWO: this key stands here a second time, after two on line 3"
    );
}

#[test]
fn a_value_of_another_shape_is_an_error_with_its_place() {
    let document = parsed("a: [1]\nb: text\n");
    let root = document.root().unwrap();
    let (a, b) = (root.get("a").unwrap().unwrap(), root.get("b").unwrap().unwrap());
    for (error, text) in [
        (
            a.get("x").unwrap_err(),
            "f.yaml:1: a: should be a map of keys, not a list",
        ),
        (
            b.elements().unwrap_err(),
            "f.yaml:2: b: should be a list, not \"text\"",
        ),
        (
            a.scalar().unwrap_err(),
            "f.yaml:1: a: should be a single value, not a list",
        ),
        (
            root.scalar().unwrap_err(),
            "f.yaml:1: should be a single value, not a map of keys",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn broken_files_are_refused_with_their_line() {
    let broken = [
        ("PeerOrgs:\n  - Name: A\n   Domain: a.test\n", 3),
        ("a: [1\nb: 2\n", 2),
        ("b: 1\na: 'x\n", 2),
        ("{}\nx: 1\n", 2),
        ("? [a]\n: 1\n", 1),
    ];
    let found = broken.map(|(text, _)| parse(Path::new("f.yaml"), text).unwrap_err());
    let lines = found.each_ref().map(|error| error.line.unwrap());
    assert_eq!(lines, broken.map(|(_, line)| line), "{found:#?}");
}

#[test]
fn what_is_no_text_or_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.yaml");
    assert!(read(&file).unwrap_err().to_string().contains("cannot be read"));
    std::fs::write(&file, [b'a', b':', 0xff]).unwrap();
    assert!(
        read(&file)
            .unwrap_err()
            .to_string()
            .ends_with("f.yaml: is not UTF-8 text")
    );
    std::fs::write(&file, "a: 1").unwrap();
    assert_eq!(read(&file).unwrap().file(), file);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = parse(Path::new("f"), &text);
    }

    #[test]
    fn no_text_of_yaml_marks_makes_it_panic(text in "[-a1:?,{}\\[\\]&*!|>'\"%@`#<~. \\n\\t]{0,60}") {
        let _ = parse(Path::new("f"), &text);
    }
}
