//! Retention: deletes a camera's oldest files beyond an age or a total size. Files with a label may have a limit of their
//! own. Touches no other file.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::config::cameras::RecordingConfig;
use crate::config::options::Keep;
use crate::error::Result;
use crate::history::IndexClient;
use crate::pipeline::sinks::clock_jumps::ClockJumps;
use crate::pipeline::sinks::open_files::OpenFiles;
use crate::pipeline::sinks::sink::{LabeledFrame, Sink};
use crate::pipeline::sinks::worth::{Dated, Worth};
use crate::report::stamped_name::StampedName;
use crate::system::clock::{Clock, SharedClock};
use crate::system::folders;

/// Interval between sweeps while no new file is opened.
const SWEEP: Duration = Duration::from_secs(60);

/// Sweeps the folder when a new file is opened, and every minute.
pub struct RetentionSink<'a> {
    clock: &'a SharedClock,
    retention: Retention,
    open: OpenFiles,
    index: Option<IndexClient>,
    /// The open files at the last sweep, and its time.
    swept: (Vec<PathBuf>, Instant),
}

impl<'a> RetentionSink<'a> {
    /// Returns `None` if all files are kept. Call it before the run writes any file.
    pub fn new(
        recording: &RecordingConfig,
        open: &OpenFiles,
        index: Option<&IndexClient>,
        clock: &'a SharedClock,
    ) -> Option<Self> {
        let limits = Limits { keep: recording.keep?, intervals: recording.keep_intervals };
        let retention = Retention::new(&recording.folder, &recording.stem, limits, clock.as_ref());
        let swept = (Vec::new(), clock.instant());
        Some(Self { clock, retention, open: open.clone(), index: index.cloned(), swept })
    }
}

impl Sink for RetentionSink<'_> {
    fn frame(&mut self, _frame: &LabeledFrame) -> Result<()> {
        self.sweep();
        Ok(())
    }

    /// Files of a camera that is lost grow old, too.
    fn idle(&mut self, _idle: Duration) -> bool {
        self.sweep();
        false
    }
}

impl RetentionSink<'_> {
    fn sweep(&mut self) {
        let open = self.open.paths();
        let (before, at) = &self.swept;
        if open == *before && self.clock.since(*at) < SWEEP {
            return;
        }
        let deleted = self.retention.apply(self.clock.time(), self.clock.instant(), &open);
        for path in &deleted {
            tracing::debug!("{}: deleted", path.display());
        }
        if let Some(index) = self.index.as_ref().filter(|_| !deleted.is_empty()) {
            index.deleted(&deleted);
        }
        self.swept = (open, self.clock.instant());
    }
}

/// What is kept.
#[derive(Clone, Copy)]
struct Limits {
    keep: Keep,
    /// Of files with a label, and what surrounds them.
    intervals: Option<Keep>,
}

impl Limits {
    fn use_age(self) -> bool {
        [Some(self.keep), self.intervals].into_iter().flatten().any(|keep| matches!(keep, Keep::Age(_)))
    }

    /// Returns the limit of a file.
    fn of(self, worth: bool) -> Keep {
        self.intervals.filter(|_| worth).unwrap_or(self.keep)
    }
}

/// The files of one camera.
struct Retention {
    folder: PathBuf,
    stem: String,
    limits: Limits,
    worth: Worth,
    jumps: ClockJumps,
    /// The camera's files, with when each was modified by its disk's clock, and when that was seen first; `None` for files from before
    /// the run. A network disk's clock may differ from this machine's.
    seen: HashMap<PathBuf, Option<(SystemTime, Instant)>>,
}

impl Retention {
    /// Call it before the run writes any file.
    fn new(folder: &Path, stem: &str, limits: Limits, clock: &dyn Clock) -> Self {
        let mut jumps = ClockJumps::default();
        let files = recorded_files(folder, stem);
        if limits.use_age() {
            jumps.update(clock.time(), clock.instant(), files.iter().map(|file| file.modified).max());
        }
        let seen = files.into_iter().map(|file| (file.path, None)).collect();
        Self { folder: folder.to_path_buf(), stem: stem.into(), limits, worth: Worth::default(), jumps, seen }
    }

    /// Deletes the oldest files beyond the limit, but none of `open`. Returns the deleted files.
    ///
    /// `now` is the system's clock, which may be set, and `at` the monotonic clock. Jumps of the system's clock do not
    /// count as age, nor does a long time without recordings before the run. So a wrong clock deletes nothing.
    fn apply(&mut self, now: SystemTime, at: Instant, open: &[PathBuf]) -> Vec<PathBuf> {
        let mut files = recorded_files(&self.folder, &self.stem);
        // In the order of time; pictures come before the journal that names them.
        files.sort_by(|a, b| stamped(&a.path).cmp(&stamped(&b.path)));
        if self.limits.use_age() {
            self.jumps.update(now, at, None);
        }
        let existing: HashSet<&PathBuf> = files.iter().map(|file| &file.path).collect();
        self.seen.retain(|path, _| existing.contains(path));
        let worth = self.worth(&files);
        // Bytes of files of either limit.
        let mut totals = [0, 0];
        for file in &files {
            totals[usize::from(worth.contains(&file.path))] += file.bytes;
        }
        let mut deleted = Vec::new();
        for file in files {
            let worth = worth.contains(&file.path);
            let total = &mut totals[usize::from(worth)];
            let expired = match self.limits.of(worth) {
                Keep::Age(age) => {
                    let seen = self.seen.entry(file.path.clone()).or_insert(Some((file.modified, at)));
                    if let Some(last) = seen.as_mut().filter(|(modified, _)| *modified != file.modified) {
                        *last = (file.modified, at);
                    }
                    let max_age = seen.map_or(i128::MAX, |(_, last)| at.duration_since(last).as_nanos() as i128);
                    self.jumps.age(file.modified, now).min(max_age) > age.as_nanos() as i128
                }
                Keep::Bytes(max) => *total > max,
            };
            if !expired || open.contains(&file.path) {
                continue;
            }
            match fs::remove_file(&file.path) {
                Ok(()) => {
                    *total -= file.bytes;
                    deleted.push(file.path);
                }
                Err(cause) => tracing::warn!("{}: cannot be deleted ({cause})", file.path.display()),
            }
        }
        deleted
    }

    /// Returns the files that the limit for labels holds for.
    fn worth(&mut self, files: &[RecordedFile]) -> HashSet<PathBuf> {
        if self.limits.intervals.is_none() {
            return HashSet::new();
        }
        let dated = files.iter().filter_map(|RecordedFile { path, .. }| {
            let start = stamped(path)?.start().map_or(0.0, |ms| ms as f64 / 1000.0);
            Some(Dated { path, start })
        });
        self.worth.select(&dated.collect::<Vec<_>>())
    }
}

struct RecordedFile {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

/// Lists the camera's files in `folder`.
fn recorded_files(folder: &Path, stem: &str) -> Vec<RecordedFile> {
    let entries = fs::read_dir(folders::named(folder)).into_iter().flatten().flatten();
    entries
        .filter(|entry| stamped(Path::new(&entry.file_name())).is_some_and(|name| name.stem == stem))
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            let path = if folder == Path::new(".") { entry.file_name().into() } else { entry.path() };
            Some(RecordedFile { path, bytes: metadata.len(), modified: metadata.modified().ok()? })
        })
        .collect()
}

/// Returns what the name of a camera's file says.
fn stamped(path: &Path) -> Option<StampedName<'_>> {
    StampedName::parse(path.file_name()?.to_str()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::options::SegmentVideo;
    use crate::media::recorder::Container;
    use crate::system::clock::{SimulatedClock, SystemClock};

    #[test]
    fn only_own_files_match() {
        let folder = tempfile::tempdir().unwrap();
        let own = [
            "door-1234560102T030405Z.mkv",
            "door-20260102T030405Z-2.timeline.jsonl",
            "door-20260102T030405Z.avi",
            "door-20260102T030405Z.pictures.mjpg",
        ];
        let others = ["door.mkv", "door-2-20260102T030405Z.mkv", "door-holiday.mkv", "door-20260102T030405Z.jpg"];
        own.iter().chain(&others).for_each(|name| fs::write(folder.path().join(name), "x").unwrap());
        let mut found: Vec<_> = recorded_files(folder.path(), "door").into_iter().map(|file| file.path).collect();
        found.sort();
        assert_eq!(found, own.map(|name| folder.path().join(name)));
    }

    fn only(keep: Keep) -> Limits {
        Limits { keep, intervals: None }
    }

    /// Writes a file of labels beside a video.
    fn labelled(video: &Path, label: &str) {
        let cue = format!("WEBVTT\n\n00:00:05.000 --> 00:00:08.000\nactivity: {label} (90 %)\n");
        fs::write(video.with_extension("vtt"), cue).unwrap();
    }

    #[test]
    fn files_with_a_label_have_a_limit_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let files = recorded(folder.path(), &[50, 40, 30, 20]);
        labelled(&files[1], "drinking");
        labelled(&files[2], "other");
        let day = Limits { keep: Keep::Age(hour(24)), intervals: Some(Keep::Age(hour(45))) };
        let mut retention = Retention::new(folder.path(), "door", day, &SystemClock);
        // The first is older than either limit, but its label begins in the minute before the second one.
        let deleted = retention.apply(SystemTime::now(), Instant::now(), &[]);
        assert_eq!(deleted, [files[0].clone(), files[2].clone()]);
        assert!(files[1].exists() && files[1].with_extension("vtt").exists() && files[3].exists());
    }

    #[test]
    fn each_limit_counts_its_own_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |hour: u32| folder.path().join(format!("door-20260102T{hour:02}0000Z.mkv"));
        (0..10).for_each(|hour| fs::write(path(hour), [0; 1000]).unwrap());
        [2, 4, 6].iter().for_each(|&hour| labelled(&path(hour), "drinking"));
        let limits = Limits { keep: Keep::Bytes(2500), intervals: Some(Keep::Bytes(4600)) };
        let mut retention = Retention::new(folder.path(), "door", limits, &SystemClock);
        let deleted = retention.apply(SystemTime::now(), Instant::now(), &[]);
        // Kept for their labels: 1 to 6, of which 4600 bytes may stay; of the others, two.
        assert_eq!(deleted, [0, 1, 2, 7].map(path));
    }

    #[test]
    fn the_oldest_files_are_deleted_until_the_rest_fits() {
        let folder = tempfile::tempdir().unwrap();
        let path = |hour: u32| folder.path().join(format!("door-20260102T{hour:02}0000Z.mkv"));
        (0..5).for_each(|hour| fs::write(path(hour), [0; 100]).unwrap());
        fs::write(folder.path().join("door.mkv"), [0; 1000]).unwrap();
        let mut retention = Retention::new(folder.path(), "door", only(Keep::Bytes(250)), &SystemClock);
        let deleted = retention.apply(SystemTime::now(), Instant::now(), &[path(0)]);
        assert_eq!(deleted, [path(1), path(2), path(3)]);
        assert!(path(0).exists() && path(4).exists() && folder.path().join("door.mkv").exists());
    }

    /// Writes files of the camera `door` with the given ages in hours, the oldest first.
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
    fn files_beyond_the_age_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let files = recorded(folder.path(), &[30, 20, 1]);
        let mut retention = Retention::new(folder.path(), "door", only(Keep::Age(hour(24))), &SystemClock);
        assert_eq!(retention.apply(SystemTime::now(), Instant::now(), &[]), files[..1]);
        let later = hour(10);
        assert_eq!(retention.apply(SystemTime::now() + later, Instant::now() + later, &[]), files[1..2]);
    }

    #[test]
    fn a_clock_set_forward_deletes_nothing_and_files_still_age() {
        let folder = tempfile::tempdir().unwrap();
        let files = recorded(folder.path(), &[20, 10, 1]);
        let mut retention = Retention::new(folder.path(), "door", only(Keep::Age(hour(24))), &SystemClock);
        let (now, at) = (SystemTime::now(), Instant::now());
        assert!(retention.apply(now, at, &[]).is_empty());
        let year = hour(24 * 365);
        assert!(retention.apply(now + year, at, &[]).is_empty());
        // After five hours of the run the first file is 25 hours old, whatever the clock says.
        assert_eq!(retention.apply(now + year + hour(5), at + hour(5), &[]), files[..1]);
        // The clock is corrected, another ten hours later.
        assert_eq!(retention.apply(now + hour(15), at + hour(15), &[]), files[1..2]);
    }

    #[test]
    fn a_wrong_clock_of_the_disk_deletes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut retention = Retention::new(folder.path(), "door", only(Keep::Age(hour(24))), &SystemClock);
        // Written in this run, but years old by the disk's clock.
        let files = recorded(folder.path(), &[30_000, 30_000]);
        let (now, at) = (SystemTime::now(), Instant::now());
        assert!(retention.apply(now, at, &[]).is_empty());
        assert!(retention.apply(now + hour(23), at + hour(23), &[]).is_empty());
        assert_eq!(retention.apply(now + hour(25), at + hour(25), &[]), files);
    }

    #[test]
    fn a_clock_set_back_makes_no_file_older_that_is_written_then() {
        let folder = tempfile::tempdir().unwrap();
        let mut retention = Retention::new(folder.path(), "door", only(Keep::Age(hour(24))), &SystemClock);
        let (now, at) = (SystemTime::now(), Instant::now());
        let files = recorded(folder.path(), &[0]);
        let year = hour(24 * 365);
        let write =
            |time: SystemTime| fs::File::options().append(true).open(&files[0]).unwrap().set_modified(time).unwrap();
        write(now);
        assert!(retention.apply(now, at, &files).is_empty());
        // It is written for twenty hours, by a clock that was set back after the first.
        for hours in 1..=20 {
            write(now - year + hour(hours));
            assert!(retention.apply(now - year + hour(hours), at + hour(hours), &files).is_empty());
        }
        assert!(retention.apply(now - year + hour(43), at + hour(43), &[]).is_empty());
        assert_eq!(retention.apply(now - year + hour(45), at + hour(45), &[]), files);
    }

    #[test]
    fn files_of_a_lost_camera_grow_old() {
        let folder = tempfile::tempdir().unwrap();
        let files = recorded(folder.path(), &[20, 10]);
        let clock = SimulatedClock::new(SystemTime::now());
        let shared: SharedClock = clock.clone();
        let recording = RecordingConfig {
            folder: folder.path().into(),
            stem: "door".into(),
            container: Container::Matroska,
            video: SegmentVideo::Original,
            original: None,
            sound: false,
            file: None,
            segment: None,
            keep: Some(Keep::Age(hour(24))),
            keep_intervals: None,
            only_active: false,
            pictures: false,
        };
        let mut sink = RetentionSink::new(&recording, &OpenFiles::default(), None, &shared).unwrap();
        for (hours, left) in [(3, 2), (2, 1), (8, 1), (2, 0)] {
            clock.advance(hour(hours));
            sink.idle(Duration::ZERO);
            assert_eq!(files.iter().filter(|file| file.exists()).count(), left);
        }
    }

    #[test]
    fn time_without_recordings_does_not_count_as_age() {
        let folder = tempfile::tempdir().unwrap();
        let files = recorded(folder.path(), &[500, 490, 480]);
        let mut retention = Retention::new(folder.path(), "door", only(Keep::Age(hour(24))), &SystemClock);
        let (now, at) = (SystemTime::now(), Instant::now());
        assert!(retention.apply(now, at, &[]).is_empty());
        // The last file was written just before the pause, the first 20 hours earlier.
        assert_eq!(retention.apply(now + hour(5), at + hour(5), &[]), files[..1]);
    }
}
