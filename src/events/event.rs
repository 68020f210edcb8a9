//! The events of a stream, as every event receiver gets them.

use serde::Serialize;

/// One event, serialised as a flat JSON object. `ms` fields are milliseconds of stream time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// An interval starts: a label is shown from here on.
    Start { stream: &'a str, label: &'a str, ms: f64, time: String, confidence: f64 },
    /// An interval ends.
    End {
        stream: &'a str,
        label: &'a str,
        ms: f64,
        time: String,
        start_ms: f64,
        mean: f64,
        peak: f64,
        /// Where the single predictions begin and end to speak for the label, if not at `start_ms` and `ms`.
        #[serde(skip_serializing_if = "Option::is_none")]
        onset_ms: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        offset_ms: Option<f64>,
    },
    /// A camera was lost: it sends no more frames.
    Lost { stream: &'a str, ms: f64, time: String, reason: &'a str },
    /// A lost camera sends frames again.
    Back { stream: &'a str, ms: f64, time: String },
}

impl Event<'_> {
    pub fn stream(&self) -> &str {
        match self {
            Event::Start { stream, .. }
            | Event::End { stream, .. }
            | Event::Lost { stream, .. }
            | Event::Back { stream, .. } => stream,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn an_event_is_one_flat_json_object() {
        let time = crate::system::utc::milliseconds(datetime!(2026-01-02 03:04:06.5 UTC));
        let event = Event::Lost { stream: "door", ms: 9000.0, time, reason: "stalled" };
        let text = serde_json::to_string(&event).unwrap();
        let expected =
            r#"{"event":"lost","stream":"door","ms":9000.0,"time":"2026-01-02T03:04:06.500Z","reason":"stalled"}"#;
        assert_eq!(text, expected);
    }
}
