//! What the specifications demand, item by item.
//!
//! An item is a row of a table, a paragraph, a point of a list, or a line of code, of one of the [`SECTIONS`]. A
//! sentence that stands alone and ends in a colon introduces what follows and is none. Where rows list names or texts, each is an item.

use super::names;

/// Document and number of each section. What stands below a heading of its own is a section of its own.
const SECTIONS: [(&str, &str); 22] = [
    ("behaviour", "8"),
    ("behaviour", "9"),
    ("behaviour", "9.1"),
    ("behaviour", "10.1"),
    ("behaviour", "10.2"),
    ("behaviour", "10.3"),
    ("behaviour", "10.4"),
    ("behaviour", "11"),
    ("behaviour", "12"),
    ("dropin", "1"),
    ("dropin", "1.1"),
    ("dropin", "1.2"),
    ("dropin", "2"),
    ("dropin", "2.1"),
    ("dropin", "3"),
    ("dropin", "4"),
    ("dropin", "5"),
    ("dropin", "6"),
    ("dropin", "6.1"),
    ("dropin", "7"),
    ("dropin", "8"),
    ("dropin", "9"),
];

/// Something that is demanded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Item {
    /// As pages write it: `behaviour §9.1`.
    pub(crate) section: String,
    /// Without markup.
    pub(crate) text: String,
}

/// What a section is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// A row, with the head of its table.
    Row { head: Vec<String>, cells: Vec<String> },
    /// A paragraph or a point of a list.
    Text(String),
    /// A line of code.
    Code(String),
}

/// All items of both documents, in their order.
pub(crate) fn items(behaviour: &str, dropin: &str) -> Vec<Item> {
    let mut items = Vec::new();
    for (document, number) in SECTIONS {
        let text = if document == "behaviour" {
            behaviour
        } else {
            dropin
        };
        let section = format!("{document} §{number}");
        let parts = parts(section_of(text, number).unwrap_or_else(|| panic!("no {section}")));
        let texts = texts(&section, &parts);
        assert!(!texts.is_empty(), "{section} demands nothing");
        items.extend(texts.into_iter().map(|text| Item {
            section: section.clone(),
            text: plain(&text),
        }));
    }
    items
}

/// Text without markup and with single blanks.
pub(crate) fn plain(text: &str) -> String {
    let text = text.replace("**", "").replace('`', "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The texts in backticks.
pub(crate) fn spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What stands between the heading with this number and the next heading.
fn section_of<'a>(document: &'a str, number: &str) -> Option<&'a str> {
    let heading = |line: &str| -> Option<String> {
        let title = line.strip_prefix("## ").or_else(|| line.strip_prefix("### "))?;
        let word = title.split(' ').next()?;
        Some(word.trim_end_matches('.').to_owned())
    };
    let mut begin = None;
    let mut at = 0;
    for line in document.split_inclusive('\n') {
        let is_heading = line.starts_with("## ") || line.starts_with("### ");
        match begin {
            Some(begin) if is_heading => return document.get(begin..at),
            None if is_heading && heading(line.trim_end()).as_deref() == Some(number) => {
                begin = Some(at + line.len());
            }
            _ => {}
        }
        at += line.len();
    }
    document.get(begin?..)
}

/// Takes a section apart.
fn parts(section: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut head: Option<Vec<String>> = None;
    let mut in_code = false;
    let mut paragraph = String::new();
    for line in section.lines() {
        let line = line.trim();
        if line.starts_with("```") {
            in_code = !in_code;
            continue;
        }
        if !line.starts_with('|') {
            head = None;
        }
        if in_code {
            parts.extend((!line.is_empty()).then(|| Part::Code(line.to_owned())));
        } else if line.starts_with('|') {
            let cells = cells(line);
            match &head {
                None => head = Some(cells),
                Some(_) if cells.iter().all(|cell| cell.chars().all(|c| c == '-')) => {}
                Some(head) => parts.push(Part::Row {
                    head: head.clone(),
                    cells,
                }),
            }
        } else if !line.is_empty() && !line.starts_with("---") {
            paragraph.push_str(line.trim_start_matches("* ").trim_start_matches("- "));
            if ends(line) {
                parts.push(Part::Text(std::mem::take(&mut paragraph)));
            } else {
                paragraph.push(' ');
            }
        }
    }
    parts
}

/// Whether a line of text is the last one of its paragraph: the documents break lines within sentences only.
fn ends(line: &str) -> bool {
    line.ends_with(['.', ':', ';', ')', ']', '`'])
}

fn cells(line: &str) -> Vec<String> {
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').unwrap_or(line);
    line.split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// What a section demands.
fn texts(section: &str, parts: &[Part]) -> Vec<String> {
    let general_tls = names::tls_keys(parts.iter().filter_map(first_cell));
    let mut texts: Vec<String> = parts
        .iter()
        .flat_map(|part| match (section, part) {
            ("behaviour §9.1", Part::Row { cells, .. }) => names::metrics(cells),
            ("behaviour §10.2", Part::Row { cells, .. }) => names::keys(&cells[0], &general_tls),
            ("behaviour §10.2", _) => Vec::new(),
            ("behaviour §10.4", Part::Text(text)) if text.starts_with("Tools and tests wait") => {
                quoted(text)
            }
            ("dropin §1", Part::Text(text)) if text.starts_with("Environment variables seen") => {
                variables(text)
            }
            ("dropin §9", Part::Code(line)) => series(line),
            ("dropin §9", Part::Text(text)) if text.starts_with("Prometheus text") => spans(text),
            (_, Part::Row { head, cells }) => row(head, cells),
            (_, Part::Text(text)) if introduces(text) => Vec::new(),
            (_, Part::Text(text) | Part::Code(text)) => vec![text.clone()],
        })
        .collect();
    // A name may stand in several places of a section.
    let mut seen = std::collections::BTreeSet::new();
    texts.retain(|text| seen.insert(plain(text)));
    texts
}

/// Whether a paragraph only says what follows.
fn introduces(text: &str) -> bool {
    text.ends_with(':') && !text.contains(". ")
}

fn first_cell(part: &Part) -> Option<&str> {
    match part {
        Part::Row { cells, .. } => cells.first().map(String::as_str),
        _ => None,
    }
}

/// A row is known by its first cell, a route by method and path, a refusal by its text.
fn row(head: &[String], cells: &[String]) -> Vec<String> {
    if head.first().is_some_and(|name| name == "Route") && head.get(1).is_some_and(|name| name == "Method") {
        return vec![format!("{} {}", cells[1], cells[0])];
    }
    if let Some(place) = head.iter().position(|name| name == "Text") {
        return alternatives(&cells[place]);
    }
    vec![cells[0].clone()]
}

/// `prefix ... then one of: a · b`: each of them.
fn alternatives(cell: &str) -> Vec<String> {
    match cell.split_once("then one of:") {
        Some((_, list)) => spans(list),
        None => vec![cell.to_owned()],
    }
}

/// The texts in double quotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Names of variables, without the values they have there.
fn variables(text: &str) -> Vec<String> {
    let spans = spans(text).into_iter();
    let names = spans.map(|span| span.split('=').next().unwrap_or_default().to_owned());
    names
        .filter(|name| name.starts_with("ORDERER_") || name.starts_with("FABRIC_"))
        .collect()
}

/// Names of series in a line of code.
fn series(line: &str) -> Vec<String> {
    let words = line.split_whitespace().filter(|word| word.starts_with('.'));
    words
        .map(|word| word.trim_end_matches([':', '.']).to_owned())
        .collect()
}

#[test]
fn a_section_ends_at_the_next_heading() {
    let document = "# T\n## 8. REST (x)\none.\n### 8.1 More\ntwo.\n## 9. Last\nthree.\n";
    assert_eq!(section_of(document, "8"), Some("one.\n"));
    assert_eq!(section_of(document, "8.1"), Some("two.\n"));
    assert_eq!(section_of(document, "9"), Some("three.\n"));
    assert_eq!(section_of(document, "1"), None);
}

#[test]
fn rows_paragraphs_points_and_code_are_told_apart() {
    let section = "Intro:\n* a point.\nA line that,\ngoes on.\n\n| A | B |\n|---|---|\n| x | y |\n\n```\n code\n```\n---\n";
    let head = vec!["A".to_owned(), "B".to_owned()];
    let cells = vec!["x".to_owned(), "y".to_owned()];
    assert_eq!(
        parts(section),
        [
            Part::Text("Intro:".to_owned()),
            Part::Text("a point.".to_owned()),
            Part::Text("A line that, goes on.".to_owned()),
            Part::Row { head, cells },
            Part::Code("code".to_owned()),
        ]
    );
    assert_eq!(
        texts("dropin §4", &parts(section)),
        ["a point.", "A line that, goes on.", "x", "code"]
    );
}

#[test]
fn routes_refusals_variables_and_series_are_items() {
    let head = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        row(
            &head(&["Route", "Method", "Body"]),
            &head(&["/a/{ch}", "PUT", "x"])
        ),
        ["PUT /a/{ch}"]
    );
    let cell = "prefix `p: ` then one of: `a b` · `c`";
    assert_eq!(
        row(&head(&["Status", "", "Text"]), &head(&["400", "~", cell])),
        ["a b", "c"]
    );
    assert_eq!(
        variables("`FABRIC_A`, `ORDERER_B_*` (as `[a]`), `ORDERER_C=20s`."),
        ["FABRIC_A", "ORDERER_B_*", "ORDERER_C"]
    );
    assert_eq!(series(".a.b:   .c.D.   (remark)"), [".a.b", ".c.D"]);
    assert_eq!(quoted("these: \"a b\"/\"c\"."), ["a b", "c"]);
}
