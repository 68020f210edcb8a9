//! `livelabel view`: shows a finished run, or the history of a folder, on the page.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::web::WebConfig;
use crate::error::{Error, Result};
use crate::history;
use crate::media::limits::Limits;
use crate::media::{self, replay::Video};
use crate::shutdown::Shutdown;
use crate::system::clock::SystemClock;
use crate::telemetry::{FinishedRun, Telemetry};
use crate::web::{self, History, Listener, Replay, Server, Sources};

/// Interval at which the shutdown flag is polled.
const POLL: Duration = Duration::from_millis(50);

/// Serves the run of `timeline` until the user stops it; the history of the runs in it if it is a folder. Unless `video` is set,
/// the video is searched beside the timeline.
///
/// # Errors
/// Returns an input error if the timeline or the video cannot be read, and a usage error if the address cannot be
/// bound.
pub fn view(
    timeline: &Path,
    video: Option<&Path>,
    limits: Limits,
    web_config: &WebConfig,
    shutdown: &Shutdown,
) -> Result<()> {
    let _server = if timeline.is_dir() {
        media::init()?;
        let history = History::new(vec![history::open(timeline)?], None, limits);
        let bound = Listener::new(web_config)?;
        let telemetry = Arc::new(Telemetry::new(Vec::new(), true, &SystemClock::shared()));
        let sources = Sources { telemetry, history: Some(history), teaching: None, workers: None };
        Server::start(bound, sources, web::install_metrics()?, None)?
    } else {
        let recording = FinishedRun::read(timeline)?;
        media::init()?;
        let video = Video::open(&find(&recording, timeline, video)?, limits)?;
        let bound = Listener::new(web_config)?;
        Server::replay(bound, Replay::new(recording, video)?, web::install_metrics()?)?
    };
    while !shutdown.requested() {
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn find(recording: &FinishedRun, timeline: &Path, named: Option<&Path>) -> Result<PathBuf> {
    match named {
        Some(named) if named.is_file() => Ok(named.to_path_buf()),
        Some(named) => {
            Err(Error::input(format!("{}: there is no such video", named.display())).remedy("check the path"))
        }
        None => recording.videos(timeline).into_iter().find(|path| path.is_file()).ok_or_else(|| {
            Error::input(format!("{}: no video found beside it", timeline.display()))
                .remedy("name the labelled video or the clip with --video FILE")
        }),
    }
}
