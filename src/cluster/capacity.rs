//! How many cameras a worker takes: measured, since machines and models differ.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::inference::engine::Engine;

/// How long the model is measured, and before that.
const MEASURED: Duration = Duration::from_millis(800);
const WARM_UP: Duration = Duration::from_millis(200);
/// Pictures that wait for the model at the same time, for each of the engine's workers.
const WAITING: usize = 2;
/// Pictures a second that a camera of 30 frames a second needs at the stride that keeps its labels: every fourth frame.
const PICTURES: f64 = 7.5;
/// Cameras of 640×360 at 30 frames a second that one core decodes beside the model (docs/benchmarks.md, "Cameras").
const PER_CORE: usize = 8;
/// Memory of a camera, in bytes.
const MEMORY: u64 = 64 << 20;

/// Returns how many cameras a machine can watch that has this engine, so many cores and, if it is known, so much memory.
///
/// # Errors
/// Those of the engine.
pub fn cameras(engine: &Engine, cores: usize, available: Option<u64>) -> Result<usize> {
    Ok(room(pictures_per_second(engine)?, cores, available))
}

fn room(pictures_per_second: f64, cores: usize, available: Option<u64>) -> usize {
    let memory = available.map_or(usize::MAX, |bytes| (bytes / MEMORY) as usize);
    ((pictures_per_second / PICTURES) as usize).min(cores * PER_CORE).min(memory).max(1)
}

fn pictures_per_second(engine: &Engine) -> Result<f64> {
    let client = engine.client(true);
    let mut replies = VecDeque::new();
    let (begun, mut counted) = (Instant::now(), 0);
    while begun.elapsed() < WARM_UP + MEASURED {
        replies.push_back(client.submit(client.tensor(), true)?);
        if replies.len() > WAITING * engine.workers()
            && let Some(reply) = replies.pop_front()
        {
            reply.wait()?;
            counted += usize::from(begun.elapsed() >= WARM_UP);
        }
    }
    let seconds = begun.elapsed().saturating_sub(WARM_UP).as_secs_f64();
    replies.into_iter().try_for_each(|reply| reply.wait().map(drop))?;
    Ok(counted as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcest_of_network_cores_and_memory_decides() {
        assert_eq!(room(75.0, 2, None), 10);
        assert_eq!(room(1000.0, 2, None), 16);
        assert_eq!(room(1000.0, 64, Some(1 << 30)), 16);
        assert_eq!(room(1.0, 2, Some(0)), 1);
    }
}
