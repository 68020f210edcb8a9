//! The inputs of a run: each with the settings that hold for it, its name, and the files that come of it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::config::cameras::Live;
use crate::config::events::{EventsConfig, Lines};
use crate::config::options::{Kind, RunOptions, StreamOptions};
use crate::config::settings::Settings;
use crate::error::{Error, Result};
use crate::inference::model::LONGEST_WINDOW;
use crate::labels::stride::Stride;
use crate::media::camera::Camera;
use crate::media::limits::{Limits, MAX_PIXELS, MOST_PIXELS};
use crate::media::recorder::Container;

const LARGEST_BATCH: usize = 256;
/// What files of an input without a name are called after.
const UNNAMED: &str = "clip";

/// How frames are turned into labels.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelConfig {
    pub action: Option<String>,
    /// `None` leaves it to the model.
    pub window: Option<usize>,
    pub threshold: Option<f64>,
    pub hysteresis: f64,
    pub stride: Stride,
}

/// One input with the files that come of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub input: PathBuf,
    /// Different for each job: as the user says, or after the input, numbered where two are alike.
    pub name: String,
    pub outputs: Outputs,
    pub label_config: LabelConfig,
    pub limits: Limits,
    /// Set where the input is a camera; `input` is then its address without credentials, and `outputs` is empty.
    pub live: Option<Box<Live>>,
}

/// Where an input's results go; `None` is not written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    pub video: Option<(PathBuf, Container)>,
    pub timeline: Option<PathBuf>,
    pub plot: Option<PathBuf>,
    pub subtitles: Option<PathBuf>,
    /// Kept while the run goes, and after it where it could not be completed.
    pub journal: PathBuf,
}

impl Job {
    /// What its files' names begin with.
    pub fn stem(&self) -> &str {
        self.live.as_ref().map_or(&self.name, |live| &live.record.stem)
    }
}

impl Outputs {
    /// The files that remain after a complete run.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let video = self.video.as_ref().map(|(path, _)| path);
        [video, self.timeline.as_ref(), self.plot.as_ref(), self.subtitles.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }
}

impl LabelConfig {
    fn of(options: &StreamOptions, live: bool) -> Self {
        Self {
            action: options.action.clone(),
            window: options.window,
            threshold: options.threshold,
            hysteresis: options.hysteresis.unwrap_or(0.0),
            stride: options.stride.unwrap_or(if live { Stride::Auto } else { Stride::Every(1) }),
        }
    }
}

/// Every input with the options that hold for it.
pub(crate) fn jobs(settings: &Settings) -> Result<Vec<Job>> {
    let shared = StreamOptions { input: Vec::new(), ..settings.streams.clone() };
    let mut inputs: Vec<(StreamOptions, &PathBuf)> =
        settings.streams.input.iter().map(|input| (shared.clone(), input)).collect();
    for stream in &settings.run.stream {
        let [input] = stream.input.as_slice() else {
            return Err(Error::usage("a [[stream]] has one input").remedy("write input = [\"rtsp://CAMERA/PATH\"]"));
        };
        let own = StreamOptions { input: Vec::new(), ..stream.clone() }.over(shared.clone());
        check_ranges(&own)?;
        inputs.push((own, input));
    }
    let several = inputs.len() > 1;
    let mut taken = Taken::default();
    let mut jobs = Vec::new();
    for (options, input) in inputs {
        let text = input.to_string_lossy();
        jobs.push(if Camera::is_live(&text) {
            live_job(&options, &text, &mut taken)?
        } else {
            file_job(&options, input, several, &mut taken)?
        });
    }
    check_apart(&jobs)?;
    Ok(jobs)
}

/// Names that are given already: of streams, and of what their files begin with.
#[derive(Default)]
struct Taken {
    names: Names,
    stems: Names,
}

/// Names, none of them twice.
#[derive(Default)]
struct Names {
    given: HashSet<String>,
    /// For a name that was wanted again, the number that it was given last: none below is free.
    last: HashMap<String, usize>,
}

impl Names {
    /// `name`, numbered where it is taken.
    fn distinct(&mut self, name: &str) -> String {
        if self.given.insert(name.to_string()) {
            return name.to_string();
        }
        let last = self.last.entry(name.to_string()).or_insert(1);
        loop {
            *last += 1;
            let numbered = format!("{name}-{last}");
            if self.given.insert(numbered.clone()) {
                return numbered;
            }
        }
    }
}

fn live_job(options: &StreamOptions, input: &str, taken: &mut Taken) -> Result<Job> {
    let mut live = Live::resolve(options, input)?;
    let name = options.name.clone().unwrap_or_else(|| live.camera.stem());
    live.record.stem = taken.stems.distinct(&live.record.stem);
    Ok(Job {
        input: live.camera.to_string().into(),
        name: taken.names.distinct(&name),
        outputs: Outputs::default(),
        label_config: LabelConfig::of(options, true),
        limits: limits(options),
        live: Some(Box::new(live)),
    })
}

fn file_job(options: &StreamOptions, input: &Path, several: bool, taken: &mut Taken) -> Result<Job> {
    if options.segment.is_some() || options.keep.is_some() || options.only_active == Some(true) {
        return Err(Error::usage(format!("{}: --segment, --keep and --only-active are for cameras", input.display()))
            .remedy("leave them out for a recorded clip"));
    }
    if several {
        let named = [&options.output, &options.timeline, &options.plot, &options.subtitles];
        named.into_iter().flatten().try_for_each(|path| check_is_folder_name(path))?;
    }
    let wanted = |kind: Kind| options.only.as_ref().is_none_or(|only| only.contains(&kind));
    let stem = input.file_stem().unwrap_or_default().to_string_lossy();
    // Of `..mp4` a dot is left, and files of that name would be hidden.
    let stem = taken.stems.distinct(if stem.trim_matches('.').is_empty() { UNNAMED } else { &stem });
    let place = |kind: Kind, named: &Option<PathBuf>, suffix: &str| -> Option<PathBuf> {
        let file = format!("{stem}{suffix}");
        match named {
            Some(folder) if several => Some(folder.join(file)),
            Some(path) => Some(path.clone()),
            None if wanted(kind) => Some(options.output_dir.clone().unwrap_or_default().join(file)),
            None => None,
        }
    };
    let ending = format!(".labelled.{}", options.format.unwrap_or(Container::Avi).extension());
    let video = place(Kind::Video, &options.output, &ending).map(container).transpose()?;
    let timeline = place(Kind::Timeline, &options.timeline, ".timeline.json");
    let plot = place(Kind::Plot, &options.plot, ".plot.png");
    let subtitles = place(Kind::Subtitles, &options.subtitles, ".vtt");
    let journal = timeline.as_ref().map_or_else(
        || options.output_dir.clone().unwrap_or_default().join(format!("{stem}.timeline.jsonl")),
        |path| path.with_extension("jsonl"),
    );
    check_extension(plot.as_deref(), &["png", "svg"], "plot")?;
    check_extension(subtitles.as_deref(), &["vtt"], "subtitles")?;
    check_extension(timeline.as_deref(), &["json"], "timeline")?;
    let outputs = Outputs { video, timeline, plot, subtitles, journal };
    let name = input.extension().map_or(stem.clone(), |ext| format!("{stem}.{}", ext.to_string_lossy()));
    let name = taken.names.distinct(&name);
    let (label_config, limits) = (LabelConfig::of(options, false), limits(options));
    Ok(Job { input: input.into(), name, outputs, label_config, limits, live: None })
}

fn limits(options: &StreamOptions) -> Limits {
    let playlists = options.allow_playlists.unwrap_or(false);
    Limits { max_pixels: options.max_pixels.unwrap_or(MAX_PIXELS), playlists }
}

/// With several inputs an output is a folder; a file's name there is a mistake.
fn check_is_folder_name(path: &Path) -> Result<()> {
    let endings = ["avi", "mkv", "json", "png", "svg", "vtt"];
    let is_file = path.extension().is_some_and(|ending| endings.iter().any(|file| ending.eq_ignore_ascii_case(file)));
    if is_file && !path.is_dir() {
        return Err(Error::usage(format!("{}: one file cannot hold several inputs' results", path.display()))
            .remedy("name a folder; --format chooses the kind of video"));
    }
    Ok(())
}

fn container(path: PathBuf) -> Result<(PathBuf, Container)> {
    match Container::of(&path) {
        Some(container) => Ok((path, container)),
        None => Err(Error::usage(format!("output {}: cannot tell the format", path.display()))
            .remedy("end its name in .avi or .mkv")),
    }
}

fn check_extension(path: Option<&Path>, allowed: &[&str], what: &str) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if allowed.iter().any(|allowed| extension.eq_ignore_ascii_case(allowed)) {
        return Ok(());
    }
    Err(Error::usage(format!("{what} {}: cannot tell the format", path.display()))
        .remedy(format!("end its name in .{}", allowed.join(" or ."))))
}

/// No file may be written twice, nor an input be written over.
fn check_apart(jobs: &[Job]) -> Result<()> {
    let files = || jobs.iter().filter(|job| job.live.is_none());
    let inputs: HashSet<PathBuf> = files().map(|job| real(&job.input)).collect();
    let mut outputs = HashSet::new();
    for path in jobs.iter().filter_map(|job| job.live.as_ref()?.record.file.as_ref()) {
        if !outputs.insert(real(path)) {
            return Err(Error::usage(format!("{} would be written twice", path.display()))
                .remedy("give each camera an output of its own, or use --segment"));
        }
    }
    for job in files() {
        for path in job.outputs.files().chain([job.outputs.journal.as_path()]) {
            let path = real(path);
            if inputs.contains(&path) {
                return Err(Error::usage(format!("{} is an input and an output", path.display()))
                    .remedy("write to another name"));
            }
            if !outputs.insert(path.clone()) {
                return Err(Error::usage(format!("{} would be written twice", path.display()))
                    .remedy("give each output its own name"));
            }
        }
    }
    Ok(())
}

/// Events are appended, which would ruin any other file.
pub(crate) fn check_events(events: &EventsConfig, jobs: &[Job]) -> Result<()> {
    let Some(Lines::File(path)) = &events.lines else { return Ok(()) };
    let own = |job: &Job| {
        let files = job.outputs.files().chain([job.outputs.journal.as_path(), job.input.as_path()]);
        let recorded = job.live.as_ref().and_then(|live| live.record.file.as_deref());
        files.chain(recorded).any(|file| real(file) == real(path))
    };
    if jobs.iter().any(own) {
        return Err(Error::usage(format!("events {}: is another file of this run", path.display()))
            .remedy("write to another name"));
    }
    Ok(())
}

/// The file meant by a path, whether it exists or not.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_path_buf())
}

/// Refuses numbers that make no sense.
pub(crate) fn check_ranges(options: &StreamOptions) -> Result<()> {
    share("threshold", options.threshold)?;
    share("hysteresis", options.hysteresis)?;
    count("window", options.window, LONGEST_WINDOW)?;
    count("max_pixels", options.max_pixels, MOST_PIXELS)
}

/// The same for the whole run.
pub(crate) fn check_run_ranges(options: &RunOptions) -> Result<()> {
    count("batch", options.batch, LARGEST_BATCH)?;
    count("jobs", options.jobs, 1024)
}

fn share(name: &str, value: Option<f64>) -> Result<()> {
    match value {
        Some(value) if !(0.0..=1.0).contains(&value) => {
            Err(Error::usage(format!("{name} {value} is not between 0 and 1")).remedy("give a share such as 0.6"))
        }
        _ => Ok(()),
    }
}

fn count(name: &str, value: Option<usize>, most: usize) -> Result<()> {
    match value {
        Some(value) if value == 0 || value > most => {
            Err(Error::usage(format!("{name} {value} is out of range"))
                .remedy(format!("give a number from 1 to {most}")))
        }
        _ => Ok(()),
    }
}
