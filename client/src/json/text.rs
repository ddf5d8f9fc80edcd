//! JSON texts: reading and writing.
//!
//! Numbers stay as they are written, so that none loses a digit. Of two equal keys the last counts. A lone
//! surrogate becomes U+FFFD. Only the first value of a text is read (`docs/spec/tools.md` §3.3).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::TEXT_DEPTH_MAX;
use super::error::{JsonError, SyntaxError, shortened};

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Json>),
    /// In byte order of the keys, which is the order of writing.
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// What it is, in a message for people.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(text) => shortened(text),
            Self::Text(text) => format!("the text {:?}", shortened(text)),
            Self::List(_) => "a list".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }
}

/// Reads the first value of `text`.
pub(super) fn parse(text: &str) -> Result<Json, JsonError> {
    let mut reader = Reader { text, at: 0 };
    reader.value(TEXT_DEPTH_MAX).map_err(|reason| {
        let before = text.get(..reader.at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        JsonError::Syntax {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).map_or(0, |line| line.chars().count()) + 1,
            reason,
        }
    })
}

struct Reader<'a> {
    text: &'a str,
    /// Always at the start of a character.
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Json, SyntaxError> {
        self.skip_blanks();
        match self.peek() {
            None => Err(SyntaxError::End),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, SyntaxError> {
        let depth = depth.checked_sub(1).ok_or(SyntaxError::TooDeep)?;
        let mut members = BTreeMap::new();
        self.at += 1;
        self.skip_blanks();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_blanks();
            self.wanted(b'"', "a key in double quotes")?;
            let key = self.string()?;
            self.skip_blanks();
            self.wanted(b':', "a colon")?;
            self.at += 1;
            members.insert(key, self.value(depth)?);
            self.skip_blanks();
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            self.wanted(b',', "a comma or }")?;
            self.at += 1;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, SyntaxError> {
        let depth = depth.checked_sub(1).ok_or(SyntaxError::TooDeep)?;
        let mut items = Vec::new();
        self.at += 1;
        self.skip_blanks();
        if self.take(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_blanks();
            if self.take(b']') {
                return Ok(Json::List(items));
            }
            self.wanted(b',', "a comma or ]")?;
            self.at += 1;
        }
    }

    fn word(&mut self) -> Result<Json, SyntaxError> {
        let words = [
            ("null", Json::Null),
            ("true", Json::Bool(true)),
            ("false", Json::Bool(false)),
        ];
        let rest = self.rest();
        for (word, value) in words {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(SyntaxError::Expected("a value"))
    }

    fn number(&mut self) -> Result<Json, SyntaxError> {
        let length = number_length(self.rest()).ok_or(SyntaxError::Number)?;
        let text = self.rest().get(..length).unwrap_or_default().to_owned();
        self.at += length;
        Ok(Json::Number(text))
    }

    /// Reads a text from its opening quote on.
    fn string(&mut self) -> Result<String, SyntaxError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(|c| c == '"' || c == '\\' || c < ' ').ok_or_else(|| {
                self.at = self.text.len();
                SyntaxError::End
            })?;
            text.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => return Err(SyntaxError::Control),
            }
        }
    }

    /// Reads an escape sequence from its backslash on.
    fn escape(&mut self) -> Result<char, SyntaxError> {
        let letter = self.text.as_bytes().get(self.at + 1).ok_or(SyntaxError::End)?;
        let plain = match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(SyntaxError::Escape),
        };
        self.at += 2;
        Ok(plain)
    }

    /// Reads `\u` with its four digits, or two such that are one character.
    fn unicode(&mut self) -> Result<char, SyntaxError> {
        let first = self.unit().ok_or(SyntaxError::Escape)?;
        self.at += 6;
        if (0xD800..0xDC00).contains(&first)
            && let Some(second @ 0xDC00..0xE000) = self.unit()
        {
            self.at += 6;
            let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// The number behind `\u`, if four hexadecimal digits stand there.
    fn unit(&self) -> Option<u32> {
        let digits = self.rest().strip_prefix("\\u")?.get(..4)?;
        let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        hexadecimal.then(|| u32::from_str_radix(digits, 16).ok())?
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn wanted(&self, byte: u8, name: &'static str) -> Result<(), SyntaxError> {
        match self.peek() {
            Some(found) if found == byte => Ok(()),
            Some(_) => Err(SyntaxError::Expected(name)),
            None => Err(SyntaxError::End),
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

/// Length of the JSON number that `text` starts with.
pub(super) fn number_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits_from = |start: usize| {
        let digits = bytes.iter().skip(start).take_while(|byte| byte.is_ascii_digit());
        match digits.count() {
            0 => None,
            count => Some(start + count),
        }
    };
    let start = usize::from(bytes.first() == Some(&b'-'));
    let mut end = if bytes.get(start) == Some(&b'0') {
        start + 1
    } else {
        digits_from(start)?
    };
    if bytes.get(end) == Some(&b'.') {
        end = digits_from(end + 1)?;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        end = digits_from(end + 1 + usize::from(signed))?;
    }
    Some(end)
}

/// Writes `json` with tabs and sorted keys, and one line break at the end.
pub(super) fn write(json: &Json) -> String {
    let mut out = String::new();
    write_value(&mut out, json, 0);
    out.push('\n');
    out
}

fn write_value(out: &mut String, json: &Json, depth: usize) {
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(text) => out.push_str(text),
        Json::Text(text) => write_text(out, text),
        Json::List(items) => write_lines(out, ['[', ']'], items, depth, |out, item| {
            write_value(out, item, depth + 1);
        }),
        Json::Object(members) => write_lines(out, ['{', '}'], members, depth, |out, (key, value)| {
            write_text(out, key);
            out.push_str(": ");
            write_value(out, value, depth + 1);
        }),
    }
}

fn write_lines<T>(
    out: &mut String,
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    depth: usize,
    write_item: impl Fn(&mut String, T),
) {
    let indent = |out: &mut String, tabs| {
        out.push('\n');
        out.extend(std::iter::repeat_n('\t', tabs));
    };
    out.push(open);
    let mut items = items.into_iter().peekable();
    let any = items.peek().is_some();
    while let Some(item) = items.next() {
        indent(out, depth + 1);
        write_item(out, item);
        if items.peek().is_some() {
            out.push(',');
        }
    }
    if any {
        indent(out, depth);
    }
    out.push(close);
}

/// Besides what JSON asks for, it escapes what could end a script or a line inside of a web page.
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..'\u{20}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> String {
        write(&parse(text).unwrap())
    }

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn keys_are_sorted_and_the_last_of_two_counts() {
        assert_eq!(
            round(r#"{"b":1,"a":[],"b":{}}"#),
            "{\n\t\"a\": [],\n\t\"b\": {}\n}\n"
        );
        assert_eq!(round("[1, -2.50e+7]"), "[\n\t1,\n\t-2.50e+7\n]\n");
    }

    #[test]
    fn what_follows_the_first_value_is_not_read() {
        assert_eq!(round("true and {more"), "true\n");
    }

    #[test]
    fn surrogates_pair_up_or_are_replaced() {
        let text = |json| match parse(json) {
            Ok(Json::Text(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(text(r#""\ud83d\ude00""#), "😀");
        assert_eq!(
            text(r#""\ud83d.\ude00\ud83d\u0041""#),
            "\u{fffd}.\u{fffd}\u{fffd}A"
        );
    }

    #[test]
    fn controls_and_html_are_escaped() {
        assert_eq!(
            round(r#""\u0001\u007f<&\u2028\/é""#),
            "\"\\u0001\u{7f}\\u003c\\u0026\\u2028/é\"\n"
        );
    }

    #[test]
    fn refusals_name_the_place() {
        assert_eq!(refusal("{\n \"é\": tru}"), "line 2, column 7: expected a value");
        assert_eq!(
            refusal("{\"a\":"),
            "line 1, column 6: the text ends inside of a value"
        );
        assert_eq!(refusal(""), "line 1, column 1: the text ends inside of a value");
        assert_eq!(
            refusal("\"a\nb\""),
            "line 1, column 3: control characters must be escaped"
        );
        assert_eq!(refusal("-"), "line 1, column 1: this is no number");
        assert_eq!(
            refusal(r#""\u12g4""#),
            "line 1, column 2: this is no escape sequence"
        );
        assert_eq!(
            refusal("{1:2}"),
            "line 1, column 2: expected a key in double quotes"
        );
        assert_eq!(refusal("[1 2]"), "line 1, column 4: expected a comma or ]");
    }

    #[test]
    fn depth_is_bounded() {
        assert!(parse(&"[".repeat(1_000_000)).is_err());
        let deep = format!("{}{}", "[".repeat(TEXT_DEPTH_MAX), "]".repeat(TEXT_DEPTH_MAX));
        assert!(parse(&deep).is_ok());
    }
}
