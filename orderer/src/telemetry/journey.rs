//! One sampled envelope on its way.

use std::time::SystemTime;

use protos::BlockNumber;

use super::blocks::Period;
use super::span::{Attribute, Ids, Span};

/// When an envelope passed what, so far.
#[derive(Clone, Debug)]
pub struct Journey {
    ids: Ids,
    received: SystemTime,
    validated: Option<SystemTime>,
    handed_over: Option<SystemTime>,
}

impl Journey {
    pub(super) fn begin(received: SystemTime) -> Self {
        Self {
            ids: Ids::random(),
            received,
            validated: None,
            handed_over: None,
        }
    }

    /// Its checks are done.
    pub fn validated(&mut self) {
        self.validated = Some(SystemTime::now());
    }

    /// It is in its chain's intake.
    pub fn handed_over(&mut self) {
        self.handed_over = Some(SystemTime::now());
    }

    /// By which spans of the same trace find it.
    pub(super) fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The spans of an envelope that ended here.
    pub(super) fn failed(&self, channel: &str, reason: &str, now: SystemTime) -> Vec<Span> {
        let mut spans = self.begun(channel, now);
        if let Some(root) = spans.first_mut() {
            root.error = Some(reason.to_owned());
        }
        spans
    }

    /// The spans of one that is in block `number`, which was written in this time, if that is known.
    pub(super) fn spans(
        &self,
        channel: &str,
        number: BlockNumber,
        written: Option<Period>,
        now: SystemTime,
    ) -> Vec<Span> {
        let mut spans = self.begun(channel, now);
        if let (Some(handed_over), Some(written)) = (self.handed_over, written) {
            let consensus = Period {
                begin: handed_over.min(written.begin),
                end: written.begin,
            };
            spans.push(self.ids.child("consensus", consensus, channel));
            spans.push(self.ids.child("write", written, channel));
        }
        for span in &mut spans {
            let is_of_block = matches!(span.name, "broadcast" | "consensus" | "write");
            if is_of_block {
                span.attributes
                    .push(("ordain.block", Attribute::Number(number.0)));
            }
        }
        spans
    }

    /// The root first, then what it came through before its chain.
    fn begun(&self, channel: &str, now: SystemTime) -> Vec<Span> {
        let whole = Period {
            begin: self.received,
            end: now,
        };
        let mut spans = vec![self.ids.root("broadcast", whole, channel)];
        let validated = self.validated.unwrap_or(now);
        let checks = Period {
            begin: self.received,
            end: validated,
        };
        spans.push(self.ids.child("validate", checks, channel));
        if let Some(handed_over) = self.handed_over {
            let order = Period {
                begin: validated,
                end: handed_over,
            };
            spans.push(self.ids.child("order", order, channel));
        }
        spans
    }
}
