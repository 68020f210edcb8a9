//! Four hundred days of three cameras in less than a minute: the real supervisor, second thread, sinks, index and events, with
//! clocks that are simulated, frames made up, and a small disk that is full once a week. docs/hardening.md says what holds.

mod calendar;
mod camera;
mod checks;
mod files;
mod truth;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::Config;
use crate::config::events::{EventsConfig, JsonLines};
use crate::config::inputs::Job;
use crate::config::options::{Keep, RunOptions, SegmentVideo, StreamOptions};
use crate::config::settings::Settings;
use crate::events::event_bus::EventBus;
use crate::history::{IndexRounds, IndexWriter, local_time};
use crate::inference::model::Model;
use crate::labels::stride::Stride;
use crate::labels::window::SmoothingWindow;
use crate::pipeline::context::StreamContext;
use crate::pipeline::outcome::EngineInfo;
use crate::pipeline::stream;
use crate::shutdown::Shutdown;
use crate::system::clock::{Clock, SharedClock, SimulatedClock};
use crate::system::utc;
use crate::telemetry::{StreamState, Telemetry};
use calendar::{Calendar, DAY, End, Space, TICK_SECONDS};
use camera::{Camera, Made};
use checks::{Checks, Expected};
use files::Files;
use truth::Truth;

/// Folder of the simulation's disk, for the process that simulates.
const DISK: &str = "LIVELABEL_SIMULATED_DISK";
const MODEL: &[u8] = include_bytes!("../../../fuzz/seeds/model/grey");
const TICK: Duration = Duration::from_secs(TICK_SECONDS);
/// Ticks from midnight to its check, when the frames of midnight are in their files.
const AFTER_MIDNIGHT: u64 = 15;
/// A longer pause does not count as age.
const LONG_PAUSE: u64 = DAY;
/// As if this had passed, so that the index has all frames.
const LATER: Duration = Duration::from_secs(11);

/// What stays the same.
struct Setting {
    model: Model,
    jobs: Vec<Job>,
    keeps: Vec<(&'static str, Keep)>,
    clock: Arc<SimulatedClock>,
    shared: SharedClock,
    truth: Truth,
    zone: jiff::tz::TimeZone,
}

/// What goes on from run to run.
struct Progress {
    calendar: Calendar,
    tick: u64,
    files: Files,
    checks: Checks,
    /// Files that earlier runs made.
    made: Vec<Made>,
    /// Time of pauses that do not count as age.
    paused: Duration,
    space: Space,
    /// The hour that the time of day is in, and when midnight is checked.
    hour: i64,
    check: Option<u64>,
    midnights: usize,
    /// How many days of Berlin had 23, 24 and 25 hours.
    local_days: [usize; 3],
}

#[test]
fn a_year_of_cameras_in_a_minute() {
    let Some(disk) = std::env::var_os(DISK) else { return simulate_elsewhere() };
    let setting = Setting::new(Path::new(&disk));
    let mut progress = Progress::new(&setting, Path::new(&disk));
    for number in 0..progress.calendar.ends.len() {
        let (tick, end, pause) = progress.calendar.ends[number];
        progress.run(&setting, tick, end);
        setting.clock.advance(TICK * pause as u32);
        progress.tick += pause;
        if pause >= LONG_PAUSE {
            progress.paused += TICK * pause as u32;
        }
    }
    let Progress { checks, midnights, local_days, .. } = progress;
    // Of 399 midnights one comes twice, and four are in pauses; that in Berlin that comes twice is an hour of the day before.
    assert_eq!((midnights, local_days), (396, [2, 394, 1]));
    println!("{} intervals, {} recordings, {} files deleted", checks.intervals, checks.segments, checks.deleted);
}

/// Runs the test in a process of its own, with a small disk if one can be mounted.
fn simulate_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let test = ["--exact", "pipeline::simulation::a_year_of_cameras_in_a_minute", "--nocapture"];
    let script = "mount -t tmpfs -o size=32m tmpfs \"$0\" || exit 77\nexec \"$@\"";
    let given = ["--map-root-user", "--mount", "sh", "-c", script];
    let mut small = Command::new("unshare");
    let mounted = small.args(given).arg(folder.path()).arg(&program).args(test).env(DISK, folder.path()).output();
    let output = match mounted {
        Ok(output) if output.status.code() != Some(77) && !contains(&output.stderr, "unshare failed") => output,
        _ => {
            println!("no file system can be mounted: the disk is never full");
            Command::new(&program).args(test).env(DISK, folder.path()).output().unwrap()
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{text}");
}

fn contains(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

impl Setting {
    fn new(disk: &Path) -> Self {
        crate::media::init().unwrap();
        let path = disk.join("grey.onnx");
        std::fs::write(&path, MODEL).unwrap();
        let mut model = Model::read(&path).unwrap();
        model.labels = vec!["drinking".into(), "other".into()];
        let week = Keep::Age(Duration::from_secs(7 * 86_400));
        let hours = |hours: u64| Some(Duration::from_secs(3600 * hours));
        let cameras = [
            ("door", week, hours(6), None),
            ("garden", Keep::Bytes(600_000), hours(12), Some(SegmentVideo::Labelled)),
            ("hall", week, None, None),
        ];
        let job = |(name, keep, segment, segment_video): &(&str, Keep, Option<Duration>, Option<SegmentVideo>)| {
            let streams = StreamOptions {
                input: vec![PathBuf::from("test://")],
                name: Some(name.to_string()),
                output_dir: Some(disk.join("recordings")),
                window: Some(SmoothingWindow::Predictions(1)),
                threshold: Some(0.6),
                hysteresis: Some(0.0),
                stride: Some(Stride::Every(1)),
                keep: Some(*keep),
                segment: *segment,
                segment_video: *segment_video,
                ..StreamOptions::default()
            };
            let settings = Settings { streams, run: RunOptions::default(), origin: None };
            Config::resolve(settings).unwrap().jobs.remove(0)
        };
        let jobs = cameras.iter().map(job).collect();
        let clock = SimulatedClock::new(UNIX_EPOCH + Duration::from_secs(calendar::START));
        let shared: SharedClock = clock.clone();
        let zone = local_time::zone("Europe/Berlin").unwrap();
        let keeps = cameras.iter().map(|(name, keep, ..)| (*name, *keep)).collect();
        Self { model, jobs, keeps, clock, shared, truth: Truth::default(), zone }
    }
}

impl Progress {
    fn new(setting: &Setting, disk: &Path) -> Self {
        // A camera that is away for longer than its files are kept, and two that are for some days.
        let long = [Some(150..153), Some(330..333), Some(62..74)];
        Self {
            calendar: Calendar::new(&long),
            tick: 0,
            files: Files::new(disk),
            checks: Checks::default(),
            made: vec![Made::default(); setting.jobs.len()],
            paused: Duration::ZERO,
            space: Space::Enough,
            hour: hour(setting.clock.time()),
            check: None,
            midnights: 0,
            local_days: [0; 3],
        }
    }

    /// Runs the program until `tick`.
    fn run(&mut self, setting: &Setting, tick: u64, end: End) {
        let Setting { model, jobs, shared, truth, .. } = setting;
        let (index, mut rounds) = IndexWriter::new(vec![self.files.folder.clone()], shared);
        let telemetry = Arc::new(Telemetry::new(Vec::new(), true, shared));
        let lines = JsonLines::File(self.files.folder.with_file_name("events.jsonl"));
        let events = EventsConfig { lines: Some(lines), broker: None, webhooks: Vec::new() };
        let event_bus = EventBus::start(&events, &telemetry).unwrap();
        let states: Vec<Arc<StreamState>> = jobs.iter().map(|job| stream::state(job, model, false, shared)).collect();
        let (shutdown, engine) = (Shutdown::default(), EngineInfo::default());
        let context = |(job, state)| StreamContext {
            job,
            model,
            engine: &engine,
            state,
            shutdown: &shutdown,
            event_bus: event_bus.as_ref(),
            table: None,
            overview: None,
            index: Some(&index),
            learning: None,
            observer: truth,
            clock: shared,
            display: false,
            encoders: 1,
        };
        let contexts: Vec<StreamContext> = jobs.iter().zip(&states).map(context).collect();
        let mut cameras: Vec<Camera> =
            contexts.iter().zip(0..).map(|(context, number)| Camera::start(context, self.tick + number)).collect();
        while self.tick < tick {
            self.pass(setting);
            let mut changed = false;
            for (camera, script) in cameras.iter_mut().zip(&mut self.calendar.cameras) {
                changed |= camera.tick(self.tick, script, self.space);
            }
            if changed {
                self.look(setting);
                rounds.round(Duration::ZERO, Duration::ZERO);
            }
            if self.check.is_some_and(|check| check <= self.tick) {
                self.check = None;
                self.midnight(setting, &cameras, &mut rounds);
            }
        }
        for (made, camera) in self.made.iter_mut().zip(&cameras) {
            *made = made.plus(camera.made);
        }
        match end {
            End::Stopped => {
                cameras.into_iter().for_each(Camera::stop);
                drop(contexts);
                drop(index);
                self.look(setting);
                rounds.round(Duration::ZERO, Duration::ZERO);
            }
            End::Killed => {
                self.checks.killed += 1;
                drop(cameras);
            }
        }
        self.look(setting);
        event_bus.map(EventBus::finish);
    }

    /// A tick passes: the clocks go on, and may be set; the disk may be full.
    fn pass(&mut self, setting: &Setting) {
        self.tick += 1;
        setting.clock.advance(TICK);
        while let Some((_, ms)) = self.calendar.steps.first().copied().filter(|(tick, _)| *tick <= self.tick) {
            self.calendar.steps.remove(0);
            setting.clock.step(ms);
            self.checks.set_back += usize::from(ms <= -1000);
        }
        let space = if self.files.fills { Calendar::space(self.tick) } else { Space::Enough };
        if space != self.space {
            self.files.set_space(space);
            setting.truth.set_unwritable(space == Space::None);
        }
        self.space = space;
        let hour = hour(setting.clock.time());
        if hour != self.hour {
            self.hour = hour;
            let local = local_time::timestamp(hour * 3_600_000).to_zoned(setting.zone.clone()).hour();
            if hour % 24 == 0 || local == 0 {
                self.check = Some(self.tick + AFTER_MIDNIGHT);
            }
        }
    }

    fn midnight(&mut self, setting: &Setting, cameras: &[Camera], rounds: &mut IndexRounds) {
        self.look(setting);
        rounds.round(Duration::ZERO, LATER);
        // Each round does one piece of the work.
        for _ in 0..1000 {
            if rounds.is_behind() {
                rounds.round(Duration::ZERO, LATER);
            }
        }
        let expected = setting
            .keeps
            .iter()
            .zip(self.made.iter().zip(cameras))
            .map(|((name, keep), (made, camera))| (Expected { name, keep: *keep }, made.plus(camera.made)));
        let (reported, age) = (setting.truth.take(), self.age());
        let now = utc::epoch_ms(setting.clock.utc());
        println!("{}", utc::milliseconds(setting.clock.utc()));
        self.checks.midnight(&mut self.files, &expected.collect::<Vec<_>>(), &reported, age);
        if self.hour % 24 == 0 {
            self.checks.rebuilt(&self.files);
            self.midnights += 1;
        } else {
            let hours = self.checks.day(&self.files, &setting.zone, now);
            self.local_days[(hours - 23) as usize] += 1;
        }
    }

    fn look(&mut self, setting: &Setting) {
        self.files.look(setting.clock.time(), self.age());
    }

    /// Returns the time that recordings could age so far.
    fn age(&self) -> Duration {
        TICK * self.tick as u32 - self.paused
    }
}

/// Returns the hours from 1970 to a time.
fn hour(time: SystemTime) -> i64 {
    utc::of(time).unix_timestamp().div_euclid(3600)
}
