//! The configuration of a run: resolves settings into one consistent [`Config`].

mod bounded;
pub mod camera_credentials;
pub mod cameras;
pub mod certificate;
pub(crate) mod clip_list;
mod credentials;
pub mod events;
pub mod inputs;
pub mod learning;
pub mod nats;
pub mod options;
mod origin;
pub mod pictures;
mod run_files;
pub mod settings;
pub mod shard;
pub mod web;

use std::path::PathBuf;
use std::time::Duration;

use crate::config::events::EventsConfig;
use crate::config::inputs::{Inputs, Job, check_ranges, check_run_ranges, inputs};
use crate::config::learning::LearningConfig;
use crate::config::origin::Origin;
use crate::config::pictures::PictureJob;
use crate::config::run_files::{RunFiles, check_events};
use crate::config::settings::Settings;
use crate::config::shard::Shard;
use crate::config::web::WebConfig;
use crate::error::{Error, Result};
use crate::inference::batches::Arrival;
use crate::inference::session::SessionOptions;
use crate::labels::stride::Stride;
use crate::system::memory;

const DEFAULT_STATUS_INTERVAL: Duration = Duration::from_secs(60);
/// What a clip of large frames takes, in bytes: the frames that wait for their labels, and those on their way.
const CLIP_MEMORY: u64 = 512 << 20;

/// The configuration of a run, checked and complete. [`Config::resolve`] makes it from [`Settings`].
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub(crate) jobs: Vec<Job>,
    pub(crate) pictures: Vec<PictureJob>,
    /// The part of the inputs that these are, if they are not all.
    pub(crate) shard: Option<Shard>,
    /// The model file; `None` for the shipped one.
    pub(crate) model: Option<PathBuf>,
    /// Files that the settings were read from: pipeline, token, passwords.
    pub(crate) read: Vec<PathBuf>,
    /// Files with the results of all inputs.
    pub(crate) files: RunFiles,
    /// How to run the model.
    pub(crate) session: SessionOptions,
    /// Maximum number of clips that run at once; cameras do not count.
    pub(crate) max_clips: usize,
    pub(crate) force: bool,
    /// Whether clips that an earlier run completed are skipped.
    pub(crate) resume: bool,
    pub(crate) quiet: bool,
    /// Whether the closing lines have details.
    pub(crate) verbose: bool,
    /// Whether each stream opens a window.
    pub(crate) display: bool,
    /// Time between status lines of live streams.
    pub(crate) status_interval: Duration,
    /// Event receivers.
    pub(crate) events: EventsConfig,
    /// Whether the folders of cameras get an index.
    pub(crate) index: bool,
    /// Where frames are kept for learning, and how many; `None` if none are.
    pub(crate) learning: Option<LearningConfig>,
    /// Whether the process gives up the rights that the run does not need.
    pub(crate) sandbox: bool,
    /// The page's address and token; `None` if no page is served.
    pub(crate) web: Option<WebConfig>,
    /// Where the settings came from, if they can be read again while the run goes on.
    pub(crate) origin: Option<Box<Origin>>,
}

impl Config {
    /// Resolves settings.
    ///
    /// # Errors
    /// Returns a usage error if options contradict each other or are out of range.
    pub fn resolve(settings: Settings) -> Result<Self> {
        check_ranges(&settings.streams)?;
        check_run_ranges(&settings.run)?;
        let inputs = inputs(&settings)?;
        // A shard may have none.
        if settings.streams.input.is_empty() && settings.run.stream.is_empty() {
            return Err(Error::usage("no input").remedy("name a clip or a camera: livelabel run CLIP"));
        }
        let events = EventsConfig::resolve(&settings.run)?;
        check_events(&events, &inputs)?;
        let files = RunFiles::resolve(&settings, &inputs, &events)?;
        let Inputs { jobs, pictures } = inputs;
        let web = WebConfig::resolve(&settings.run)?;
        let learning = LearningConfig::resolve(&settings.run)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let live = jobs.iter().filter(|job| job.live.is_some()).count();
        let arrival = arrival(&jobs, !pictures.is_empty());
        let read = settings.files();
        let run = settings.run;
        Ok(Self {
            jobs,
            pictures,
            shard: run.shard,
            files,
            read,
            model: run.model,
            session: SessionOptions {
                selection: run.device.unwrap_or_default(),
                batch: run.batch,
                arrival,
                live,
                precision: run.inference_precision.unwrap_or_default(),
                ..SessionOptions::default()
            },
            max_clips: run.jobs.unwrap_or_else(|| clips_at_once(cores, memory::available())),
            force: run.force.unwrap_or(false),
            resume: run.resume.unwrap_or(false),
            quiet: run.quiet.unwrap_or(false),
            verbose: run.verbose.unwrap_or(false),
            display: run.display.unwrap_or(false),
            status_interval: run.status_interval.unwrap_or(DEFAULT_STATUS_INTERVAL),
            events,
            index: run.index.unwrap_or(true),
            learning,
            sandbox: !run.no_sandbox.unwrap_or(false),
            web,
            origin: None,
        })
    }

    /// Returns the shard of this run if it has none of the inputs.
    pub(crate) fn empty_shard(&self) -> Option<Shard> {
        self.shard.filter(|_| self.jobs.is_empty() && self.pictures.is_empty())
    }

    /// Returns the folders that get an index: those that cameras write to.
    pub(crate) fn index_folders(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = Vec::new();
        for live in self.jobs.iter().filter_map(|job| job.live.as_ref()).filter(|_| self.index) {
            if !folders.contains(&live.recording.folder) {
                folders.push(live.recording.folder.clone());
            }
        }
        folders
    }

    /// Resolves `flags`, and for what they leave open a pipeline: a TOML file or the name of a shipped one. A run with a file
    /// can reload it.
    ///
    /// # Errors
    /// Returns a usage error if the pipeline cannot be read, or those of [`Config::resolve`].
    pub fn read(flags: Settings, pipeline: Option<&str>) -> Result<Self> {
        let Some(pipeline) = pipeline else { return Self::resolve(flags) };
        let settings = flags.clone().over(Settings::read(pipeline)?);
        let origin = Origin::of(&flags, pipeline, &settings).map(Box::new);
        Ok(Self { origin, ..Self::resolve(settings)? })
    }
}

/// Returns how the frames of `jobs`, and of pictures if there are any, arrive at the model.
fn arrival(jobs: &[Job], pictures: bool) -> Arrival {
    let sampled = |job: &Job| job.live.is_none() && job.label_config.stride != Stride::Every(1);
    if jobs.iter().all(sampled) {
        Arrival::Singles
    } else if pictures || jobs.iter().any(|job| job.live.is_some() || sampled(job)) {
        Arrival::Both
    } else {
        Arrival::Batches
    }
}

/// Returns how many clips run at once by default: one a core, as far as the memory that is `available` goes.
pub(crate) fn clips_at_once(cores: usize, available: Option<u64>) -> usize {
    let fitting = available.map_or(usize::MAX, |bytes| (bytes / CLIP_MEMORY) as usize);
    cores.min(fitting).max(1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::options::{FileKind, RunOptions, StreamOptions};
    use crate::labels::window::SmoothingWindow;
    use crate::media::recorder::Container;

    fn stream(inputs: &[&str]) -> StreamOptions {
        StreamOptions { input: inputs.iter().map(PathBuf::from).collect(), ..Default::default() }
    }

    fn with(streams: StreamOptions) -> Settings {
        Settings { streams, ..Default::default() }
    }

    fn settings(inputs: &[&str]) -> Settings {
        with(stream(inputs))
    }

    fn rejection(settings: Settings) -> String {
        let error = Config::resolve(settings).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn by_default_four_files_are_written_to_the_current_folder() {
        let config = Config::resolve(settings(&["/data/clip.mp4"])).unwrap();
        let files: Vec<&Path> = config.jobs[0].outputs.files().collect();
        let expected = ["clip.labelled.avi", "clip.timeline.json", "clip.plot.png", "clip.vtt"];
        assert_eq!(files, expected.map(Path::new));
        assert_eq!(config.jobs[0].outputs.journal.as_deref(), Some(Path::new("clip.timeline.jsonl")));
    }

    #[test]
    fn a_journal_is_kept_only_for_files_that_are_made_from_it() {
        let journal = |only: &[FileKind]| {
            let streams = StreamOptions { only: Some(only.to_vec()), ..stream(&["clip.mp4"]) };
            Config::resolve(with(streams)).unwrap().jobs[0].outputs.journal.clone()
        };
        assert_eq!([journal(&[]), journal(&[FileKind::Video])], [None, None]);
        assert_eq!(journal(&[FileKind::Subtitles]), Some("clip.timeline.jsonl".into()));
    }

    #[test]
    fn inputs_with_equal_names_are_numbered() {
        let config = Config::resolve(settings(&["a/clip.mp4", "b/clip.mkv", "clip-2.avi"])).unwrap();
        let names: Vec<&str> = config.jobs.iter().map(|job| job.name.as_str()).collect();
        assert_eq!(names, ["clip.mp4", "clip-2.mkv", "clip-2-2.avi"]);
    }

    #[test]
    fn with_several_inputs_an_output_is_a_folder() {
        let several = with(StreamOptions { output: Some("out".into()), ..stream(&["a.mp4", "b.mp4"]) });
        let config = Config::resolve(several).unwrap();
        assert_eq!(config.jobs[1].outputs.video, Some(("out/b.labelled.avi".into(), Container::Avi)));
    }

    #[test]
    fn only_selects_the_kinds_of_file() {
        let only = with(StreamOptions {
            only: Some(vec![FileKind::Timeline]),
            plot: Some("p.svg".into()),
            ..stream(&["a.mp4"])
        });
        let config = Config::resolve(only).unwrap();
        let files: Vec<&Path> = config.jobs[0].outputs.files().collect();
        assert_eq!(files, ["a.timeline.json", "p.svg"].map(Path::new));
    }

    #[test]
    fn all_cameras_run_at_once_under_distinct_names() {
        let streams = StreamOptions { segment: Some(Duration::from_secs(60)), ..stream(&["test://"; 20]) };
        let run = RunOptions { jobs: Some(1), ..Default::default() };
        let config = Config::resolve(Settings { run, ..with(streams) }).unwrap();
        assert_eq!((config.jobs[0].name.as_str(), config.jobs[19].name.as_str()), ("test", "test-20"));
        assert_eq!(config.jobs[3].label_config.stride, Stride::Auto);
    }

    #[test]
    fn options_of_a_stream_override_shared_ones() {
        let own = StreamOptions {
            name: Some("door".into()),
            window: Some(SmoothingWindow::Predictions(8)),
            ..stream(&["test://"])
        };
        let run = RunOptions { stream: vec![own], ..Default::default() };
        let shared = StreamOptions {
            window: Some(SmoothingWindow::Predictions(64)),
            threshold: Some(0.5),
            ..Default::default()
        };
        let config = Config::resolve(Settings { run, ..with(shared) }).unwrap();
        let job = &config.jobs[0];
        assert_eq!(
            (job.label_config.window, job.label_config.threshold, job.name.as_str()),
            (Some(SmoothingWindow::Predictions(8)), Some(0.5), "door")
        );
    }

    #[test]
    fn as_many_clips_run_at_once_as_cores_and_memory_allow() {
        let gib = |count: u64| Some(count << 30);
        assert_eq!(
            [(2, gib(16)), (64, gib(8)), (64, None), (4, Some(0))]
                .map(|(cores, available)| clips_at_once(cores, available)),
            [2, 16, 64, 1]
        );
    }

    #[test]
    fn clips_are_sampled_unless_single_frames_decide() {
        let stride = |window: Option<SmoothingWindow>, input: &str| {
            let streams = StreamOptions { input: vec![input.into()], window, ..StreamOptions::default() };
            Config::resolve(Settings { streams, ..Settings::default() }).unwrap().jobs[0].label_config.stride
        };
        assert_eq!(stride(None, "clip.mp4"), Stride::Auto);
        assert_eq!(stride(Some(SmoothingWindow::Predictions(2)), "clip.mp4"), Stride::Auto);
        assert_eq!(stride(Some(SmoothingWindow::Predictions(1)), "clip.mp4"), Stride::Every(1));
        assert_eq!(stride(Some(SmoothingWindow::Predictions(1)), "test://"), Stride::Auto);
    }

    #[test]
    fn frames_of_sampled_clips_and_of_pictures_arrive_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let picture = folder.path().join("a.png");
        std::fs::write(&picture, b"\x89PNG\r\n\x1a\n").unwrap();
        let picture = picture.to_str().unwrap();
        let arrival = |stride: Option<Stride>, inputs: &[&str]| {
            Config::resolve(with(StreamOptions { stride, ..stream(inputs) })).unwrap().session.arrival
        };
        assert_eq!(arrival(None, &["a.mp4", "b.mp4"]), Arrival::Singles);
        assert_eq!(arrival(Some(Stride::Every(1)), &[picture]), Arrival::Singles);
        assert_eq!(arrival(Some(Stride::Every(1)), &["a.mp4"]), Arrival::Batches);
        assert_eq!(arrival(Some(Stride::Every(1)), &["a.mp4", picture]), Arrival::Both);
        assert_eq!(arrival(None, &["test://"]), Arrival::Both);
        assert_eq!(arrival(None, &["a.mp4", "test://"]), Arrival::Both);
    }

    #[test]
    fn invalid_options_are_rejected() {
        assert!(rejection(settings(&[])).contains("no input"));
        assert!(
            rejection(with(StreamOptions { threshold: Some(1.5), ..stream(&["a.mp4"]) })).contains("threshold 1.5")
        );
        assert!(
            rejection(with(StreamOptions { output: Some("a.mov".into()), ..stream(&["a.mp4"]) }))
                .contains(".avi or .mkv")
        );
        assert!(
            rejection(with(StreamOptions { output: Some("a.avi".into()), ..stream(&["a.avi"]) }))
                .contains("input and an output")
        );
        assert!(
            rejection(with(StreamOptions { plot: Some("p.jpg".into()), ..stream(&["a.mp4"]) }))
                .contains(".png or .svg")
        );
        assert!(
            rejection(with(StreamOptions { plot: Some("p.png".into()), ..stream(&["test://"]) })).contains("--plot")
        );
        assert!(rejection(settings(&["ftp://user:secret@camera/1"])).contains("unsupported scheme ftp://;"));
    }
}
