//! `livelabel frames`: extracts pictures from videos, for training.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;

use crate::cli::progress::Display;
use crate::error::{Error, Result};
use crate::media::clip_decoder::{ClipDecoder, ClipEvent};
use crate::media::files::{is_video, list_folder};
use crate::media::limits::Limits;
use crate::picture::file;
use crate::shutdown::Shutdown;
use crate::system::spans;
use crate::system::words::count;
use crate::telemetry::Progress;

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

/// Extracts pictures from every video. A video that cannot be read is reported and skipped.
///
/// # Errors
/// Returns a usage error if no video is found or the output folder cannot be created. Otherwise, after all videos, an
/// error of the first failed video's kind.
pub fn extract(
    videos: &[PathBuf],
    out: &Path,
    every: Every,
    layout: FolderLayout,
    quiet: bool,
    shutdown: &Shutdown,
) -> Result<()> {
    crate::media::init()?;
    let videos = expand(videos)?;
    std::fs::create_dir_all(out).map_err(|cause| Error::unwritable(out, cause))?;
    let display = Display::new(quiet, false, Duration::MAX)?;
    let (mut extracted, mut existing, mut first_failure, mut failures) = (0, 0, None, 0);
    for (video, name) in videos.iter().zip(distinct_names(&videos)) {
        if shutdown.requested() {
            break;
        }
        let progress = Arc::new(Progress::default());
        display.add(&name, false, &progress);
        let result = extract_one(video, &name, out, every, layout, &progress, shutdown);
        display.remove(&progress);
        let counts = progress.counters.counts();
        extracted += counts.analysed;
        existing += counts.held;
        if let Err(error) = result {
            display.error(&error);
            failures += 1;
            first_failure.get_or_insert(error);
        }
    }
    let existing = if existing > 0 { format!(", {existing} existed already") } else { String::new() };
    let stopped = if shutdown.requested() { ", stopped before the end" } else { "" };
    display.print(&format!(
        "{} from {} of {} in {}{existing}{stopped}",
        count(extracted, "picture"),
        videos.len() - failures,
        count(videos.len() as u64, "video"),
        out.display()
    ));
    match first_failure {
        None => Ok(()),
        Some(error) => Err(Error::new(
            error.kind(),
            format!("{failures} of {} could not be read to the end", count(videos.len() as u64, "video")),
        )
        .remedy("see the lines above")),
    }
}

fn extract_one(
    video: &Path,
    name: &str,
    out: &Path,
    every: Every,
    layout: FolderLayout,
    progress: &Progress,
    shutdown: &Shutdown,
) -> Result<()> {
    let mut source = ClipDecoder::open(video, Limits::default(), &|| shutdown.requested())?;
    progress.duration.set(source.format().duration.unwrap_or(0));
    let folder = match layout {
        FolderLayout::Flat => out.to_path_buf(),
        FolderLayout::PerVideo => out.join(name),
    };
    std::fs::create_dir_all(&folder).map_err(|cause| Error::unwritable(&folder, cause))?;
    source.play()?;
    let mut due = 0;
    while !shutdown.requested() {
        match source.next(Duration::from_millis(100)) {
            None => {}
            Some(ClipEvent::End) => return source.decode_errors().error(video).map_or(Ok(()), Err),
            Some(ClipEvent::Failed(error)) => return Err(error),
            Some(ClipEvent::Frame(frame)) => {
                progress.position.set(frame.end());
                // A frame that was decoded with errors is unfit for training.
                if frame.pts < due || frame.damaged {
                    continue;
                }
                if let Every::Nanoseconds(interval) = every {
                    due = (frame.pts / interval + 1) * interval;
                }
                progress.counters.arrived();
                let path = folder.join(format!("{name}_{:09}.jpg", frame.pts / 1_000_000));
                let is_new = !path.exists();
                if is_new {
                    save(&path, &file::jpeg(&frame.picture())?)?;
                }
                progress.counters.labelled(is_new);
            }
        }
    }
    Ok(())
}

/// Writes a temporary file and renames it, so that every picture is complete.
fn save(path: &Path, jpeg: &[u8]) -> Result<()> {
    let part = path.with_extension("jpg.part");
    std::fs::write(&part, jpeg).and_then(|()| std::fs::rename(&part, path)).map_err(|cause| {
        let _ = std::fs::remove_file(&part);
        Error::unwritable(path, cause)
    })
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

/// Returns the videos' file names, numbered where they repeat, so that pictures of two videos never share a name.
fn distinct_names(videos: &[PathBuf]) -> Vec<String> {
    let mut used = std::collections::HashSet::new();
    let name = |video: &PathBuf| {
        let name = video.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        std::iter::once(name.clone()).chain(numbered).find(|name| used.insert(name.clone())).unwrap_or(name)
    };
    videos.iter().map(name).collect()
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
