//! The pipeline, from a source's events to the sinks: frames of any times and sizes, gaps and losses.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::config::Config;
use crate::config::inputs::Job;
use crate::config::options::{RunOptions, StreamOptions};
use crate::config::settings::Settings;
use crate::error::Result;
use crate::fuzz::files::Scratch;
use crate::inference::device::{Device, DeviceSelection};
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::inference::session::SessionOptions;
use crate::labels::intervals::Interval;
use crate::labels::stride::Stride;
use crate::labels::window::{SmoothingWindow, WindowAlign};
use crate::media::frame::Frame;
use crate::media::frame_counters::FrameCounters;
use crate::media::supervisor::LossReason;
use crate::media::video_format::{FrameLayout, VideoFormat};
use crate::pipeline::context::StreamContext;
use crate::pipeline::observer::Observer;
use crate::pipeline::outcome::EngineInfo;
use crate::pipeline::sinks::segment_files::SegmentRecords;
use crate::pipeline::sinks::set::Sinks;
use crate::pipeline::sinks::sink::{Gap, LabeledFrame, Sink};
use crate::pipeline::source::{FrameSource, SourceEvent};
use crate::pipeline::stream::{self, Stream};
use crate::shutdown::Shutdown;
use crate::system::clock::SystemClock;
use crate::telemetry::status::Status;

/// Most frames of an input.
const MAX_FRAMES: usize = 300;
/// Frames that may wait for their label.
const MAX_HELD: usize = 48;
/// Frames that are on the way besides: in channels, and at the engine.
const ON_THE_WAY: u64 = 64;
const MILLISECOND: u64 = 1_000_000;
/// A model whose answer depends on the mean of a picture.
const MODEL: &[u8] = include_bytes!("../../fuzz/seeds/model/grey");

/// What is made once: the engine, and an input of each kind.
struct Setting {
    model: Model,
    engine: Arc<Engine>,
    clip: Job,
    camera: Job,
}

thread_local!(static SETTING: Setting = Setting::new());

/// What a source does next.
enum Step {
    Frame { grey: u8, after: u64, layout: FrameLayout, jump: bool },
    Nothing,
    Lost,
}

/// The first bytes choose the settings, the others the events.
pub fn pipeline(bytes: &[u8]) {
    let [kind, window, stride, events @ ..] = bytes else { return };
    SETTING.with(|setting| {
        let live = kind % 2 == 1;
        let mut job = if live { setting.camera.clone() } else { setting.clip.clone() };
        let config = &mut job.label_config;
        config.window = Some(match window % 4 {
            0 => SmoothingWindow::Predictions(1),
            1 => SmoothingWindow::Predictions(usize::from(window / 4) + 1),
            2 => SmoothingWindow::Predictions(128),
            _ => SmoothingWindow::Time(Duration::from_millis(u64::from(window / 4) * 20 + 1)),
        });
        let centred = !live && kind / 2 % 2 == 1;
        config.align = if centred { WindowAlign::Centred } else { WindowAlign::Trailing };
        config.hysteresis = Some(f64::from(kind / 4 % 4) / 10.0);
        config.stride = if stride % 3 == 0 { Stride::Auto } else { Stride::Every(u64::from(stride % 7) + 1) };
        setting.run(&job, steps(events, live));
    });
}

fn steps(events: &[u8], live: bool) -> VecDeque<Step> {
    let mut steps = VecDeque::new();
    let mut layout = FrameLayout { width: 32, height: 18 };
    for [event, grey] in events.as_chunks::<2>().0.iter().take(MAX_FRAMES) {
        let after = u64::from(event / 8) * 7 * MILLISECOND;
        steps.push_back(match event % 8 {
            5 => Step::Frame { grey: *grey, after: 100 * after + 1100 * MILLISECOND, layout, jump: true },
            6 if live => {
                layout.width = 16 + 2 * usize::from(grey % 16);
                Step::Frame { grey: *grey, after, layout, jump: true }
            }
            7 if live && grey % 2 == 0 => Step::Lost,
            7 => Step::Nothing,
            _ => Step::Frame { grey: *grey, after, layout, jump: false },
        });
    }
    steps
}

impl Setting {
    fn new() -> Self {
        crate::media::init().expect("GStreamer");
        Scratch::with(|scratch| {
            let model = Model::read(&scratch.file("grey.onnx", MODEL)).expect("a model");
            let options = SessionOptions::of(DeviceSelection::Exactly(Device::Cpu), 1);
            let engine = Engine::start(&model, options, Arc::new(|| false)).expect("an engine");
            let job = |input: PathBuf, only| {
                let streams = StreamOptions {
                    input: vec![input],
                    only,
                    output_dir: Some(scratch.path().into()),
                    ..StreamOptions::default()
                };
                let settings = Settings { streams, run: RunOptions::default(), origin: None };
                Config::resolve(settings).expect("an input").jobs.remove(0)
            };
            let clip = job(scratch.file("clip.mp4", b"clip"), Some(Vec::new()));
            let camera = job("test://".into(), None);
            Self { model, engine: Arc::new(engine), clip, camera }
        })
    }

    fn run(&self, job: &Job, steps: VecDeque<Step>) {
        let live = job.live.is_some();
        let clock = SystemClock::shared();
        let state = stream::state(job, &self.model, false, &clock);
        let (shutdown, info) = (Shutdown::default(), EngineInfo::of(&self.engine));
        let context = StreamContext {
            job,
            model: &self.model,
            engine: &info,
            state: &state,
            shutdown: &shutdown,
            event_bus: None,
            table: None,
            overview: None,
            index: None,
            learning: None,
            observer: &Nobody,
            clock: &clock,
            display: false,
            encoders: 1,
        };
        let began = clock.instant();
        state.start();
        state.begin(began);
        let frames = steps.iter().filter(|step| matches!(step, Step::Frame { .. })).count();
        let script = Script {
            steps,
            live,
            pts: 0,
            sequence: 0,
            discontinuity: 0,
            counters: Arc::clone(&state.progress.counters),
            shutdown: shutdown.clone(),
        };
        let seen: Rc<RefCell<Seen>> = Rc::default();
        let layout = FrameLayout { width: 32, height: 18 };
        let format =
            VideoFormat { layout, frame_rate: Some((25, 1)), pixel_aspect: (1, 1), duration: None, decoder: None };
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Recorder(Rc::clone(&seen)))];
        let stream = Stream {
            source: Box::new(script),
            sinks: Sinks::new(&context, sinks, (!live).then_some(format), false, SegmentRecords::default()),
            began,
            decode_errors: None,
            decoder: None,
            max_held: if live { 0 } else { MAX_HELD },
            frame_rate: 25.0,
        };
        let outcome = stream::analyse(&context, Arc::clone(&self.engine), None, stream);
        let counts = outcome.frames;
        let seen = seen.borrow();
        assert_eq!(counts.decoded, counts.analysed + counts.held + counts.dropped.values().sum::<u64>());
        assert!(seen.frames as u64 <= counts.decoded && counts.decoded == frames as u64);
        // A camera's frame without a prediction is counted and not shown.
        assert!(live || seen.frames == frames || frames == 0, "{} of {frames} frames", seen.frames);
        assert_eq!(outcome.intervals, seen.intervals);
    }
}

/// A source that does what an input says.
struct Script {
    steps: VecDeque<Step>,
    live: bool,
    pts: u64,
    sequence: u64,
    discontinuity: u64,
    counters: Arc<FrameCounters>,
    shutdown: Shutdown,
}

impl FrameSource for Script {
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    fn next(&mut self, _timeout: Duration) -> Result<Option<SourceEvent>> {
        let counts = self.counters.counts();
        assert_eq!(counts.decoded, counts.labelled() + counts.dropped_total() + counts.in_flight);
        assert!(counts.in_flight <= MAX_HELD as u64 + ON_THE_WAY, "{} frames wait", counts.in_flight);
        Ok(match self.steps.pop_front() {
            None if self.live => {
                self.shutdown.request();
                None
            }
            None => Some(SourceEvent::End),
            Some(Step::Nothing) => None,
            Some(Step::Lost) => {
                self.discontinuity += 1;
                // To connect again takes longer than a frame.
                self.pts += 200 * MILLISECOND;
                Some(SourceEvent::Lost(LossReason::Stalled))
            }
            Some(Step::Frame { grey, after, layout, jump }) => {
                self.discontinuity += u64::from(jump);
                self.pts += after + 1;
                self.sequence += 1;
                self.counters.arrived(Instant::now());
                // A container may state any duration.
                let duration = u64::from(grey % 4) * 40 * MILLISECOND;
                let mut frame = Box::new(Frame::grey(layout, grey, self.pts, duration, self.sequence));
                frame.discontinuity = self.discontinuity;
                Some(SourceEvent::Frame(frame))
            }
        })
    }

    fn report(&self, _status: &mut Status, _now: OffsetDateTime) {}

    fn backlog(&self) -> Option<(usize, usize)> {
        self.live.then(|| (self.steps.len().min(4), 4))
    }
}

/// What the sinks were told.
#[derive(Default)]
struct Seen {
    frames: usize,
    intervals: u64,
    pts: Option<u64>,
    sequence: u64,
    end: u64,
}

struct Recorder(Rc<RefCell<Seen>>);

impl Sink for Recorder {
    fn frame(&mut self, frame: &LabeledFrame) -> Result<()> {
        let mut seen = self.0.borrow_mut();
        let (pts, sequence) = (frame.frame.pts, frame.frame.sequence);
        assert!(seen.pts.is_none_or(|last| last < pts), "frames are in order");
        assert!(sequence > seen.sequence, "no frame comes twice");
        assert!(frame.smoothed.iter().all(|value| (-1e-6..=1.0 + 1e-6).contains(value)), "{:?}", frame.smoothed);
        assert!(frame.open.as_ref().is_none_or(|open| open.start >= seen.end), "{:?} after {}", frame.open, seen.end);
        (seen.pts, seen.sequence, seen.frames) = (Some(pts), sequence, seen.frames + 1);
        Ok(())
    }

    fn interval(&mut self, interval: &Interval) -> Result<()> {
        let mut seen = self.0.borrow_mut();
        assert!(interval.start <= interval.end, "{interval:?}");
        assert!(interval.start >= seen.end, "{interval:?} begins before the one before ended, at {}", seen.end);
        (seen.end, seen.intervals) = (interval.end, seen.intervals + 1);
        Ok(())
    }

    fn gap(&mut self, gap: &Gap) -> Result<()> {
        let mut seen = self.0.borrow_mut();
        assert!(gap.start <= gap.end, "a gap from {} to {}", gap.start, gap.end);
        assert!(
            gap.start == gap.end || seen.end <= gap.start,
            "an interval ends at {}, in the gap from {} to {}",
            seen.end,
            gap.start,
            gap.end
        );
        seen.end = seen.end.max(gap.end);
        Ok(())
    }
}

struct Nobody;

impl Observer for Nobody {}
