//! Tables for people: columns as wide as their widest cell, colours where they are wanted.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

/// How a cell looks on a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Paint {
    /// As it is.
    #[default]
    Plain,
    /// A heading.
    Faint,
    /// Well.
    Green,
    /// To look after.
    Yellow,
    /// Not well.
    Red,
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self::painted(text, Paint::Plain)
    }

    pub(super) fn painted(text: impl Into<String>, paint: Paint) -> Self {
        Self {
            text: text.into(),
            paint,
        }
    }
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Faint => "\x1b[2m",
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
            Self::Red => "\x1b[31m",
        }
    }

    /// `text` in this colour, if colours are wanted.
    pub(super) fn on(self, text: &str, colours: bool) -> String {
        if colours && self != Self::Plain {
            format!("{}{text}\x1b[0m", self.code())
        } else {
            text.to_owned()
        }
    }
}

/// Whether standard output is to have colours.
pub(super) fn colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !unwanted
}

/// The rows below each other. The last cell of a row is not filled up.
pub(super) fn render(rows: &[Vec<Cell>], colours: bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.text.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let is_last = index + 1 == row.len();
            let blanks = if is_last {
                0
            } else {
                width - cell.text.chars().count() + 2
            };
            // A String takes everything.
            let _ = write!(
                line,
                "{}{}",
                cell.paint.on(&cell.text, colours),
                " ".repeat(blanks)
            );
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec![
                Cell::new("node"),
                Cell::painted("state", Paint::Faint),
                Cell::new("x"),
            ],
            vec![Cell::new("127.0.0.1:7050"), Cell::painted("ready", Paint::Green)],
        ];
        assert_eq!(
            render(&rows, false),
            "node            state  x\n127.0.0.1:7050  ready\n"
        );
        assert!(render(&rows, true).contains("\x1b[32mready\x1b[0m"));
    }
}
