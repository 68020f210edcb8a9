//! The stride of a camera: keeps its delay bounded. Where the network is slower than the camera, fewer frames are analysed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::pipeline::stride::policy::{Labeled, Load, StridePolicy};

/// How often the stride is looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// Intervals after the start and after each raise that tell nothing: what waits then has been waiting since before.
const SETTLING: u32 = 1;
/// Calm intervals before the stride goes down: so many at first, doubled with each try that failed up to the second, and
/// halved with each that held.
const CALM: u32 = 2;
const MOST_CALM: u32 = 32;
/// Each time the stride goes down, one frame more of so many is analysed, whatever the stride was, but at most twice as
/// many: as raising it takes a share of what a stream has, streams that share a network come to have about as much each.
const MORE: u64 = 20;
/// Most frames for one prediction.
const LARGEST: u64 = 60;
/// A frame with a longer delay is late, where the network could answer sooner.
const LATE: Duration = Duration::from_millis(100);
/// The same in times of the network's fastest answer: one that takes long by itself is not made faster by a stride.
const ANSWERS: u32 = 3;
/// Late frames of an interval that are too many: one of twenty, but never a single one.
const TOLERATED: u64 = 20;
const SINGLE: u64 = 1;

/// Follows the load of the network.
pub struct AdaptiveStride {
    latency: LatencyMonitor,
    control: Mutex<LoadControl>,
}

impl AdaptiveStride {
    /// For one of `streams` that share the network.
    pub fn new(streams: usize) -> Self {
        Self { latency: LatencyMonitor::new(), control: Mutex::new(LoadControl::new(streams)) }
    }
}

impl StridePolicy for AdaptiveStride {
    fn stride(&self, load: &dyn Fn() -> Load) -> u64 {
        let load = load();
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        control.look(&self.latency, load.at, load.waiting, load.capacity, load.dropped)
    }

    fn labeled(&self, frame: Labeled<'_>) {
        self.latency.add(frame.delay, frame.prediction.is_some());
    }
}

/// How late the frames of a stream are; written by the thread that presents them, read by the one that takes them.
#[derive(Debug)]
struct LatencyMonitor {
    frames: AtomicU64,
    late: AtomicU64,
    /// The network's fastest answer so far, in nanoseconds.
    fastest: AtomicU64,
}

impl LatencyMonitor {
    fn new() -> Self {
        Self { frames: AtomicU64::new(0), late: AtomicU64::new(0), fastest: AtomicU64::new(u64::MAX) }
    }

    /// Takes the time from a frame's arrival to its last output.
    fn add(&self, delay: Duration, analysed: bool) {
        let nanoseconds = delay.as_nanos() as u64;
        if analysed {
            self.fastest.fetch_min(nanoseconds, Ordering::Relaxed);
        }
        let bound = u64::from(ANSWERS).saturating_mul(self.fastest.load(Ordering::Relaxed)).max(LATE.as_nanos() as u64);
        self.late.fetch_add(u64::from(nanoseconds > bound), Ordering::Relaxed);
        self.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether too many were late since this was last asked.
    fn take(&self) -> bool {
        let (frames, late) = (self.frames.swap(0, Ordering::Relaxed), self.late.swap(0, Ordering::Relaxed));
        late > SINGLE && late * TOLERATED > frames
    }
}

/// Finds the stride from how full the way to the network is, and how late frames come out of it.
#[derive(Debug)]
struct LoadControl {
    stride: u64,
    looked: Duration,
    /// Frames that were dropped by then.
    dropped: u64,
    /// The fullest that the way was since then.
    fullest: usize,
    /// Intervals that are not judged yet.
    settling: u32,
    calm: u32,
    /// Calm intervals that are needed.
    needed: u32,
    /// Whether the last change was down.
    tried: bool,
}

impl LoadControl {
    /// For one of `streams` that share the network. Until it is known what that can do, each takes its part of what one
    /// stream alone would want: the stride comes down without a frame being late, where it would go up by late ones only.
    fn new(streams: usize) -> Self {
        Self {
            stride: (streams as u64).clamp(1, LARGEST),
            looked: Duration::ZERO,
            dropped: 0,
            fullest: 0,
            settling: SETTLING,
            calm: 0,
            needed: CALM,
            tried: false,
        }
    }

    /// Takes how many frames are waiting and how many were dropped so far; returns the stride that holds from now on.
    fn look(&mut self, latency: &LatencyMonitor, now: Duration, waiting: usize, capacity: usize, dropped: u64) -> u64 {
        self.fullest = self.fullest.max(waiting);
        if now < self.looked + INTERVAL {
            return self.stride;
        }
        let late = latency.take();
        let crowded = late || dropped > self.dropped || self.fullest + 1 >= capacity;
        if self.settling > 0 {
            self.settling -= 1;
        } else if crowded {
            self.needed = if self.tried { (2 * self.needed).min(MOST_CALM) } else { self.needed };
            self.stride = (self.stride + self.stride.div_ceil(2)).min(LARGEST);
            (self.settling, self.calm, self.tried) = (SETTLING, 0, false);
        } else {
            self.calm += 1;
            if self.calm >= self.needed && self.stride > 1 {
                self.needed = if self.tried { (self.needed / 2).max(CALM) } else { self.needed };
                self.stride = (MORE * self.stride / (MORE + self.stride)).max(self.stride.div_ceil(2));
                (self.calm, self.tried) = (0, true);
            }
        }
        (self.looked, self.dropped, self.fullest) = (now, dropped, 0);
        self.stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// A camera with `rate` frames a second before a network that takes `cost` seconds a picture, through a channel of
    /// eight; returns the share of dropped frames and the strides of the last half.
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
                stride = control.look(&latency, Duration::from_secs_f64(now), waiting, 8, dropped);
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
    fn a_fast_network_sees_every_frame() {
        let (dropped, strides) = simulate(25.0, 0.01, 60.0);
        assert_eq!(dropped, 0.0);
        assert!(strides.iter().all(|&stride| stride == 1));
    }

    #[test]
    fn a_slow_network_gets_what_it_can_take() {
        let (dropped, strides) = simulate(25.0, 0.2, 120.0);
        assert!(dropped < 0.05, "{dropped}");
        let mean = strides.iter().sum::<u64>() as f64 / strides.len() as f64;
        assert!((5.0..9.0).contains(&mean), "{mean}");
    }

    #[test]
    fn it_recovers_when_the_network_does() {
        let latency = LatencyMonitor::new();
        let mut control = LoadControl::new(1);
        for i in 0..20 {
            control.look(&latency, Duration::from_millis(600 * i), 8, 8, i);
        }
        assert!(control.stride > 10);
        let mut stride = control.stride;
        for i in 20..300 {
            stride = control.look(&latency, Duration::from_millis(600 * i), 0, 8, 19);
        }
        assert_eq!(stride, 1);
    }

    #[test]
    fn each_of_many_starts_at_its_part_and_comes_down() {
        let latency = LatencyMonitor::new();
        assert_eq!([0, 1, 8, 500].map(|streams| LoadControl::new(streams).stride), [1, 1, 8, LARGEST]);
        let mut control = LoadControl::new(16);
        let strides: Vec<u64> =
            (1..=9).map(|second| control.look(&latency, Duration::from_secs(second), 0, 8, 0)).collect();
        assert_eq!(strides, [16, 16, 8, 8, 5, 5, 4, 4, 3]);
    }

    struct Camera<'a> {
        control: LoadControl,
        latency: &'a LatencyMonitor,
        /// When the frames that were taken will have been presented, how late, and whether they were analysed.
        taken: VecDeque<(f64, f64, bool)>,
        dropped: u64,
        held: u64,
    }

    /// Cameras of 30 frames a second that share a network of two workers, each of which takes `cost` seconds a picture.
    /// Returns pictures a second of each camera through the network, and the share of frames later than 150 ms, of the
    /// last half.
    fn share(cameras: usize, cost: f64, seconds: usize) -> (Vec<f64>, f64) {
        let latency: Vec<LatencyMonitor> = (0..cameras).map(|_| LatencyMonitor::new()).collect();
        let camera = |latency| {
            let taken = VecDeque::new();
            Camera { control: LoadControl::new(cameras), latency, taken, dropped: 0, held: u64::MAX }
        };
        let mut all: Vec<Camera> = latency.iter().map(camera).collect();
        let mut free_at = [0.0_f64; 2];
        let (mut analysed, mut late, mut frames) = (vec![0.0; cameras], 0, 0);
        for i in 0..30 * seconds * cameras {
            let now = i as f64 / (30 * cameras) as f64;
            let camera = &mut all[i % cameras];
            while let Some(&(_, delay, by_network)) = camera.taken.front().filter(|(at, ..)| *at <= now) {
                camera.taken.pop_front();
                camera.latency.add(Duration::from_secs_f64(delay), by_network);
            }
            // Four wait for their answers, and eight to be taken.
            if camera.taken.len() >= 12 {
                camera.dropped += 1;
                continue;
            }
            let waiting = camera.taken.len().saturating_sub(4);
            let stride = camera.control.look(camera.latency, Duration::from_secs_f64(now), waiting, 8, camera.dropped);
            camera.held = camera.held.saturating_add(1);
            let asks = camera.held >= stride;
            let mut at = camera.taken.back().map_or(now, |(at, ..)| at.max(now));
            if asks {
                camera.held = 0;
                let worker = free_at.iter_mut().min_by(|a, b| a.total_cmp(b)).unwrap();
                *worker = worker.max(now) + cost;
                at = at.max(*worker);
            }
            camera.taken.push_back((at, at - now, asks));
            if i >= 15 * seconds * cameras {
                frames += 1;
                analysed[i % cameras] += f64::from(u8::from(asks)) / (seconds as f64 / 2.0);
                late += u32::from(at - now > 0.15);
            }
        }
        (analysed, f64::from(late) / f64::from(frames))
    }

    #[test]
    fn streams_share_what_the_network_can_do() {
        for (cameras, cost) in [(2_usize, 0.01_f64), (8, 0.009), (16, 0.018), (16, 0.03)] {
            let can = (2.0 / cost).min(30.0 * cameras as f64);
            let (analysed, late) = share(cameras, cost, 600);
            let (all, least) = (analysed.iter().sum::<f64>(), analysed.iter().copied().fold(f64::MAX, f64::min));
            assert!(all > 0.5 * can && late < 0.05, "{cameras} {cost}: {all} of {can}, {late}");
            assert!(least > 0.3 * can / cameras as f64, "{cameras} {cost}: {analysed:?}");
        }
    }

    /// The stride after ten seconds of frames with `delay` milliseconds each, of which the first had `first`.
    fn stride_with(first: u64, delay: u64) -> u64 {
        let latency = LatencyMonitor::new();
        let mut control = LoadControl::new(1);
        latency.add(Duration::from_millis(first), true);
        (0..300).for_each(|i| {
            latency.add(Duration::from_millis(delay), i % control.stride == 0);
            control.look(&latency, Duration::from_millis(33 * i), 0, 8, 0);
        });
        control.stride
    }

    #[test]
    fn frames_that_wait_too_long_are_a_reason_though_none_is_dropped() {
        assert_eq!(stride_with(20, 90), 1);
        assert_eq!(stride_with(200, 20), 1);
        assert!(stride_with(20, 130) > 10);
    }

    #[test]
    fn a_network_that_is_slow_by_itself_is_no_reason() {
        assert_eq!(stride_with(300, 500), 1);
    }
}
