//! The window of one stream: shows labelled frames, and handles its keys.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::media::frame::RenderedFrame;
use crate::media::window::{Key, Screen, Window};
use crate::pipeline::context::StreamContext;
use crate::pipeline::schedule::stamped;
use crate::pipeline::sinks::sink::{LabeledFrame, Rendered, Sink};
use crate::report;
use crate::shutdown::Shutdown;
use crate::system::utc;

/// Opens the window, if `--display` is set. Saved pictures go to `folder`. Without a display, a run continues if it has
/// other outputs.
///
/// # Errors
/// Returns an error if there is no display and no other output.
pub fn open(context: &StreamContext, others: bool, folder: &Path, paced: bool) -> Result<Option<WindowSink>> {
    if !context.display {
        return Ok(None);
    }
    match WindowSink::new(context, folder.to_path_buf(), paced, !others) {
        Ok(window) => Ok(Some(window)),
        Err(error) if others => {
            tracing::warn!("{error}; the run continues without it");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A window, which opens with the first frame.
pub struct WindowSink {
    title: String,
    /// Stem of saved pictures.
    stem: String,
    /// Folder of saved pictures.
    folder: PathBuf,
    /// Set until the window is open.
    screen: Option<Screen>,
    window: Option<Window>,
    paused: bool,
    save: bool,
    /// Whether the run has no other output.
    alone: bool,
    shutdown: Shutdown,
    /// Set for a clip, which is shown in real time.
    pacer: Option<Pacer>,
}

/// Slows a clip down to real time.
#[derive(Default)]
struct Pacer {
    /// When pts 0 was, or would have been, shown.
    start: Option<Instant>,
}

impl WindowSink {
    fn new(context: &StreamContext, folder: PathBuf, paced: bool, alone: bool) -> Result<Self> {
        Ok(Self {
            title: context.job.name.clone(),
            stem: context.job.stem().into(),
            folder,
            screen: Some(Screen::open()?),
            window: None,
            paused: false,
            save: false,
            alone,
            shutdown: context.shutdown.clone(),
            pacer: paced.then(Pacer::default),
        })
    }

    fn read_keys(&mut self) {
        while let Some(key) = self.window.as_ref().and_then(Window::pressed) {
            match key {
                Key::Quit => self.shutdown.request(),
                Key::Pause => self.paused = !self.paused,
                Key::Save => self.save = true,
            }
        }
    }

    /// Shows a frame at `pts`, and saves it if requested.
    fn show(&mut self, rendered: &Rendered, pts: u64) -> Result<()> {
        if std::mem::take(&mut self.save) {
            self.save_picture(&rendered.picture);
        }
        if self.paused {
            return Ok(());
        }
        if let Some(pacer) = &mut self.pacer {
            pacer.wait(pts, &self.shutdown);
        }
        if let Some(screen) = self.screen.take() {
            let window = Window::open(screen, &self.title, &rendered.format).inspect_err(|_| {
                // The run has no other output.
                if self.alone {
                    self.shutdown.request();
                }
            })?;
            self.window = Some(window);
        }
        if let Some(window) = &self.window {
            window.show(&rendered.picture, pts, rendered.duration);
        }
        Ok(())
    }

    /// Saves a picture. A failure is logged and does not stop the run.
    fn save_picture(&self, picture: &RenderedFrame) {
        let path = stamped(&self.folder, &self.stem, utc::now(), ".jpg");
        let written = picture.jpeg().and_then(|bytes| {
            report::replace(&path, |part| {
                std::fs::write(part, &bytes).map_err(|cause| {
                    Error::failed(format!("{}: cannot be written", part.display()))
                        .because(cause)
                        .remedy("choose a writable folder with --output-dir")
                })
            })
        });
        match written {
            Ok(()) => tracing::info!("saved {}", path.display()),
            Err(error) => tracing::error!("{error}"),
        }
    }
}

impl Sink for WindowSink {
    fn wants_picture(&mut self) -> bool {
        self.read_keys();
        let usable = self.screen.is_some() || self.window.is_some();
        usable && (!self.paused || self.save)
    }

    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        labeled.picture.map_or(Ok(()), |picture| self.show(picture, picture.pts))
    }

    fn idle(&mut self, _idle: Duration) -> bool {
        self.read_keys();
        false
    }

    fn repeat_frame(&mut self, picture: &Rendered, lost: bool) -> Result<()> {
        if !lost {
            return Ok(());
        }
        // Show it twice: the first could be delayed until another frame follows.
        self.show(picture, picture.pts + picture.duration)?;
        self.show(picture, picture.pts)
    }
}

impl Pacer {
    const STEP: Duration = Duration::from_millis(50);

    /// Waits until a clip's frame is due. A clip that falls behind does not catch up afterwards.
    fn wait(&mut self, pts: u64, shutdown: &Shutdown) {
        let offset = Duration::from_nanos(pts);
        let now = Instant::now();
        let start = *self.start.get_or_insert_with(|| now.checked_sub(offset).unwrap_or(now));
        if now > start + offset {
            self.start = now.checked_sub(offset);
        }
        while let Some(wait) = (start + offset).checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero()) {
            if shutdown.requested() {
                return;
            }
            std::thread::sleep(wait.min(Self::STEP));
        }
    }
}
