//! The texts of `docs/operating/troubleshoot.md` are texts of the sources.
//!
//! `...` in a text stands for what differs each time: what stands before, between and behind must be in one source file.
//! Texts of the reference are looked for in `docs/spec/behaviour.md`.

use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/operating/troubleshoot.md";
/// Folders with sources that print texts.
const SOURCES: [&str; 4] = ["orderer/src", "consensus/src", "ledger/src", "configtx/src"];
/// Head of a table whose texts are those of the reference.
const OF_REFERENCE: &str = "| text of the reference |";
const ANYTHING: &str = "...";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The first text in backticks of each row, with whether it is one of ours.
fn texts(page: &str) -> Vec<(String, bool)> {
    let mut is_ours = true;
    let mut texts = Vec::new();
    for line in page.lines() {
        if line.starts_with("| text") {
            is_ours = !line.starts_with(OF_REFERENCE);
        } else if let Some(text) = line.strip_prefix("| `").and_then(|row| row.split('`').next()) {
            texts.push((text.to_owned(), is_ours));
        }
    }
    texts
}

/// Source files, with literals that go over several lines in one.
fn sources() -> Vec<String> {
    let mut files = Vec::new();
    for folder in SOURCES {
        collect(&workspace().join(folder), &mut files);
    }
    files
}

fn collect(folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if is_of_tests(&path) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(joined(&fs::read_to_string(&path).expect("text")));
        }
    }
}

/// A text that only a test has is no text of the program.
fn is_of_tests(path: &Path) -> bool {
    path.ends_with("tests") || path.ends_with("tests.rs")
}

/// Without the line breaks that a backslash takes back.
fn joined(source: &str) -> String {
    let mut pieces = source.split("\\\n");
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        whole.push_str(piece.trim_start());
    }
    whole
}

fn is_in(source: &str, text: &str) -> bool {
    let pieces = text.split(ANYTHING).map(|piece| piece.trim_matches(' '));
    pieces
        .filter(|piece| !piece.is_empty())
        .all(|piece| source.contains(piece))
}

#[test]
fn every_text_of_the_page_is_one_that_the_program_prints() {
    let page = fs::read_to_string(workspace().join(PAGE)).expect("the page");
    let behaviour =
        fs::read_to_string(workspace().join("docs/spec/behaviour.md")).expect("the specification");
    let (texts, sources) = (texts(&page), sources());
    assert!(texts.len() > 50, "only {} texts were found", texts.len());
    let is_there = |text: &str, is_ours: bool| {
        if is_ours {
            sources.iter().any(|source| is_in(source, text))
        } else {
            is_in(&behaviour, text)
        }
    };
    let absent = texts.iter().filter(|(text, is_ours)| !is_there(text, *is_ours));
    let absent: Vec<&str> = absent.map(|(text, _)| text.as_str()).collect();
    assert!(
        absent.is_empty(),
        "{PAGE}: nobody prints\n  {}",
        absent.join("\n  ")
    );
}

#[test]
fn a_text_is_found_piece_by_piece() {
    let source = joined("#[error(\"cannot open {file}: it \\\n    is gone\")]");
    for (text, is_there) in [
        ("cannot open ...: it is gone", true),
        ("... is gone", true),
        ("cannot close ...", false),
    ] {
        assert_eq!(is_in(&source, text), is_there, "{text}");
    }
    assert_eq!(
        texts("| text | x |\n|---|---|\n| `a ...` | `b` |\n| text of the reference | y |\n| `c` | d |\n"),
        [("a ...".to_owned(), true), ("c".to_owned(), false)]
    );
}
