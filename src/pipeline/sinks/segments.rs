//! The recording of a camera: one file, or segments that are finalised one by one. A failure never stops the analysis.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use time::OffsetDateTime;

use crate::config::cameras::RecordingConfig;
use crate::error::{Error, Result};
use crate::media::encoder::{Encoded, Encoder, Taps};
use crate::media::recorder::{Container, Recorder};
use crate::media::video_format::VideoFormat;
use crate::pipeline::disk_space::DiskSpace;
use crate::pipeline::outcome::Outcome;
use crate::pipeline::preroll_buffer::PrerollBuffer;
use crate::pipeline::schedule::{RotationSchedule, stamped};
use crate::pipeline::sinks::open_files::{OpenFile, OpenFiles};
use crate::pipeline::sinks::recorded_segments::{RecordedSegment, RecordedSegments};
use crate::pipeline::sinks::sink::{LabeledFrame, Loss, Rendered, Sink};
use crate::report::{lock_output, remove_empty};
use crate::system::utc;
use crate::telemetry::StreamState;

/// Records a camera.
pub struct SegmentsSink {
    recording: RecordingConfig,
    state: Arc<StreamState>,
    schedule: Option<RotationSchedule>,
    current: Option<Segment>,
    /// Set with `--only-active`.
    selective: Option<Selective>,
    /// Set after a failure, until the next segment.
    failed: bool,
    /// Whether frames are encoded here, so that the page gets them from here.
    encodes: Rc<Cell<bool>>,
    files: OpenFiles,
    recorded: RecordedSegments,
    /// Thread that finalises the last segment.
    closing: Option<JoinHandle<Result<()>>>,
    written: u64,
    failures: u64,
    /// Frames that were skipped because the disk was too slow.
    skipped: u64,
}

/// The file being written.
struct Segment {
    recorder: Recorder,
    /// Lock that keeps other runs from writing the file.
    lock: File,
    /// Keeps retention from deleting the file.
    open: OpenFile,
    path: PathBuf,
    /// Its start, in nanoseconds of the stream.
    start: u64,
    /// The end of its last frame, likewise.
    end: u64,
    frames: u64,
    space: DiskSpace,
}

/// Constructor of a recorder, for frames that it encodes or for encoded ones.
type Create = fn(&Path, Container, &VideoFormat, Option<(i32, i32)>, Taps) -> Result<Recorder>;

/// Encodes all frames, and selects those to keep later.
struct Selective {
    state: Arc<StreamState>,
    encoder: Option<(VideoFormat, Encoder)>,
    buffer: PrerollBuffer<Encoded>,
}

impl Selective {
    fn new(state: &Arc<StreamState>) -> Self {
        Self { state: Arc::clone(state), encoder: None, buffer: PrerollBuffer::default() }
    }

    fn put(&mut self, rendered: &Rendered, active: bool) -> Result<()> {
        let Rendered { picture, format, pts, duration } = rendered;
        self.buffer.mark(*pts, active);
        if self.encoder.is_none() {
            self.encoder = Some((format.clone(), Encoder::new(format, self.state.taps(0).picture)?));
        }
        let Some((_, encoder)) = &self.encoder else { return Ok(()) };
        encoder.put(picture, *pts, *duration)?;
        while let Some(encoded) = encoder.take() {
            self.buffer.push(encoded.pts(), encoded.bytes(), encoded);
        }
        Ok(())
    }

    /// Finishes encoding.
    fn finish(&mut self) -> Option<VideoFormat> {
        let (format, encoder) = self.encoder.take()?;
        for encoded in encoder.finish() {
            self.buffer.push(encoded.pts(), encoded.bytes(), encoded);
        }
        Some(format)
    }
}

impl Sink for SegmentsSink {
    fn wants_picture(&mut self) -> bool {
        self.rotate(utc::now());
        self.encodes.set(!self.failed);
        !self.failed
    }

    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        if self.failed {
            return Ok(());
        }
        let Some(picture) = labeled.picture else {
            // No buffer was free, because the disk is too slow.
            self.skipped += 1;
            return Ok(());
        };
        let added = match &mut self.selective {
            None => self.add(picture),
            Some(selective) => {
                let put = selective.put(picture, labeled.label.is_some());
                put.and_then(|()| self.add_selected(picture))
            }
        };
        added.inspect_err(|_| {
            self.failed = true;
            self.failures += 1;
            self.close();
        })
    }

    fn failure_note(&self) -> &'static str {
        match self.schedule {
            Some(_) => ", but nothing is recorded until the next segment",
            None => ", but nothing is recorded for the rest of the run",
        }
    }

    /// A segment ends when the camera is lost, since the length of the outage is unknown.
    fn lost(&mut self, _loss: &Loss) -> Result<()> {
        if self.schedule.is_some() {
            self.close();
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, outcome: &mut Outcome) -> Result<()> {
        if let Some(format) = self.selective.as_mut().and_then(Selective::finish)
            && let Err(error) = self.write_selected(&format)
        {
            tracing::error!("{error}");
            self.failures += 1;
        }
        self.close();
        self.join();
        (outcome.videos, outcome.video_failures, outcome.pictures_skipped) =
            (self.written, self.failures, self.skipped);
        Ok(())
    }
}

impl SegmentsSink {
    pub fn new(
        recording: &RecordingConfig,
        state: &Arc<StreamState>,
        files: &OpenFiles,
        recorded: &RecordedSegments,
        encodes: Rc<Cell<bool>>,
    ) -> Self {
        Self {
            recording: recording.clone(),
            state: Arc::clone(state),
            schedule: recording.segment.map(RotationSchedule::new),
            current: None,
            selective: recording.only_active.then(|| Selective::new(state)),
            failed: false,
            encodes,
            files: files.clone(),
            recorded: recorded.clone(),
            closing: None,
            written: 0,
            failures: 0,
            skipped: 0,
        }
    }

    /// Ends the segment when it is due.
    fn rotate(&mut self, now: OffsetDateTime) {
        if self.schedule.as_mut().is_some_and(|schedule| schedule.due(now)) {
            // A disk that was full may have space by now.
            self.failed = false;
            self.close();
        }
    }

    fn add(&mut self, Rendered { picture, format, pts, duration }: &Rendered) -> Result<()> {
        if self.current.is_none() {
            self.current = Some(self.begin(format, *pts, Recorder::create)?);
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        current.space.check(current.frames, 0)?;
        current.frames += 1;
        current.end = pts + duration;
        current.recorder.write(picture, pts.saturating_sub(current.start), *duration)
    }

    /// Writes the selected frames, and ends the segment when no more follow.
    fn add_selected(&mut self, picture: &Rendered) -> Result<()> {
        self.write_selected(&picture.format)?;
        let keeps = self.selective.as_ref().is_some_and(|selective| selective.buffer.keeps(picture.pts));
        if self.schedule.is_some() && !keeps {
            self.close();
        }
        Ok(())
    }

    fn write_selected(&mut self, format: &VideoFormat) -> Result<()> {
        while let Some(picture) = self.selective.as_mut().and_then(|selective| selective.buffer.next()) {
            let pts = picture.pts();
            if self.current.is_none() {
                self.current = Some(self.begin(format, pts, Recorder::for_encoded)?);
            }
            let Some(current) = &mut self.current else { return Ok(()) };
            current.space.check(current.frames, 0)?;
            current.frames += 1;
            current.end = pts + picture.duration();
            current.recorder.write_encoded(picture, pts.saturating_sub(current.start))?;
        }
        Ok(())
    }

    fn begin(&self, format: &VideoFormat, pts: u64, create: Create) -> Result<Segment> {
        let RecordingConfig { folder, stem, container, file, .. } = &self.recording;
        let suffix = format!(".{}", container.extension());
        let path = file.clone().unwrap_or_else(|| stamped(folder, stem, utc::now(), &suffix));
        let parent = path.parent().unwrap_or(Path::new(""));
        if !parent.as_os_str().is_empty() {
            fs::create_dir_all(parent).map_err(|cause| {
                Error::failed(format!("{}: the folder cannot be created", parent.display()))
                    .because(cause)
                    .remedy("choose a writable folder")
            })?;
        }
        let mut space = DiskSpace::new(parent, format.layout.width * format.layout.height);
        space.check(0, 0)?;
        let lock = lock_output(&path)?;
        let recorder =
            create(&path, *container, format, format.frame_rate, self.state.taps(pts)).inspect_err(|_| {
                remove_empty(&lock, &path);
            })?;
        let open = self.files.add(path.clone());
        Ok(Segment { recorder, lock, open, path, start: pts, end: pts, frames: 0, space })
    }

    /// Finalises the current file on a thread of its own, so that no frame waits for the disk.
    fn close(&mut self) {
        let Some(Segment { recorder, frames, path, lock, open, start, end, .. }) = self.current.take() else { return };
        self.join();
        self.written += u64::from(frames > 0);
        tracing::debug!("{}: finalising after {frames} frames", path.display());
        let (recorded, shown) = (self.recorded.clone(), path.display().to_string());
        let closing = std::thread::Builder::new().name("close".into()).spawn(move || {
            let finished = recorder.finish().map(drop);
            if finished.is_ok() && frames > 0 {
                recorded.add(RecordedSegment { path, start, end });
            }
            drop((lock, open));
            finished
        });
        match closing {
            Ok(thread) => self.closing = Some(thread),
            Err(cause) => tracing::error!("{shown}: cannot be finalised ({cause})"),
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
