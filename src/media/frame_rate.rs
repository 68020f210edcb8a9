//! Measures a clip's frame rate on its first packets, since the container may state an average only.
//!
//! AVI needs a constant rate. For a clip with a variable rate the container states the mean; at that rate frames would
//! be left out wherever they are denser. So the rate is derived from the shortest common distance between frames.

use std::path::Path;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::media::element;

/// Packets that are measured.
const PACKETS: usize = 300;
/// Longest measurement, for slow disks.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Tolerance in nanoseconds: containers round times, Matroska and FLV to a millisecond.
const ROUNDING: u64 = 1_500_000;
/// The highest measured rate that overrides the stated one. Broken pts may be arbitrarily close together.
const MAX_RATE: f64 = 120.0;
/// Tolerance between the measured rate and the stated one, as a share of the latter.
const TOLERANCE: f64 = 0.02;
/// Common rates of cameras, as fractions.
const COMMON: [(i32, i32); 14] = [
    (15_000, 1001),
    (15, 1),
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (48, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
    (90, 1),
    (100, 1),
    (120, 1),
];

/// Returns the rate for a constant-rate copy of the clip: `stated`, unless the measured rate differs or varies.
pub fn constant_rate(path: &Path, stated: Option<(i32, i32)>, interrupted: &dyn Fn() -> bool) -> Option<(i32, i32)> {
    let times = presentation_times(path, interrupted).unwrap_or_default();
    corrected(&times, stated).or(stated)
}

/// Returns the rate of the shortest common distance if distances vary, or differ from the stated rate.
fn corrected(times: &[u64], stated: Option<(i32, i32)>) -> Option<(i32, i32)> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    // Frames that are shown between the last packets may follow later in the file.
    let settled = &sorted[..sorted.len().saturating_sub(sorted.len().min(8) / 2)];
    let mut distances: Vec<u64> = settled.windows(2).map(|pair| pair[1] - pair[0]).filter(|&d| d > 0).collect();
    if distances.len() < 2 {
        return None;
    }
    distances.sort_unstable();
    let shortest = distances[distances.len() / 20];
    let longest = distances[distances.len() - 1];
    let steady = longest - shortest <= 2 * ROUNDING;
    let stated_rate = stated.map(|(n, d)| f64::from(n) / f64::from(d));
    let mean_rate = 1e9 * distances.len() as f64 / distances.iter().sum::<u64>() as f64;
    if steady && stated_rate.is_some_and(|stated| (mean_rate / stated - 1.0).abs() < TOLERANCE) {
        return None;
    }
    if let (true, Some((n, d)), Some(rate)) = (steady, stated, stated_rate) {
        // Interlaced streams may state the field rate, or state the frame rate and deliver fields.
        let near = |factor: f64| (mean_rate / rate / factor - 1.0).abs() < TOLERANCE;
        if near(0.5) {
            return Some((n, 2 * d));
        }
        if near(2.0) {
            return Some((2 * n, d));
        }
    }
    // The mean of several of the shortest distances is more precise than one of them.
    let usual: Vec<u64> = distances.iter().copied().filter(|&d| d <= shortest + 2 * ROUNDING).collect();
    let mean = usual.iter().sum::<u64>() as f64 / usual.len() as f64;
    let fastest = stated_rate.map_or(MAX_RATE, |stated| stated.max(MAX_RATE));
    Some(snapped((1e9 / mean).min(fastest)))
}

/// Returns the nearest common rate within two per cent, or the rate to a thousandth.
fn snapped(rate: f64) -> (i32, i32) {
    let off = |&(n, d): &(i32, i32)| (f64::from(n) / f64::from(d) / rate - 1.0).abs();
    let nearest = COMMON.iter().min_by(|a, b| off(a).total_cmp(&off(b)));
    match nearest {
        Some(common) if off(common) < 0.02 => *common,
        _ => ((rate * 1000.0).round().max(1.0) as i32, 1000),
    }
}

/// Reads the pts of the clip's first packets, in file order, without decoding.
fn presentation_times(path: &Path, interrupted: &dyn Fn() -> bool) -> Option<Vec<u64>> {
    let pipeline = gst::Pipeline::new();
    let file = element("filesrc").ok()?;
    file.set_property("location", path);
    let parse = element("parsebin").ok()?;
    let sink = gst_app::AppSink::builder().sync(false).max_buffers(8).build();
    pipeline.add_many([&file, &parse, sink.upcast_ref()]).ok()?;
    file.link(&parse).ok()?;
    let sink_pad = sink.static_pad("sink")?;
    parse.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let is_video = caps
            .structure(0)
            .is_some_and(|structure| structure.name().starts_with("video/") || structure.name().starts_with("image/"));
        if is_video && !sink_pad.is_linked() {
            let _ = pad.link(&sink_pad);
        }
    });
    let mut times = Vec::with_capacity(PACKETS);
    let began = Instant::now();
    let bus = pipeline.bus()?;
    if pipeline.set_state(gst::State::Playing).is_ok() {
        let goes_on = || began.elapsed() < TIMEOUT && !interrupted() && !sink.is_eos();
        while times.len() < PACKETS && goes_on() && bus.pop_filtered(&[gst::MessageType::Error]).is_none() {
            let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(100)) else { continue };
            match sample.buffer().and_then(gst::BufferRef::pts) {
                Some(pts) => times.push(pts.nseconds()),
                // AVI stores the pts of key frames only, which are too few to measure a rate.
                None => {
                    times.clear();
                    break;
                }
            }
        }
    }
    let _ = pipeline.set_state(gst::State::Null);
    Some(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(distances: &[u64]) -> Vec<u64> {
        let mut now = 0;
        distances
            .iter()
            .cycle()
            .take(100)
            .map(|ms| {
                now += ms * 1_000_000;
                now
            })
            .collect()
    }

    #[test]
    fn a_steady_clip_keeps_its_stated_rate() {
        assert_eq!(corrected(&times(&[40]), Some((25, 1))), None);
        assert_eq!(corrected(&times(&[33, 34, 33]), Some((30_000, 1001))), None);
    }

    #[test]
    fn a_variable_rate_clip_gets_the_rate_of_its_fastest_part() {
        assert_eq!(corrected(&times(&[40, 40, 200, 40]), Some((41, 2))), Some((25, 1)));
        assert_eq!(corrected(&times(&[33, 34, 33, 33, 67]), Some((27, 1))), Some((30, 1)));
        assert_eq!(corrected(&times(&[140, 140, 900]), None), Some((7143, 1000)));
    }

    #[test]
    fn a_wrong_stated_rate_is_corrected() {
        assert_eq!(corrected(&times(&[40]), Some((50, 1))), Some((50, 2)));
        assert_eq!(corrected(&times(&[66, 67, 67]), Some((30_000, 1001))), Some((30_000, 2002)));
        assert_eq!(corrected(&times(&[40]), Some((25, 2))), Some((50, 2)));
        assert_eq!(corrected(&times(&[40]), Some((90, 1))), Some((25, 1)));
    }

    #[test]
    fn a_fast_clip_with_a_gap_keeps_its_rate() {
        let mut with_gap = vec![4_166_667; 60];
        with_gap[30] *= 2;
        let mut now = 0;
        let times: Vec<u64> = with_gap
            .iter()
            .map(|d| {
                now += d;
                now
            })
            .collect();
        let (n, d) = corrected(&times, Some((240, 1))).unwrap();
        assert!((f64::from(n) / f64::from(d) - 240.0).abs() < 1.0, "{n}/{d}");
    }

    #[test]
    fn a_missing_rate_is_measured() {
        assert_eq!(corrected(&times(&[40]), None), Some((25, 1)));
        assert_eq!(corrected(&times(&[]), None), None);
    }

    #[test]
    fn order_does_not_matter() {
        let mut shuffled = times(&[40, 40, 80]);
        for four in shuffled.chunks_mut(4) {
            four.reverse();
        }
        assert_eq!(corrected(&shuffled, Some((18, 1))), Some((25, 1)));
    }
}
