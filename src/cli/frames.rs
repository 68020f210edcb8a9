//! `livelabel frames`: single pictures out of videos, to train with.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;

use crate::cli::progress::Display;
use crate::error::{Error, Result};
use crate::media::extensions::is_video;
use crate::media::limits::Limits;
use crate::media::source::{ClipEvent, Source};
use crate::picture::file;
use crate::shutdown::Shutdown;
use crate::telemetry::Progress;

/// Where the pictures of several videos go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
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
        let wrong = || format!("{text:?} is neither a time like 1s, 500ms, 2m nor `frame`");
        if text == "frame" {
            return Ok(Every::Frame);
        }
        let split = text.find(|c: char| c != '.' && !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(split);
        let unit = match unit {
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            _ => return Err(wrong()),
        };
        let nanoseconds = number.parse::<f64>().map_err(|_| wrong())? * unit;
        if nanoseconds < 1e6 { Err(wrong()) } else { Ok(Every::Nanoseconds(nanoseconds as u64)) }
    }
}

/// Takes pictures out of every video. A video that cannot be read is told and passed over.
///
/// # Errors
/// Usage, where no video is found or the output folder cannot be made. Otherwise the first video's failure, when all
/// others are done.
pub fn extract(
    videos: &[PathBuf],
    out: &Path,
    every: Every,
    layout: Layout,
    quiet: bool,
    shutdown: &Shutdown,
) -> Result<()> {
    crate::media::init()?;
    let videos = expand(videos)?;
    std::fs::create_dir_all(out).map_err(|cause| Error::unwritable(out, cause))?;
    let display = Display::new(quiet, false, Duration::MAX)?;
    let (mut taken, mut there, mut first_failure, mut failures) = (0, 0, None, 0);
    for (video, name) in videos.iter().zip(distinct_names(&videos)) {
        if shutdown.requested() {
            break;
        }
        let progress = Arc::new(Progress::default());
        display.add(&name, false, &progress);
        let result = one(video, &name, out, every, layout, &progress, shutdown);
        display.remove(&progress);
        let counts = progress.counters.counts();
        taken += counts.analysed;
        there += counts.held;
        if let Err(error) = result {
            display.error(&error);
            failures += 1;
            first_failure.get_or_insert(error);
        }
    }
    let there = if there > 0 { format!(", {there} were there already") } else { String::new() };
    let stopped = if shutdown.requested() { ", stopped before the end" } else { "" };
    display.print(&format!(
        "{taken} pictures from {} of {} videos in {}{there}{stopped}",
        videos.len() - failures,
        videos.len(),
        out.display()
    ));
    match first_failure {
        None => Ok(()),
        Some(error) => Err(Error::new(
            error.kind(),
            format!("{failures} of {} videos could not be read to their end", videos.len()),
        )
        .remedy("see the lines above")),
    }
}

fn one(
    video: &Path,
    name: &str,
    out: &Path,
    every: Every,
    layout: Layout,
    progress: &Progress,
    shutdown: &Shutdown,
) -> Result<()> {
    let mut source = Source::open(video, Limits::default(), &|| shutdown.requested())?;
    progress.duration.set(source.format().duration.unwrap_or(0));
    let folder = match layout {
        Layout::Flat => out.to_path_buf(),
        Layout::PerVideo => out.join(name),
    };
    std::fs::create_dir_all(&folder).map_err(|cause| Error::unwritable(&folder, cause))?;
    source.play()?;
    let mut due = 0;
    while !shutdown.requested() {
        match source.next(Duration::from_millis(100)) {
            None => {}
            Some(ClipEvent::End) => return source.decode_errors().verdict(video).map_or(Ok(()), Err),
            Some(ClipEvent::Failed(error)) => return Err(error),
            Some(ClipEvent::Frame(frame)) => {
                progress.position.set(frame.end());
                // A picture that the decoder could restore only in part is nothing to train with.
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

/// Writes a file beside its place and renames it, so that a picture that is there is whole.
fn save(path: &Path, jpeg: &[u8]) -> Result<()> {
    let part = path.with_extension("jpg.part");
    std::fs::write(&part, jpeg).and_then(|()| std::fs::rename(&part, path)).map_err(|cause| {
        let _ = std::fs::remove_file(&part);
        Error::unwritable(path, cause)
    })
}

/// The videos themselves, and those directly in the folders among them, by name.
fn expand(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut videos = Vec::new();
    for path in given {
        if !path.is_dir() {
            videos.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|cause| {
            Error::input(format!("{}: cannot be read", path.display())).because(cause).remedy("check its permissions")
        })?;
        let mut found: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| is_video(path)).collect();
        found.sort();
        videos.extend(found);
    }
    if videos.is_empty() {
        return Err(Error::usage("no video is found in the given folders").remedy("name videos, or folders with some"));
    }
    Ok(videos)
}

/// The videos' file names; a number is added where two are alike, so that no picture of one hides another's.
fn distinct_names(videos: &[PathBuf]) -> Vec<String> {
    let mut taken = std::collections::HashSet::new();
    let name = |video: &PathBuf| {
        let name = video.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        std::iter::once(name.clone()).chain(numbered).find(|name| taken.insert(name.clone())).unwrap_or(name)
    };
    videos.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!("1s".parse(), Ok(Every::Nanoseconds(1_000_000_000)));
        assert_eq!("0.5s".parse(), Ok(Every::Nanoseconds(500_000_000)));
        assert_eq!("40ms".parse(), Ok(Every::Nanoseconds(40_000_000)));
        assert_eq!("2m".parse(), Ok(Every::Nanoseconds(120_000_000_000)));
        assert_eq!("frame".parse(), Ok(Every::Frame));
        for wrong in ["", "1", "s", "0s", "-1s", "1h", "1.2.3s", "frames"] {
            assert!(wrong.parse::<Every>().is_err(), "{wrong}");
        }
    }
}
