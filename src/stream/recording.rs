//! The video of a live stream: one file, or one after the other, each closed by itself. Whatever happens to it, watching
//! goes on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use time::OffsetDateTime;

use crate::board::Post;
use crate::cameras::Record;
use crate::error::{Error, Result};
use crate::media::encoder::{Encoded, Encoder, Taps};
use crate::media::frame::Drawn;
use crate::media::recorder::{Container, Recorder};
use crate::media::source::Facts;
use crate::report::{claim, remove_empty};
use crate::stream::activity::Activity;
use crate::stream::segments::{Segments, stamped};
use crate::stream::space::Space;
use crate::utc;

/// Records, where something shall be recorded.
pub struct Recording {
    plan: Record,
    post: Arc<Post>,
    segments: Option<Segments>,
    current: Option<Current>,
    /// Where only intervals are recorded.
    selective: Option<Selective>,
    /// Set after a failure, until the next segment.
    failed: bool,
    /// The last segment, which is being closed while the next one fills.
    closing: Option<JoinHandle<Result<()>>>,
    written: u64,
    failures: u64,
    /// Pictures that were left out because the disk was too slow.
    skipped: u64,
}

struct Current {
    recorder: Recorder,
    /// Held so that no other run writes to the file.
    claim: File,
    path: PathBuf,
    /// The stream's time at which it begins.
    start: u64,
    frames: u64,
    space: Space,
}

/// How a recorder is made, for pictures that it encodes or for encoded ones.
type Create = fn(&Path, Container, &Facts, Option<(i32, i32)>, Taps) -> Result<Recorder>;

/// Pictures that are encoded first and kept or not later.
struct Selective {
    post: Arc<Post>,
    encoder: Option<(Facts, Encoder)>,
    activity: Activity<Encoded>,
}

impl Selective {
    fn new(post: &Arc<Post>) -> Self {
        Self { post: Arc::clone(post), encoder: None, activity: Activity::default() }
    }

    fn put(&mut self, picture: &Drawn, facts: &Facts, pts: u64, duration: u64, active: bool) -> Result<()> {
        self.activity.see(pts, active);
        if self.encoder.is_none() {
            self.encoder = Some((facts.clone(), Encoder::new(facts, self.post.taps(0).picture)?));
        }
        let Some((_, encoder)) = &self.encoder else { return Ok(()) };
        encoder.put(picture, pts, duration)?;
        while let Some(encoded) = encoder.take() {
            self.activity.hold(encoded.pts(), encoded.bytes(), encoded);
        }
        Ok(())
    }

    /// Encodes the rest.
    fn finish(&mut self) -> Option<Facts> {
        let (facts, encoder) = self.encoder.take()?;
        for encoded in encoder.finish() {
            self.activity.hold(encoded.pts(), encoded.bytes(), encoded);
        }
        Some(facts)
    }
}

impl Recording {
    pub fn new(plan: &Record, post: &Arc<Post>) -> Self {
        Self {
            plan: plan.clone(),
            post: Arc::clone(post),
            segments: plan.segment.map(Segments::new),
            current: None,
            selective: plan.only_active.then(|| Selective::new(post)),
            failed: false,
            closing: None,
            written: 0,
            failures: 0,
            skipped: 0,
        }
    }

    pub fn wanted(&self) -> bool {
        (self.plan.file.is_some() || self.segments.is_some()) && !self.failed
    }

    /// Ends the segment where its time has come. Returns whether it was.
    pub fn rotate(&mut self, now: OffsetDateTime) -> bool {
        if !self.segments.as_mut().is_some_and(|segments| segments.due(now)) {
            return false;
        }
        // A disk that was full may have room by now.
        self.failed = false;
        self.close();
        true
    }

    /// Adds a picture, which is `active` where its frame belongs to an interval. A failure is told once and ends the
    /// recording, or this segment of it.
    pub fn write(&mut self, picture: &Drawn, facts: &Facts, pts: u64, duration: u64, active: bool) {
        let added = match &mut self.selective {
            None => self.add(picture, facts, pts, duration),
            Some(selective) => {
                let put = selective.put(picture, facts, pts, duration, active);
                put.and_then(|()| self.add_selected(facts, pts))
            }
        };
        if let Err(error) = added {
            let until = if self.segments.is_some() { "until the next segment" } else { "for the rest of the run" };
            tracing::error!("{error}; {} is watched on, but not recorded {until}", self.plan.stem);
            self.failed = true;
            self.failures += 1;
            self.close();
        }
    }

    /// The camera was lost: a segment ends here, as nobody knows for how long.
    pub fn pause(&mut self) {
        if self.segments.is_some() {
            self.close();
        }
    }

    /// A picture could not be drawn in time.
    pub fn skip(&mut self) {
        self.skipped += 1;
    }

    /// The file that is being written.
    pub fn open(&self) -> Option<&Path> {
        self.current.as_ref().map(|current| current.path.as_path())
    }

    /// Closes what is open. Returns how many files were written, failures, and pictures that were left out.
    pub fn finish(mut self) -> (u64, u64, u64) {
        if let Some(facts) = self.selective.as_mut().and_then(Selective::finish)
            && let Err(error) = self.write_selected(&facts)
        {
            tracing::error!("{error}");
            self.failures += 1;
        }
        self.close();
        self.join();
        (self.written, self.failures, self.skipped)
    }

    fn add(&mut self, picture: &Drawn, facts: &Facts, pts: u64, duration: u64) -> Result<()> {
        if self.current.is_none() {
            self.current = Some(self.begin(facts, pts, Recorder::create)?);
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        current.space.check(current.frames, 0)?;
        current.frames += 1;
        current.recorder.write(picture, pts.saturating_sub(current.start), duration)
    }

    /// Writes what belongs to an interval, and ends a segment where the interval's surroundings do.
    fn add_selected(&mut self, facts: &Facts, pts: u64) -> Result<()> {
        self.write_selected(facts)?;
        if self.segments.is_some() && !self.selective.as_ref().is_some_and(|selective| selective.activity.keeps(pts)) {
            self.close();
        }
        Ok(())
    }

    fn write_selected(&mut self, facts: &Facts) -> Result<()> {
        while let Some(picture) = self.selective.as_mut().and_then(|selective| selective.activity.next()) {
            let pts = picture.pts();
            if self.current.is_none() {
                self.current = Some(self.begin(facts, pts, Recorder::for_encoded)?);
            }
            let Some(current) = &mut self.current else { return Ok(()) };
            current.space.check(current.frames, 0)?;
            current.frames += 1;
            current.recorder.write_encoded(picture, pts.saturating_sub(current.start))?;
        }
        Ok(())
    }

    fn begin(&self, facts: &Facts, pts: u64, create: Create) -> Result<Current> {
        let Record { folder, stem, container, file, .. } = &self.plan;
        let ending = match container {
            Container::Avi => ".avi",
            Container::Matroska => ".mkv",
        };
        let path = file.clone().unwrap_or_else(|| stamped(folder, stem, utc::now(), ending));
        let parent = path.parent().unwrap_or(Path::new(""));
        if !parent.as_os_str().is_empty() {
            fs::create_dir_all(parent).map_err(|cause| {
                Error::failed(format!("{}: the folder cannot be made", parent.display()))
                    .because(cause)
                    .remedy("choose a folder that can be written to")
            })?;
        }
        let space = Space::new(parent, facts.layout.width * facts.layout.height);
        space.check(0, 0)?;
        let claim = claim(&path)?;
        let recorder = create(&path, *container, facts, facts.frame_rate, self.post.taps(pts)).inspect_err(|_| {
            remove_empty(&claim, &path);
        })?;
        Ok(Current { recorder, path, start: pts, frames: 0, space, claim })
    }

    /// Has the current file closed, on a thread of its own so that no picture waits for the disk.
    fn close(&mut self) {
        let Some(Current { recorder, frames, path, claim, .. }) = self.current.take() else { return };
        self.join();
        self.written += u64::from(frames > 0);
        tracing::debug!("{}: closing after {frames} pictures", path.display());
        let closing = std::thread::Builder::new().name("close".into()).spawn(move || {
            let finished = recorder.finish().map(drop);
            drop(claim);
            finished
        });
        match closing {
            Ok(thread) => self.closing = Some(thread),
            Err(cause) => tracing::error!("{}: cannot be closed ({cause})", path.display()),
        }
    }

    fn join(&mut self) {
        if let Some(Ok(Err(error))) = self.closing.take().map(JoinHandle::join)
            && !self.failed
        {
            tracing::error!("{error}");
            self.failures += 1;
        }
    }
}
