//! Sends the events of a stream to the event bus, without waiting for event receivers.

use std::rc::Rc;

use crate::error::Result;
use crate::events::event::Event;
use crate::events::event_bus::EventBus;
use crate::labels::intervals::Interval;
use crate::media::supervisor::LossReason;
use crate::pipeline::context::StreamContext;
use crate::pipeline::sinks::flusher::Flusher;
use crate::pipeline::sinks::sink::{LabeledFrame, Loss, Sink};
use crate::report::journal::IntervalRecord;
use crate::report::{milliseconds, rounded};
use crate::system::utc;
use crate::telemetry::StreamState;

/// Emits the events of one stream.
pub struct EventEmitter<'a> {
    event_bus: &'a EventBus,
    /// Syncs the journal of a camera.
    flusher: Option<Rc<Flusher>>,
    state: &'a StreamState,
    /// Whether a start event was sent without an end event.
    open: bool,
    /// Whether the camera is lost.
    lost: bool,
    /// Whether that was said before the camera was restarted.
    said: bool,
}

impl<'a> EventEmitter<'a> {
    /// Returns `None` if there are no event receivers.
    pub fn new(context: &StreamContext<'a>, flusher: Option<&Rc<Flusher>>) -> Option<Self> {
        let (event_bus, state) = (context.event_bus?, context.state);
        let lost = event_bus.is_lost(&state.info.name);
        Some(Self { event_bus, flusher: flusher.cloned(), state, open: false, lost, said: lost })
    }
}

impl Sink for EventEmitter<'_> {
    fn frame(&mut self, LabeledFrame { frame, decision, .. }: &LabeledFrame) -> Result<()> {
        let (stream, ms, time) = (self.state.info.name.as_str(), milliseconds(frame.pts), self.state.utc(frame.pts));
        self.said = false;
        if std::mem::take(&mut self.lost) {
            self.event_bus.publish(&Event::Back { stream, ms, time: utc::milliseconds(time) }, None);
        }
        if decision.shown && !std::mem::replace(&mut self.open, true) {
            let (label, confidence) = (&self.state.info.labels[decision.label], rounded(decision.confidence));
            self.event_bus
                .publish(&Event::Start { stream, label, ms, time: utc::milliseconds(time), confidence }, None);
        }
        Ok(())
    }

    fn interval(&mut self, interval: &Interval) -> Result<()> {
        // If an earlier sink failed on the frame, no start event was sent.
        if !std::mem::take(&mut self.open) {
            return Ok(());
        }
        let time = utc::milliseconds(self.state.utc(interval.end));
        let IntervalRecord { label, start, end, mean, peak, onset, offset, .. } =
            IntervalRecord::of(interval, &self.state.info.labels);
        let event = Event::End {
            stream: &self.state.info.name,
            label: &label,
            ms: end,
            time,
            start_ms: start,
            mean,
            peak,
            onset_ms: onset,
            offset_ms: offset,
        };
        // The journal, which is called later, requests it for this interval.
        self.event_bus.publish(&event, self.flusher.as_ref().map(|flusher| flusher.next()));
        Ok(())
    }

    fn lost(&mut self, loss: &Loss) -> Result<()> {
        self.lost = true;
        if std::mem::take(&mut self.said) && loss.reason != LossReason::Paused.name() {
            return Ok(());
        }
        let (stream, time) = (&self.state.info.name, utc::milliseconds(self.state.utc(loss.at)));
        self.event_bus.publish(&Event::Lost { stream, ms: milliseconds(loss.at), time, reason: loss.reason }, None);
        Ok(())
    }
}
