//! What happens in four hundred days, the same each time: what cameras show, when they are lost, when the clock is set, when the
//! disk is full, and when the program ends and starts again. Times are counted in ticks from the beginning.

use std::ops::Range;

use fastrand::Rng;

use crate::media::supervisor::LossReason;

/// Length of a tick: less than a camera may be silent.
pub const TICK_SECONDS: u64 = 2;
pub const DAY: u64 = 86_400 / TICK_SECONDS;
pub const HOUR: u64 = DAY / 24;
pub const MINUTE: u64 = HOUR / 60;
pub const DAYS: u64 = 400;
/// 2016-02-22T00:00:00Z: until 2017-03-28 there are three changes of Berlin's clocks, a 29 February, and the leap second of
/// 2016-12-31.
pub const START: u64 = 1_456_099_200;
/// The day at whose end is the leap second, and one whose last second is smeared.
const LEAP: u64 = 314;
const SMEARED: u64 = 128;

/// How a run of the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Stopped,
    Killed,
}

/// How much space the disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    Enough,
    /// Less than recordings need.
    Little,
    None,
}

/// What happens to a camera: ranges in their order.
#[derive(Clone, Default)]
pub struct Script<T> {
    ranges: Vec<(Range<u64>, T)>,
    next: usize,
}

impl<T: Copy> Script<T> {
    fn new(mut ranges: Vec<(Range<u64>, T)>) -> Self {
        ranges.sort_by_key(|(range, _)| range.start);
        // One that begins in another is left out.
        let mut end = 0;
        ranges.retain(|(range, _)| {
            range.start >= end && {
                end = range.end;
                true
            }
        });
        Self { ranges, next: 0 }
    }

    /// Returns what is at `tick`, and the end of its range. Ticks must not go back.
    pub fn at(&mut self, tick: u64) -> Option<(u64, T)> {
        while self.ranges.get(self.next).is_some_and(|(range, _)| range.end <= tick) {
            self.next += 1;
        }
        self.ranges.get(self.next).filter(|(range, _)| range.start <= tick).map(|(range, what)| (range.end, *what))
    }
}

/// What a camera does.
pub struct Camera {
    /// Frames with a label, and the one after them.
    pub shown: Script<()>,
    pub outages: Script<LossReason>,
}

pub struct Calendar {
    pub cameras: Vec<Camera>,
    /// Milliseconds by which the time of day is set.
    pub steps: Vec<(u64, i64)>,
    /// Ends of runs, and the ticks until the next one.
    pub ends: Vec<(u64, End, u64)>,
}

impl Calendar {
    /// `long` are outages of cameras beside the usual ones, in days.
    pub fn new(long: &[Option<Range<u64>>]) -> Self {
        let random = &mut Rng::with_seed(24);
        let cameras = long.iter().map(|long| Camera { shown: shown(random), outages: outages(random, long) }).collect();
        Self { cameras, steps: steps(random), ends: ends() }
    }

    /// Returns the space of the disk at a tick: on one day a week there is little for two hours, and then none for one.
    pub fn space(tick: u64) -> Space {
        let of_day = tick % DAY;
        match tick / DAY % 7 {
            3 if (10 * HOUR..12 * HOUR - MINUTE).contains(&of_day) => Space::Little,
            3 if (12 * HOUR - MINUTE..13 * HOUR).contains(&of_day) => Space::None,
            _ => Space::Enough,
        }
    }
}

/// Four stretches of three to eight frames a day.
fn shown(random: &mut Rng) -> Script<()> {
    let quarter = DAY / 4;
    let stretch = |number| {
        let start = number * quarter + random.u64(0..quarter - 20);
        (start..start + random.u64(4..10), ())
    };
    Script::new((0..4 * DAYS).map(stretch).collect())
}

/// On two days of three a short outage, and some that are longer.
fn outages(random: &mut Rng, long: &Option<Range<u64>>) -> Script<LossReason> {
    let reasons = [LossReason::Stalled, LossReason::Refused, LossReason::EndOfStream, LossReason::DecodeError];
    let mut ranges = Vec::new();
    for day in (0..DAYS).filter(|day| day % 3 != 0) {
        let start = day * DAY + random.u64(0..DAY);
        let length = match random.u64(0..10) {
            0 => random.u64(HOUR..6 * HOUR),
            1..4 => random.u64(MINUTE..HOUR),
            _ => random.u64(3..2 * MINUTE),
        };
        ranges.push((start..start + length, reasons[random.usize(0..reasons.len())]));
    }
    if let Some(days) = long {
        let long = days.start * DAY..days.end * DAY;
        ranges.retain(|(range, _)| range.end <= long.start || range.start >= long.end);
        ranges.push((long, LossReason::Refused));
    }
    Script::new(ranges)
}

fn steps(random: &mut Rng) -> Vec<(u64, i64)> {
    let at = |day: u64, hour: u64, minute: u64| day * DAY + hour * HOUR + minute * MINUTE;
    let mut steps = vec![
        (at(5, 12, 0), 7_000),
        // A midnight that never is, and one that comes twice.
        (at(9, 23, 59), 120_000),
        (at(14, 0, 1), -300_000),
        (at(21, 12, 0), -400),
        (at(24, 12, 0), 1_500),
        // A wrong clock, and its correction.
        (at(101, 18, 30), -3 * 3_600_000),
        (at(104, 9, 40), 3 * 3_600_000),
        (at(200, 13, 10), 2 * 3_600_000),
        (at(201, 8, 0), -2 * 3_600_000),
    ];
    steps.extend((3..DAYS / 10).map(|ten| (at(10 * ten + random.u64(0..10), 6, 30), random.i64(-4_000..4_000))));
    steps.extend((0..1000).map(|number| (at(SMEARED, 1, 0) + 20 * number, -1)));
    steps.sort_unstable();
    // The last second of the day comes twice.
    let before: i64 = steps.iter().filter(|(tick, _)| *tick < LEAP * DAY - HOUR).map(|(_, ms)| ms).sum();
    let leap = (LEAP * DAY) as i64 - before.div_euclid(1000 * TICK_SECONDS as i64);
    steps.push((leap as u64, -1_000));
    steps.sort_unstable();
    steps
}

fn ends() -> Vec<(u64, End, u64)> {
    use End::{Killed, Stopped};
    let days = [
        (17, Stopped, 0),
        (40, Killed, 1),
        (58, Stopped, 30),
        (75, Killed, 0),
        (93, Stopped, 1),
        (120, Killed, 0),
        // A pause of three days does not count as age, one of twenty hours does.
        (141, Stopped, 3 * DAY),
        (160, Killed, 20 * HOUR),
        (180, Stopped, 0),
        (215, Stopped, 0),
        (238, Killed, 0),
        (260, Stopped, 0),
        (283, Killed, 0),
        (300, Stopped, 0),
        (325, Killed, 0),
        (350, Stopped, 0),
        (377, Killed, 0),
    ];
    let moment = |number: u64, day: u64| day * DAY + (3 + number) * HOUR + 23 * MINUTE;
    let all = days.into_iter().zip(0..).map(|((day, end, pause), number)| (moment(number, day), end, pause));
    all.chain([(DAYS * DAY, End::Stopped, 0)]).collect()
}
