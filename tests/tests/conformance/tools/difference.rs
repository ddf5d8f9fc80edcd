//! What differs between the expected result and the one found, so that a person knows where to look.

use serde_json::Value;

/// Most places shown.
const SHOWN_MAX: usize = 5;

/// Longest value shown, in characters.
const VALUE_CHARS_MAX: usize = 100;

/// Compares two texts byte by byte, and names the first line that differs.
pub(crate) fn texts(expected: &[u8], got: &[u8]) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    let lines = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        text.split('\n').map(str::to_owned).collect::<Vec<_>>()
    };
    let (expected, got) = (lines(expected), lines(got));
    let same = expected.iter().zip(&got).take_while(|(a, b)| a == b).count();
    let line = |lines: &[String]| {
        lines
            .get(same)
            .map_or("the end".to_owned(), |line| format!("{line:?}"))
    };
    let (number, expected, got) = (same + 1, line(&expected), line(&got));
    Err(format!("line {number}: expected {expected}, got {got}"))
}

/// Compares two JSON documents as values, and names the places that differ as JSON pointers.
pub(crate) fn values(expected: &Value, got: &Value) -> Result<(), String> {
    let mut places = Vec::new();
    compare("", expected, got, &mut places);
    if places.is_empty() {
        return Ok(());
    }
    let more = places.len().saturating_sub(SHOWN_MAX);
    places.truncate(SHOWN_MAX);
    if more > 0 {
        places.push(format!("and {more} more"));
    }
    Err(places.join("; "))
}

fn compare(pointer: &str, expected: &Value, got: &Value, places: &mut Vec<String>) {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            for (key, value) in expected {
                let below = format!("{pointer}/{key}");
                match got.get(key) {
                    Some(found) => compare(&below, value, found, places),
                    None => places.push(format!("{below}: expected {}, got nothing", shown(value))),
                }
            }
            let surplus = got.iter().filter(|(key, _)| !expected.contains_key(*key));
            places.extend(
                surplus
                    .map(|(key, value)| format!("{pointer}/{key}: expected nothing, got {}", shown(value))),
            );
        }
        (Value::Array(expected), Value::Array(got)) if expected.len() == got.len() => {
            for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                compare(&format!("{pointer}/{index}"), expected, got, places);
            }
        }
        _ if expected == got => {}
        _ => places.push(format!(
            "{pointer}: expected {}, got {}",
            shown(expected),
            shown(got)
        )),
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}... ({} characters)", &text[..end], text.chars().count()),
        None => text,
    }
}
