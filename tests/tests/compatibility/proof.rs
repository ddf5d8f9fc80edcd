//! The tests of the repository, by file and name.
//!
//! | named | is |
//! |---|---|
//! | `told.rs::a_sentence` | a function with `#[test]` or `#[tokio::test]`, or a case listed in the `main.rs` beside the file |
//! | `conformance/main.rs::updates` | a kind of conformance vectors |
//! | `interop/health.js` | a script of `tests/interop` |
//!
//! Of a path as much is written as tells the test apart.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders without sources of ours.
const SKIPPED: [&str; 4] = ["target", "node_modules", ".git", "vectors"];

/// What can be named.
pub(crate) struct Tests {
    /// Relative to the workspace, with `/`, and the content.
    sources: Vec<(String, String)>,
    interop: PathBuf,
}

impl Tests {
    /// Reads all sources below `workspace`.
    pub(crate) fn of(workspace: &Path) -> Self {
        let mut sources = Vec::new();
        collect(workspace, workspace, &mut sources);
        assert!(!sources.is_empty(), "no sources below {}", workspace.display());
        Self {
            sources,
            interop: workspace.join("tests/interop"),
        }
    }

    /// Says what is wrong unless there is a test of this name.
    pub(crate) fn find(&self, name: &str) -> Result<(), String> {
        if let Some(script) = name.strip_prefix("interop/") {
            let script_path = self.interop.join(script);
            let found = extension_of(&script_path).is_some_and(|it| it == "js" || it == "sh")
                && script_path.is_file();
            return found
                .then_some(())
                .ok_or_else(|| format!("tests/interop has no script {script}"));
        }
        let (file, function) = name
            .split_once("::")
            .ok_or_else(|| format!("{name} is not FILE::NAME"))?;
        let files = self.sources.iter().filter(|(path, _)| is_file(path, file));
        let files: Vec<_> = files.collect();
        let with: Vec<&str> = files
            .iter()
            .filter(|(path, source)| is_test(source, function) || self.is_case(path, source, function))
            .map(|(path, _)| path.as_str())
            .collect();
        match (with.len(), files.first()) {
            (1, _) => Ok(()),
            (0, None) => Err(format!("there is no file {file}")),
            (0, Some((path, _))) => Err(format!("{path} has no test {function}")),
            _ => Err(format!("{name} may be in {}", with.join(" or "))),
        }
    }

    /// Whether a suite with a harness of its own lists it.
    fn is_case(&self, path: &str, source: &str, function: &str) -> bool {
        let kind = format!("name: \"{function}\"");
        if path.ends_with("conformance/main.rs") {
            return source.contains(&kind);
        }
        let Some((folder, file)) = path.rsplit_once('/') else {
            return false;
        };
        let main = format!("{folder}/main.rs");
        let case = format!(" {}::{function},", file.trim_end_matches(".rs"));
        let listed = self.sources.iter().find(|(path, _)| *path == main);
        let is_listed = listed.is_some_and(|(_, main)| main.contains("cases![") && main.contains(&case));
        is_listed && source.lines().any(|line| function_of(line) == Some(function))
    }
}

fn collect(workspace: &Path, folder: &Path, sources: &mut Vec<(String, String)>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.expect("an entry");
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                collect(workspace, &path, sources);
            }
        } else if extension_of(&path) == Some("rs") {
            let relative = path.strip_prefix(workspace).expect("it is below");
            let text = fs::read_to_string(&path).expect("a source is text");
            sources.push((relative.to_string_lossy().into_owned(), text));
        }
    }
}

fn extension_of(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

/// Whether `path` ends in the whole names of `file`.
fn is_file(path: &str, file: &str) -> bool {
    path == file || path.strip_suffix(file).is_some_and(|rest| rest.ends_with('/'))
}

/// Whether a test function of this name is in `source`, and is not left out.
fn is_test(source: &str, function: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(index, line)| {
        if function_of(line) != Some(function) {
            return false;
        }
        let above: Vec<&&str> = lines[..index]
            .iter()
            .rev()
            .take_while(|line| is_above(line))
            .collect();
        let has = |attribute: &str| above.iter().any(|line| line.starts_with(attribute));
        (has("#[test]") || has("#[tokio::test")) && !has("#[ignore")
    })
}

/// Whether a line belongs to the function below it.
fn is_above(line: &str) -> bool {
    line.starts_with("#[") || line.starts_with("//")
}

/// The name of the function that begins in this line.
fn function_of(line: &str) -> Option<&str> {
    let mut rest = line.trim();
    for word in ["pub(crate) ", "pub(super) ", "pub ", "async "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let rest = rest.strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

#[test]
fn tests_are_told_from_other_functions() {
    let source = "#[test]\nfn one() {}\n\nfn two() {}\n/// Says.\n#[tokio::test(flavor = \"x\")]\nasync fn three() {}\n\
                  #[test]\n#[ignore]\nfn four() {}\n";
    for (name, is_one) in [
        ("one", true),
        ("two", false),
        ("three", true),
        ("four", false),
        ("on", false),
    ] {
        assert_eq!(is_test(source, name), is_one, "{name}");
    }
}

#[test]
fn files_are_told_by_whole_names() {
    let tests = Tests {
        sources: vec![
            (
                "a/tests.rs".to_owned(),
                "#[test]\nfn x() {}\n#[test]\nfn w() {}\n".to_owned(),
            ),
            ("ba/tests.rs".to_owned(), "#[test]\nfn w() {}\n".to_owned()),
            ("c/main.rs".to_owned(), "cases![\n    told::y,\n]".to_owned()),
            (
                "c/told.rs".to_owned(),
                "pub(crate) async fn y() {}\n#[test]\n".to_owned(),
            ),
            ("conformance/main.rs".to_owned(), "name: \"updates\",".to_owned()),
        ],
        interop: PathBuf::from("nowhere"),
    };
    for (name, reason) in [
        ("a/tests.rs::x", None),
        ("told.rs::y", None),
        ("conformance/main.rs::updates", None),
        ("tests.rs::x", None),
        ("tests.rs::w", Some("may be in")),
        ("ba/tests.rs::w", None),
        ("a/tests.rs::z", Some("has no test")),
        ("d.rs::x", Some("no file")),
        ("a/tests.rs", Some("is not FILE")),
        ("interop/none.js", Some("no script")),
    ] {
        let found = tests.find(name).err();
        assert_eq!(found.is_some(), reason.is_some(), "{name}: {found:?}");
        assert!(
            found.unwrap_or_default().contains(reason.unwrap_or_default()),
            "{name}"
        );
    }
}
