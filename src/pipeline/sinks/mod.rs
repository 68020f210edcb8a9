//! Everything that a stream's labels go to: files, window, page, events.
//!
//! A sink is a file of this folder and a line in [`clip`] or [`camera`]. They are called in that order. What follows when
//! one fails is decided in `set`.

mod events;
mod journal;
mod observer;
mod open_files;
mod preview;
mod retention;
mod segments;
pub mod set;
pub mod sink;
mod space;
mod status;
mod summary;
mod timeline;
mod video;
mod window;

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use crate::config::cameras::Live;
use crate::error::{Error, Result};
use crate::media::video_format::VideoFormat;
use crate::pipeline::context::StreamContext;
use set::Sinks;
use sink::Sink;

/// The sinks of a clip.
///
/// # Errors
/// Where a file cannot be created. Those that were created are gone again.
pub fn clip<'a>(context: &StreamContext<'a>, format: &VideoFormat) -> Result<Sinks<'a>> {
    let encodes = Rc::new(Cell::new(context.job.outputs.video.is_some()));
    let written = Rc::new(Cell::new(0));
    let outputs = &context.job.outputs;
    outputs.files().chain([outputs.journal.as_path()]).try_for_each(check_writable)?;
    let space = space::SpaceSink::new(outputs, format, Rc::clone(&written))?;
    let timeline = timeline::TimelineSink::create(context, written)?;
    let video = match video::VideoSink::create(context, format) {
        Ok(video) => video,
        Err(error) => {
            timeline.discard();
            return Err(error);
        }
    };
    let folder = outputs.journal.parent().unwrap_or(Path::new(""));
    let window = match window::open(context, outputs.files().next().is_some(), folder, true) {
        Ok(window) => window,
        Err(error) => {
            timeline.discard();
            if let Some(video) = video {
                video.discard();
            }
            return Err(error);
        }
    };
    let windowed = window.is_some();
    let mut sinks: Vec<Box<dyn Sink + 'a>> = Vec::new();
    add(&mut sinks, Some(space));
    add(&mut sinks, Some(observer::ObserverSink::new(context)));
    add(&mut sinks, events::EventEmitter::new(context));
    add(&mut sinks, video);
    add(&mut sinks, window);
    add(&mut sinks, Some(preview::PreviewSink::new(context.state, encodes)));
    add(&mut sinks, Some(timeline));
    add(&mut sinks, Some(status::StatusSink::new(context, Instant::now())));
    Ok(Sinks::new(context, sinks, Some(format.clone()), windowed))
}

/// The sinks of a camera whose time began at `began`.
///
/// # Errors
/// Usage, where the folder cannot be written to, or the one video file is there already.
pub fn camera<'a>(context: &StreamContext<'a>, live: &Live, began: Instant) -> Result<Sinks<'a>> {
    let record = &live.record;
    let encodes = Rc::new(Cell::new(false));
    let open = open_files::OpenFiles::default();
    // Looks at the folder before this run has written anything.
    let retention = retention::RetentionSink::new(record, &open);
    let journal = journal::JournalSink::create(context, record, began, &open)?;
    let summary = summary::SummarySink::new(context, journal.summary_path(), journal.started().into());
    let recorded = record.file.is_some() || record.segment.is_some();
    let segments = recorded.then(|| segments::SegmentsSink::new(record, context.state, &open, Rc::clone(&encodes)));
    let window = window::open(context, recorded, &record.folder, false)?;
    let windowed = window.is_some();
    let mut sinks: Vec<Box<dyn Sink + 'a>> = Vec::new();
    add(&mut sinks, Some(observer::ObserverSink::new(context)));
    add(&mut sinks, events::EventEmitter::new(context));
    add(&mut sinks, segments);
    add(&mut sinks, window);
    add(&mut sinks, Some(preview::PreviewSink::new(context.state, encodes)));
    add(&mut sinks, Some(journal));
    add(&mut sinks, retention);
    add(&mut sinks, Some(status::StatusSink::new(context, began)));
    add(&mut sinks, Some(summary));
    Ok(Sinks::new(context, sinks, None, windowed))
}

/// Makes the folder of a file, and refuses one that could not be written, before any work is done for it.
fn check_writable(path: &Path) -> Result<()> {
    make_folder(path)?;
    let existed = path.exists();
    fs::OpenOptions::new().append(true).create(true).open(path).map_err(|cause| {
        Error::usage(format!("{}: cannot be written", path.display()))
            .because(cause)
            .remedy("choose a folder that can be written to")
    })?;
    if !existed {
        let _ = fs::remove_file(path);
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    fs::create_dir_all(folder).map_err(|cause| {
        Error::usage(format!("{}: the folder cannot be made", folder.display()))
            .because(cause)
            .remedy("choose a folder that can be written to")
    })
}

fn add<'a, S: Sink + 'a>(sinks: &mut Vec<Box<dyn Sink + 'a>>, sink: Option<S>) {
    if let Some(sink) = sink {
        sinks.push(Box::new(sink));
    }
}
