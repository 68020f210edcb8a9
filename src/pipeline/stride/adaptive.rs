//! The stride of a camera, adapted to the load: if the model is slower than the camera, fewer frames are analysed, so
//! that the latency stays bounded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::pipeline::stride::policy::{Label, Load, StridePolicy};

/// Interval at which the stride is reviewed.
const INTERVAL: Duration = Duration::from_millis(500);
/// Intervals ignored after the start and after each increase, since frames queued before still affect them.
const SETTLING: u32 = 1;
/// Calm intervals needed before the stride decreases: the first number at the start, doubled up to the second after
/// each decrease that failed, halved after each that held.
const CALM: u32 = 2;
const MAX_CALM: u32 = 32;
/// A decrease adds one analysed frame in this many, whatever the stride was, but at most doubles the analysed frames.
/// An increase removes a fraction of a stream's analysed frames. Additive increase and multiplicative decrease of the
/// rate make streams that share an engine converge to about the same rate.
const ADDITIVE_STEP: u64 = 20;
/// Maximum stride.
const MAX_STRIDE: u64 = 60;
/// A frame with a longer delay is late.
const LATE: Duration = Duration::from_millis(100);
/// A frame is not late within this multiple of the fastest analysis: a larger stride cannot speed up a slow model.
const LATE_FACTOR: u32 = 3;
/// Late frames of an interval are too many if they are more than one in this many, and more than the second number.
const LATE_ONE_IN: u64 = 20;
const LATE_TOLERATED: u64 = 1;

/// Adapts the stride to the load.
pub struct AdaptiveStride {
    latency: LatencyMonitor,
    control: Mutex<LoadControl>,
}

impl AdaptiveStride {
    /// Creates a policy for one of `streams` that share the engine.
    pub fn new(streams: usize) -> Self {
        Self { latency: LatencyMonitor::new(), control: Mutex::new(LoadControl::new(streams)) }
    }
}

impl StridePolicy for AdaptiveStride {
    fn stride(&self, load: &dyn Fn() -> Load) -> u64 {
        let load = load();
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        control.update(&self.latency, load.at, load.waiting, load.capacity, load.dropped)
    }

    fn labeled(&self, label: &Label) {
        self.latency.add(label.delay, label.prediction.is_some());
    }
}

/// Counts late frames. Written by the second thread, read by the first.
#[derive(Debug)]
struct LatencyMonitor {
    frames: AtomicU64,
    late: AtomicU64,
    /// Minimum delay of an analysed frame so far, in nanoseconds.
    fastest: AtomicU64,
}

impl LatencyMonitor {
    fn new() -> Self {
        Self { frames: AtomicU64::new(0), late: AtomicU64::new(0), fastest: AtomicU64::new(u64::MAX) }
    }

    /// Adds a frame's delay from its arrival to its last output.
    fn add(&self, delay: Duration, analysed: bool) {
        let nanoseconds = delay.as_nanos() as u64;
        if analysed {
            self.fastest.fetch_min(nanoseconds, Ordering::Relaxed);
        }
        let limit =
            u64::from(LATE_FACTOR).saturating_mul(self.fastest.load(Ordering::Relaxed)).max(LATE.as_nanos() as u64);
        self.late.fetch_add(u64::from(nanoseconds > limit), Ordering::Relaxed);
        self.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether too many frames were late since the last call.
    fn take(&self) -> bool {
        let (frames, late) = (self.frames.swap(0, Ordering::Relaxed), self.late.swap(0, Ordering::Relaxed));
        late > LATE_TOLERATED && late * LATE_ONE_IN > frames
    }
}

/// Controls the stride by the queue's length, dropped frames and late frames.
#[derive(Debug)]
struct LoadControl {
    stride: u64,
    /// Time of the last review.
    reviewed: Duration,
    /// Frames dropped up to the last review.
    dropped: u64,
    /// Maximum length of the queue since the last review.
    max_waiting: usize,
    /// Intervals still to ignore.
    settling: u32,
    calm: u32,
    /// Calm intervals needed for a decrease.
    needed: u32,
    /// Whether the last change was a decrease.
    decreased: bool,
}

impl LoadControl {
    /// Creates the control of one of `streams` that share the engine. The initial stride is the number of streams,
    /// since the engine's speed is unknown: a stride decreases without late frames, but increases only because of them.
    fn new(streams: usize) -> Self {
        Self {
            stride: (streams as u64).clamp(1, MAX_STRIDE),
            reviewed: Duration::ZERO,
            dropped: 0,
            max_waiting: 0,
            settling: SETTLING,
            calm: 0,
            needed: CALM,
            decreased: false,
        }
    }

    /// Takes the queue's length and the frames dropped so far; returns the stride from now on.
    fn update(
        &mut self,
        latency: &LatencyMonitor,
        now: Duration,
        waiting: usize,
        capacity: usize,
        dropped: u64,
    ) -> u64 {
        self.max_waiting = self.max_waiting.max(waiting);
        if now < self.reviewed + INTERVAL {
            return self.stride;
        }
        let late = latency.take();
        let overloaded = late || dropped > self.dropped || self.max_waiting + 1 >= capacity;
        if self.settling > 0 {
            self.settling -= 1;
        } else if overloaded {
            self.needed = if self.decreased { (2 * self.needed).min(MAX_CALM) } else { self.needed };
            self.stride = (self.stride + self.stride.div_ceil(2)).min(MAX_STRIDE);
            (self.settling, self.calm, self.decreased) = (SETTLING, 0, false);
        } else {
            self.calm += 1;
            if self.calm >= self.needed && self.stride > 1 {
                self.needed = if self.decreased { (self.needed / 2).max(CALM) } else { self.needed };
                self.stride =
                    (ADDITIVE_STEP * self.stride / (ADDITIVE_STEP + self.stride)).max(self.stride.div_ceil(2));
                (self.calm, self.decreased) = (0, true);
            }
        }
        (self.reviewed, self.dropped, self.max_waiting) = (now, dropped, 0);
        self.stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Simulates a camera with `rate` frames a second, a queue of eight, and a model that takes `cost` seconds a frame.
    /// Returns the share of dropped frames, and the strides of the second half.
    fn simulate(rate: f64, cost: f64, seconds: f64) -> (f64, Vec<u64>) {
        let latency = LatencyMonitor::new();
        let mut control = LoadControl::new(1);
        let (mut waiting, mut dropped, mut held, mut free_at) = (0_usize, 0_u64, u64::MAX, 0.0_f64);
        let (mut strides, mut stride, frames) = (Vec::new(), 1, (rate * seconds) as u64);
        for i in 0..frames {
            let now = i as f64 / rate;
            if waiting == 8 {
                dropped += 1;
            } else {
                waiting += 1;
            }
            while waiting > 0 && free_at <= now {
                waiting -= 1;
                stride = control.update(&latency, Duration::from_secs_f64(now), waiting, 8, dropped);
                held = held.saturating_add(1);
                if held >= stride {
                    held = 0;
                    free_at = free_at.max(now) + cost;
                }
            }
            strides.push(stride);
        }
        (dropped as f64 / frames as f64, strides.split_off(frames as usize / 2))
    }

    #[test]
    fn a_fast_model_analyses_every_frame() {
        let (dropped, strides) = simulate(25.0, 0.01, 60.0);
        assert_eq!(dropped, 0.0);
        assert!(strides.iter().all(|&stride| stride == 1));
    }

    #[test]
    fn a_slow_model_analyses_what_it_can() {
        let (dropped, strides) = simulate(25.0, 0.2, 120.0);
        assert!(dropped < 0.05, "{dropped}");
        let mean = strides.iter().sum::<u64>() as f64 / strides.len() as f64;
        assert!((5.0..9.0).contains(&mean), "{mean}");
    }

    #[test]
    fn the_stride_recovers_after_overload() {
        let latency = LatencyMonitor::new();
        let mut control = LoadControl::new(1);
        for i in 0..20 {
            control.update(&latency, Duration::from_millis(600 * i), 8, 8, i);
        }
        assert!(control.stride > 10);
        let mut stride = control.stride;
        for i in 20..300 {
            stride = control.update(&latency, Duration::from_millis(600 * i), 0, 8, 19);
        }
        assert_eq!(stride, 1);
    }

    #[test]
    fn the_initial_stride_is_the_number_of_streams_and_decreases() {
        let latency = LatencyMonitor::new();
        assert_eq!([0, 1, 8, 500].map(|streams| LoadControl::new(streams).stride), [1, 1, 8, MAX_STRIDE]);
        let mut control = LoadControl::new(16);
        let strides: Vec<u64> =
            (1..=9).map(|second| control.update(&latency, Duration::from_secs(second), 0, 8, 0)).collect();
        assert_eq!(strides, [16, 16, 8, 8, 5, 5, 4, 4, 3]);
    }

    struct Camera<'a> {
        control: LoadControl,
        latency: &'a LatencyMonitor,
        /// For frames in flight: when they will be presented, their delay, and whether they are analysed.
        in_flight: VecDeque<(f64, f64, bool)>,
        dropped: u64,
        held: u64,
    }

    /// Simulates cameras with 30 frames a second that share an engine of two workers, each taking `cost` seconds a
    /// frame. Returns, for the second half, analysed frames a second of each camera, and the share of frames later than
    /// 150 ms.
    fn share(cameras: usize, cost: f64, seconds: usize) -> (Vec<f64>, f64) {
        let latency: Vec<LatencyMonitor> = (0..cameras).map(|_| LatencyMonitor::new()).collect();
        let camera = |latency| {
            let in_flight = VecDeque::new();
            Camera { control: LoadControl::new(cameras), latency, in_flight, dropped: 0, held: u64::MAX }
        };
        let mut all: Vec<Camera> = latency.iter().map(camera).collect();
        let mut free_at = [0.0_f64; 2];
        let (mut analysed, mut late, mut frames) = (vec![0.0; cameras], 0, 0);
        for i in 0..30 * seconds * cameras {
            let now = i as f64 / (30 * cameras) as f64;
            let camera = &mut all[i % cameras];
            while let Some(&(_, delay, by_model)) = camera.in_flight.front().filter(|(at, ..)| *at <= now) {
                camera.in_flight.pop_front();
                camera.latency.add(Duration::from_secs_f64(delay), by_model);
            }
            // Four frames wait for their predictions, and eight in the queue.
            if camera.in_flight.len() >= 12 {
                camera.dropped += 1;
                continue;
            }
            let waiting = camera.in_flight.len().saturating_sub(4);
            let stride =
                camera.control.update(camera.latency, Duration::from_secs_f64(now), waiting, 8, camera.dropped);
            camera.held = camera.held.saturating_add(1);
            let analyses = camera.held >= stride;
            let mut at = camera.in_flight.back().map_or(now, |(at, ..)| at.max(now));
            if analyses {
                camera.held = 0;
                let worker = free_at.iter_mut().min_by(|a, b| a.total_cmp(b)).unwrap();
                *worker = worker.max(now) + cost;
                at = at.max(*worker);
            }
            camera.in_flight.push_back((at, at - now, analyses));
            if i >= 15 * seconds * cameras {
                frames += 1;
                analysed[i % cameras] += f64::from(u8::from(analyses)) / (seconds as f64 / 2.0);
                late += u32::from(at - now > 0.15);
            }
        }
        (analysed, f64::from(late) / f64::from(frames))
    }

    #[test]
    fn streams_share_the_engine_fairly() {
        for (cameras, cost) in [(2_usize, 0.01_f64), (8, 0.009), (16, 0.018), (16, 0.03)] {
            let can = (2.0 / cost).min(30.0 * cameras as f64);
            let (analysed, late) = share(cameras, cost, 600);
            let (all, least) = (analysed.iter().sum::<f64>(), analysed.iter().copied().fold(f64::MAX, f64::min));
            assert!(all > 0.5 * can && late < 0.05, "{cameras} {cost}: {all} of {can}, {late}");
            assert!(least > 0.3 * can / cameras as f64, "{cameras} {cost}: {analysed:?}");
        }
    }

    /// Returns the stride after ten seconds of frames with a delay of `delay` milliseconds, the first with `first`.
    fn stride_with(first: u64, delay: u64) -> u64 {
        let latency = LatencyMonitor::new();
        let mut control = LoadControl::new(1);
        latency.add(Duration::from_millis(first), true);
        (0..300).for_each(|i| {
            latency.add(Duration::from_millis(delay), i % control.stride == 0);
            control.update(&latency, Duration::from_millis(33 * i), 0, 8, 0);
        });
        control.stride
    }

    #[test]
    fn late_frames_increase_the_stride_without_drops() {
        assert_eq!(stride_with(20, 90), 1);
        assert_eq!(stride_with(200, 20), 1);
        assert!(stride_with(20, 130) > 10);
    }

    #[test]
    fn a_slow_model_alone_does_not_increase_the_stride() {
        assert_eq!(stride_with(300, 500), 1);
    }
}
