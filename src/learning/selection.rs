//! Which frames of a stream are kept: those that the model is unsure of, those around a change of the label, and a random sample. A
//! bucket of tokens limits them to a number a day, and near-duplicates are left out.
//!
//! Times are milliseconds: of a camera since 1970, of a clip since its beginning.

use std::collections::VecDeque;

use crate::history::ids;
use crate::picture::DifferenceHash;

/// Frames of one stream whose hashes differ in at most this many of 256 bits count as the same picture. On a fixed camera, nine of
/// ten pairs of a scene in which nobody moves much differ in at most 2 bits; nine of ten pictures of a man who drinks differ in at
/// least 4 from that of two seconds before.
pub const ALIKE: u32 = 3;
/// A frame is unsure if the probabilities of its two best labels differ by less than this.
const UNSURE: f32 = 0.3;
/// Least time between two unsure frames. The next one shows hardly anything new.
const SPACING: i64 = 1000;
/// Frames of a stream that a new one is compared with, from the last one on.
pub const RECENT: usize = 256;
/// The share of a day's frames that may be kept at once.
const AT_ONCE: f64 = 0.25;
/// The share of a day's frames that are drawn at random.
const RANDOM: f64 = 0.25;
/// Least time between two frames of a clip's sample, and the time if its length is unknown, in milliseconds.
const CLIP_SAMPLE: f64 = 1000.0;
const UNKNOWN_CLIP_SAMPLE: f64 = 5000.0;
const DAY: f64 = 86_400_000.0;

/// Why a frame was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    Unsure,
    /// It is the last one before a change of the label, or the first one after it.
    Change,
    Random,
    /// From a recording, for an answer about an interval.
    Interval,
}

impl Reason {
    const ALL: [Self; 4] = [Self::Unsure, Self::Change, Self::Random, Self::Interval];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unsure => "unsure",
            Self::Change => "change",
            Self::Random => "random",
            Self::Interval => "interval",
        }
    }

    /// Returns its place in the order of usefulness, as the database has it.
    pub fn rank(self) -> i64 {
        self as i64
    }

    pub fn of_rank(rank: i64) -> Self {
        Self::ALL.into_iter().find(|reason| reason.rank() == rank).unwrap_or(Self::Random)
    }
}

/// The tokens of a stream. Each kept frame takes one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub tokens: f64,
    /// When it was filled last.
    pub filled: i64,
}

/// What is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Camera,
    /// With its length, 0 if it is unknown.
    Clip(i64),
}

/// Decides for one stream.
pub struct Selection {
    /// Most tokens that the bucket holds, and how many it gets in a day. Together they are the frames of a day.
    most: f64,
    daily: f64,
    bucket: Bucket,
    /// Hashes of the frames that were kept last.
    recent: VecDeque<DifferenceHash>,
    /// `None` for a clip, whose sample is evenly spread.
    random: Option<fastrand::Rng>,
    /// Mean time between two frames of the sample.
    mean: f64,
    next_random: i64,
    last_unsure: Option<i64>,
}

impl Selection {
    /// `before` is the bucket as an earlier run left it, `recent` are the hashes of the frames that were kept last, the oldest first.
    pub fn new(
        stream: &str,
        source: Source,
        per_day: usize,
        before: Option<Bucket>,
        recent: impl IntoIterator<Item = DifferenceHash>,
        now: i64,
    ) -> Self {
        let day = per_day as f64;
        let most = (AT_ONCE * day).max(1.0);
        let full = Bucket { tokens: most, filled: now };
        let bucket = before.map_or(full, |before| Bucket { tokens: before.tokens.clamp(0.0, most), ..before });
        let (random, mean, first) = match source {
            Source::Camera => {
                let seed = ids::of(&[stream, &now.to_string()]).unsigned_abs();
                (Some(fastrand::Rng::with_seed(seed)), DAY / (RANDOM * day).max(1.0), 0.0)
            }
            // The sample of a whole clip takes half of the bucket at most.
            Source::Clip(length) => {
                let even = if length > 0 { length as f64 / (most / 2.0) } else { UNKNOWN_CLIP_SAMPLE };
                let mean = even.max(CLIP_SAMPLE);
                (None, mean, mean / 2.0)
            }
        };
        let mut selection = Self {
            most,
            daily: (day - most).max(1.0),
            bucket,
            recent: recent.into_iter().collect(),
            random,
            mean,
            next_random: now + first as i64,
            last_unsure: None,
        };
        if source == Source::Camera {
            selection.draw(now);
        }
        selection
    }

    /// Returns why a frame is worth keeping, if it is and there are tokens. `margin` is the difference of the probabilities of its two
    /// best labels; `changed` says whether the label changed.
    pub fn reason(&mut self, margin: f32, changed: bool, now: i64) -> Option<Reason> {
        self.fill(now);
        let spaced = self.last_unsure.is_none_or(|last| (now - last).abs() >= SPACING);
        // Half of the bucket is kept for changes.
        let reserve = (self.most / 2.0).floor();
        if changed {
            (self.bucket.tokens >= 1.0).then_some(Reason::Change)
        } else if margin < UNSURE && spaced && self.bucket.tokens >= 1.0 + reserve {
            self.last_unsure = Some(now);
            Some(Reason::Unsure)
        } else if now >= self.next_random && self.bucket.tokens >= 1.0 {
            self.draw(now);
            Some(Reason::Random)
        } else {
            None
        }
    }

    /// Takes a token for a frame. Returns whether there was one, and the frame is no near-duplicate.
    pub fn take(&mut self, hash: DifferenceHash) -> bool {
        let known = self.recent.iter().any(|other| hash.distance(other) <= ALIKE);
        if known || self.bucket.tokens < 1.0 {
            return false;
        }
        self.bucket.tokens -= 1.0;
        self.recent.push_back(hash);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        true
    }

    pub fn bucket(&self) -> Bucket {
        self.bucket
    }

    fn fill(&mut self, now: i64) {
        // A clock that was set back, or a clip that begins again, brings nothing.
        let passed = (now - self.bucket.filled).max(0) as f64;
        self.bucket.tokens = (self.bucket.tokens + passed * self.daily / DAY).min(self.most);
        self.bucket.filled = now;
        // A draw that lies too far ahead was made before the clock was set back.
        if (self.next_random - now) as f64 > 10.0 * self.mean {
            self.draw(now);
        }
    }

    /// Draws when the next frame of the sample is due; of a camera so that every moment is as likely as any other.
    fn draw(&mut self, now: i64) {
        let wait = match &mut self.random {
            Some(random) => -(1.0 - random.f64()).ln() * self.mean,
            None => self.mean,
        };
        self.next_random = now.saturating_add(wait.min(9.0 * self.mean) as i64);
    }
}

/// Returns the difference of the two largest of `probabilities`; 1 if there are fewer than two.
pub fn margin(probabilities: &[f32]) -> f32 {
    let (mut best, mut second) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
    for &probability in probabilities {
        if probability > best {
            (best, second) = (probability, best);
        } else if probability > second {
            second = probability;
        }
    }
    if second.is_finite() { best - second } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// A hash that differs from that of any other number in 4 bits or more.
    fn hash(number: u64) -> DifferenceHash {
        let mut bytes = [0; DifferenceHash::BYTES];
        for (index, byte) in bytes.iter_mut().enumerate().take(16) {
            *byte = if number >> index & 1 == 1 { 0x0f } else { 0 };
        }
        DifferenceHash::from_bytes(bytes)
    }

    fn selection(per_day: usize) -> Selection {
        let mut selection = Selection::new("door", Source::Camera, per_day, None, [], 0);
        selection.next_random = i64::MAX / 4;
        selection.mean = DAY * 1e6;
        selection
    }

    #[test]
    fn the_margin_is_that_of_the_two_best() {
        assert_eq!(margin(&[0.25, 0.5, 0.125]), 0.25);
        assert_eq!(margin(&[0.5, 0.125, 0.25]), 0.25);
        assert_eq!([margin(&[0.5, 0.5]), margin(&[1.0]), margin(&[])], [0.0, 1.0, 1.0]);
    }

    #[test]
    fn the_first_hour_does_not_use_up_the_day() {
        let mut selection = selection(200);
        let mut kept = Vec::new();
        // An unsure frame and a change each second, all different, for two days.
        for second in 0..2 * 86_400 {
            for (margin, changed) in [(0.1, false), (0.9, true)] {
                let now = 1000 * second;
                if selection.reason(margin, changed, now).is_some() && selection.take(hash(kept.len() as u64)) {
                    kept.push(now);
                }
            }
        }
        let within = |from: i64, to: i64| kept.iter().filter(|&&at| (from..to).contains(&at)).count();
        assert_eq!(within(0, HOUR), 50 + 6);
        assert_eq!(within(0, 24 * HOUR), 199);
        for from in 0..24 {
            assert!(within(from * HOUR, (from + 24) * HOUR) <= 200);
        }
        assert_eq!(within(24 * HOUR, 48 * HOUR), 150);
    }

    #[test]
    fn unsure_frames_leave_half_for_changes_and_are_spaced() {
        let mut selection = selection(80);
        let mut unsure = Vec::new();
        for now in (0..60_000).step_by(40) {
            if selection.reason(0.29, false, now) == Some(Reason::Unsure) && selection.take(hash(now as u64)) {
                unsure.push(now);
            }
        }
        assert_eq!(unsure, (0..10).map(|number| 1000 * number).collect::<Vec<_>>());
        assert_eq!(selection.reason(0.3, false, 60_000), None);
        assert_eq!(selection.reason(0.9, true, 60_000), Some(Reason::Change));
    }

    #[test]
    fn a_near_duplicate_takes_no_token() {
        let mut selection = selection(200);
        let mut near = hash(1).to_bytes();
        near[20] = 0b111;
        let (near, mut far) = (DifferenceHash::from_bytes(near), near);
        far[20] = 0b1111;
        assert!(selection.take(hash(1)) && !selection.take(hash(1)) && !selection.take(near));
        assert!(selection.take(DifferenceHash::from_bytes(far)));
        assert_eq!(selection.bucket().tokens, 48.0);
    }

    #[test]
    fn the_bucket_survives_a_restart_and_a_clock_that_is_set_back() {
        let left = Bucket { tokens: 0.5, filled: 10 * HOUR };
        let mut again = Selection::new("door", Source::Camera, 200, Some(left), [hash(1)], 10 * HOUR);
        assert_eq!(again.reason(0.9, true, 10 * HOUR), None);
        assert!(!again.take(hash(1)));
        assert_eq!(again.reason(0.9, true, 9 * HOUR), None);
        // 150 a day are 6.25 an hour.
        assert_eq!(again.reason(0.9, true, 10 * HOUR), Some(Reason::Change));
        assert_eq!(again.bucket().tokens, 0.5 + 6.25);
        // A smaller number a day holds at once.
        assert_eq!(
            Selection::new("door", Source::Camera, 4, Some(Bucket { tokens: 50.0, filled: 0 }), [], 0).bucket().tokens,
            1.0
        );
    }

    #[test]
    fn one_frame_a_day_is_kept_each_day() {
        let mut selection = selection(1);
        let mut kept = 0;
        for minute in 0..3 * 24 * 60 {
            if selection.reason(0.1, false, 60_000 * minute).is_some() && selection.take(hash(minute as u64)) {
                kept += 1;
            }
        }
        assert_eq!(kept, 3);
    }

    /// The seconds at which the sample has a frame.
    fn sample(source: Source, start: i64, seconds: i64) -> Vec<i64> {
        let mut selection = Selection::new("door", source, 200, None, [], 1000 * start);
        let sampled = |second: &i64| selection.reason(0.9, false, 1000 * second) == Some(Reason::Random);
        (start..start + seconds).filter(sampled).collect()
    }

    #[test]
    fn the_sample_of_a_camera_is_random() {
        let (one, other) = (sample(Source::Camera, 0, 10 * 86_400), sample(Source::Camera, 86_400, 10 * 86_400));
        // 50 a day.
        assert!((400..600).contains(&one.len()) && (400..600).contains(&other.len()), "{} {}", one.len(), other.len());
        assert_ne!(one, other.iter().map(|second| second - 86_400).collect::<Vec<_>>());
    }

    #[test]
    fn the_sample_of_a_clip_is_evenly_spread() {
        assert_eq!(sample(Source::Clip(4000), 0, 4), [1, 2, 3]);
        assert_eq!(sample(Source::Clip(0), 0, 20), [3, 8, 13, 18]);
        let hour = sample(Source::Clip(HOUR), 0, 3600);
        assert_eq!((hour.len(), &hour[..3]), (25, &[72, 216, 360][..]));
    }
}
