//! Maps a camera's timestamps to the stream's time: keeps the camera's frame spacing and follows the arrival times.

/// Difference between the camera's clock and the local clock that counts as a jump.
const JUMP: u64 = 10_000_000_000;
/// Divisor of the drift that each frame corrects, and the largest correction in nanoseconds. Slow drift is followed
/// without a visible step.
const DRIFT_DIVISOR: i64 = 512;
const MAX_CORRECTION: i64 = 500_000;
/// The divisor for a frame whose pts is later than its arrival.
const EARLY_DIVISOR: i64 = 8;

/// Least distance between two frames: the resolution of the files' timestamps.
const MIN_DISTANCE: u64 = 1_000_000;

/// Maps timestamps. Times in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct TimestampMapper {
    /// Offset from the camera's time to the stream's, and the camera's last time.
    anchor: Option<(i64, u64)>,
    last: Option<u64>,
}

/// A frame's pts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timestamp {
    pub pts: u64,
    /// Whether time before the frame is missing.
    pub gap: bool,
}

impl TimestampMapper {
    /// Resets the offset after a reconnect: the camera's clock may differ, and time is missing.
    pub(super) fn reconnected(&mut self) {
        self.anchor = None;
    }

    /// Returns the pts of a frame with the camera's timestamp `camera` that arrived at `arrival`.
    pub(super) fn map(&mut self, camera: Option<u64>, arrival: u64, duration: u64) -> Timestamp {
        let Some(camera) = camera else {
            return Timestamp { pts: self.later(arrival), gap: false };
        };
        // May be before the stream's start if a clock was set back.
        let mapped = |offset: i64| camera as i64 + offset;
        let new_offset = arrival as i64 - camera as i64;
        let is_first = self.last.is_none();
        let (offset, pts, gap) = match self.anchor {
            None => (new_offset, self.later(arrival), !is_first),
            Some((offset, _)) if mapped(offset).abs_diff(arrival as i64) > JUMP => {
                (new_offset, self.later(arrival), true)
            }
            Some((_, before)) if camera <= before => {
                // The clock was set back a little: continue after the last frame.
                let pts = self.later(self.last.unwrap_or(0) + duration);
                (pts as i64 - camera as i64, pts, false)
            }
            Some((offset, _)) => {
                let drift = arrival as i64 - mapped(offset);
                // A frame cannot arrive before it was captured: the anchor was late, and is corrected faster.
                let step = if drift < 0 { drift / EARLY_DIVISOR } else { (drift / DRIFT_DIVISOR).min(MAX_CORRECTION) };
                let offset = offset + step;
                (offset, self.later(mapped(offset).max(0) as u64), false)
            }
        };
        self.anchor = Some((offset, camera));
        self.last = Some(pts);
        Timestamp { pts, gap }
    }

    /// Returns `pts`, or [`MIN_DISTANCE`] after the last frame if that is later.
    fn later(&mut self, pts: u64) -> u64 {
        let pts = self.last.map_or(pts, |last| pts.max(last + MIN_DISTANCE));
        self.last = Some(pts);
        pts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const FRAME: u64 = 40 * MS;

    #[test]
    fn the_cameras_frame_spacing_is_kept_despite_arrival_jitter() {
        let mut mapper = TimestampMapper::default();
        let mut before: Option<u64> = None;
        for i in 0..250 {
            let late = [0, 9, 3, 14, 1][i as usize % 5] * MS;
            let Timestamp { pts, gap } = mapper.map(Some(7_000 * MS + i * FRAME), 100 * MS + i * FRAME + late, FRAME);
            assert!(!gap);
            if let Some(before) = before {
                assert!((pts - before).abs_diff(FRAME) < MS, "{}", pts - before);
            }
            before = Some(pts);
        }
    }

    #[test]
    fn a_late_anchor_is_corrected_soon() {
        let mut mapper = TimestampMapper::default();
        mapper.map(Some(0), 300 * MS, FRAME);
        let ahead = |mapper: &mut TimestampMapper, i: u64| {
            mapper.map(Some(i * FRAME), i * FRAME, FRAME).pts as i64 - (i * FRAME) as i64
        };
        (1..50).for_each(|i| assert!(ahead(&mut mapper, i) >= 0));
        assert!(ahead(&mut mapper, 50) < MS as i64);
    }

    #[test]
    fn slow_drift_is_followed() {
        let mut mapper = TimestampMapper::default();
        // A camera that runs 200 ppm fast, for an hour and a half.
        for i in 0..135_000_u64 {
            let arrival = i * FRAME;
            let Timestamp { pts, gap } = mapper.map(Some(arrival + arrival / 5_000), arrival, FRAME);
            assert!(!gap && pts.abs_diff(arrival) < 10 * MS, "frame {i}: {pts} for {arrival}");
        }
    }

    #[test]
    fn a_jump_of_more_than_ten_seconds_is_a_gap() {
        for jump in [11_000_000_000_i64, 3_600_000_000_000] {
            let mut mapper = TimestampMapper::default();
            let start = 1_000_000_000_000_u64;
            mapper.map(Some(start), 0, FRAME);
            assert!(!mapper.map(Some(start + FRAME), FRAME, FRAME).gap);
            let jumped = (start + 2 * FRAME).saturating_add_signed(jump);
            assert_eq!(mapper.map(Some(jumped), 2 * FRAME, FRAME), Timestamp { pts: 2 * FRAME, gap: true });
            assert_eq!(mapper.map(Some(jumped + FRAME), 3 * FRAME, FRAME), Timestamp { pts: 3 * FRAME, gap: false });
            let back = mapper.map(Some(start), 4 * FRAME, FRAME);
            assert!(back.gap && back.pts == 4 * FRAME);
        }
    }

    #[test]
    fn a_clock_set_back_a_little_continues() {
        let mut mapper = TimestampMapper::default();
        mapper.map(Some(5_000 * MS), 0, FRAME);
        let set_back = mapper.map(Some(3_000 * MS), FRAME, FRAME);
        assert_eq!(set_back, Timestamp { pts: FRAME, gap: false });
        assert_eq!(mapper.map(Some(3_000 * MS + FRAME), 2 * FRAME, FRAME).pts, 2 * FRAME);
    }

    #[test]
    fn a_new_connection_starts_at_its_arrival() {
        let mut mapper = TimestampMapper::default();
        mapper.map(Some(0), 0, FRAME);
        mapper.reconnected();
        assert_eq!(mapper.map(Some(77), 9_000 * MS, FRAME), Timestamp { pts: 9_000 * MS, gap: true });
    }

    #[test]
    fn pts_never_decreases() {
        let mut mapper = TimestampMapper::default();
        let first = mapper.map(None, 10, FRAME).pts;
        assert!(mapper.map(None, 10, FRAME).pts > first);
    }
}
