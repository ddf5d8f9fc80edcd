//! Keeps one trouble from filling the log.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Texts remembered; with more, the oldest are forgotten.
const TEXTS_MAX: usize = 1024;

/// What was said lately.
#[derive(Debug, Default)]
pub(super) struct Said(Mutex<HashMap<String, Instant>>);

impl Said {
    /// True when `text` was not said within `time` before `now`; it counts as said from now on.
    pub(super) fn is_news(&self, text: &str, time: Duration, now: Instant) -> bool {
        let mut texts = self.0.lock();
        if let Some(last) = texts.get_mut(text) {
            let news = now.saturating_duration_since(*last) >= time;
            if news {
                *last = now;
            }
            return news;
        }
        if texts.len() >= TEXTS_MAX {
            forget_older_half(&mut texts);
        }
        texts.insert(text.to_owned(), now);
        true
    }
}

fn forget_older_half(texts: &mut HashMap<String, Instant>) {
    let mut times: Vec<Instant> = texts.values().copied().collect();
    times.sort_unstable();
    let middle = times[times.len() / 2];
    texts.retain(|_, last| *last > middle);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_news_again_after_a_while() {
        let (said, begin) = (Said::default(), Instant::now());
        let second = Duration::from_secs(1);
        let is_news = |text: &str, after: u32| said.is_news(text, second * 10, begin + second * after);
        assert!(is_news("a", 0));
        assert!(is_news("b", 0));
        assert!(!is_news("a", 9));
        assert!(is_news("a", 10));
        assert!(!is_news("a", 19));
    }

    #[test]
    fn memory_for_texts_is_bounded() {
        let (said, begin) = (Said::default(), Instant::now());
        for number in 0..3000_u32 {
            let now = begin + Duration::from_millis(u64::from(number));
            said.is_news(&number.to_string(), Duration::from_mins(1), now);
        }
        assert!(said.0.lock().len() <= TEXTS_MAX);
        assert!(!said.is_news("2999", Duration::from_mins(1), begin + Duration::from_secs(3)));
    }
}
