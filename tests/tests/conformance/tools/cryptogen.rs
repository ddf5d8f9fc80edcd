//! Identities from crypto-config.yaml.
//!
//! | module | |
//! |---|---|
//! | [`tree`] | the folders and files that were made, and their modes |
//! | [`certificate`] | a certificate in the words of the vectors |

mod certificate;
mod tree;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use super::context::{Context, not_written};
use super::difference;
use crate::vectors::parse;
use tree::Tree;

/// Where a case makes its tree.
const TREE: &str = "tree";

#[derive(Deserialize)]
struct Case {
    kind: String,
    command: String,
    config: Option<String>,
    /// Makes the tree that is then extended.
    first: Option<String>,
    stdout: Option<String>,
    expected: Option<String>,
}

#[derive(Deserialize)]
struct Expected {
    directories: Vec<String>,
    files: Vec<String>,
    /// By the path of the first copy.
    certificates: BTreeMap<String, Value>,
    config_yaml: Vec<ConfigYaml>,
    /// Of the first tree.
    #[serde(default)]
    unchanged: Vec<String>,
    #[serde(default)]
    replaced: Vec<String>,
}

#[derive(Deserialize)]
struct ConfigYaml {
    text: String,
    files: Vec<String>,
}

/// Runs one case.
pub(crate) fn run(case: &Value, context: &Context) -> Result<(), String> {
    let given: Case = parse(case)?;
    let root = context.scratch(TREE);
    let began = SystemTime::now();
    let before = match &given.first {
        Some(first) => {
            let first = context.path(first);
            context
                .ordain(arguments("generate", Some(&first)))
                .run()?
                .succeeded()?;
            Some(Tree::read(&root)?)
        }
        None => None,
    };
    let config = given.config.as_ref().map(|config| context.path(config));
    let ended = context
        .ordain(arguments(&given.command, config.as_deref()))
        .run()?;
    if given.kind == "cryptogen_error" {
        ended.refused(case)?;
        return not_written(&root);
    }
    ended.succeeded()?;
    difference::texts(given.stdout.unwrap_or_default().as_bytes(), &ended.stdout)?;
    let expected = given.expected.ok_or("the case expects no tree")?;
    let expected: Expected =
        serde_json::from_slice(&context.bytes(&expected)?).map_err(|error| format!("{expected}: {error}"))?;
    let tree = Tree::read(&root)?;
    tree.check_modes(context)?;
    check(&expected, &tree, began)?;
    before.map_or(Ok(()), |before| check_kept(&expected, &before, &tree))
}

fn arguments(command: &str, config: Option<&Path>) -> Vec<String> {
    let root = if command == "extend" {
        "--input"
    } else {
        "--output"
    };
    let mut arguments = vec![
        "crypto".to_owned(),
        command.to_owned(),
        root.to_owned(),
        TREE.to_owned(),
    ];
    if let Some(config) = config {
        arguments.extend(["--config".to_owned(), config.display().to_string()]);
    }
    arguments
}

fn check(expected: &Expected, tree: &Tree, began: SystemTime) -> Result<(), String> {
    same("folder", &expected.directories, tree.folders())?;
    same("file", &expected.files, tree.paths())?;
    for config in &expected.config_yaml {
        for path in &config.files {
            difference::texts(config.text.as_bytes(), tree.bytes(path)?)
                .map_err(|reason| format!("{path}: {reason}"))?;
        }
    }
    let configs = expected.config_yaml.iter().flat_map(|config| &config.files);
    same("config.yaml", configs, tree.ending_in(&["config.yaml"]))?;
    let mut certificates = Vec::new();
    for (path, expected) in &expected.certificates {
        certificate::check(path, expected, tree, began).map_err(|reason| format!("{path}: {reason}"))?;
        certificates.push(path.as_str());
        certificates.extend(copies(expected));
    }
    same("certificate", certificates, tree.ending_in(&[".pem", ".crt"]))
}

fn copies(certificate: &Value) -> impl Iterator<Item = &str> {
    let copies = certificate.get("copies").and_then(Value::as_array);
    copies.into_iter().flatten().filter_map(Value::as_str)
}

/// What extending has left as it was, which is all of it.
fn check_kept(expected: &Expected, before: &Tree, after: &Tree) -> Result<(), String> {
    same(
        "file of the first tree",
        expected.unchanged.iter().chain(&expected.replaced),
        before.paths(),
    )?;
    for path in &expected.unchanged {
        if before.bytes(path)? != after.bytes(path)? {
            return Err(format!("{path} was changed"));
        }
    }
    Ok(())
}

/// Compares two lists without regard to order.
fn same<A: AsRef<str>, B: AsRef<str>>(
    what: &str,
    expected: impl IntoIterator<Item = A>,
    got: impl IntoIterator<Item = B>,
) -> Result<(), String> {
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    let expected = sorted(
        expected
            .into_iter()
            .map(|path| path.as_ref().to_owned())
            .collect(),
    );
    let got = sorted(got.into_iter().map(|path| path.as_ref().to_owned()).collect());
    let lacking = expected
        .iter()
        .filter(|path| !got.contains(path))
        .map(|path| format!("no {what} {path}"));
    let surplus = got
        .iter()
        .filter(|path| !expected.contains(path))
        .map(|path| format!("a {what} {path}"));
    match lacking.chain(surplus).next() {
        Some(first) => Err(format!("unexpectedly {first}")),
        None if expected != got => Err(format!("a {what} is counted twice")),
        None => Ok(()),
    }
}
