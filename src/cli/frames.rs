//! `livelabel frames`: extracts pictures from videos and cameras, for training.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;

use crate::cli::picture_writer::PictureWriter;
use crate::cli::progress::Display;
use crate::config::cameras::CameraConfig;
use crate::config::options::StreamOptions;
use crate::error::{Error, Result};
use crate::media::camera::Camera;
use crate::media::clip_decoder::{ClipDecoder, ClipEvent};
use crate::media::files::{is_video, list_folder};
use crate::media::frame_counters::Counts;
use crate::media::limits::Limits;
use crate::pipeline::source::{CameraSource, FrameSource, SourceEvent};
use crate::shutdown::Shutdown;
use crate::system::clock::SystemClock;
use crate::system::words::count;
use crate::system::{spans, utc};
use crate::telemetry::Progress;

/// How long to wait for a frame before looking for the request to stop.
const POLL: Duration = Duration::from_millis(100);

/// Folder layout of the pictures of several videos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FolderLayout {
    /// All in one folder, as `VIDEO_MILLISECONDS.jpg`
    Flat,
    /// A folder for each video, as `VIDEO/VIDEO_MILLISECONDS.jpg`
    PerVideo,
}

/// Time between pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    Frame,
    Nanoseconds(u64),
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("{text:?} is neither a time like 1s, 500ms or 2m, nor `frame`");
        if text == "frame" {
            return Ok(Every::Frame);
        }
        let nanoseconds = spans::nanoseconds(text, &spans::SHORT).ok_or_else(invalid)?;
        if nanoseconds < 1e6 { Err(invalid()) } else { Ok(Every::Nanoseconds(nanoseconds as u64)) }
    }
}

/// How pictures are extracted.
pub struct Extraction<'a> {
    pub out: &'a Path,
    pub every: Every,
    /// Maximum number of pictures of each input.
    pub count: Option<u64>,
    pub layout: FolderLayout,
    pub quiet: bool,
    /// Options of cameras.
    pub camera: StreamOptions,
}

/// An input, with the name of its pictures.
struct Input {
    source: Source,
    name: String,
    progress: Arc<Progress>,
}

enum Source {
    Video(PathBuf),
    Camera(Box<Camera>),
}

/// Extracts pictures from every input: from the videos one after the other, from the cameras at the same time. A video that
/// cannot be read is reported and skipped. A camera that is lost is waited for.
///
/// # Errors
/// Returns a usage error if no input is found or the output folder cannot be created. Otherwise, after all inputs, an
/// error of the first failed one's kind.
pub fn extract(inputs: &[PathBuf], extraction: &Extraction, shutdown: &Shutdown) -> Result<()> {
    crate::media::init()?;
    let inputs = named(expand(inputs)?, &extraction.camera)?;
    let out = extraction.out;
    std::fs::create_dir_all(out).map_err(|cause| Error::unwritable(out, cause))?;
    let display = Display::new(extraction.quiet, false, Duration::MAX)?;
    let failures: Mutex<Vec<Error>> = Mutex::default();
    let fail = |error: Error| {
        display.error(&error);
        failures.lock().unwrap_or_else(PoisonError::into_inner).push(error);
    };
    let run = |input: &Input| {
        display.add(&input.name, false, &[], &input.progress);
        let result = extract_one(input, extraction, shutdown);
        display.remove(&input.progress);
        if let Err(error) = result {
            fail(error);
        }
    };
    let (cameras, videos): (Vec<&Input>, Vec<&Input>) =
        inputs.iter().partition(|input| matches!(input.source, Source::Camera(_)));
    std::thread::scope(|scope| {
        for camera in &cameras {
            let thread = std::thread::Builder::new().name("frames".into());
            if let Err(cause) = thread.spawn_scoped(scope, || run(camera)) {
                fail(Error::unavailable(format!("{}: a thread cannot be started", camera.name)).because(cause));
            }
        }
        for video in &videos {
            if !shutdown.requested() {
                run(video);
            }
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    let total = |number: fn(&Counts) -> u64| -> u64 {
        inputs.iter().map(|input| number(&input.progress.counters.counts())).sum()
    };
    let existing = match total(|counts| counts.held) {
        0 => String::new(),
        existing => format!(", {existing} existed already"),
    };
    let stopped = if shutdown.requested() && !videos.is_empty() { ", stopped before the end" } else { "" };
    let what = if cameras.is_empty() { "video" } else { "input" };
    let all = count(inputs.len() as u64, what);
    display.print(&format!(
        "{} from {} of {all} in {}{existing}{stopped}",
        count(total(|counts| counts.analysed), "picture"),
        inputs.len() - failures.len(),
        out.display()
    ));
    match failures.first() {
        None => Ok(()),
        Some(error) => {
            let number = failures.len();
            Err(Error::new(error.kind(), format!("{number} of {all} could not be read to the end"))
                .remedy("see the lines above"))
        }
    }
}

fn extract_one(input: &Input, extraction: &Extraction, shutdown: &Shutdown) -> Result<()> {
    let Input { source, name, progress } = input;
    let folder = match extraction.layout {
        FolderLayout::Flat => extraction.out.to_path_buf(),
        FolderLayout::PerVideo => extraction.out.join(name),
    };
    let writer = || PictureWriter::new(folder, name, extraction.every, extraction.count, progress);
    match source {
        Source::Video(path) => read_video(path, progress, writer, shutdown),
        Source::Camera(camera) => read_camera(camera, name, writer()?, shutdown),
    }
}

/// Reads a video to its end, or until `writer` is complete.
fn read_video<'a>(
    path: &Path,
    progress: &Progress,
    writer: impl FnOnce() -> Result<PictureWriter<'a>>,
    shutdown: &Shutdown,
) -> Result<()> {
    let mut source = ClipDecoder::open(path, Limits::default(), &|| shutdown.requested())?;
    progress.duration.set(source.format().duration.unwrap_or(0));
    let mut writer = writer()?;
    source.play()?;
    while !shutdown.requested() && !writer.is_complete() {
        match source.next(POLL) {
            None => {}
            Some(ClipEvent::End) => return source.decode_errors().error(path).map_or(Ok(()), Err),
            Some(ClipEvent::Failed(error)) => return Err(error),
            Some(ClipEvent::Frame(frame)) => {
                progress.position.set(frame.end());
                writer.put(&frame)?;
            }
        }
    }
    Ok(())
}

/// Reads a camera until `writer` is complete or the user stops. Reconnects as a run does.
fn read_camera(camera: &Camera, name: &str, mut writer: PictureWriter, shutdown: &Shutdown) -> Result<()> {
    let clock = SystemClock::shared();
    let mut source = CameraSource::new(name, camera, Limits::default(), &Arc::default(), &clock, clock.instant(), None);
    source.start()?;
    while !shutdown.requested() && !writer.is_complete() {
        if let Some(SourceEvent::Frame(frame)) = source.next(POLL)? {
            writer.put(&frame)?;
        }
    }
    Ok(())
}

/// Returns the videos, with each folder replaced by the videos directly in it, sorted by name.
fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut videos = Vec::new();
    for path in paths {
        if !path.is_dir() {
            videos.push(path.clone());
            continue;
        }
        videos.extend(list_folder(path)?.into_iter().filter(|path| is_video(path)));
    }
    if videos.is_empty() {
        return Err(Error::usage("no video found in the folders").remedy("name videos, or folders with videos"));
    }
    Ok(videos)
}

/// Returns the inputs with distinct names, so that pictures of two never share a name: a video's file name, or a camera's
/// address and the time of the start.
fn named(paths: Vec<PathBuf>, options: &StreamOptions) -> Result<Vec<Input>> {
    let mut used = std::collections::HashSet::new();
    let stamp = utc::stamp(utc::now());
    let named = |path: PathBuf| {
        let text = path.to_string_lossy();
        let (name, source) = if Camera::is_live(&text) {
            let camera = CameraConfig::resolve(options, &text)?.camera;
            (format!("{}-{stamp}", camera.stem()), Source::Camera(Box::new(camera)))
        } else {
            (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), Source::Video(path))
        };
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let name = std::iter::once(name.clone()).chain(numbered).find(|name| used.insert(name.clone())).unwrap_or(name);
        Ok(Input { source, name, progress: Arc::default() })
    };
    paths.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_times_with_units() {
        assert_eq!("1s".parse(), Ok(Every::Nanoseconds(1_000_000_000)));
        assert_eq!("0.5s".parse(), Ok(Every::Nanoseconds(500_000_000)));
        assert_eq!("40ms".parse(), Ok(Every::Nanoseconds(40_000_000)));
        assert_eq!("2m".parse(), Ok(Every::Nanoseconds(120_000_000_000)));
        assert_eq!("frame".parse(), Ok(Every::Frame));
        for invalid in ["", "1", "s", "0s", "-1s", "1h", "1.2.3s", "frames"] {
            assert!(invalid.parse::<Every>().is_err(), "{invalid}");
        }
    }
}
