//! The rows of a page that compares.
//!
//! Below a heading of the second order stands a line `Rules: behaviour §9.1, dropin §9.`: the sections that its tables
//! are about. Their rows are
//!
//! | what | here | proof or reason |
//! |---|---|---|
//! | names in backticks, or the first words of an item | `same`, `better` or `not supported` | tests in backticks, as `file.rs::name` or `interop/script`, and words |

use super::spec::{plain, spans};

/// A page.
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
}

/// A row.
pub(crate) struct Row {
    /// Page and line.
    pub(crate) place: String,
    /// Where in the specifications the item stands.
    pub(crate) sections: Vec<String>,
    /// The first cell.
    pub(crate) what: String,
    /// What is in backticks there, if nothing else is there.
    pub(crate) names: Vec<String>,
    pub(crate) verdict: Verdict,
    /// Tests.
    pub(crate) proofs: Vec<String>,
    /// How many words stand beside them.
    pub(crate) words: usize,
}

/// How this program compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    Better,
    NotSupported,
}

impl Page {
    /// Panics where a table is not as it should be.
    pub(crate) fn read(name: &str, text: &str) -> Self {
        let mut sections = Vec::new();
        let mut rows = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let place = format!("{name}:{}", index + 1);
            if line.starts_with("## ") {
                sections.clear();
            } else if let Some(list) = line.strip_prefix("Rules: ") {
                let list = list.trim_end_matches('.').split(", ");
                sections = list.map(str::to_owned).collect();
            } else if is_row(line) && !sections.is_empty() {
                rows.push(Row::read(place, &sections, line));
            }
        }
        assert!(!rows.is_empty(), "{name} has no rows");
        Self { rows }
    }
}

/// A line of a table that is neither its head nor the line below that.
fn is_row(line: &str) -> bool {
    line.starts_with("| ") && !line.starts_with("| what |")
}

impl Row {
    fn read(place: String, sections: &[String], line: &str) -> Self {
        let cells: Vec<&str> = line
            .trim()
            .trim_matches('|')
            .split(" | ")
            .map(str::trim)
            .collect();
        let [what, verdict, rest] = cells[..] else {
            panic!("{place}: expected what, here, and proof or reason: {line}");
        };
        let verdict = match verdict {
            "same" => Verdict::Same,
            "better" => Verdict::Better,
            "not supported" => Verdict::NotSupported,
            other => panic!("{place}: \"{other}\" is neither same, better nor not supported"),
        };
        let is_proof = |span: &String| span.contains(".rs::") || span.starts_with("interop/");
        let proofs: Vec<String> = spans(rest).into_iter().filter(is_proof).collect();
        Self {
            names: names(what),
            words: plain(rest).split(' ').filter(|word| !word.is_empty()).count() - proofs.len(),
            proofs,
            what: what.to_owned(),
            sections: sections.to_vec(),
            verdict,
            place,
        }
    }
}

/// The names of a cell that has nothing but names, with commas between them.
fn names(cell: &str) -> Vec<String> {
    let between: String = cell.split('`').step_by(2).collect();
    if between.chars().all(|c| c == ',' || c == ' ') {
        spans(cell)
    } else {
        Vec::new()
    }
}

#[test]
fn rows_have_sections_verdict_and_proofs() {
    let text = "# T\n| what | x |\n## A\nRules: behaviour §9.1, dropin §9.\n| what | here | proof or reason |\n\
                |---|---|---|\n| `a`, `b` | same | `x.rs::y` |\n| An item of | better | it does more, `z.rs::t`, \
                `interop/s.js` |\n## B\n| no | row | here |\n";
    let rows = Page::read("p", text).rows;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].sections, ["behaviour §9.1", "dropin §9"]);
    assert_eq!(
        (&rows[0].names[..], rows[0].verdict),
        (&["a".to_owned(), "b".to_owned()][..], Verdict::Same)
    );
    assert_eq!((rows[0].proofs.len(), rows[0].words), (1, 0));
    assert!(rows[1].names.is_empty());
    assert_eq!((rows[1].proofs.len(), rows[1].verdict), (2, Verdict::Better));
    assert_eq!((rows[1].words, rows[1].place.as_str()), (3, "p:8"));
}
