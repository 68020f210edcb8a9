//! Counts every frame of a stream by what happened to it. The counts balance at every moment.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Why a frame got no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// A newer frame replaced it, because the next stage was busy.
    Overrun,
    /// The run ended or failed while the frame was in flight.
    Failure,
    /// Another machine still labels the camera, which this one takes over.
    Standby,
}

impl DropReason {
    fn name(self) -> &'static str {
        match self {
            DropReason::Overrun => "overrun",
            DropReason::Failure => "failure",
            DropReason::Standby => "standby",
        }
    }
}

/// A snapshot of the counts: `decoded = analysed + held + the sum of dropped + in_flight`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub decoded: u64,
    /// Went through the model.
    pub analysed: u64,
    /// Got the last prediction, because of the stride.
    pub held: u64,
    /// Got no label, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    pub in_flight: u64,
}

impl Counts {
    pub fn labelled(&self) -> u64 {
        self.analysed + self.held
    }

    /// Returns the number of dropped frames, whatever the reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// The counts of one stream. Each change moves a frame from one count to another under one lock.
#[derive(Debug, Default)]
pub struct FrameCounters(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    counts: Counts,
    last_arrival: Option<Instant>,
}

impl FrameCounters {
    /// Counts a frame that was decoded at `at`.
    pub fn arrived(&self, at: Instant) {
        let mut inner = self.lock();
        inner.counts.decoded += 1;
        inner.counts.in_flight += 1;
        inner.last_arrival = Some(at);
    }

    /// Returns when the last frame was decoded.
    pub fn last_arrival(&self) -> Option<Instant> {
        self.lock().last_arrival
    }

    /// Counts a labelled frame.
    pub fn labelled(&self, analysed: bool) {
        let counts = &mut self.lock().counts;
        counts.in_flight -= 1;
        if analysed {
            counts.analysed += 1;
        } else {
            counts.held += 1;
        }
    }

    /// Counts a dropped frame.
    pub fn dropped(&self, reason: DropReason) {
        let counts = &mut self.lock().counts;
        counts.in_flight -= 1;
        *counts.dropped.entry(reason.name()).or_default() += 1;
    }

    /// Ends counting: frames still in flight count as dropped by a failure.
    pub fn close(&self) -> Counts {
        let counts = &mut self.lock().counts;
        let in_flight = std::mem::take(&mut counts.in_flight);
        if in_flight > 0 {
            *counts.dropped.entry(DropReason::Failure.name()).or_default() += in_flight;
        }
        counts.clone()
    }

    /// Takes over the counts of another process. Unknown reasons are left out.
    pub fn mirror(&self, decoded: u64, analysed: u64, held: u64, dropped: &BTreeMap<String, u64>, in_flight: u64) {
        let known = [DropReason::Overrun, DropReason::Failure, DropReason::Standby].map(DropReason::name);
        let dropped = known.into_iter().filter_map(|name| Some((name, *dropped.get(name)?))).collect();
        self.lock().counts = Counts { decoded, analysed, held, dropped, in_flight };
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_balance_while_threads_change_them() {
        let counters = FrameCounters::default();
        let (sender, receiver) = crossbeam_channel::bounded::<u64>(4);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for i in 0..20_000 {
                    counters.arrived(Instant::now());
                    if i % 3 == 0 {
                        counters.dropped(DropReason::Overrun);
                    } else {
                        sender.send(i).unwrap();
                    }
                }
                drop(sender);
            });
            scope.spawn(|| receiver.iter().for_each(|i| counters.labelled(i % 2 == 0)));
            for _ in 0..2_000 {
                let counts = counters.counts();
                assert_eq!(counts.decoded, counts.labelled() + counts.dropped_total() + counts.in_flight);
            }
        });
        let counts = counters.close();
        assert_eq!((counts.decoded, counts.in_flight, counts.dropped_total()), (20_000, 0, 6_667));
    }

    #[test]
    fn frames_in_flight_at_the_end_count_as_failures() {
        let counters = FrameCounters::default();
        counters.arrived(Instant::now());
        counters.arrived(Instant::now());
        counters.labelled(true);
        assert_eq!(counters.close().dropped, BTreeMap::from([("failure", 1)]));
    }
}
