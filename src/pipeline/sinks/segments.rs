//! The labelled recording of a camera: one file, or segments that are finalised one by one. A failure never stops the
//! analysis.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::config::cameras::RecordingConfig;
use crate::config::options::SegmentVideo;
use crate::error::Result;
use crate::media::encoder::{Encoded, Encoder, Taps};
use crate::media::recorder::{Container, Recorder};
use crate::media::video_format::VideoFormat;
use crate::pipeline::context::StreamContext;
use crate::pipeline::outcome::Outcome;
use crate::pipeline::preroll_buffer::PrerollBuffer;
use crate::pipeline::schedule::RotationSchedule;
use crate::pipeline::sinks::open_files::OpenFiles;
use crate::pipeline::sinks::segment_files::{SegmentFile, SegmentFiles, SegmentRecords};
use crate::pipeline::sinks::sink::{LabeledFrame, Loss, Rendered, Sink};
use crate::report::journal::RecordedVideo;
use crate::system::clock::SharedClock;
use crate::telemetry::StreamState;

/// Records a camera's labelled frames.
pub struct SegmentsSink {
    container: Container,
    state: Arc<StreamState>,
    clock: SharedClock,
    schedule: Option<RotationSchedule>,
    files: SegmentFiles,
    current: Option<(SegmentFile, Recorder)>,
    /// Set with `--only-active`.
    selective: Option<Selective>,
    /// Whether frames are encoded here, so that the page gets them from here.
    encodes: Rc<Cell<bool>>,
    /// Frames that were skipped because the disk was too slow.
    skipped: u64,
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
        self.rotate(self.clock.utc());
        let records = !self.files.is_failed();
        self.encodes.set(records);
        records
    }

    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        let closed = self.files.poll();
        if self.files.is_failed() {
            return closed;
        }
        let Some(picture) = labeled.picture else {
            // No buffer was free, because the disk is too slow.
            self.skipped += 1;
            return closed;
        };
        let added = match &mut self.selective {
            None => self.add(picture),
            Some(selective) => {
                let put = selective.put(picture, labeled.label.is_some());
                put.and_then(|()| self.add_selected(picture))
            }
        };
        closed.and(added.inspect_err(|_| {
            self.files.fail();
            self.close();
        }))
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

    fn idle(&mut self, _idle: Duration) -> bool {
        self.files.idle();
        false
    }

    fn finish(mut self: Box<Self>, outcome: &mut Outcome) -> Result<()> {
        if let Some(format) = self.selective.as_mut().and_then(Selective::finish)
            && let Err(error) = self.write_selected(&format)
        {
            tracing::error!("{error}");
            self.files.fail();
        }
        self.close();
        if let Err(error) = self.files.join() {
            tracing::error!("{error}");
        }
        outcome.add_recording(self.files.totals(), self.skipped);
        Ok(())
    }
}

impl SegmentsSink {
    pub fn new(
        context: &StreamContext,
        recording: &RecordingConfig,
        began: Instant,
        open: &OpenFiles,
        records: &SegmentRecords,
        encodes: Rc<Cell<bool>>,
    ) -> Self {
        let StreamContext { state, clock, .. } = *context;
        let container = recording.container;
        let suffix = match recording.video {
            SegmentVideo::Both => format!(".labelled.{}", container.extension()),
            SegmentVideo::Original | SegmentVideo::Labelled => format!(".{}", container.extension()),
        };
        Self {
            container,
            state: Arc::clone(state),
            clock: SharedClock::clone(clock),
            schedule: recording.segment.map(RotationSchedule::new),
            files: SegmentFiles::new(recording, RecordedVideo::Labelled, suffix, clock, began, open, records),
            current: None,
            selective: recording.only_active.then(|| Selective::new(state)),
            encodes,
            skipped: 0,
        }
    }

    /// Ends the segment when it is due.
    fn rotate(&mut self, now: OffsetDateTime) {
        if self.schedule.as_mut().is_some_and(|schedule| schedule.due(now)) {
            self.files.retry();
            self.close();
        }
    }

    fn add(&mut self, Rendered { picture, format, pts, duration }: &Rendered) -> Result<()> {
        if self.current.is_none() {
            self.current = Some(self.begin(format, *pts, Recorder::create)?);
        }
        let Some((file, recorder)) = &mut self.current else { return Ok(()) };
        file.add(pts + duration)?;
        recorder.write(picture, pts.saturating_sub(file.start), *duration)
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
            let Some((file, recorder)) = &mut self.current else { return Ok(()) };
            let end = picture.end();
            if recorder.write_encoded(picture, pts.saturating_sub(file.start))? {
                file.add(end)?;
            } else {
                self.skipped += 1;
            }
        }
        Ok(())
    }

    fn begin(&self, format: &VideoFormat, pts: u64, create: Create) -> Result<(SegmentFile, Recorder)> {
        let pixels = format.layout.width * format.layout.height;
        self.files.create(pts, self.clock.utc(), pixels, |path, _| {
            create(path, self.container, format, format.frame_rate, self.state.taps(pts))
        })
    }

    fn close(&mut self) {
        let Some((file, recorder)) = self.current.take() else { return };
        if let Err(error) = self.files.close(file, || recorder.finish().map(|recorded| recorded.is_some())) {
            tracing::error!("{error}");
        }
    }
}
