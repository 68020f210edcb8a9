//! The files of a camera's recording: their names and locks, their records for the journal, and a thread that completes
//! each file, so that no frame waits for the disk.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::config::cameras::RecordingConfig;
use crate::error::{Error, Result};
use crate::pipeline::disk_space::DiskSpace;
use crate::pipeline::outcome::RecordingTotals;
use crate::pipeline::schedule::stamped;
use crate::pipeline::sinks::open_files::{OpenFile, OpenFiles};
use crate::report::journal::{RecordedVideo, SegmentRecord};
use crate::report::{LockedFile, lock_output, milliseconds, remove_empty};
use crate::system::clock::SharedClock;
use crate::system::{durable, utc};

/// Records of segments that have begun or are complete, until the sinks get them.
#[derive(Clone, Default)]
pub struct SegmentRecords(Rc<RefCell<Vec<SegmentRecord>>>);

impl SegmentRecords {
    pub fn take(&self) -> Vec<SegmentRecord> {
        self.0.take()
    }

    fn put(&self, record: SegmentRecord) {
        self.0.borrow_mut().push(record);
    }
}

/// The files of one recording.
pub struct SegmentFiles {
    recording: RecordingConfig,
    video: RecordedVideo,
    /// Ending of the files' names.
    suffix: String,
    clock: SharedClock,
    began: Instant,
    open: OpenFiles,
    records: SegmentRecords,
    totals: RecordingTotals,
    /// Set after a failure, until the next segment is tried.
    failed: bool,
    /// Thread that completes the last file.
    closing: Option<JoinHandle<Result<Option<SegmentRecord>>>>,
}

/// A file that is being written.
pub struct SegmentFile {
    pub path: PathBuf,
    /// Its time 0, in nanoseconds of the stream.
    pub start: u64,
    /// Lock that keeps other runs from writing the file.
    lock: LockedFile,
    /// Keeps retention from deleting the file.
    open: OpenFile,
    space: DiskSpace,
    frames: u64,
    /// End of the last frame, in nanoseconds of the stream.
    end: u64,
    record: SegmentRecord,
}

impl SegmentFiles {
    /// Creates no file yet. The names of the files end in `suffix`; the stream's time 0 is `began`.
    pub fn new(
        recording: &RecordingConfig,
        video: RecordedVideo,
        suffix: String,
        clock: &SharedClock,
        began: Instant,
        open: &OpenFiles,
        records: &SegmentRecords,
    ) -> Self {
        Self {
            recording: recording.clone(),
            video,
            suffix,
            clock: SharedClock::clone(clock),
            began,
            open: open.clone(),
            records: records.clone(),
            totals: RecordingTotals::default(),
            failed: false,
            closing: None,
        }
    }

    /// Returns the time in UTC at `pts` of the stream, in nanoseconds.
    pub fn utc(&self, pts: u64) -> OffsetDateTime {
        let past = self.clock.since(self.began).saturating_sub(Duration::from_nanos(pts));
        utc::before(self.clock.utc(), past)
    }

    /// Creates a file whose time 0 is at `start` of the stream, with `named` in its name, and calls `create` to write to
    /// it. `pixels` are those of a frame.
    ///
    /// # Errors
    /// Returns an error if the disk is full or the file cannot be created. It is removed then.
    pub fn create<T>(
        &self,
        start: u64,
        named: OffsetDateTime,
        pixels: usize,
        create: impl FnOnce(&Path, OffsetDateTime) -> Result<T>,
    ) -> Result<(SegmentFile, T)> {
        let RecordingConfig { folder, stem, file, .. } = &self.recording;
        let path = file.clone().unwrap_or_else(|| stamped(folder, stem, named, &self.suffix));
        let parent = path.parent().unwrap_or(Path::new(""));
        if !parent.as_os_str().is_empty() {
            fs::create_dir_all(parent).map_err(|cause| {
                Error::failed(format!("{}: the folder cannot be created", parent.display()))
                    .because(cause)
                    .remedy("choose a writable folder")
            })?;
        }
        let lock = lock_output(&path)?;
        let start_utc = self.utc(start);
        let mut space = DiskSpace::new(parent, pixels, &self.clock);
        let created = space.check(0, 0).and_then(|()| create(&path, start_utc));
        let writer = created.inspect_err(|_| remove_empty(&lock, &path))?;
        let beside = parent == folder.as_path();
        let name = path.file_name().filter(|_| beside).map_or(path.as_path(), Path::new);
        let record = SegmentRecord {
            file: name.to_string_lossy().into_owned(),
            video: self.video,
            start: milliseconds(start),
            start_utc: utc::exact(start_utc),
            end: None,
            bytes: None,
        };
        self.records.put(record.clone());
        let open = self.open.add(path.clone());
        Ok((SegmentFile { path, start, lock, open, space, frames: 0, end: start, record }, writer))
    }

    /// Completes a file with `finish`, on a thread of its own. `finish` returns whether there is a file.
    ///
    /// # Errors
    /// Returns the error of the file that was completed before, or of a thread that cannot be started.
    pub fn close(&mut self, file: SegmentFile, finish: impl FnOnce() -> Result<bool> + Send + 'static) -> Result<()> {
        let before = self.join();
        tracing::debug!("{}: completing after {} frames", file.path.display(), file.frames);
        let shown = file.path.display().to_string();
        let closing = std::thread::Builder::new().name("close".into()).spawn(move || {
            let SegmentFile { path, lock, open, end, record, .. } = file;
            let finished = finish().and_then(|exists| {
                if exists {
                    durable::sync(&path).map_err(|cause| Error::unwritable(&path, cause))?;
                }
                Ok(exists)
            });
            if finished.is_err() {
                // What a camera sent may be of no use from the first packet on.
                remove_empty(&lock, &path);
            }
            let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            drop((lock, open));
            let record = SegmentRecord { end: Some(milliseconds(end)), bytes: Some(bytes), ..record };
            Ok(finished?.then_some(record))
        });
        self.closing = match closing {
            Ok(thread) => Some(thread),
            Err(cause) => {
                self.fail();
                return Err(Error::unavailable(format!("{shown}: cannot be completed")).because(cause));
            }
        };
        before
    }

    /// Reports the last file if it is complete. Waits for no time of the clock.
    ///
    /// # Errors
    /// Returns the reason why it could not be completed.
    pub fn poll(&mut self) -> Result<()> {
        let is_finished = |thread: &JoinHandle<_>| self.clock.stands_still() || thread.is_finished();
        if self.closing.as_ref().is_some_and(is_finished) { self.join() } else { Ok(()) }
    }

    /// Reports the last file while no frames arrive: a camera may be lost for long.
    pub fn idle(&mut self) {
        if let Err(error) = self.poll() {
            tracing::error!("{error}");
        }
    }

    /// Waits until the last file is complete, and reports it.
    ///
    /// # Errors
    /// Returns the reason why it could not be completed.
    pub fn join(&mut self) -> Result<()> {
        let Some(closing) = self.closing.take() else { return Ok(()) };
        match closing.join().unwrap_or_else(|_| Err(Error::internal("a thread panicked"))) {
            Ok(Some(record)) => {
                self.totals.files += 1;
                self.totals.bytes += record.bytes.unwrap_or(0);
                self.records.put(record);
                Ok(())
            }
            Ok(None) => Ok(()),
            // Follows from the failure that was reported already.
            Err(_) if self.failed => Ok(()),
            Err(error) => {
                self.totals.failures += 1;
                Err(error)
            }
        }
    }

    /// Counts a failure to begin or to continue a file. Nothing is written until [`SegmentFiles::retry`].
    pub fn fail(&mut self) {
        self.totals.failures += 1;
        self.failed = true;
    }

    /// The next segment is tried: a disk that was full may have space by now.
    pub fn retry(&mut self) {
        self.failed = false;
    }

    pub fn is_failed(&self) -> bool {
        self.failed
    }

    pub fn totals(&self) -> RecordingTotals {
        self.totals
    }
}

impl SegmentFile {
    /// Counts a frame that ends at `end` of the stream, in nanoseconds.
    ///
    /// # Errors
    /// Returns a failure if the disk has no space for it.
    pub fn add(&mut self, end: u64) -> Result<()> {
        self.space.check(self.frames, 0)?;
        self.frames += 1;
        self.end = self.end.max(end);
        Ok(())
    }

    /// The next segment begins at `pts` of the stream, in nanoseconds. A frame may be shorter than its stated duration.
    pub fn limit(&mut self, pts: u64) {
        self.end = self.end.min(pts.max(self.start));
    }

    /// Returns the end of the last frame, in nanoseconds of the stream.
    pub fn end(&self) -> u64 {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::options::StreamOptions;
    use crate::config::settings::Settings;
    use crate::system::clock::SystemClock;

    /// Returns whether a file is there that was begun with `content` and could not be completed.
    fn stays(content: &str) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let output_dir = Some(folder.path().to_path_buf());
        let segment = Some(Duration::from_secs(60));
        let streams = StreamOptions { input: vec!["test://".into()], output_dir, segment, ..StreamOptions::default() };
        let config = Config::resolve(Settings { streams, ..Settings::default() }).unwrap();
        let (recording, clock) = (&config.jobs[0].live.as_ref().unwrap().recording, SystemClock::shared());
        let (open, records, began) = (OpenFiles::default(), SegmentRecords::default(), clock.instant());
        let video = RecordedVideo::Original;
        let mut files = SegmentFiles::new(recording, video, ".mkv".into(), &clock, began, &open, &records);
        let write = |path: &Path, _| fs::write(path, content).map_err(|cause| Error::unwritable(path, cause));
        let (file, ()) = files.create(0, clock.utc(), 64 * 48, write).unwrap();
        let path = file.path.clone();
        files.close(file, || Err(Error::failed("damaged"))).unwrap();
        assert!(files.join().is_err());
        path.exists()
    }

    #[test]
    fn a_file_that_failed_before_its_first_packet_is_deleted() {
        assert_eq!(["", "packets"].map(stays), [false, true]);
    }
}
