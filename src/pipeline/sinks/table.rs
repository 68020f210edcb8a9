//! Adds the intervals of a stream to the run's table.

use crate::error::Result;
use crate::labels::intervals::Interval;
use crate::pipeline::context::StreamContext;
use crate::pipeline::sinks::sink::Sink;
use crate::report::interval_table::IntervalTable;
use crate::report::journal::IntervalRecord;
use crate::telemetry::StreamState;

/// Writes a row for each interval.
pub struct TableSink<'a> {
    table: &'a IntervalTable,
    state: &'a StreamState,
}

impl<'a> TableSink<'a> {
    /// Returns `None` if the run has no table.
    pub fn new(context: &StreamContext<'a>) -> Option<Self> {
        Some(Self { table: context.table?, state: context.state })
    }
}

impl Sink for TableSink<'_> {
    fn interval(&mut self, interval: &Interval) -> Result<()> {
        let info = &self.state.info;
        let time = info.live.then(|| self.state.utc(interval.start));
        self.table.add(&info.input, &IntervalRecord::of(interval, &info.labels), time)
    }

    fn failure_note(&self) -> &'static str {
        ", without a row in the table"
    }
}
