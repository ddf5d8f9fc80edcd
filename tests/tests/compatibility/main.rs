//! Holds the pages that compare this program with the reference's orderer against the specifications and the tests.
//!
//! What the specifications demand of the process (`docs/spec/behaviour.md` §8 to §10 and §12, `docs/spec/dropin.md`) is
//! read out of them, item by item. Each must have a row in one of the [`PAGES`], each row must be about something that
//! is in them, and must name tests that exist, or say why there is nothing to test.
//!
//! | file | what |
//! |---|---|
//! | `spec` | the items: rows, lines and code of the sections |
//! | `names` | tables that abbreviate names, written out |
//! | `page` | the rows of the pages |
//! | `proof` | the tests of the repository, by file and name |
//!
//! It reads text only and needs none of the crates.

mod names;
mod page;
mod proof;
mod spec;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use page::{Page, Row, Verdict};
use proof::Tests;
use spec::Item;

/// Below `docs`.
const PAGES: [&str; 2] = ["operating/compatibility.md", "operating/better.md"];
/// A reason of fewer words explains nothing.
const REASON_WORDS_MIN: usize = 4;

/// The node takes any key below it.
const OPEN_SECTION: &str = "General.BCCSP.PKCS11.";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    let path = workspace().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pages() -> Vec<Page> {
    PAGES
        .iter()
        .map(|name| Page::read(name, &read(&format!("docs/{name}"))))
        .collect()
}

fn items() -> Vec<Item> {
    spec::items(&read("docs/spec/behaviour.md"), &read("docs/spec/dropin.md"))
}

/// Panics with one line for each of `faults`.
fn assert_none(what: &str, faults: &[String]) {
    let lines = faults.join("\n  ");
    assert!(faults.is_empty(), "{what} ({}):\n  {lines}", faults.len());
}

/// The items that a row is about, or what is wrong with its first cell.
fn items_of<'a>(row: &Row, items: &'a [Item]) -> Result<Vec<&'a Item>, String> {
    let here: Vec<&Item> = items
        .iter()
        .filter(|item| row.sections.contains(&item.section))
        .collect();
    let equal = |text: &str| -> Vec<&Item> {
        let text = spec::plain(text);
        here.iter().filter(|item| item.text == text).copied().collect()
    };
    let names: Vec<Vec<&Item>> = row.names.iter().map(|name| equal(name)).collect();
    if !names.is_empty() && names.iter().all(|found| !found.is_empty()) {
        return Ok(names.into_iter().flatten().collect());
    }
    let text = spec::plain(&row.what);
    let whole = equal(&text);
    if !whole.is_empty() {
        return Ok(whole);
    }
    let begun: Vec<&Item> = here
        .iter()
        .filter(|item| item.text.starts_with(&text))
        .copied()
        .collect();
    match begun.len() {
        1 => Ok(begun),
        0 => Err(format!(
            "{}: nothing in {} begins with \"{text}\"",
            row.place,
            row.sections.join(", ")
        )),
        many => Err(format!(
            "{}: {many} items begin with \"{text}\", say more words",
            row.place
        )),
    }
}

#[test]
fn what_the_specifications_demand_has_a_row() {
    let (pages, items) = (pages(), items());
    let mut covered = BTreeSet::new();
    for row in pages.iter().flat_map(|page| &page.rows) {
        covered.extend(items_of(row, &items).unwrap_or_default());
    }
    let lacking = items.iter().filter(|item| !covered.contains(item));
    let lacking: Vec<String> = lacking
        .map(|item| format!("{}: {}", item.section, item.text))
        .collect();
    assert_none(&format!("no row in {} for", PAGES.join(" and ")), &lacking);
}

#[test]
fn every_row_is_about_something_in_the_specifications() {
    let items = items();
    let rows = pages().into_iter().flat_map(|page| page.rows);
    let stale: Vec<String> = rows.filter_map(|row| items_of(&row, &items).err()).collect();
    assert_none("rows about nothing", &stale);
}

#[test]
fn no_item_has_two_rows() {
    let items = items();
    let mut seen = std::collections::BTreeMap::new();
    let mut twice = Vec::new();
    for row in pages().into_iter().flat_map(|page| page.rows) {
        for item in items_of(&row, &items).unwrap_or_default() {
            if let Some(first) = seen.insert(item, row.place.clone()) {
                twice.push(format!("{first} and {}: {}", row.place, item.text));
            }
        }
    }
    assert_none("items with two rows", &twice);
}

#[test]
fn every_row_names_tests_that_exist_or_says_why_there_is_none() {
    let tests = Tests::of(&workspace());
    let mut faults = Vec::new();
    for row in pages().into_iter().flat_map(|page| page.rows) {
        let mut fault = |text: String| faults.push(format!("{}: {text} ({})", row.place, row.what));
        for name in &row.proofs {
            if let Err(reason) = tests.find(name) {
                fault(reason);
            }
        }
        match row.verdict {
            Verdict::Same | Verdict::Better if row.proofs.is_empty() => {
                fault("no test is named".to_owned());
            }
            Verdict::Better | Verdict::NotSupported if row.words < REASON_WORDS_MIN => {
                fault(format!("{} words do not say how or why", row.words));
            }
            _ => {}
        }
    }
    assert_none("rows without proof", &faults);
}

#[test]
fn every_key_of_the_specification_is_one_that_the_node_reads() {
    let table = read("orderer/src/config/keys.rs");
    let unknown: Vec<String> = items()
        .iter()
        .filter(|item| item.section == "behaviour §10.2")
        .filter(|item| !item.text.starts_with(OPEN_SECTION))
        .filter(|item| !table.contains(&format!("\"{}\"", item.text)))
        .map(|item| item.text.clone())
        .collect();
    assert_none("keys that orderer/src/config/keys.rs lacks", &unknown);
}
