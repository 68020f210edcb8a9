//! Telemetry: the state of every stream, for the page, metrics and terminal.
//!
//! A stream's threads write, all others read. A write takes a short lock, and its cost does not depend on the number of
//! readers. All history is bounded.

pub(crate) mod finished_run;
mod history;
mod kept_pictures;
mod metric_label;
mod pictures;
mod progress;
mod snapshot;
pub mod status;
mod stream_state;
mod totals;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use time::OffsetDateTime;

use crate::system::clock::SharedClock;

pub use finished_run::FinishedRun;
pub use history::{Gap, Row, Span};
pub use metric_label::label_value;
pub use pictures::Picture;
pub use progress::Progress;
pub use snapshot::Snapshot;
pub use stream_state::{LabelSettings, StreamInfo, StreamState};
pub use totals::Totals;

/// Names whose earlier counts are remembered.
const NAMES: usize = 4096;

/// Streams in their order. A list never changes: after a change there is another one, so the holder of a list sees by
/// [`Arc::ptr_eq`] whether it is still the current one.
pub type Streams = Arc<[Arc<StreamState>]>;

/// All streams of a run, in the order of the command line.
pub struct Telemetry {
    pub clock: SharedClock,
    pub started: OffsetDateTime,
    /// Whether there is an index to ask about what was before.
    pub history: bool,
    streams: RwLock<Streams>,
    /// By name, the counts of streams that were removed or restarted.
    earlier: Mutex<HashMap<String, Totals>>,
}

impl Telemetry {
    pub fn new(streams: Vec<Arc<StreamState>>, history: bool, clock: &SharedClock) -> Self {
        Self {
            clock: Arc::clone(clock),
            started: clock.utc(),
            history,
            streams: RwLock::new(streams.into()),
            earlier: Mutex::default(),
        }
    }

    /// Returns the streams that there are now.
    pub fn streams(&self) -> Streams {
        Arc::clone(&self.streams.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the streams. Those that are not among the new ones must have ended.
    pub fn replace(&self, streams: Vec<Arc<StreamState>>) {
        let mut current = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        let mut earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in current.iter().filter(|old| !streams.iter().any(|new| Arc::ptr_eq(old, new))) {
            let name = &gone.info.name;
            if earlier.len() < NAMES || earlier.contains_key(name) {
                let totals = earlier.remove(name).unwrap_or_default().plus(&Totals::of(gone));
                earlier.insert(name.clone(), totals);
            }
        }
        *current = streams.into();
    }

    pub fn find(&self, name: &str) -> Option<Arc<StreamState>> {
        self.streams().iter().find(|stream| stream.info.name == name).cloned()
    }

    /// Returns the streams with their counts, to which those of earlier streams of the same name are added.
    pub fn totals(&self) -> Vec<(Arc<StreamState>, Totals)> {
        // Locked until the end, so that no stream is counted as an earlier one too.
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        let earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        let none = Totals::default();
        let total =
            |stream: &Arc<StreamState>| Totals::of(stream).plus(earlier.get(&stream.info.name).unwrap_or(&none));
        streams.iter().map(|stream| (Arc::clone(stream), total(stream))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::clock::SystemClock;
    use std::time::Instant;

    fn stream(name: &str) -> Arc<StreamState> {
        let info = StreamInfo { name: name.into(), input: "test://".into(), live: true, labels: Vec::new() };
        Arc::new(StreamState::new(info, LabelSettings::default(), false, &SystemClock::shared()))
    }

    #[test]
    fn a_stream_that_is_restarted_or_added_again_counts_on() {
        let (door, garden) = (stream("door"), stream("garden"));
        let telemetry = Telemetry::new(vec![Arc::clone(&door), Arc::clone(&garden)], false, &SystemClock::shared());
        let before = telemetry.streams();
        let analysed = |number: usize| telemetry.totals()[number].1.frames["analysed"];
        for stream in [&door, &door, &garden] {
            stream.progress.counters.arrived(Instant::now());
            stream.progress.counters.labelled(true);
        }
        assert_eq!([analysed(0), analysed(1)], [2, 1]);
        let again = stream("door");
        again.progress.counters.arrived(Instant::now());
        again.progress.counters.labelled(true);
        telemetry.replace(vec![again, garden]);
        assert!(!Arc::ptr_eq(&before, &telemetry.streams()));
        assert_eq!([analysed(0), analysed(1)], [3, 1]);
        telemetry.replace(Vec::new());
        assert!(telemetry.find("door").is_none() && telemetry.totals().is_empty());
        telemetry.replace(vec![stream("door")]);
        assert_eq!(analysed(0), 3);
    }
}
