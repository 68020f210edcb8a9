//! `livelabel run --dry-run`: what a run would read, load, write and serve. Nothing is written.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::unistd::{AccessFlags, access};

use crate::cli::disk_use;
use crate::cli::run::worse_exit_code;
use crate::cli::stdout::print;
use crate::config::Config;
use crate::config::cameras::CameraConfig;
use crate::config::inputs::Job;
use crate::config::learning::LearningConfig;
use crate::config::options::SegmentVideo;
use crate::error::{Error, Result};
use crate::inference::device::{Device, INT8};
use crate::inference::model::Model;
use crate::media::video_format::VideoFormat;
use crate::picture::file::read_picture;
use crate::pipeline::analyzer::Analyzer;
use crate::pipeline::outcome::EngineInfo;
use crate::pipeline::source::{self, CameraSource, ClipSource, FrameSource, SourceEvent};
use crate::pipeline::stream;
use crate::report::picture_file;
use crate::shutdown::Shutdown;
use crate::system::clock::SystemClock;
use crate::system::printable;
use crate::system::words::{bytes, count};
use crate::telemetry::Progress;
use crate::web::Listener;

/// How long an input may take to deliver its first frame.
const FIRST_FRAME_TIMEOUT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);
/// Pixels of a frame above which decoding and encoding outweigh the model by far: more than 1920×1088.
const LARGE_FRAME: usize = 1920 * 1088;

/// Checks a run and prints what it would do. Returns the exit code that the run would end with.
///
/// # Errors
/// What would keep the run from starting.
pub fn check(config: Config, shutdown: &Shutdown) -> Result<u8> {
    let analyzer = Analyzer::new(config)?;
    let (config, model) = (analyzer.config(), analyzer.model());
    let (device, engine) = {
        let engine = analyzer.start_engine(shutdown)?;
        (engine.device(), EngineInfo::of(&engine))
    };
    print(&format!("model    {} ({}): {}", model.name, model.precision, model.labels.join(", ")));
    print(&format!("device   {engine}"));
    let mut exit_code = 0;
    let mut hints = device_hint(device, model).into_iter().chain(stream_hint(config)).collect::<Vec<_>>();
    for (number, job) in config.jobs.iter().enumerate() {
        if analyzer.is_skipped(number) {
            print(&format!("input    {}: is complete and would be skipped", job.name));
            continue;
        }
        match first_frame(job, shutdown).and_then(|found| check_folders(job).map(|()| found)) {
            Ok((format, disk_use)) => {
                print(&format!("input    {}: {}", job.name, described(&format)));
                print(&format!("  writes {}", written(job)));
                if let Some(disk_use) = disk_use {
                    print(&format!("  takes  {disk_use}"));
                }
                hints.extend(size_hint(job, &format));
            }
            Err(_) if shutdown.requested() => break,
            // A run waits for its cameras for as long as it takes.
            Err(error) if job.live.is_some() && error.exit_code() != 2 => {
                tracing::warn!("{error}; a run reconnects until it answers");
            }
            Err(error) => {
                tracing::error!("{error}");
                exit_code = worse_exit_code(exit_code, error.exit_code());
            }
        }
    }
    for picture in &config.pictures {
        match read_picture(&picture.input) {
            Ok(read) => print(&format!("input    {}: picture, {}x{}", picture.name, read.width, read.height)),
            Err(error) => {
                tracing::error!("{error}");
                exit_code = worse_exit_code(exit_code, error.exit_code());
            }
        }
    }
    let pictures = config.pictures.iter().flat_map(|picture| picture.outputs());
    for file in config.files.all().chain(pictures) {
        print(&format!("writes   {}", printable::path(file)));
    }
    if let Some(LearningConfig { folder, per_day, limit }) = &config.learning {
        check_folder(folder)?;
        let (frames, limit) = (count(*per_day as u64, "frame"), bytes(*limit));
        print(&format!("learning up to {frames} a day of each stream in {}, {limit} in all", printable::path(folder)));
    }
    if let Some(web) = &config.web {
        let _free = Listener::new(web)?;
        print(&format!("page     {}", web.url(web.address)));
    }
    for receiver in receivers(config) {
        print(&format!("events   to {receiver}"));
    }
    for hint in hints {
        print(&format!("hint     {hint}"));
    }
    Ok(exit_code)
}

/// Opens an input and waits for its first frame. Returns its format, and the disk use of a camera's recording in words.
fn first_frame(job: &Job, shutdown: &Shutdown) -> Result<(VideoFormat, Option<String>)> {
    let progress = Progress::default();
    let counters = &progress.counters;
    let mut known = None;
    let recording = job.live.as_deref().map(|live| &live.recording);
    let packets = job.live.as_deref().and_then(|live| source::packets(&job.name, live));
    let mut source: Box<dyn FrameSource> = match job.live.as_deref() {
        Some(CameraConfig { camera, .. }) => {
            let clock = SystemClock::shared();
            let began = clock.instant();
            Box::new(CameraSource::new(&job.name, camera, job.limits, counters, &clock, began, packets.clone()))
        }
        None => {
            let source = ClipSource::open(&job.input, job.limits, counters, &|| shutdown.requested())?;
            known = Some(source.format().clone());
            Box::new(source)
        }
    };
    source.start()?;
    let input = printable::path(&job.input);
    let deadline = Instant::now() + FIRST_FRAME_TIMEOUT;
    while Instant::now() < deadline && !shutdown.requested() {
        match source.next(POLL)? {
            Some(SourceEvent::Frame(frame)) => {
                let estimate = recording.map(|recording| {
                    disk_use::estimate(source.as_mut(), &frame, recording, packets.as_deref(), shutdown)
                });
                return Ok((known.unwrap_or_else(|| frame.format()), estimate.transpose()?.flatten()));
            }
            Some(SourceEvent::Lost(reason)) => {
                return Err(Error::failed(format!("{input}: {}", reason.words())).remedy(reason.remedy()));
            }
            Some(SourceEvent::End) => return Err(stream::no_frames(&job.input)),
            None => {}
        }
    }
    Err(Error::failed(format!("{input}: no frame arrived within {} s", FIRST_FRAME_TIMEOUT.as_secs()))
        .remedy("check that the input plays elsewhere"))
}

fn described(format: &VideoFormat) -> String {
    let VideoFormat { layout, frame_rate, duration, decoder, .. } = format;
    let mut text = format!("{}x{}", layout.width, layout.height);
    if let Some((numerator, denominator)) = *frame_rate {
        text.push_str(&format!(", {:.4} frames/s", f64::from(numerator) / f64::from(denominator)));
        text = text.replace(".0000 ", " ");
    }
    if let Some(duration) = duration {
        text.push_str(&format!(", {:.1} s", *duration as f64 / 1e9));
    }
    if let Some(decoder) = decoder {
        text.push_str(&format!(", decoded by {decoder}"));
    }
    text
}

/// The files that a job leaves.
fn written(job: &Job) -> String {
    let Some(CameraConfig { recording, .. }) = job.live.as_deref() else {
        let files: Vec<String> = job.outputs.files().map(printable::path).collect();
        return if files.is_empty() { "nothing".into() } else { files.join(", ") };
    };
    let stem = printable::path(&recording.folder.join(&recording.stem));
    let mut files = vec![format!("{stem}-*.timeline.jsonl")];
    match (&recording.file, recording.segment) {
        (Some(file), _) => files.push(printable::path(file)),
        (None, Some(length)) => {
            let length = humantime::format_duration(length);
            let labelled = match recording.video {
                SegmentVideo::Original => None,
                SegmentVideo::Labelled => Some(format!("{stem}-*.{}", recording.container.extension())),
                SegmentVideo::Both => Some(format!("{stem}-*.labelled.{}", recording.container.extension())),
            };
            let original = recording.original.map(|container| format!("{stem}-*.{}", container.extension()));
            files.extend(
                labelled.into_iter().chain(original.clone()).map(|file| format!("{file} in files of {length}")),
            );
            files.extend(original.map(|_| format!("{stem}-*.vtt")));
        }
        (None, None) => files.extend(recording.pictures.then(|| format!("{stem}-*{}", picture_file::SUFFIX))),
    }
    files.join(", ")
}

/// Refuses folders that could not be written to.
fn check_folders(job: &Job) -> Result<()> {
    let folders: Vec<&Path> = match job.live.as_deref() {
        Some(CameraConfig { recording, .. }) => {
            let file = recording.file.as_deref().and_then(Path::parent);
            file.into_iter().chain([recording.folder.as_path()]).collect()
        }
        None => job.outputs.files().filter_map(Path::parent).collect(),
    };
    folders.into_iter().try_for_each(check_folder)
}

/// Refuses a folder that could not be written to.
fn check_folder(folder: &Path) -> Result<()> {
    // One that is missing would be made.
    let existing = folder.ancestors().find(|folder| folder.exists());
    let folder = existing.unwrap_or(Path::new("."));
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|cause| {
        Error::usage(format!("{}: cannot be written", printable::path(folder)))
            .because(cause)
            .remedy("choose a folder that can be written to")
    })
}

fn receivers(config: &Config) -> impl Iterator<Item = String> + '_ {
    let events = &config.events;
    let lines = events.lines.iter().map(ToString::to_string);
    lines.chain(events.broker.iter().map(ToString::to_string)).chain(events.webhooks.iter().map(ToString::to_string))
}

fn device_hint(device: Device, model: &Model) -> Option<String> {
    match (device, model.precision.as_str()) {
        (Device::Cpu, INT8) => {
            Some("OpenVINO runs int8 models faster than ONNX Runtime: run scripts/setup --openvino".into())
        }
        (Device::Cpu | Device::OpenVino, precision) if precision != INT8 => {
            Some(format!("a model in {precision} is slow on a CPU: use one in int8"))
        }
        _ => None,
    }
}

fn stream_hint(config: &Config) -> Option<String> {
    let live = config.jobs.iter().filter(|job| job.live.is_some()).count();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (live > 4 * cores).then(|| {
        format!(
            "{live} cameras share {}: their strides will increase until the machine keeps up; watch them with --web",
            count(cores as u64, "core")
        )
    })
}

fn size_hint(job: &Job, format: &VideoFormat) -> Option<String> {
    let large = format.layout.width * format.layout.height > LARGE_FRAME;
    (large && job.outputs.video.is_some()).then(|| {
        format!(
            "{}: decoding and encoding frames of this size takes most of the time; --only timeline is faster",
            job.name
        )
    })
}
