//! Every link of the documentation to something in the repository leads to something that is there, and every page of
//! `docs/operating` is reached from its index.

use std::fs;
use std::path::{Path, PathBuf};

/// Pages in the folder of the workspace itself.
const TOP: [&str; 3] = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];
/// Folders with pages.
const FOLDERS: [&str; 5] = ["docs", "docs/operating", "docs/adr", "docs/spec", "tests/interop"];
const INDEX: &str = "docs/operating/README.md";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pages, relative to the workspace.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> = TOP.iter().map(|page| (*page).to_owned()).collect();
    for folder in FOLDERS {
        for entry in fs::read_dir(workspace().join(folder)).expect("a folder of pages") {
            let name = entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned();
            let is_page = Path::new(&name)
                .extension()
                .is_some_and(|extension| extension == "md");
            if is_page {
                pages.push(format!("{folder}/{name}"));
            }
        }
    }
    pages
}

/// What a page links to in the repository, as it stands there, without the place within a page.
fn links(text: &str) -> Vec<&str> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let is_elsewhere = |link: &str| link.starts_with('#') || link.contains(':');
    let local = links.filter(|link| !is_elsewhere(link));
    local.filter_map(|link| link.split('#').next()).collect()
}

fn target(page: &str, link: &str) -> PathBuf {
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    workspace().join(folder).join(link)
}

#[test]
fn every_link_leads_to_something() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(workspace().join(&page)).expect("a page");
        let lost = links(&text)
            .into_iter()
            .filter(|link| !target(&page, link).exists());
        broken.extend(lost.map(|link| format!("{page}: {link}")));
    }
    assert!(
        broken.is_empty(),
        "links that lead nowhere:\n  {}",
        broken.join("\n  ")
    );
}

#[test]
fn every_page_for_operators_is_in_their_index() {
    let index = fs::read_to_string(workspace().join(INDEX)).expect("the index");
    let linked: Vec<PathBuf> = links(&index)
        .into_iter()
        .map(|link| target(INDEX, link))
        .collect();
    let linked: Vec<_> = linked
        .iter()
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    let absent: Vec<String> = pages()
        .into_iter()
        .filter(|page| page.starts_with("docs/operating/") && page != INDEX)
        .filter(|page| {
            let path = workspace().join(page).canonicalize().expect("a page");
            !linked.contains(&path)
        })
        .collect();
    assert!(absent.is_empty(), "{INDEX} does not link to {absent:?}");
}

#[test]
fn links_are_read_without_places_and_addresses() {
    let text = "[a](b.md#c) ![d](e.png) [f](https://g/h) [i](#j) (k)";
    assert_eq!(links(text), ["b.md", "e.png"]);
}
