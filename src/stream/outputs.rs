//! The files of one stream: opened together, written frame by frame, closed together whatever happens.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::jobs::{Job, Outputs};
use crate::labels::intervals::Interval;
use crate::labels::stride::Stride;
use crate::labels::verdict::Verdict;
use crate::media::frame::Frame;
use crate::media::recorder::{Recorded, Recorder};
use crate::media::rhythm::constant_rate;
use crate::media::source::Facts;
use crate::printable;
use crate::report::journal::{AutoStride, Balance, Header, Journal, LabelledInterval, ModelName, Record};
use crate::report::{claim, milliseconds, plot, remove_empty, rounded, subtitles, timeline};
use crate::stream::Context;
use crate::stream::broadcast::Broadcast;
use crate::stream::painter::Painter;
use crate::stream::space::Space;
use crate::stream::viewing::Viewing;
use crate::utc;

/// Everything that a stream writes to.
pub struct Writers {
    outputs: Outputs,
    labels: Vec<String>,
    journal: Journal,
    painter: Option<Painter>,
    recorder: Option<Recorder>,
    /// Held so that no other run writes to the video, the plot or the subtitles. The journal's own is the timeline's too.
    claims: Vec<(PathBuf, File)>,
    viewing: Option<Viewing>,
    broadcast: Broadcast,
    facts: Facts,
    space: Vec<Space>,
    frames: u64,
    intervals: u64,
}

impl Writers {
    /// Creates the files. On an error those that were created are gone again.
    pub fn create(context: &Context, facts: &Facts) -> Result<Self> {
        let outputs = context.job.outputs.clone();
        for path in outputs.files().chain([outputs.journal.as_path()]) {
            make_folder(path)?;
            check_writable(path)?;
        }
        let folders = outputs.files().chain([outputs.journal.as_path()]).filter_map(Path::parent);
        let pixels = facts.layout.width * facts.layout.height;
        let mut space: Vec<Space> = Vec::new();
        for folder in folders {
            if space.iter().all(|space| !space.watches(folder)) {
                space.push(Space::new(folder, pixels));
            }
        }
        space.iter().try_for_each(|space| space.check(0, 0))?;
        let journal = Journal::create(&outputs.journal, header(context))?;
        let mut claims = Vec::new();
        let video = outputs.video.as_ref().map(|(path, _)| path);
        let claimed =
            [video, outputs.plot.as_ref(), outputs.subtitles.as_ref()].into_iter().flatten().try_for_each(|path| {
                claims.push((path.clone(), claim(path)?));
                Ok(())
            });
        let recorder = claimed.and_then(|()| match &outputs.video {
            None => Ok(None),
            Some((path, container)) => {
                let Context { job, post, shutdown, .. } = context;
                let rate = constant_rate(&job.input, facts.frame_rate, &|| shutdown.requested());
                Recorder::create(path, *container, facts, rate, post.taps(0)).map(Some)
            }
        });
        let recorder = recorder.inspect_err(|_| {
            let _ = fs::remove_file(&outputs.journal);
            claims.iter().for_each(|(path, claim)| remove_empty(claim, path));
        })?;
        let viewing = viewing(context, outputs.files().next().is_some(), outputs.journal.parent(), true)?;
        Ok(Self {
            labels: context.model.labels.clone(),
            painter: None,
            recorder,
            claims,
            viewing,
            broadcast: Broadcast::new(context.post),
            facts: facts.clone(),
            outputs,
            journal,
            space,
            frames: 0,
            intervals: 0,
        })
    }

    /// Writes one frame to every file.
    pub fn frame(&mut self, frame: &Frame, verdict: Verdict, smoothed: &[f64]) -> Result<()> {
        self.frames += 1;
        self.space.iter().try_for_each(|space| space.check(self.frames, self.journal.bytes()))?;
        let label = verdict.shown.then(|| self.labels[verdict.class].clone());
        self.draw(frame, label.as_deref())?;
        self.journal.append(&Record::Frame {
            ms: milliseconds(frame.pts),
            label,
            confidence: rounded(verdict.confidence),
            smoothed: smoothed.iter().copied().map(rounded).collect(),
        })
    }

    fn draw(&mut self, frame: &Frame, label: Option<&str>) -> Result<()> {
        let in_window = self.viewing.is_some();
        let viewing = self.viewing.as_mut().and_then(|viewing| viewing.wants().then_some(viewing));
        let broadcast = self.recorder.is_none() && self.broadcast.wants();
        if self.recorder.is_none() && viewing.is_none() && !broadcast {
            return Ok(());
        }
        let painter = self.painter.get_or_insert_with(|| Painter::new(self.facts.layout, in_window));
        let picture = match &self.recorder {
            Some(recorder) => {
                let canvas = recorder.canvas(painter.easel())?;
                let picture = painter.paint(canvas, frame, label)?;
                recorder.write(&picture, frame.pts, frame.duration)?;
                Some(picture)
            }
            None => painter.paint_if_free(frame, label)?,
        };
        let Some(picture) = picture else { return Ok(()) };
        if broadcast {
            self.broadcast.show(&picture, &self.facts, frame.pts, frame.duration);
        }
        match viewing {
            Some(viewing) => viewing.show(&picture, &self.facts, frame.pts, frame.duration),
            None => Ok(()),
        }
    }

    /// Writes an interval, where one was closed.
    pub fn interval(&mut self, closed: Option<Interval>) -> Result<()> {
        let Some(interval) = closed else { return Ok(()) };
        self.intervals += 1;
        self.journal.append(&Record::Interval(LabelledInterval {
            label: self.labels[interval.class].clone(),
            start: milliseconds(interval.start),
            end: milliseconds(interval.end),
            mean: rounded(interval.mean),
            peak: rounded(interval.peak),
        }))
    }

    /// A stretch without frames.
    pub fn gap(&mut self, start: u64, end: u64) -> Result<()> {
        self.journal.append(&Record::Gap { start: milliseconds(start), end: milliseconds(end), reason: None })
    }

    /// Closes every file, the ones after a failing one too.
    pub fn finish(mut self, balance: &Balance, began: Instant, stride: Option<(u64, f64)>, complete: bool) -> Files {
        let mut files = Files {
            result: Ok(()),
            written: Vec::new(),
            recorded: Recorded::default(),
            intervals: self.intervals,
            wall: Duration::ZERO,
        };
        if let (Some(recorder), Some((path, _))) = (self.recorder.take(), &self.outputs.video) {
            match recorder.finish() {
                Ok(None) => {}
                Ok(Some(recorded)) => {
                    files.recorded = recorded;
                    files.keep(path, Ok(()));
                }
                Err(error) => files.keep(path, Err(error)),
            }
        }
        files.wall = began.elapsed();
        let wall = files.wall.as_secs_f64();
        let labelled = (balance.analysed + balance.held) as f64;
        let end = Record::End {
            frames: balance.clone(),
            wall_s: wall,
            frames_per_second: labelled / wall.max(1e-9),
            reconnects: 0,
            auto_stride: stride.map(|(stride, agreement)| AutoStride { stride, agreement }),
            complete,
        };
        let ended = self.journal.append(&end);
        let Outputs { timeline, plot, subtitles, journal, .. } = &self.outputs;
        type Report = fn(&Path, &Path) -> Result<()>;
        let reports = [
            (timeline, timeline::write as Report),
            (subtitles, subtitles::write as Report),
            (plot, plot::write as Report),
        ];
        let mut all_written = ended.is_ok();
        for (path, write) in reports {
            if let Some(path) = path {
                let written = write(journal, path);
                all_written &= written.is_ok();
                files.keep(path, written);
            }
        }
        // What could not be written after all.
        self.claims.iter().for_each(|(path, claim)| remove_empty(claim, path));
        files.result = ended.and(files.result);
        if all_written {
            // The timeline holds all of it. Left behind, the journal would only do no harm.
            let _ = fs::remove_file(journal);
        }
        files
    }
}

/// What has become of the files.
pub struct Files {
    /// The first failure.
    pub result: Result<()>,
    pub written: Vec<PathBuf>,
    pub recorded: Recorded,
    pub intervals: u64,
    /// From the opened input to the closed video.
    pub wall: Duration,
}

impl Files {
    fn keep(&mut self, path: &Path, written: Result<()>) {
        match written {
            Ok(()) => self.written.push(path.to_path_buf()),
            Err(error) if self.result.is_ok() => self.result = Err(error),
            Err(_) => {}
        }
    }
}

/// Refuses to write over what is there, unless the user says so.
pub fn check_absent(job: &Job) -> Result<()> {
    let recorded = job.live.as_ref().and_then(|live| live.record.file.as_deref());
    let own = job.outputs.files().chain([job.outputs.journal.as_path()]);
    for path in own.chain(recorded) {
        if path.exists() {
            return Err(Error::usage(format!("{}: exists already", path.display()))
                .remedy("write over it with --force, or elsewhere with --output-dir"));
        }
    }
    Ok(())
}

/// Refuses a file that could not be written, before any work is done for it.
fn check_writable(path: &Path) -> Result<()> {
    let existed = path.exists();
    fs::OpenOptions::new().append(true).create(true).open(path).map_err(|cause| {
        Error::usage(format!("{}: cannot be written", path.display()))
            .because(cause)
            .remedy("choose a folder that can be written to")
    })?;
    if !existed {
        let _ = fs::remove_file(path);
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    fs::create_dir_all(folder).map_err(|cause| {
        Error::usage(format!("{}: the folder cannot be made", folder.display()))
            .because(cause)
            .remedy("choose a folder that can be written to")
    })
}

/// The window, where one is asked for. Without a display a run goes on if something else comes of it.
pub(super) fn viewing(context: &Context, others: bool, folder: Option<&Path>, paced: bool) -> Result<Option<Viewing>> {
    if !context.display {
        return Ok(None);
    }
    let folder = folder.unwrap_or(Path::new("")).to_path_buf();
    match Viewing::new(&context.job.name, context.job.stem(), folder, context.shutdown, paced) {
        Ok(viewing) => Ok(Some(viewing)),
        Err(error) if others => {
            tracing::warn!("{error}; the run goes on without it");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// How the run is set up.
pub(super) fn header(context: &Context) -> Header {
    let Context { job, labelling, model, engine, .. } = context;
    Header {
        input: printable::path(&job.input),
        started: utc::exact(utc::now()),
        model: ModelName { name: model.name.clone(), sha256: model.sha256.clone(), labels: model.labels.clone() },
        action: labelling.action.clone(),
        window: labelling.window.unwrap_or(model.window),
        threshold: labelling.threshold.unwrap_or(model.threshold),
        hysteresis: labelling.hysteresis,
        stride: match labelling.stride {
            Stride::Every(stride) => stride.into(),
            Stride::Auto => "auto".into(),
        },
        device: engine.device().to_string(),
        opened: None,
        opened_ms: None,
    }
}
