//! CPU time and memory of the process.

use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use serde::Serialize;

/// The cost of a stage.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cost {
    /// CPU time for one frame: user and system time of all threads.
    pub cpu_ms: f64,
    pub frames_per_second: f64,
}

/// Measures from its creation on.
pub struct ResourceMeter {
    began: Instant,
    cpu: Duration,
}

impl ResourceMeter {
    pub fn start() -> Self {
        Self { began: Instant::now(), cpu: cpu() }
    }

    pub fn cost(&self, frames: u64) -> Cost {
        let frames = frames.max(1) as f64;
        Cost {
            cpu_ms: 1000.0 * cpu().saturating_sub(self.cpu).as_secs_f64() / frames,
            frames_per_second: frames / self.began.elapsed().as_secs_f64().max(1e-9),
        }
    }
}

fn usage() -> Option<Usage> {
    getrusage(UsageWho::RUSAGE_SELF).ok()
}

fn cpu() -> Duration {
    let seconds = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec().unsigned_abs()) + Duration::from_micros(time.tv_usec().unsigned_abs())
    };
    usage().map(|usage| seconds(usage.user_time()) + seconds(usage.system_time())).unwrap_or_default()
}

/// Returns the process' peak memory in MiB.
pub fn peak_memory() -> u64 {
    usage().map_or(0, |usage| usage.max_rss().unsigned_abs() / 1024)
}
