//! What is kept of a live stream: timeline, video, and in the end a summary.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::board::Post;
use crate::board::status::{Latency, Status};
use crate::cameras::{Live, Record as Plan};
use crate::error::{Error, Result};
use crate::labels::intervals::Interval;
use crate::labels::verdict::Verdict;
use crate::ledger::Counts;
use crate::media::frame::{Frame, Layout};
use crate::media::source::Facts;
use crate::report::diary::{self, Diary, Gaps, SUMMARY_SCHEMA, SUMMARY_VERSION, Summary};
use crate::report::journal::{Balance, Header, LabelledInterval, Record};
use crate::report::{milliseconds, rounded};
use crate::stream::Context;
use crate::stream::broadcast::Broadcast;
use crate::stream::live::now_ms;
use crate::stream::outputs::{header, viewing};
use crate::stream::painter::Painter;
use crate::stream::recording::Recording;
use crate::stream::retention::Retention;
use crate::stream::segments::{Segments, stamped};
use crate::stream::viewing::Viewing;
use crate::utc;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How the names of journals end.
const JOURNAL: &str = ".timeline.jsonl";
/// How often files beyond `--keep` are looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// How often the last picture is shown again while no other comes.
const REPEAT: Duration = Duration::from_secs(1);

/// Everything that a live stream writes to.
pub struct Keeping {
    plan: Plan,
    header: Header,
    diary: Diary,
    recording: Recording,
    painter: Option<(Facts, Painter)>,
    viewing: Option<Viewing>,
    broadcast: Broadcast,
    post: Arc<Post>,
    /// The last picture, for windows and pages to show while no other comes.
    seen: Option<Seen>,
    /// Cuts the timeline, by the day or with the videos.
    segments: Segments,
    summary: PathBuf,
    gaps: Gaps,
    intervals: u64,
    began: Instant,
    swept: Instant,
    retention: Option<Retention>,
}

struct Seen {
    frame: Box<Frame>,
    label: Option<String>,
    /// When it was shown last.
    at: Instant,
}

impl Keeping {
    /// Opens the timeline.
    ///
    /// # Errors
    /// Usage, where its folder cannot be written to, or the one video file is there already.
    pub fn create(context: &Context, live: &Live) -> Result<Self> {
        let plan = live.record.clone();
        if !plan.folder.as_os_str().is_empty() {
            std::fs::create_dir_all(&plan.folder).map_err(|cause| {
                Error::usage(format!("{}: the folder cannot be made", plan.folder.display()))
                    .because(cause)
                    .remedy("choose a folder that can be written to")
            })?;
        }
        // Before this run has written anything.
        let retention = plan.keep.map(|keep| Retention::new(&plan.folder, &plan.stem, keep));
        let now = utc::now();
        let header = header(context);
        let opened = Header { opened: Some(header.started.clone()), opened_ms: Some(0.0), ..header.clone() };
        let path = stamped(&plan.folder, &plan.stem, now, JOURNAL);
        // The journal is of this run alone, and so is what is called like it.
        let name = path.to_string_lossy();
        let summary = PathBuf::from(format!("{}.summary.json", name.strip_suffix(JOURNAL).unwrap_or(&name)));
        let recorded = plan.file.is_some() || plan.segment.is_some();
        let mut segments = Segments::new(plan.segment.unwrap_or(DAY));
        segments.due(now);
        Ok(Self {
            diary: Diary::create(path, opened)?,
            header,
            recording: Recording::new(&plan, context.post),
            painter: None,
            viewing: viewing(context, recorded, Some(&plan.folder), false)?,
            broadcast: Broadcast::new(context.post),
            post: Arc::clone(context.post),
            seen: None,
            segments,
            summary,
            gaps: Gaps::default(),
            intervals: 0,
            began: Instant::now(),
            swept: Instant::now(),
            retention,
            plan,
        })
    }

    /// Takes a labelled frame.
    ///
    /// # Errors
    /// Internal, where the label cannot be drawn. A file that fails is told and left out.
    pub fn frame(&mut self, frame: Box<Frame>, label: Option<&str>, verdict: Verdict, smoothed: &[f64]) -> Result<()> {
        self.rotate();
        let viewed = self.viewing.as_mut().is_some_and(Viewing::wants);
        let broadcast = !self.recording.wanted() && self.broadcast.wants();
        if self.recording.wanted() || viewed || broadcast {
            let (facts, painter) = canvas(&mut self.painter, &frame, self.viewing.is_some());
            match painter.paint_if_free(&frame, label)? {
                Some(picture) => {
                    if self.recording.wanted() {
                        self.recording.write(&picture, facts, frame.pts, frame.duration, label.is_some());
                    }
                    if let Some(viewing) = self.viewing.as_mut().filter(|_| viewed) {
                        viewing.show(&picture, facts, frame.pts, frame.duration)?;
                    }
                    if broadcast {
                        self.broadcast.show(&picture, facts, frame.pts, frame.duration);
                    }
                }
                None if self.recording.wanted() => self.recording.skip(),
                None => {}
            }
        }
        let Layout { width, height } =
            self.painter.as_ref().map_or_else(|| frame.facts().layout, |(facts, _)| facts.layout);
        self.post.progress.status_mut().size = Some((width, height));
        self.diary.append(Record::Frame {
            ms: milliseconds(frame.pts),
            label: label.map(Into::into),
            confidence: rounded(verdict.confidence),
            smoothed: smoothed.iter().copied().map(rounded).collect(),
        });
        let kept = self.viewing.is_some() || self.post.is_shown();
        self.seen = kept.then(|| Seen { frame, label: label.map(Into::into), at: Instant::now() });
        Ok(())
    }

    /// Takes an interval, where one was closed.
    pub fn interval(&mut self, closed: Option<Interval>, labels: &[String]) {
        let Some(interval) = closed else { return };
        self.intervals += 1;
        self.diary.append(Record::Interval(LabelledInterval {
            label: labels[interval.class].clone(),
            start: milliseconds(interval.start),
            end: milliseconds(interval.end),
            mean: rounded(interval.mean),
            peak: rounded(interval.peak),
        }));
    }

    /// The camera was lost.
    ///
    /// # Errors
    /// Internal, where the last picture cannot be drawn anew.
    pub fn lost(&mut self, ms: f64, reason: &'static str) -> Result<()> {
        self.recording.pause();
        self.diary.append(Record::Lost { ms, reason: reason.into() });
        let Some(seen) = &mut self.seen else { return Ok(()) };
        seen.label = None;
        let frame = &seen.frame;
        if let (Some((facts, painter)), Some(viewing)) = (&mut self.painter, &mut self.viewing)
            && let Some(picture) = painter.paint_if_free(frame, None)?
        {
            viewing.show(&picture, facts, frame.end(), frame.duration)?;
            viewing.show(&picture, facts, frame.pts, frame.duration)?;
        }
        self.repeat()
    }

    /// While no picture comes: reads the window's keys, and gives those who watch a page the last picture now and then,
    /// as they may have come later.
    ///
    /// # Errors
    /// Internal, where the last picture cannot be drawn anew.
    pub fn attend(&mut self) -> Result<()> {
        if let Some(viewing) = &mut self.viewing {
            viewing.wants();
        }
        match &self.seen {
            Some(seen) if seen.at.elapsed() >= REPEAT => self.repeat(),
            _ => Ok(()),
        }
    }

    fn repeat(&mut self) -> Result<()> {
        let Some(seen) = self.seen.as_mut().filter(|_| self.broadcast.wants()) else { return Ok(()) };
        seen.at = Instant::now();
        let (frame, label) = (&seen.frame, seen.label.as_deref());
        let (facts, painter) = canvas(&mut self.painter, frame, self.viewing.is_some());
        if let Some(picture) = painter.paint_if_free(frame, label)? {
            self.broadcast.show(&picture, facts, frame.pts, frame.duration);
        }
        Ok(())
    }

    /// A stretch without frames, now that it is over.
    pub fn gap(&mut self, start: u64, end: u64, reason: Option<&'static str>) {
        let (start, end) = (milliseconds(start), milliseconds(end));
        self.gaps.add((end - start).max(0.0));
        self.diary.append(Record::Gap { start, end, reason: Some(reason.unwrap_or("clock jump").into()) });
    }

    pub fn gaps(&self) -> u64 {
        self.gaps.count
    }

    /// Begins new files where it is time, and deletes what is beyond `--keep`.
    fn rotate(&mut self) {
        let now = utc::now();
        let recording = self.recording.rotate(now);
        if self.segments.due(now) {
            let path = stamped(&self.plan.folder, &self.plan.stem, now, JOURNAL);
            self.diary.rotate(path, utc::exact(now), now_ms(self.began));
        }
        let Some(retention) = &mut self.retention else { return };
        if recording || self.swept.elapsed() >= SWEEP {
            self.swept = Instant::now();
            let open: Vec<&Path> = [Some(self.diary.path()), self.recording.open()].into_iter().flatten().collect();
            for path in retention.apply(SystemTime::now(), Instant::now(), &open) {
                tracing::debug!("{}: deleted", path.display());
            }
        }
    }

    /// Closes everything and writes the summary.
    pub fn finish(
        mut self,
        last: Option<Interval>,
        counts: Counts,
        status: &Status,
        latency_ms: Latency,
        wall: Duration,
    ) -> Summary<Latency> {
        let labels = self.header.model.labels.clone();
        self.interval(last, &labels);
        let (videos, video_failures, pictures_skipped) = self.recording.finish();
        let frames = Balance::from(counts);
        let labelled = (frames.analysed + frames.held) as f64;
        self.diary.append(Record::End {
            frames: frames.clone(),
            wall_s: wall.as_secs_f64(),
            frames_per_second: labelled / wall.as_secs_f64().max(1e-9),
            reconnects: status.reconnects,
            auto_stride: None,
            complete: true,
        });
        let summary = Summary {
            schema: SUMMARY_SCHEMA,
            version: SUMMARY_VERSION,
            input: self.header.input,
            started: self.header.started,
            ended: utc::exact(utc::now()),
            frames,
            wall_s: wall.as_secs_f64(),
            reconnects: status.reconnects,
            stalls: status.stalls,
            gaps: self.gaps,
            intervals: self.intervals,
            latency_ms,
            videos,
            video_failures,
            pictures_skipped,
        };
        if let Err(error) = diary::summarise(&self.summary, &summary) {
            tracing::error!("{error}");
        }
        summary
    }
}

/// What pictures are drawn with. A camera that changes its size is scaled to the first, which files and window were begun
/// with.
fn canvas<'a>(painter: &'a mut Option<(Facts, Painter)>, frame: &Frame, in_window: bool) -> &'a mut (Facts, Painter) {
    painter.get_or_insert_with(|| {
        let facts = frame.facts();
        (facts.clone(), Painter::new(facts.layout, in_window))
    })
}
