//! The window of one stream: shows what was drawn, and does what its keys ask for.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::media::frame::Drawn;
use crate::media::source::Facts;
use crate::media::window::{Key, Screen, Window};
use crate::report;
use crate::stream::Shutdown;
use crate::stream::segments::stamped;
use crate::utc;

/// A window, opened with the first picture.
pub struct Viewing {
    title: String,
    /// What the names of saved pictures begin with.
    stem: String,
    /// Where saved pictures go.
    folder: PathBuf,
    /// Until the window is open.
    screen: Option<Screen>,
    window: Option<Window>,
    paused: bool,
    save: bool,
    shutdown: Shutdown,
    /// Set for a clip, which is shown as fast as it was taken: when its time 0 was.
    pace: Option<Pace>,
}

#[derive(Default)]
struct Pace {
    start: Option<Instant>,
}

impl Viewing {
    /// # Errors
    /// Unavailable, where there is no display.
    pub fn new(title: &str, stem: &str, folder: PathBuf, shutdown: &Shutdown, paced: bool) -> Result<Self> {
        let screen = Some(Screen::open()?);
        let pace = paced.then(Pace::default);
        Ok(Self {
            title: title.into(),
            stem: stem.into(),
            folder,
            screen,
            window: None,
            paused: false,
            save: false,
            shutdown: shutdown.clone(),
            pace,
        })
    }

    /// Reads the keys. Returns whether the next picture is needed.
    pub fn wants(&mut self) -> bool {
        while let Some(key) = self.window.as_ref().and_then(Window::pressed) {
            match key {
                Key::Quit => self.shutdown.request(),
                Key::Pause => self.paused = !self.paused,
                Key::Save => self.save = true,
            }
        }
        !self.paused || self.save
    }

    /// Shows a picture, or saves it, or both. Times in nanoseconds.
    ///
    /// # Errors
    /// Unavailable, where the window cannot be opened after all.
    pub fn show(&mut self, picture: &Drawn, facts: &Facts, pts: u64, duration: u64) -> Result<()> {
        if std::mem::take(&mut self.save) {
            self.store(picture);
        }
        if self.paused {
            return Ok(());
        }
        if let Some(pace) = &mut self.pace {
            pace.wait(pts, &self.shutdown);
        }
        if let Some(screen) = self.screen.take() {
            self.window = Some(Window::open(screen, &self.title, facts)?);
        }
        if let Some(window) = &self.window {
            window.show(picture, pts, duration);
        }
        Ok(())
    }

    /// A picture that cannot be saved is told, and no reason to stop.
    fn store(&self, picture: &Drawn) {
        let path = stamped(&self.folder, &self.stem, utc::now(), ".jpg");
        let written = picture.jpeg().and_then(|bytes| {
            report::replace(&path, |part| {
                std::fs::write(part, &bytes).map_err(|cause| {
                    Error::failed(format!("{}: cannot be written", part.display()))
                        .because(cause)
                        .remedy("name a folder with --output-dir")
                })
            })
        });
        match written {
            Ok(()) => tracing::info!("saved {}", path.display()),
            Err(error) => tracing::error!("{error}"),
        }
    }
}

impl Pace {
    const STEP: Duration = Duration::from_millis(50);

    /// Waits until a clip's picture is due. A clip that cannot keep up is not hurried afterwards.
    fn wait(&mut self, pts: u64, shutdown: &Shutdown) {
        let offset = Duration::from_nanos(pts);
        let now = Instant::now();
        let start = *self.start.get_or_insert_with(|| now.checked_sub(offset).unwrap_or(now));
        if now > start + offset {
            self.start = now.checked_sub(offset);
        }
        while let Some(left) = (start + offset).checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if shutdown.requested() {
                return;
            }
            std::thread::sleep(left.min(Self::STEP));
        }
    }
}
