//! The events of a stream, in the one form that every receiver gets.

use serde::Serialize;

/// Something that happened. Times in milliseconds of the stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A label is shown from here on.
    Start {
        stream: &'a str,
        label: &'a str,
        ms: f64,
        time: String,
        confidence: f64,
    },
    /// It is shown no longer.
    End {
        stream: &'a str,
        label: &'a str,
        ms: f64,
        time: String,
        start_ms: f64,
        mean: f64,
        peak: f64,
    },
    /// A camera sends nothing any more.
    Lost {
        stream: &'a str,
        ms: f64,
        time: String,
        reason: &'a str,
    },
    Back {
        stream: &'a str,
        ms: f64,
        time: String,
    },
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
    fn is_one_flat_object() {
        let time = crate::utc::milliseconds(datetime!(2026-01-02 03:04:06.5 UTC));
        let event = Event::Lost { stream: "door", ms: 9000.0, time, reason: "stalled" };
        let text = serde_json::to_string(&event).unwrap();
        let right =
            r#"{"event":"lost","stream":"door","ms":9000.0,"time":"2026-01-02T03:04:06.500Z","reason":"stalled"}"#;
        assert_eq!(text, right);
    }
}
