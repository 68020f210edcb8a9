//! The inputs of a run: options, name and output files of each.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::config::cameras::CameraConfig;
use crate::config::clip_list;
use crate::config::options::{FileKind, RunOptions, StreamOptions};
use crate::config::pictures::PictureJob;
use crate::config::settings::Settings;
use crate::error::{Error, Result};
use crate::inference::model::Model;
use crate::labels::overlay::OverlayStyle;
use crate::labels::rule::LabelRule;
use crate::labels::stride::Stride;
use crate::labels::window::{SmoothingWindow, WindowAlign};
use crate::media::camera::Camera;
use crate::media::files::is_picture;
use crate::media::limits::{DEFAULT_MAX_PIXELS, Limits, MAX_PIXELS_LIMIT};
use crate::media::recorder::Container;
use crate::system::printable;

const MAX_BATCH: usize = 256;
/// Most frames a day that are kept of a stream: one each four seconds.
const MAX_LEARNED: usize = 20_000;
/// Stem of the files of an input without a name.
const UNNAMED: &str = "clip";

/// Options of smoothing and decision.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelConfig {
    pub action: Option<String>,
    pub align: WindowAlign,
    /// `None` for the model's value; likewise the next two.
    pub window: Option<SmoothingWindow>,
    pub threshold: Option<f64>,
    pub hysteresis: Option<f64>,
    pub stride: Stride,
}

/// One input and its outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub input: PathBuf,
    /// What its input is called in files and messages, if that is not its path: `input` may be a copy.
    pub origin: Option<String>,
    /// Unique name: set by the user or derived from the input, with a number if it is taken.
    pub name: String,
    pub outputs: Outputs,
    pub label_config: LabelConfig,
    pub overlay: OverlayStyle,
    pub limits: Limits,
    /// Set for a camera. `input` is then its address without credentials, and `outputs` is empty.
    pub live: Option<Box<CameraConfig>>,
}

/// Output files of a clip; `None` for one that is not written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    pub video: Option<(PathBuf, Container)>,
    pub timeline: Option<PathBuf>,
    pub plot: Option<PathBuf>,
    pub subtitles: Option<PathBuf>,
    /// Written during the run if there is a timeline, plot or subtitles, and kept if the run could not be completed.
    pub journal: Option<PathBuf>,
    /// Folder of files without a path of their own.
    pub folder: PathBuf,
}

impl Job {
    /// Returns what its input is called in files and messages.
    pub fn shown(&self) -> String {
        self.origin.clone().unwrap_or_else(|| printable::path(&self.input))
    }

    /// Returns the stem of its files.
    pub fn stem(&self) -> &str {
        self.live.as_ref().map_or(&self.name, |live| &live.recording.stem)
    }
}

impl Outputs {
    /// Returns all files of a run, with the journal.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        self.files().chain(self.journal.as_deref())
    }

    /// Returns the files that remain after a complete run.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let video = self.video.as_ref().map(|(path, _)| path);
        [video, self.timeline.as_ref(), self.plot.as_ref(), self.subtitles.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }
}

impl LabelConfig {
    /// Returns the index of the action among a model's labels.
    pub fn action(&self, labels: &[String]) -> Option<usize> {
        self.action.as_ref().and_then(|action| labels.iter().position(|label| label == action))
    }

    /// Returns the action if it is not among a model's labels.
    pub fn unknown_action(&self, labels: &[String]) -> Option<&str> {
        self.action.as_deref().filter(|action| !labels.iter().any(|label| label == action))
    }

    pub(crate) fn of(options: &StreamOptions, live: bool) -> Self {
        // Without smoothing, single frames decide.
        let every_frame = !live && options.window == Some(SmoothingWindow::Predictions(1));
        Self {
            action: options.action.clone(),
            // A camera's label must not wait for frames to come.
            align: options.window_align.unwrap_or(if live { WindowAlign::Trailing } else { WindowAlign::Centred }),
            window: options.window,
            threshold: options.threshold,
            hysteresis: options.hysteresis,
            stride: options.stride.unwrap_or(if every_frame { Stride::Every(1) } else { Stride::Auto }),
        }
    }

    /// Returns the rule with `model`'s values for options that are not set.
    pub fn rule(&self, model: &Model) -> LabelRule {
        LabelRule {
            action: self.action(&model.labels),
            window: self.window.unwrap_or(model.window),
            align: self.align,
            threshold: self.threshold.unwrap_or(model.threshold),
            hysteresis: self.hysteresis.unwrap_or(model.hysteresis),
        }
    }
}

/// The inputs of a run: streams and pictures.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    pub jobs: Vec<Job>,
    pub pictures: Vec<PictureJob>,
}

impl Inputs {
    /// Returns the clips and pictures.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let clips = self.jobs.iter().filter(|job| job.live.is_none()).map(|job| job.input.as_path());
        clips.chain(self.pictures.iter().map(|picture| picture.input.as_path()))
    }

    /// Returns the files that are made of them.
    pub fn outputs(&self) -> impl Iterator<Item = &Path> {
        self.jobs.iter().flat_map(|job| job.outputs.all()).chain(self.pictures.iter().flat_map(PictureJob::outputs))
    }

    /// Returns the files that cameras are recorded to.
    pub fn recordings(&self) -> impl Iterator<Item = &Path> {
        self.jobs.iter().filter_map(|job| job.live.as_ref()?.recording.file.as_deref())
    }
}

/// Returns each input with the options in effect for it.
///
/// # Errors
/// Usage or input, if a list or a folder cannot be read, or a stream has not exactly one input.
pub(crate) fn listed(settings: &Settings) -> Result<Vec<(StreamOptions, PathBuf)>> {
    let shared = StreamOptions { input: Vec::new(), ..settings.streams.clone() };
    let listed = clip_list::expand(&settings.streams.input)?;
    let mut inputs: Vec<_> = listed.into_iter().map(|input| (shared.clone(), input)).collect();
    for stream in &settings.run.stream {
        let [input] = stream.input.as_slice() else {
            return Err(
                Error::usage("a [[stream]] needs exactly one input").remedy("write input = [\"rtsp://CAMERA/PATH\"]")
            );
        };
        let own = StreamOptions { input: Vec::new(), ..stream.clone() }.over(shared.clone());
        inputs.push((own, input.clone()));
    }
    Ok(inputs)
}

/// Returns a job for each input, with the options in effect for it.
pub(crate) fn inputs(settings: &Settings) -> Result<Inputs> {
    let inputs = listed(settings)?;
    inputs.iter().try_for_each(|(own, _)| check_ranges(own))?;
    let several = inputs.len() > 1;
    let mut used = UsedNames::default();
    let Inputs { mut jobs, mut pictures } = Inputs::default();
    for (options, input) in &inputs {
        let text = input.to_string_lossy();
        if Camera::is_live(&text) {
            jobs.push(live_job(options, &text, &mut used)?);
            continue;
        }
        check_not_live(options, input)?;
        let (name, stem) = used.file(input);
        if is_picture(input) {
            pictures.push(PictureJob::resolve(options, input, several, name, &stem)?);
        } else {
            jobs.push(file_job(options, input, several, name, &stem)?);
        }
    }
    let mut inputs = Inputs { jobs, pictures };
    // Names and files are those of all inputs, so that the shards have none in common.
    check_distinct(&inputs)?;
    if let Some(shard) = settings.run.shard {
        inputs.jobs.retain(|job| shard.contains(&job.name));
        inputs.pictures.retain(|picture| shard.contains(&picture.name));
    }
    Ok(inputs)
}

/// Names in use: of streams, and stems of their files.
#[derive(Default)]
struct UsedNames {
    names: Names,
    stems: Names,
}

impl UsedNames {
    /// Returns the name of a file among the inputs, and the stem of its outputs.
    fn file(&mut self, input: &Path) -> (String, String) {
        let stem = input.file_stem().unwrap_or_default().to_string_lossy();
        // The stem of `..mp4` is a dot, and files with that stem would be hidden.
        let stem = self.stems.distinct(if stem.trim_matches('.').is_empty() { UNNAMED } else { &stem });
        let name = input.extension().map_or(stem.clone(), |ext| format!("{stem}.{}", ext.to_string_lossy()));
        (self.names.distinct(&name), stem)
    }
}

/// A set of unique names.
#[derive(Default)]
struct Names {
    used: HashSet<String>,
    /// The last number given to a repeated name: all numbers below it are taken.
    last: HashMap<String, usize>,
}

impl Names {
    /// Returns `name`, with a number if it is taken.
    fn distinct(&mut self, name: &str) -> String {
        if self.used.insert(name.to_string()) {
            return name.to_string();
        }
        let last = self.last.entry(name.to_string()).or_insert(1);
        loop {
            *last += 1;
            let numbered = format!("{name}-{last}");
            if self.used.insert(numbered.clone()) {
                return numbered;
            }
        }
    }
}

fn live_job(options: &StreamOptions, input: &str, used: &mut UsedNames) -> Result<Job> {
    let mut live = CameraConfig::resolve(options, input)?;
    if options.window_align == Some(WindowAlign::Centred) {
        return Err(Error::usage(format!("{}: a centred window needs the frames to come", live.camera))
            .remedy("leave --window-align out: for a camera the window is trailing"));
    }
    let name = options.name.clone().unwrap_or_else(|| live.camera.stem());
    live.recording.stem = used.stems.distinct(&live.recording.stem);
    Ok(Job {
        input: live.camera.to_string().into(),
        origin: None,
        name: used.names.distinct(&name),
        outputs: Outputs::default(),
        label_config: LabelConfig::of(options, true),
        overlay: options.overlay.unwrap_or_default(),
        limits: limits(options),
        live: Some(Box::new(live)),
    })
}

/// Rejects options of cameras for a file.
fn check_not_live(options: &StreamOptions, input: &Path) -> Result<()> {
    if options.format == Some(Container::Mp4) {
        return Err(Error::usage(format!("{}: --format mp4 is for the segments of cameras", input.display()))
            .remedy("use avi or mkv"));
    }
    let recorded = options.segment.is_some() || options.keep.is_some() || options.keep_intervals.is_some();
    let set = [options.only_active, options.segment_audio, options.paused].contains(&Some(true));
    if recorded || set {
        let all = "--segment, --segment-audio, --keep, --only-active and --paused";
        return Err(Error::usage(format!("{}: {all} are for cameras", input.display()))
            .remedy("leave them out for a recorded clip"));
    }
    Ok(())
}

fn file_job(options: &StreamOptions, input: &Path, several: bool, name: String, stem: &str) -> Result<Job> {
    if several {
        let named = [&options.output, &options.timeline, &options.plot, &options.subtitles];
        named.into_iter().flatten().try_for_each(|path| check_is_folder(path))?;
    }
    let wanted = |kind: FileKind| options.only.as_ref().is_none_or(|only| only.contains(&kind));
    let resolve = |kind: FileKind, named: &Option<PathBuf>, suffix: &str| {
        output_path(options, several, named.as_deref(), wanted(kind), &format!("{stem}{suffix}"))
    };
    let suffix = format!(".labelled.{}", options.format.unwrap_or(Container::Avi).extension());
    let video = resolve(FileKind::Video, &options.output, &suffix).map(container).transpose()?;
    let timeline = resolve(FileKind::Timeline, &options.timeline, ".timeline.json");
    let plot = resolve(FileKind::Plot, &options.plot, ".plot.png");
    let subtitles = resolve(FileKind::Subtitles, &options.subtitles, ".vtt");
    let folder = options.output_dir.clone().unwrap_or_default();
    let journal = match &timeline {
        Some(path) => Some(path.with_extension("jsonl")),
        None => plot.as_ref().or(subtitles.as_ref()).map(|_| folder.join(format!("{stem}.timeline.jsonl"))),
    };
    check_extension(plot.as_deref(), &["png", "svg"], "plot")?;
    check_extension(subtitles.as_deref(), &["vtt"], "subtitles")?;
    check_extension(timeline.as_deref(), &["json"], "timeline")?;
    let outputs = Outputs { video, timeline, plot, subtitles, journal, folder };
    let (label_config, limits) = (LabelConfig::of(options, false), limits(options));
    let overlay = options.overlay.unwrap_or_default();
    Ok(Job { input: input.into(), origin: None, name, outputs, label_config, overlay, limits, live: None })
}

/// Returns the path of a result: the one that its flag names, which with several inputs is a folder. Without a flag it is
/// `file` in `--output-dir`, if it is `wanted`.
pub(crate) fn output_path(
    options: &StreamOptions,
    several: bool,
    named: Option<&Path>,
    wanted: bool,
    file: &str,
) -> Option<PathBuf> {
    match named {
        Some(folder) if several => Some(folder.join(file)),
        Some(path) => Some(path.into()),
        None => wanted.then(|| options.output_dir.clone().unwrap_or_default().join(file)),
    }
}

fn limits(options: &StreamOptions) -> Limits {
    let playlists = options.allow_playlists.unwrap_or(false);
    Limits { max_pixels: options.max_pixels.unwrap_or(DEFAULT_MAX_PIXELS), playlists }
}

/// Rejects the name of a file: with several inputs, an output is a folder.
pub(crate) fn check_is_folder(path: &Path) -> Result<()> {
    let extensions = ["avi", "mkv", "json", "jpg", "jpeg", "png", "svg", "vtt"];
    let is_file = path.extension().is_some_and(|found| extensions.iter().any(|file| found.eq_ignore_ascii_case(file)));
    if is_file && !path.is_dir() {
        return Err(Error::usage(format!("{}: one file cannot hold several inputs' results", path.display()))
            .remedy("name a folder, and select the container with --format"));
    }
    Ok(())
}

fn container(path: PathBuf) -> Result<(PathBuf, Container)> {
    match Container::of(&path) {
        Some(container) => Ok((path, container)),
        None => {
            Err(Error::usage(format!("output {}: unknown format", path.display()))
                .remedy("end its name in .avi or .mkv"))
        }
    }
}

pub(crate) fn check_extension(path: Option<&Path>, allowed: &[&str], what: &str) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if allowed.iter().any(|allowed| extension.eq_ignore_ascii_case(allowed)) {
        return Ok(());
    }
    Err(Error::usage(format!("{what} {}: unknown format", path.display()))
        .remedy(format!("end its name in .{}", allowed.join(" or ."))))
}

/// Rejects outputs that are written twice, or that would overwrite an input.
fn check_distinct(inputs: &Inputs) -> Result<()> {
    let read: HashSet<PathBuf> = inputs.files().map(canonical).collect();
    let mut outputs = HashSet::new();
    for path in inputs.recordings() {
        if !outputs.insert(canonical(path)) {
            return Err(Error::usage(format!("{} would be written twice", path.display()))
                .remedy("give each camera its own output, or use --segment"));
        }
    }
    for path in inputs.outputs().map(canonical) {
        if read.contains(&path) {
            return Err(Error::usage(format!("{} is both an input and an output", path.display()))
                .remedy("write to another name"));
        }
        if !outputs.insert(path.clone()) {
            return Err(Error::usage(format!("{} would be written twice", path.display()))
                .remedy("give each output its own name"));
        }
    }
    Ok(())
}

/// Returns the absolute path, with links resolved if the file exists.
pub(crate) fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_path_buf())
}

/// Rejects numbers of a stream's options that are out of range.
pub(crate) fn check_ranges(options: &StreamOptions) -> Result<()> {
    check_fraction("threshold", options.threshold)?;
    check_fraction("hysteresis", options.hysteresis)?;
    check_count("max_pixels", options.max_pixels, MAX_PIXELS_LIMIT)
}

/// Rejects numbers of the run's options that are out of range.
pub(crate) fn check_run_ranges(options: &RunOptions) -> Result<()> {
    check_count("batch", options.batch, MAX_BATCH)?;
    check_count("jobs", options.jobs, 1024)?;
    check_count("learn_per_day", options.learn_per_day, MAX_LEARNED)
}

fn check_fraction(name: &str, value: Option<f64>) -> Result<()> {
    match value {
        Some(value) if !(0.0..=1.0).contains(&value) => {
            Err(Error::usage(format!("{name} {value} is not between 0 and 1")).remedy("use a number like 0.6"))
        }
        _ => Ok(()),
    }
}

fn check_count(name: &str, value: Option<usize>, max: usize) -> Result<()> {
    match value {
        Some(value) if value == 0 || value > max => {
            Err(Error::usage(format!("{name} {value} is out of range")).remedy(format!("use a number from 1 to {max}")))
        }
        _ => Ok(()),
    }
}
