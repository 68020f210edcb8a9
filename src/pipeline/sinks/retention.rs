//! Keeps a camera's files within an age or a size: the oldest of its own go, no other file is touched.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::config::cameras::Record;
use crate::config::options::Keep;
use crate::error::Result;
use crate::pipeline::sinks::open_files::OpenFiles;
use crate::pipeline::sinks::sink::{LabeledFrame, Sink};

/// How the files of a live run end.
const ENDINGS: [&str; 4] = [".mkv", ".avi", ".timeline.jsonl", ".summary.json"];
/// Digits of a date, as in `-20260102T030405Z`, which stands between a name and its ending; of late years there are more.
const DATE: std::ops::RangeInclusive<usize> = 8..=10;
/// What stands behind a date: a time.
const TIME: usize = "T030405Z".len();

/// A clock that differs by more from the time that has passed was set.
const SET: i128 = 10 * 60 * 1_000_000_000;
/// A longer time without a recording before a run began does not count as age.
const IDLE: i128 = 24 * 3600 * 1_000_000_000;
/// Jumps that are remembered; of more, the earliest two become one.
const MOST_JUMPS: usize = 64;

/// How often files beyond the bound are looked for, where no new one was begun.
const SWEEP: Duration = Duration::from_secs(60);

/// Looks for files beyond the bound when a new one is begun, and every minute.
pub struct RetentionSink {
    retention: Retention,
    open: OpenFiles,
    /// The files that were open at the last look, and when that was.
    swept: (Vec<PathBuf>, Instant),
}

impl RetentionSink {
    /// `None` where everything is kept. At the begin of a run, before it has written anything.
    pub fn new(record: &Record, open: &OpenFiles) -> Option<Self> {
        let retention = Retention::new(&record.folder, &record.stem, record.keep?);
        Some(Self { retention, open: open.clone(), swept: (Vec::new(), Instant::now()) })
    }
}

impl Sink for RetentionSink {
    fn frame(&mut self, _frame: &LabeledFrame) -> Result<()> {
        let open = self.open.paths();
        let (before, at) = &self.swept;
        if open == *before && at.elapsed() < SWEEP {
            return Ok(());
        }
        for path in self.retention.apply(SystemTime::now(), Instant::now(), &open) {
            tracing::debug!("{}: deleted", path.display());
        }
        self.swept = (open, Instant::now());
        Ok(())
    }
}

/// The files of one camera.
struct Retention {
    folder: PathBuf,
    stem: String,
    keep: Keep,
    jumps: Jumps,
    /// The camera's files, and since when there has been each that was not there before the run. A disk may have another clock
    /// than this machine.
    since: HashMap<PathBuf, Option<Instant>>,
}

impl Retention {
    /// At the begin of a run, before it has written anything.
    fn new(folder: &Path, stem: &str, keep: Keep) -> Self {
        let mut jumps = Jumps::default();
        let files = own(folder, stem);
        if matches!(keep, Keep::Age(_)) {
            jumps.look(SystemTime::now(), Instant::now(), files.iter().map(|file| file.modified).max());
        }
        let since = files.into_iter().map(|file| (file.path, None)).collect();
        Self { folder: folder.to_path_buf(), stem: stem.into(), keep, jumps, since }
    }

    /// Deletes the oldest files that are beyond the bound, but none of `open`. Returns what was deleted.
    ///
    /// `now` is the system's clock, which somebody may set, and `at` the time that passes by itself. Age is the time that
    /// was recorded since: what the clock jumped by, and a long time before the run in which nothing was recorded, does not
    /// count. So a clock that is set wrong deletes nothing.
    fn apply(&mut self, now: SystemTime, at: Instant, open: &[PathBuf]) -> Vec<PathBuf> {
        let mut files = own(&self.folder, &self.stem);
        // By name is by time.
        files.sort_by(|a, b| stamp(&a.path, &self.stem).cmp(&stamp(&b.path, &self.stem)));
        if matches!(self.keep, Keep::Age(_)) {
            self.jumps.look(now, at, None);
        }
        let there: HashSet<&PathBuf> = files.iter().map(|file| &file.path).collect();
        self.since.retain(|path, _| there.contains(path));
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        let mut deleted = Vec::new();
        for file in files {
            let surplus = match self.keep {
                Keep::Age(age) => {
                    let since = self.since.entry(file.path.clone()).or_insert(Some(at));
                    let most = since.map_or(i128::MAX, |since| at.duration_since(since).as_nanos() as i128);
                    self.jumps.age(file.modified, now).min(most) > age.as_nanos() as i128
                }
                Keep::Bytes(most) => total > most,
            };
            if !surplus || open.contains(&file.path) {
                continue;
            }
            match fs::remove_file(&file.path) {
                Ok(()) => {
                    total -= file.bytes;
                    deleted.push(file.path);
                }
                Err(cause) => tracing::warn!("{}: cannot be deleted ({cause})", file.path.display()),
            }
        }
        deleted
    }
}

/// When the system's clock was set, and by how much.
#[derive(Default)]
struct Jumps {
    last: Option<(SystemTime, Instant)>,
    /// What the clock said before each jump, and the nanoseconds that it went on by.
    jumps: VecDeque<(SystemTime, i128)>,
}

impl Jumps {
    /// Compares the clocks with those of the last look. On the first, `newest` is when a file was written last.
    fn look(&mut self, now: SystemTime, at: Instant, newest: Option<SystemTime>) {
        let jump = match (self.last, newest) {
            (Some((before, then)), _) => {
                let passed = at.duration_since(then);
                let by = between(before, now) - passed.as_nanos() as i128;
                (by.abs() > SET).then(|| (before + passed, by))
            }
            (None, Some(newest)) => Some((newest, between(newest, now))).filter(|(_, idle)| *idle > IDLE),
            (None, None) => None,
        };
        if let Some((before, by)) = jump {
            let seconds = by / 1_000_000_000;
            match self.last {
                Some(_) => tracing::warn!("the clock was set by {seconds} s; the age of recordings does not follow it"),
                None => {
                    tracing::info!("nothing was recorded for {seconds} s; that does not count as age of recordings")
                }
            }
            self.jumps.push_back((before, by));
        }
        if self.jumps.len() > MOST_JUMPS
            && let (Some((_, first)), Some((_, second))) = (self.jumps.pop_front(), self.jumps.front_mut())
        {
            *second += first;
        }
        self.last = Some((now, at));
    }

    /// Nanoseconds since `modified`, without what the clock has jumped by since.
    fn age(&self, modified: SystemTime, now: SystemTime) -> i128 {
        let jumped: i128 = self.jumps.iter().filter(|(before, _)| modified <= *before).map(|(_, by)| by).sum();
        between(modified, now) - jumped
    }
}

/// Nanoseconds from `one` to `other`, negative where that is earlier.
fn between(one: SystemTime, other: SystemTime) -> i128 {
    match other.duration_since(one) {
        Ok(later) => later.as_nanos() as i128,
        Err(earlier) => -(earlier.duration().as_nanos() as i128),
    }
}

struct Own {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

fn own(folder: &Path, stem: &str) -> Vec<Own> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| is_own(&entry.file_name().to_string_lossy(), stem))
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            let path = if folder == Path::new(".") { entry.file_name().into() } else { entry.path() };
            Some(Own { path, bytes: metadata.len(), modified: metadata.modified().ok()? })
        })
        .collect()
}

/// What names are sorted by: a date of more digits is later.
fn stamp<'a>(path: &'a Path, stem: &str) -> Option<(usize, &'a str)> {
    let stamp = path.file_name()?.to_str()?.strip_prefix(stem)?.strip_prefix('-')?;
    Some((date(stamp), stamp))
}

/// How many digits `text` begins with.
fn date(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Whether a file was named by a run of `stem`: the name, a time, an optional number, a known ending.
fn is_own(name: &str, stem: &str) -> bool {
    let Some(rest) = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('-')) else { return false };
    let date = date(rest);
    let Some((time, ending)) = rest[date..].split_at_checked(TIME) else { return false };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let clock = time.strip_prefix('T').and_then(|time| time.strip_suffix('Z'));
    let timed = DATE.contains(&date) && clock.is_some_and(digits);
    let ending = match ending.strip_prefix('-').and_then(|rest| rest.split_once('.')) {
        Some((number, _)) if digits(number) => &ending[1 + number.len()..],
        _ => ending,
    };
    timed && ENDINGS.contains(&ending)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_own_files_are_known() {
        for name in [
            "door-20260102T030405Z.mkv",
            "door-20260102T030405Z-2.timeline.jsonl",
            "door-20260102T030405Z.avi",
            "door-1234560102T030405Z.mkv",
        ] {
            assert!(is_own(name, "door"), "{name}");
        }
        for name in [
            "door.mkv",
            "door-2-20260102T030405Z.mkv",
            "door-holiday.mkv",
            "door-20260102T030405Z.jpg",
            "dööööööööööööööööör",
        ] {
            assert!(!is_own(name, "door"), "{name}");
        }
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        let folder = tempfile::tempdir().unwrap();
        let path = |hour: u32| folder.path().join(format!("door-20260102T{hour:02}0000Z.mkv"));
        (0..5).for_each(|hour| fs::write(path(hour), [0; 100]).unwrap());
        fs::write(folder.path().join("door.mkv"), [0; 1000]).unwrap();
        let mut retention = Retention::new(folder.path(), "door", Keep::Bytes(250));
        let deleted = retention.apply(SystemTime::now(), Instant::now(), &[path(0)]);
        assert_eq!(deleted, [path(1), path(2), path(3)]);
        assert!(path(0).exists() && path(4).exists() && folder.path().join("door.mkv").exists());
    }

    /// Files of the camera `door`, so many hours old, the oldest first.
    fn recorded(folder: &Path, ages: &[u64]) -> Vec<PathBuf> {
        let write = |(number, hours): (usize, &u64)| {
            let path = folder.join(format!("door-20260102T{number:02}0000Z.mkv"));
            fs::write(&path, "x").unwrap();
            let then = SystemTime::now() - hour(*hours);
            fs::File::options().append(true).open(&path).unwrap().set_modified(then).unwrap();
            path
        };
        ages.iter().enumerate().map(write).collect()
    }

    fn hour(hours: u64) -> Duration {
        Duration::from_secs(3600 * hours)
    }

    #[test]
    fn what_is_too_old_goes() {
        let folder = tempfile::tempdir().unwrap();
        let files = recorded(folder.path(), &[30, 20, 1]);
        let mut retention = Retention::new(folder.path(), "door", Keep::Age(hour(24)));
        assert_eq!(retention.apply(SystemTime::now(), Instant::now(), &[]), files[..1]);
        let later = hour(10);
        assert_eq!(retention.apply(SystemTime::now() + later, Instant::now() + later, &[]), files[1..2]);
    }

    #[test]
    fn a_clock_that_is_set_forward_deletes_nothing_and_time_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let files = recorded(folder.path(), &[20, 10, 1]);
        let mut retention = Retention::new(folder.path(), "door", Keep::Age(hour(24)));
        let (now, at) = (SystemTime::now(), Instant::now());
        assert!(retention.apply(now, at, &[]).is_empty());
        let year = hour(24 * 365);
        assert!(retention.apply(now + year, at, &[]).is_empty());
        // Five hours of the run later the first is 25 hours old, whatever the clock says.
        assert_eq!(retention.apply(now + year + hour(5), at + hour(5), &[]), files[..1]);
        // And set right again, ten hours later still.
        assert_eq!(retention.apply(now + hour(15), at + hour(15), &[]), files[1..2]);
    }

    #[test]
    fn a_disk_with_a_clock_of_its_own_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut retention = Retention::new(folder.path(), "door", Keep::Age(hour(24)));
        // Written in this run, and years old by the disk.
        let files = recorded(folder.path(), &[30_000, 30_000]);
        let (now, at) = (SystemTime::now(), Instant::now());
        assert!(retention.apply(now, at, &[]).is_empty());
        assert!(retention.apply(now + hour(23), at + hour(23), &[]).is_empty());
        assert_eq!(retention.apply(now + hour(25), at + hour(25), &[]), files);
    }

    #[test]
    fn a_time_without_recordings_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let files = recorded(folder.path(), &[500, 490, 480]);
        let mut retention = Retention::new(folder.path(), "door", Keep::Age(hour(24)));
        let (now, at) = (SystemTime::now(), Instant::now());
        assert!(retention.apply(now, at, &[]).is_empty());
        // The last was written just before the pause, the first 20 hours before that.
        assert_eq!(retention.apply(now + hour(5), at + hour(5), &[]), files[..1]);
    }

    #[test]
    fn a_clock_that_is_set_again_and_again_takes_no_memory() {
        let mut jumps = Jumps::default();
        let (now, at) = (SystemTime::now(), Instant::now());
        for step in 0..1000 {
            jumps.look(now + hour(step % 2 * 100), at, None);
        }
        assert!(jumps.jumps.len() <= MOST_JUMPS);
    }
}
