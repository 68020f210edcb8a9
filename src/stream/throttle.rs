//! Keeps a live stream's delay bounded: where the network is slower than the camera, fewer frames are analysed.

use std::time::Duration;

/// How often the stride is looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// Intervals without any waiting before the stride goes down.
const CALM: u32 = 6;
/// Most frames for one prediction.
pub const LARGEST: u64 = 60;

/// Finds the stride from how full the way to the network is.
#[derive(Debug)]
pub struct Throttle {
    stride: u64,
    looked: Duration,
    /// Frames that were dropped by then.
    dropped: u64,
    /// The fullest that the way was since then.
    fullest: usize,
    calm: u32,
    /// Calm intervals that are needed; more after a try that failed.
    needed: u32,
    tried: bool,
}

impl Throttle {
    pub fn new() -> Self {
        Self { stride: 1, looked: Duration::ZERO, dropped: 0, fullest: 0, calm: 0, needed: CALM, tried: false }
    }

    /// Takes how many frames are waiting and how many were dropped so far; returns the stride that holds from now on.
    pub fn look(&mut self, now: Duration, waiting: usize, capacity: usize, dropped: u64) -> u64 {
        self.fullest = self.fullest.max(waiting);
        if now < self.looked + INTERVAL {
            return self.stride;
        }
        let crowded = dropped > self.dropped || self.fullest + 1 >= capacity;
        if crowded {
            // A stride that was just lowered and is too low again is tried less often from now on.
            self.needed = if self.tried { (2 * self.needed).min(64 * CALM) } else { self.needed };
            self.stride = (self.stride + self.stride.div_ceil(2)).min(LARGEST);
            self.calm = 0;
            self.tried = false;
        } else {
            self.calm += 1;
            if self.calm >= self.needed && self.stride > 1 {
                self.stride -= self.stride.div_ceil(4).min(self.stride - 1);
                self.calm = 0;
                self.tried = true;
            }
        }
        (self.looked, self.dropped, self.fullest) = (now, dropped, 0);
        self.stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A camera with `rate` frames a second before a network that takes `cost` seconds a picture, through a channel of
    /// eight; returns the share of dropped frames and the strides of the last half.
    fn simulate(rate: f64, cost: f64, seconds: f64) -> (f64, Vec<u64>) {
        let mut throttle = Throttle::new();
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
                stride = throttle.look(Duration::from_secs_f64(now), waiting, 8, dropped);
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
        let mut throttle = Throttle::new();
        for i in 0..20 {
            throttle.look(Duration::from_millis(600 * i), 8, 8, i);
        }
        assert!(throttle.stride > 10);
        let mut stride = throttle.stride;
        for i in 20..300 {
            stride = throttle.look(Duration::from_millis(600 * i), 0, 8, 19);
        }
        assert_eq!(stride, 1);
    }
}
