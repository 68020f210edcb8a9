//! A live frame's place in the stream's time: the camera's own spacing, held to the time of arrival.

/// The camera's clock may run this far from ours before it counts as a jump.
const JUMP: u64 = 10_000_000_000;
/// Share of the difference that is taken over with each frame, and the most of it, in nanoseconds: slow drift is
/// followed without a step that anyone could see.
const FOLLOW: i64 = 512;
const MOST: i64 = 500_000;
/// The same share where a frame seems to come from the future.
const HURRY: i64 = 8;

/// Frames that arrive at once are this far apart: what the files can tell.
const LEAST: u64 = 1_000_000;

/// Places frames. Times in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct TimestampMapper {
    /// What is added to the camera's time, and the camera's last time.
    anchor: Option<(i64, u64)>,
    last: Option<u64>,
}

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub pts: u64,
    /// Whether time before it is missing or was jumped over.
    pub gap: bool,
}

impl TimestampMapper {
    /// A new connection: the camera's clock may be another, and time was lost.
    pub(super) fn reconnected(&mut self) {
        self.anchor = None;
    }

    /// Places a frame that arrived at `arrival` of the stream's time with the camera's time `camera`.
    pub(super) fn place(&mut self, camera: Option<u64>, arrival: u64, duration: u64) -> Place {
        let Some(camera) = camera else {
            return Place { pts: self.later(arrival), gap: false };
        };
        // May lie before the stream's start, where a clock was set back.
        let here = |offset: i64| camera as i64 + offset;
        let fresh = arrival as i64 - camera as i64;
        let is_first = self.last.is_none();
        let (offset, pts, gap) = match self.anchor {
            None => (fresh, self.later(arrival), !is_first),
            Some((offset, _)) if here(offset).abs_diff(arrival as i64) > JUMP => (fresh, self.later(arrival), true),
            Some((_, before)) if camera <= before => {
                // The clock was set back a little: time goes on where it was.
                let pts = self.later(self.last.unwrap_or(0) + duration);
                (pts as i64 - camera as i64, pts, false)
            }
            Some((offset, _)) => {
                let drift = arrival as i64 - here(offset);
                // A picture cannot come before it was taken: the anchor was late, and is corrected sooner.
                let step = if drift < 0 { drift / HURRY } else { (drift / FOLLOW).min(MOST) };
                let offset = offset + step;
                (offset, self.later(here(offset).max(0) as u64), false)
            }
        };
        self.anchor = Some((offset, camera));
        self.last = Some(pts);
        Place { pts, gap }
    }

    /// `pts`, or just after the last frame where that would be later.
    fn later(&mut self, pts: u64) -> u64 {
        let pts = self.last.map_or(pts, |last| pts.max(last + LEAST));
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
    fn the_cameras_spacing_is_kept_though_arrivals_tremble() {
        let mut keeper = TimestampMapper::default();
        let mut before: Option<u64> = None;
        for i in 0..250 {
            let late = [0, 9, 3, 14, 1][i as usize % 5] * MS;
            let Place { pts, gap } = keeper.place(Some(7_000 * MS + i * FRAME), 100 * MS + i * FRAME + late, FRAME);
            assert!(!gap);
            if let Some(before) = before {
                assert!((pts - before).abs_diff(FRAME) < MS, "{}", pts - before);
            }
            before = Some(pts);
        }
    }

    #[test]
    fn an_anchor_that_came_late_is_soon_corrected() {
        let mut keeper = TimestampMapper::default();
        keeper.place(Some(0), 300 * MS, FRAME);
        let ahead = |keeper: &mut TimestampMapper, i: u64| {
            keeper.place(Some(i * FRAME), i * FRAME, FRAME).pts as i64 - (i * FRAME) as i64
        };
        (1..50).for_each(|i| assert!(ahead(&mut keeper, i) >= 0));
        assert!(ahead(&mut keeper, 50) < MS as i64);
    }

    #[test]
    fn slow_drift_is_followed() {
        let mut keeper = TimestampMapper::default();
        // A camera that runs 200 ppm fast, for an hour and a half.
        for i in 0..135_000_u64 {
            let arrival = i * FRAME;
            let Place { pts, gap } = keeper.place(Some(arrival + arrival / 5_000), arrival, FRAME);
            assert!(!gap && pts.abs_diff(arrival) < 10 * MS, "frame {i}: {pts} for {arrival}");
        }
    }

    #[test]
    fn a_jump_of_more_than_ten_seconds_is_a_gap() {
        for jump in [11_000_000_000_i64, 3_600_000_000_000] {
            let mut keeper = TimestampMapper::default();
            let start = 1_000_000_000_000_u64;
            keeper.place(Some(start), 0, FRAME);
            assert!(!keeper.place(Some(start + FRAME), FRAME, FRAME).gap);
            let jumped = (start + 2 * FRAME).saturating_add_signed(jump);
            assert_eq!(keeper.place(Some(jumped), 2 * FRAME, FRAME), Place { pts: 2 * FRAME, gap: true });
            assert_eq!(keeper.place(Some(jumped + FRAME), 3 * FRAME, FRAME), Place { pts: 3 * FRAME, gap: false });
            let back = keeper.place(Some(start), 4 * FRAME, FRAME);
            assert!(back.gap && back.pts == 4 * FRAME);
        }
    }

    #[test]
    fn a_clock_set_back_a_little_goes_on() {
        let mut keeper = TimestampMapper::default();
        keeper.place(Some(5_000 * MS), 0, FRAME);
        let set_back = keeper.place(Some(3_000 * MS), FRAME, FRAME);
        assert_eq!(set_back, Place { pts: FRAME, gap: false });
        assert_eq!(keeper.place(Some(3_000 * MS + FRAME), 2 * FRAME, FRAME).pts, 2 * FRAME);
    }

    #[test]
    fn a_new_connection_starts_where_it_arrives() {
        let mut keeper = TimestampMapper::default();
        keeper.place(Some(0), 0, FRAME);
        keeper.reconnected();
        assert_eq!(keeper.place(Some(77), 9_000 * MS, FRAME), Place { pts: 9_000 * MS, gap: true });
    }

    #[test]
    fn time_never_goes_back() {
        let mut keeper = TimestampMapper::default();
        let first = keeper.place(None, 10, FRAME).pts;
        assert!(keeper.place(None, 10, FRAME).pts > first);
    }
}
