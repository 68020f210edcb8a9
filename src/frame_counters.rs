//! What becomes of every frame, counted so that nothing is missing at any moment.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Why a frame reached no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// A newer one took its place, because the next stage was busy.
    Overrun,
    /// The run ended, or broke, while the frame was on its way.
    Failure,
}

impl DropReason {
    fn name(self) -> &'static str {
        match self {
            DropReason::Overrun => "overrun",
            DropReason::Failure => "failure",
        }
    }
}

/// Counts of one moment: `decoded = analysed + held + the sum of dropped + in_flight`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub decoded: u64,
    /// Went through the network.
    pub analysed: u64,
    /// Took over the prediction of the frame before, because of the stride.
    pub held: u64,
    /// Reached no label, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    pub in_flight: u64,
}

impl Counts {
    pub fn labelled(&self) -> u64 {
        self.analysed + self.held
    }

    pub fn lost(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// The counts of one stream. Every change moves a frame from one place to another under one lock.
#[derive(Debug, Default)]
pub struct FrameCounters(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    counts: Counts,
    last_arrival: Option<Instant>,
}

impl FrameCounters {
    /// A frame has come out of the decoder.
    pub fn arrived(&self) {
        let mut book = self.lock();
        book.counts.decoded += 1;
        book.counts.in_flight += 1;
        book.last_arrival = Some(Instant::now());
    }

    /// When the last frame came out of the decoder.
    pub fn last_arrival(&self) -> Option<Instant> {
        self.lock().last_arrival
    }

    /// A frame has got its label.
    pub fn labelled(&self, analysed: bool) {
        let counts = &mut self.lock().counts;
        counts.in_flight -= 1;
        if analysed {
            counts.analysed += 1;
        } else {
            counts.held += 1;
        }
    }

    /// A frame was given up.
    pub fn dropped(&self, why: DropReason) {
        let counts = &mut self.lock().counts;
        counts.in_flight -= 1;
        *counts.dropped.entry(why.name()).or_default() += 1;
    }

    /// Nothing is on its way any more: what was is lost.
    pub fn close(&self) -> Counts {
        let counts = &mut self.lock().counts;
        let left = std::mem::take(&mut counts.in_flight);
        if left > 0 {
            *counts.dropped.entry(DropReason::Failure.name()).or_default() += left;
        }
        counts.clone()
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_balance_holds_while_threads_move_frames() {
        let counters = FrameCounters::default();
        let (sender, receiver) = crossbeam_channel::bounded::<u64>(4);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for i in 0..20_000 {
                    counters.arrived();
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
                assert_eq!(counts.decoded, counts.labelled() + counts.lost() + counts.in_flight);
            }
        });
        let counts = counters.close();
        assert_eq!((counts.decoded, counts.in_flight, counts.lost()), (20_000, 0, 6_667));
    }

    #[test]
    fn what_is_on_its_way_at_the_end_is_told() {
        let counters = FrameCounters::default();
        counters.arrived();
        counters.arrived();
        counters.labelled(true);
        assert_eq!(counters.close().dropped, BTreeMap::from([("failure", 1)]));
    }
}
