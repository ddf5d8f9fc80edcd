use super::*;
use protos::wire::orderer::{SeekNewest, SeekNextCommit, SeekOldest, SeekSpecified};

/// Requests against a chain of 5 blocks, then what comes: numbers to send, `wait`, or the status. The second
/// part of a transcript is what follows when the chain has grown to 8 blocks.
const TRANSCRIPTS: &str = include_str!("positions.txt");

fn position(word: &str) -> Option<SeekPosition> {
    let alternative = match word {
        "absent" => return None,
        "unset" => None,
        "oldest" => Some(Position::Oldest(SeekOldest {})),
        "newest" => Some(Position::Newest(SeekNewest {})),
        "next-commit" => Some(Position::NextCommit(SeekNextCommit {})),
        "max" => Some(Position::Specified(SeekSpecified { number: u64::MAX })),
        number => Some(Position::Specified(SeekSpecified {
            number: number.parse().unwrap(),
        })),
    };
    Some(SeekPosition { r#type: alternative })
}

fn seek(words: &[&str]) -> SeekInfo {
    SeekInfo {
        start: position(words[0]),
        stop: position(words[1]),
        behavior: i32::from(words[2] == "fail"),
        ..SeekInfo::default()
    }
}

/// Steps until it waits or ends.
fn run(cursor: &mut Cursor, height: Height) -> String {
    let mut out = Vec::new();
    loop {
        match cursor.step(height) {
            Step::Send(number) => out.push(number.to_string()),
            Step::Wait => out.push("wait".to_owned()),
            Step::End(status) => out.push(format!("{status:?}")),
        }
        if !out.last().unwrap().starts_with(|c: char| c.is_ascii_digit()) {
            return out.join(" ");
        }
    }
}

fn answer(request: &str) -> String {
    let words: Vec<_> = request.split_whitespace().collect();
    let mut cursor = match Cursor::new(&seek(&words), Height(5)) {
        Ok(cursor) => cursor,
        Err(status) => return format!("{status:?}"),
    };
    let first = run(&mut cursor, Height(5));
    if first.ends_with("wait") {
        return format!("{first} | {}", run(&mut cursor, Height(8)));
    }
    assert_eq!(
        cursor.step(Height(8)),
        cursor.step(Height(9)),
        "{request}: goes on"
    );
    first
}

#[test]
fn seek_positions_follow_the_transcripts() {
    let mut cases = 0;
    for line in TRANSCRIPTS
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        let (request, expected) = line.split_once(':').unwrap();
        assert_eq!(answer(request), expected.trim(), "{request}");
        cases += 1;
    }
    assert!(cases > 30);
}

#[test]
fn an_empty_chain_makes_the_newest_wait_for_the_first_block() {
    let mut cursor = Cursor::new(&seek(&["newest", "newest", "block"]), Height::EMPTY).unwrap();
    assert_eq!(cursor.step(Height::EMPTY), Step::Wait);
    assert_eq!(cursor.step(Height(2)), Step::Send(BlockNumber(0)));
    assert_eq!(cursor.step(Height(2)), Step::End(SeekStatus::Success));
}
