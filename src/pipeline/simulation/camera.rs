//! A camera of a simulated run: the real supervisor and the real second thread with its sinks, and frames made up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::labels::sampling::Sample;
use crate::labels::stride::Stride;
use crate::media::frame::Frame;
use crate::media::packets::PacketQueue;
use crate::media::supervisor::{LossReason, Step, Supervisor};
use crate::media::video_format::FrameLayout;
use crate::pipeline::context::StreamContext;
use crate::pipeline::outcome::Outcome;
use crate::pipeline::prepare::Prediction;
use crate::pipeline::present::Presenter;
use crate::pipeline::simulation::calendar::{self, MINUTE, Space, TICK_SECONDS};
use crate::pipeline::{sinks, source, stride};

const LAYOUT: FrameLayout = FrameLayout { width: 64, height: 36 };
/// Frames after a full hour, and of a new connection: files end and begin with the first, and are complete with the others.
const AFTER_HOUR: u64 = 3;
/// Bytes of a packet of the camera's own video.
const PACKET: usize = 700;

/// The files that a camera must have made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    pub journals: usize,
    pub videos: usize,
}

impl Made {
    pub fn plus(self, other: Self) -> Self {
        Self { journals: self.journals + other.journals, videos: self.videos + other.videos }
    }
}

pub struct Camera<'a> {
    context: &'a StreamContext<'a>,
    presenter: Presenter<'a>,
    supervisor: Supervisor,
    packets: Option<Arc<PacketQueue>>,
    began: Instant,
    connected: bool,
    /// Whether no frame of this connection has come yet.
    first: bool,
    sequence: u64,
    discontinuity: u64,
    hour: Option<i64>,
    after_hour: u64,
    /// What is expected of its files.
    pub made: Made,
    journal: Option<i128>,
    video: Option<i128>,
    recording: bool,
    failed: bool,
}

impl<'a> Camera<'a> {
    pub fn start(context: &'a StreamContext<'a>, seed: u64) -> Self {
        let live = context.job.live.as_deref().unwrap();
        let began = context.clock.instant();
        context.state.start();
        context.state.begin(began);
        let packets = source::packets(&context.job.name, live);
        let sinks = sinks::camera(context, live, began, packets.as_ref()).unwrap();
        let rule = context.job.label_config.rule(context.model);
        let labeler = rule.labeler(context.model.labels.len(), 0);
        let presenter = Presenter::new(context, sinks, labeler, stride::select(Stride::Every(1), Some(1)), began);
        let mut camera = Self {
            context,
            presenter,
            supervisor: Supervisor::new(seed),
            packets,
            began,
            connected: false,
            first: true,
            sequence: 0,
            discontinuity: 0,
            hour: None,
            after_hour: 0,
            made: Made { journals: 1, videos: 0 },
            journal: None,
            video: None,
            recording: false,
            failed: false,
        };
        camera.journal = Some(camera.slot(camera.journal_length()));
        camera
    }

    /// A tick passes. Returns whether files may have ended.
    pub fn tick(&mut self, tick: u64, script: &mut calendar::Camera, space: Space) -> bool {
        let at = self.context.clock.since(self.began);
        let outage = script.outages.at(tick).map(|(_, reason)| reason);
        if self.connected {
            match outage {
                None => self.supervisor.frame(at),
                Some(LossReason::Stalled) => {}
                Some(reason) => self.supervisor.fault(reason),
            }
        }
        let mut changed = false;
        match self.supervisor.poll(at) {
            Step::Connect => self.connect(),
            Step::Disconnect(reason) => {
                self.disconnect(reason);
                changed = true;
            }
            Step::Wait => {}
        }
        let now = self.context.clock.utc();
        self.context.state.progress.status_mut().enter(self.supervisor.state().into(), now);
        if !self.connected {
            // As while no frames come, only less often.
            if tick.is_multiple_of(10 * MINUTE) || changed {
                self.presenter.sinks.idle().unwrap();
                changed = true;
            }
            return changed;
        }
        let shown = script.shown.at(tick);
        if outage.is_some() {
            return changed;
        }
        let hour = Some(now.unix_timestamp().div_euclid(3600));
        if self.hour != hour {
            (self.hour, self.after_hour) = (hour, AFTER_HOUR);
        }
        if self.first {
            self.after_hour = AFTER_HOUR;
        }
        if self.after_hour > 0 || shown.is_some() {
            let is_last = shown.is_none_or(|(end, ())| end == tick + 1);
            self.frame(at, !is_last, space);
            // The file that the first of them ended is complete.
            return changed || self.after_hour == 0 && shown.is_none();
        }
        changed
    }

    fn connect(&mut self) {
        (self.connected, self.first) = (true, true);
        if let Some(packets) = &self.packets {
            packets.connected();
        }
    }

    fn disconnect(&mut self, reason: LossReason) {
        self.connected = false;
        if let Some(packets) = &self.packets {
            packets.disconnected();
        }
        self.presenter.camera_lost(reason).unwrap();
        self.recording = false;
    }

    fn frame(&mut self, at: Duration, shown: bool, space: Space) {
        let (pts, duration) = (at.as_nanos() as u64, TICK_SECONDS * 1_000_000_000);
        self.after_hour = self.after_hour.saturating_sub(1);
        self.discontinuity += u64::from(std::mem::take(&mut self.first) && self.sequence > 0);
        let mut frame = Box::new(Frame::grey(LAYOUT, 128, pts, duration, self.sequence));
        frame.discontinuity = self.discontinuity;
        frame.arrival = self.context.clock.instant();
        self.sequence += 1;
        self.context.state.progress.counters.arrived(frame.arrival);
        if let Some(packets) = &self.packets {
            packets.simulate(pts, duration, PACKET);
        }
        self.expect_files(space);
        let probabilities = if shown { vec![0.9, 0.1] } else { vec![0.5, 0.5] };
        self.presenter.present(frame, Prediction::Sampled(Sample { probabilities, analysed: true })).unwrap();
    }

    /// Counts the files that begin with a frame.
    fn expect_files(&mut self, space: Space) {
        let journal = Some(self.slot(self.journal_length()));
        if self.journal != journal {
            self.journal = journal;
            self.made.journals += 1;
        }
        let Some(length) = self.recording_length() else { return };
        let video = Some(self.slot(length));
        if self.video != video {
            self.video = video;
            (self.recording, self.failed) = (false, false);
        }
        if space != Space::Enough {
            (self.recording, self.failed) = (false, true);
        } else if !self.recording && !self.failed {
            self.recording = true;
            self.made.videos += 1;
        }
    }

    /// Returns the number of the stretch of this length that the time of day is in.
    fn slot(&self, length: Duration) -> i128 {
        self.context.clock.utc().unix_timestamp_nanos().div_euclid(length.as_nanos() as i128)
    }

    fn recording_length(&self) -> Option<Duration> {
        self.context.job.live.as_ref().and_then(|live| live.recording.segment)
    }

    fn journal_length(&self) -> Duration {
        self.recording_length().unwrap_or(Duration::from_secs(86_400))
    }

    /// The user stops the program.
    pub fn stop(self) {
        let frames = self.context.state.progress.counters.close();
        let mut outcome = Outcome { frames: frames.into(), complete: true, ..Outcome::new(self.began) };
        assert_eq!(outcome.frames.decoded, outcome.frames.analysed);
        self.presenter.finish(&mut outcome);
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
    }
}
