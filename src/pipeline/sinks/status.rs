//! Updates the telemetry of a stream for page, metrics and terminal. It is called after the other sinks, so that the
//! measured latency includes theirs.

use std::sync::Arc;
use std::time::Instant;

use crate::error::Result;
use crate::labels::intervals::Interval;
use crate::pipeline::context::{StreamContext, label_settings};
use crate::pipeline::outcome::Outcome;
use crate::pipeline::sinks::sink::{Gap, LabeledFrame, Loss, NewSettings, Sink};
use crate::system::clock::SharedClock;
use crate::telemetry::StreamState;
use crate::telemetry::status::{Delays, RateMeter};

/// Updates a stream's telemetry.
pub struct StatusSink<'a> {
    state: &'a Arc<StreamState>,
    clock: &'a SharedClock,
    /// Delays from arrival to the last output: of the whole run, and of the last seconds.
    delays: Delays,
    meter: RateMeter,
}

impl<'a> StatusSink<'a> {
    pub fn new(context: &StreamContext<'a>, began: Instant) -> Self {
        let StreamContext { state, clock, .. } = *context;
        Self { state, clock, delays: Delays::default(), meter: RateMeter::new(began) }
    }
}

impl Sink for StatusSink<'_> {
    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        let LabeledFrame { frame, decision, .. } = labeled;
        self.state.frame(frame.pts, *decision, labeled.smoothed, labeled.open.clone());
        self.state.progress.position.set(frame.end());
        let now = self.clock.instant();
        let delay = now.saturating_duration_since(frame.arrival);
        self.delays.add(delay);
        self.state.record_latency(delay);
        let recent = self.meter.add(delay, now);
        let mut status = self.state.progress.status_mut();
        status.label = labeled.label.map(Into::into);
        status.confidence = decision.confidence;
        status.size = Some((labeled.layout.width, labeled.layout.height));
        if let Some((rate, latency)) = recent {
            (status.rate, status.latency) = (rate, latency);
        }
        Ok(())
    }

    fn interval(&mut self, interval: &Interval) -> Result<()> {
        self.state.interval(interval);
        Ok(())
    }

    fn gap(&mut self, gap: &Gap) -> Result<()> {
        self.state.progress.status_mut().gaps += 1;
        self.state.gap(gap.start, gap.end, gap.reason);
        Ok(())
    }

    fn settings(&mut self, settings: &NewSettings) -> Result<()> {
        self.state.set_settings(label_settings(settings.job, settings.model));
        Ok(())
    }

    fn lost(&mut self, loss: &Loss) -> Result<()> {
        self.state.lost(loss.since, loss.reason);
        let mut status = self.state.progress.status_mut();
        (status.label, status.confidence, status.rate) = (None, 0.0, 0.0);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: &mut Outcome) -> Result<()> {
        outcome.latency = self.delays.latency();
        Ok(())
    }
}
