//! Shows a finished run on the page.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::web::WebConfig;
use crate::error::{Error, Result};
use crate::media::limits::Limits;
use crate::media::{self, replay::Video};
use crate::shutdown::Shutdown;
use crate::telemetry::FinishedRun;
use crate::web::{self, Bound, Replay, Server};

/// How often it is asked whether to stop.
const POLL: Duration = Duration::from_millis(50);

/// Serves the run of `timeline` until the user stops it. Its video is looked for beside it unless it is named.
///
/// # Errors
/// Input, where the timeline or the video cannot be read; usage, where the address cannot be had.
pub fn view(
    timeline: &Path,
    video: Option<&Path>,
    limits: Limits,
    access: &WebConfig,
    shutdown: &Shutdown,
) -> Result<()> {
    let recording = FinishedRun::read(timeline)?;
    media::init()?;
    let video = Video::open(&find(&recording, timeline, video)?, limits)?;
    let bound = Bound::new(access)?;
    let _server = Server::replay(bound, Replay::new(recording, video)?, web::install_metrics()?)?;
    while !shutdown.requested() {
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn find(recording: &FinishedRun, timeline: &Path, named: Option<&Path>) -> Result<PathBuf> {
    match named {
        Some(named) if named.is_file() => Ok(named.to_path_buf()),
        Some(named) => {
            Err(Error::input(format!("{}: there is no such video", named.display())).remedy("check the name"))
        }
        None => recording.videos(timeline).into_iter().find(|path| path.is_file()).ok_or_else(|| {
            Error::input(format!("{}: its video is not beside it", timeline.display()))
                .remedy("name the labelled video, or the clip itself, with --video FILE")
        }),
    }
}
