//! What a stream tells as it goes. It never waits for anybody.

use std::time::Instant;

use time::OffsetDateTime;

use crate::board::Subject;
use crate::events::announcer::Announcer;
use crate::events::event::Event;
use crate::labels::intervals::Interval;
use crate::labels::verdict::Verdict;
use crate::report::{milliseconds, rounded};
use crate::utc;

/// One stream's voice; says nothing where nobody is to be told.
pub struct Teller<'a> {
    announcer: Option<&'a Announcer>,
    subject: &'a Subject,
    /// Of a camera: when its time began.
    began: Option<Instant>,
    /// Whether an interval has been begun and not ended.
    open: bool,
    /// Whether the camera is gone.
    away: bool,
}

impl<'a> Teller<'a> {
    /// `began` is when a camera's time began; a clip's time has no place in ours.
    pub fn new(announcer: Option<&'a Announcer>, subject: &'a Subject, began: Option<Instant>) -> Self {
        Self { announcer, subject, began, open: false, away: false }
    }

    /// A frame was labelled, and has closed an interval or not.
    pub fn frame(&mut self, closed: Option<&Interval>, verdict: Verdict, pts: u64) {
        self.end(closed);
        let Some(announcer) = self.announcer else { return };
        let (stream, ms, time) = (self.subject.name.as_str(), milliseconds(pts), self.utc(pts));
        if std::mem::take(&mut self.away) {
            announcer.tell(&Event::Back { stream, ms, time: utc::milliseconds(time) });
        }
        if verdict.shown && !std::mem::replace(&mut self.open, true) {
            let (label, confidence) = (&self.subject.labels[verdict.class], rounded(verdict.confidence));
            announcer.tell(&Event::Start { stream, label, ms, time: utc::milliseconds(time), confidence });
        }
    }

    /// An interval was closed.
    pub fn end(&mut self, closed: Option<&Interval>) {
        let (Some(announcer), Some(interval)) = (self.announcer, closed) else { return };
        self.open = false;
        announcer.tell(&Event::End {
            stream: &self.subject.name,
            label: &self.subject.labels[interval.class],
            ms: milliseconds(interval.end),
            time: utc::milliseconds(self.utc(interval.end)),
            start_ms: milliseconds(interval.start),
            mean: rounded(interval.mean),
            peak: rounded(interval.peak),
        });
    }

    /// The camera does not answer. Told once until it is back.
    pub fn lost(&mut self, at: u64, reason: &str) {
        let Some(announcer) = self.announcer else { return };
        if !std::mem::replace(&mut self.away, true) {
            let (stream, time) = (&self.subject.name, utc::milliseconds(self.utc(at)));
            announcer.tell(&Event::Lost { stream, ms: milliseconds(at), time, reason });
        }
    }

    /// A moment of the stream in UTC; of a clip, now. What lies between is measured by the clock that is never set.
    fn utc(&self, at: u64) -> OffsetDateTime {
        let now = utc::now();
        let Some(began) = self.began else { return now };
        // The end of a picture may lie ahead.
        now.saturating_add(time::Duration::nanoseconds(at as i64 - began.elapsed().as_nanos() as i64))
    }
}
