//! The sinks of a stream: files, window, page, events.
//!
//! Each sink has a file in this folder and a line in [`clip`] or [`camera`], which set the call order. `set` decides
//! what follows when a sink fails.

mod clock_jumps;
mod disk_space;
mod events;
mod flusher;
mod index;
mod interval_pictures;
mod journal;
mod kept_pictures;
mod learning;
mod observer;
mod open_files;
mod original;
mod overview;
mod preview;
mod retention;
pub(crate) mod segment_files;
mod segment_labels;
mod segment_sound;
mod segments;
pub mod set;
pub mod sink;
mod status;
mod summary;
mod table;
mod timeline;
mod video;
mod window;
mod worth;

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::config::cameras::CameraConfig;
use crate::config::options::SegmentVideo;
use crate::error::{Error, Result};
use crate::media::packets::PacketQueue;
use crate::media::video_format::VideoFormat;
use crate::pipeline::context::StreamContext;
use crate::system::folders;
use segment_files::SegmentRecords;
use set::Sinks;
use sink::Sink;
use timeline::TimelineSink;

/// Creates the sinks of a clip, in call order.
///
/// # Errors
/// Returns an error if a file cannot be created. Files created before are removed.
pub fn clip<'a>(context: &StreamContext<'a>, format: &VideoFormat) -> Result<Sinks<'a>> {
    let encodes = Rc::new(Cell::new(context.job.outputs.video.is_some()));
    let written = Rc::new(Cell::new(0));
    let outputs = &context.job.outputs;
    outputs.all().try_for_each(check_writable)?;
    let space = disk_space::DiskSpaceSink::new(outputs, format, Rc::clone(&written), context.clock)?;
    let timeline = TimelineSink::create(context, written)?;
    let video = match video::VideoSink::create(context, format) {
        Ok(video) => video,
        Err(error) => {
            if let Some(timeline) = timeline {
                timeline.discard();
            }
            return Err(error);
        }
    };
    let window = match window::open(context, outputs.files().next().is_some(), &outputs.folder, true) {
        Ok(window) => window,
        Err(error) => {
            if let Some(timeline) = timeline {
                timeline.discard();
            }
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
    add(&mut sinks, events::EventEmitter::new(context, None));
    add(&mut sinks, table::TableSink::new(context));
    add(&mut sinks, overview::OverviewSink::new(context));
    add(&mut sinks, video);
    add(&mut sinks, window);
    add(&mut sinks, Some(preview::PreviewSink::new(context.state, encodes, context.clock)));
    add(&mut sinks, timeline);
    add(&mut sinks, Some(status::StatusSink::new(context, context.clock.instant())));
    add(&mut sinks, kept_pictures::KeptPicturesSink::new(context));
    add(&mut sinks, learning::LearningSink::new(context));
    Ok(Sinks::new(context, sinks, Some(format.clone()), windowed, SegmentRecords::default()))
}

/// Creates the sinks of a camera whose time 0 is `began`, in call order. `packets` is the camera's own video, if it is
/// recorded.
///
/// # Errors
/// Returns an error if the folder cannot be written or no window can be opened.
pub fn camera<'a>(
    context: &StreamContext<'a>,
    live: &CameraConfig,
    began: Instant,
    packets: Option<&Arc<PacketQueue>>,
) -> Result<Sinks<'a>> {
    let recording = &live.recording;
    let encodes = Rc::new(Cell::new(false));
    let open = open_files::OpenFiles::default();
    // Retention scans the folder before this run writes anything.
    let client = context.index.and_then(|index| index.client(&recording.folder));
    let retention = retention::RetentionSink::new(recording, &open, client.as_ref(), context.clock);
    let flusher = Rc::new(flusher::Flusher::start(&context.job.name, &open)?);
    let journal = journal::JournalSink::create(context, recording, began, &open, &flusher)?;
    let index = index::IndexSink::new(context, client.as_ref(), &open);
    let summary = summary::SummarySink::new(context, journal.summary_path(), journal.started().into());
    let recorded = recording.file.is_some() || recording.segment.is_some();
    let records = SegmentRecords::default();
    let segments = (recorded && recording.video != SegmentVideo::Original)
        .then(|| segments::SegmentsSink::new(context, recording, began, &open, &records, Rc::clone(&encodes)));
    let original =
        packets.map(|packets| original::OriginalSink::new(context, recording, packets, began, &open, &records));
    let window = window::open(context, recorded, &recording.folder, false)?;
    let windowed = window.is_some();
    let mut sinks: Vec<Box<dyn Sink + 'a>> = Vec::new();
    add(&mut sinks, Some(observer::ObserverSink::new(context)));
    add(&mut sinks, events::EventEmitter::new(context, Some(&flusher)));
    add(&mut sinks, table::TableSink::new(context));
    add(&mut sinks, segments);
    add(&mut sinks, original);
    add(&mut sinks, window);
    add(&mut sinks, Some(preview::PreviewSink::new(context.state, encodes, context.clock)));
    add(&mut sinks, Some(journal));
    add(&mut sinks, index);
    add(&mut sinks, retention);
    add(&mut sinks, Some(status::StatusSink::new(context, began)));
    add(&mut sinks, kept_pictures::KeptPicturesSink::new(context));
    add(&mut sinks, learning::LearningSink::new(context));
    add(&mut sinks, Some(summary));
    Ok(Sinks::new(context, sinks, None, windowed, records))
}

/// Creates the file's folder, and checks that the file can be written, before the analysis starts.
fn check_writable(path: &Path) -> Result<()> {
    make_folder(path)?;
    let opened = match path.symlink_metadata() {
        Ok(_) => fs::OpenOptions::new().append(true).open(path),
        // Without a name: a loss of power could leave an empty file, and `--resume` would take it for a result.
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => tempfile::tempfile_in(folders::of(path)),
        Err(cause) => Err(cause),
    };
    opened.map(drop).map_err(|cause| {
        Error::usage(format!("{}: cannot be written", path.display())).because(cause).remedy("choose a writable folder")
    })
}

pub fn make_folder(path: &Path) -> Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    fs::create_dir_all(folder).map_err(|cause| {
        Error::usage(format!("{}: the folder cannot be created", folder.display()))
            .because(cause)
            .remedy("choose a writable folder")
    })
}

fn add<'a, S: Sink + 'a>(sinks: &mut Vec<Box<dyn Sink + 'a>>, sink: Option<S>) {
    if let Some(sink) = sink {
        sinks.push(Box::new(sink));
    }
}
