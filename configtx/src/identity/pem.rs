//! The first PEM block of a text, found and read as the reference finds and reads it.
//!
//! A block begins with `-----BEGIN LABEL-----` at the start of a line and ends with the END line of the same
//! label. Text around it, header lines and the label itself do not matter (`docs/spec/rules.md` §10.2). A
//! block that does not read is passed over for the next one.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

const DASHES: &[u8] = b"-----";
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
/// Characters of base64 on a line that we write.
const LINE_CHARACTERS: usize = 64;

/// Padding is required; bits left over in the last character may be anything.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The content of the first readable block; `None` when there is none.
pub(crate) fn first_block(text: &[u8]) -> Option<Vec<u8>> {
    let mut rest = text;
    loop {
        rest = after_begin(rest)?;
        let (first_line, body) = split_line(rest);
        rest = body;
        if let Some(label) = first_line.strip_suffix(DASHES)
            && let Some(content) = read_body(label, body)
        {
            return Some(content);
        }
    }
}

/// What follows the next BEGIN at the start of a line; `text` itself starts one.
fn after_begin(text: &[u8]) -> Option<&[u8]> {
    let next_line = || find(text, &[b"\n", BEGIN].concat()).map(|start| &text[start + 1 + BEGIN.len()..]);
    text.strip_prefix(BEGIN).or_else(next_line)
}

/// The base64 content between the header lines and the END line of `label`.
fn read_body(label: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let mut rest = body;
    let mut had_headers = false;
    while let (line, next) = split_line(rest)
        && line.contains(&b':')
    {
        rest = next;
        had_headers = true;
    }
    let (base64, trailer) = if !had_headers && let Some(trailer) = rest.strip_prefix(END) {
        (&rest[..0], trailer)
    } else {
        let end = find(rest, &[b"\n", END].concat())?;
        (&rest[..end], &rest[end + 1 + END.len()..])
    };
    let (end_line, _) = split_line(trailer.strip_prefix(label)?.strip_prefix(DASHES)?);
    if !end_line.is_empty() {
        return None;
    }
    // The block may be a private key.
    let characters: Zeroizing<Vec<u8>> = base64
        .iter()
        .copied()
        .filter(|c| !b" \t\r\n".contains(c))
        .collect::<Vec<u8>>()
        .into();
    BASE64.decode(characters.as_slice()).ok()
}

/// The first line without its line end and trailing white space, and what follows it.
fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match text.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &text[text.len()..]),
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let used = line
        .iter()
        .rposition(|byte| !b" \t".contains(byte))
        .map_or(0, |last| last + 1);
    (&line[..used], rest)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// A block with this label, lines of 64 characters.
pub(crate) fn encode(label: &str, content: &[u8]) -> String {
    let base64 = BASE64.encode(content);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(LINE_CHARACTERS));
        out.push_str(line);
        out.push('\n');
        rest = next;
    }
    out.push_str("-----END ");
    out.push_str(label);
    out.push_str("-----\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Option<Vec<u8>> {
        first_block(text.as_bytes())
    }

    #[test]
    fn what_is_written_reads_back() {
        for length in [0, 1, 47, 48, 49, 500] {
            let content = vec![0xa5; length];
            assert_eq!(block(&encode("CERTIFICATE", &content)), Some(content), "{length}");
        }
    }

    #[test]
    fn label_and_surrounding_text_do_not_matter() {
        let text = "notes\n-----BEGIN JUNK-----\r\nAQ ID\t\r\n-----END JUNK----- \r\nmore";
        assert_eq!(block(text), Some(vec![1, 2, 3]));
    }

    #[test]
    fn header_lines_are_skipped() {
        assert_eq!(
            block("-----BEGIN A-----\nKey: value\n\nAQID\n-----END A-----"),
            Some(vec![1, 2, 3])
        );
    }

    #[test]
    fn a_block_that_does_not_read_is_passed_over() {
        let good = "\n-----BEGIN B-----\nAQID\n-----END B-----\n";
        for bad in [
            "-----BEGIN A-----\n!!!!\n-----END A-----",
            "-----BEGIN A\nAQI\n",
            "-----BEGIN A-----\nAAAA\n-----END C-----",
            "-----BEGIN A-----\nAAAA\n-----END A-----x",
        ] {
            assert_eq!(block(&format!("{bad}{good}")), Some(vec![1, 2, 3]), "{bad}");
        }
    }

    #[test]
    fn begin_counts_only_at_the_start_of_a_line() {
        assert_eq!(block(" -----BEGIN A-----\nAQID\n-----END A-----\n"), None);
        assert_eq!(block("AQID"), None);
        assert_eq!(block(""), None);
    }

    #[test]
    fn padding_is_required_and_leftover_bits_are_not_looked_at() {
        assert_eq!(block("-----BEGIN A-----\nAQ\n-----END A-----\n"), None);
        assert_eq!(block("-----BEGIN A-----\nAR==\n-----END A-----\n"), Some(vec![1]));
    }

    proptest::proptest! {
        #[test]
        fn any_text_reads_or_is_refused(text in "(-----(BEGIN|END) [A:]?-----|\n|[A-Za-z0-9=: ]){0,40}") {
            let _ = block(&text);
        }
    }
}
