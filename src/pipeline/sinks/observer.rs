//! Passes the intervals of a stream to the run's observer.

use std::time::Duration;

use crate::error::Result;
use crate::labels::intervals::Interval;
use crate::pipeline::context::StreamContext;
use crate::pipeline::observer::{LabeledInterval, Observer};
use crate::pipeline::sinks::sink::Sink;
use crate::telemetry::StreamInfo;

pub struct ObserverSink<'a> {
    observer: &'a dyn Observer,
    info: &'a StreamInfo,
}

impl<'a> ObserverSink<'a> {
    pub fn new(context: &StreamContext<'a>) -> Self {
        Self { observer: context.observer, info: &context.state.info }
    }
}

impl Sink for ObserverSink<'_> {
    fn interval(&mut self, interval: &Interval) -> Result<()> {
        self.observer.interval(
            self.info,
            LabeledInterval {
                label: &self.info.labels[interval.label],
                start: Duration::from_nanos(interval.start),
                end: Duration::from_nanos(interval.end),
                mean: interval.mean,
                peak: interval.peak,
                onset: Duration::from_nanos(interval.onset),
                offset: Duration::from_nanos(interval.offset),
            },
        );
        Ok(())
    }
}
