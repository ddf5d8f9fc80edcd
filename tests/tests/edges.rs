//! Holds the table "Crate edges" of `docs/architecture.md` against what `cargo metadata` reports.
//!
//! Both directions count: an edge nobody wrote down, and a documented one that is gone. Dev-dependencies and
//! build-dependencies are no edges.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// What the document says about one crate.
struct Row {
    level: u32,
    uses: BTreeSet<String>,
}

type Edges = BTreeSet<(String, String)>;

#[test]
fn crate_edges_are_those_of_the_architecture_document() {
    let metadata = workspace();
    let (found, documented) = (edges_of(&metadata), edges_in(&table(&document(&metadata))));
    let undocumented: Vec<_> = found.difference(&documented).collect();
    let absent: Vec<_> = documented.difference(&found).collect();
    assert!(
        undocumented.is_empty(),
        "edges the document lacks: {undocumented:?}"
    );
    assert!(
        absent.is_empty(),
        "documented edges that do not exist: {absent:?}"
    );
}

#[test]
fn every_workspace_crate_has_a_row() {
    let metadata = workspace();
    let rows: BTreeSet<_> = table(&document(&metadata)).into_keys().collect();
    assert_eq!(rows, member_names(&metadata));
}

#[test]
fn edges_point_to_a_lower_level() {
    let rows = table(&document(&workspace()));
    for (name, row) in &rows {
        for used in &row.uses {
            let below = rows.get(used).map(|r| r.level);
            assert!(
                below.is_some_and(|level| level < row.level),
                "{name} (level {}) uses {used} (level {below:?})",
                row.level
            );
        }
    }
}

fn workspace() -> Metadata {
    MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo metadata")
}

fn document(metadata: &Metadata) -> String {
    let path = metadata.workspace_root.join("docs/architecture.md");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn member_names(metadata: &Metadata) -> BTreeSet<String> {
    metadata
        .workspace_packages()
        .iter()
        .map(|package| package.name.to_string())
        .collect()
}

fn edges_of(metadata: &Metadata) -> Edges {
    let ours = member_names(metadata);
    let packages = metadata.workspace_packages();
    let edges = packages.iter().flat_map(|package| {
        package
            .dependencies
            .iter()
            .filter(|used| used.kind == DependencyKind::Normal && ours.contains(&used.name))
            .map(|used| (package.name.to_string(), used.name.clone()))
    });
    edges.collect()
}

fn edges_in(rows: &BTreeMap<String, Row>) -> Edges {
    let edges = rows
        .iter()
        .flat_map(|(name, row)| row.uses.iter().map(|used| (name.clone(), used.clone())));
    edges.collect()
}

/// The rows of the first table under the heading "Crate edges": crate, level, uses.
fn table(document: &str) -> BTreeMap<String, Row> {
    let (_, section) = document
        .split_once("\n## Crate edges\n")
        .expect("heading \"## Crate edges\"");
    let lines = section.lines().skip_while(|line| !line.starts_with("| `"));
    let rows: BTreeMap<_, _> = lines.take_while(|line| line.starts_with('|')).map(row).collect();
    assert!(!rows.is_empty(), "the table of crate edges is empty");
    rows
}

fn row(line: &str) -> (String, Row) {
    let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [name, level, uses] = cells[..] else {
        panic!("expected crate, level, uses: {line}");
    };
    let plain = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let uses = uses.split(',').map(plain).filter(|used| used != "-");
    let level = level
        .parse()
        .unwrap_or_else(|_| panic!("level is no number: {line}"));
    (
        plain(name),
        Row {
            level,
            uses: uses.collect(),
        },
    )
}
