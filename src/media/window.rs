//! Shows labelled frames in a window and reads its key presses.
//!
//! A window that is slower than the stream drops frames. It never blocks the stream.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use crate::error::{Error, Result};
use crate::media::element;
use crate::media::frame::RenderedFrame;
use crate::media::video_format::VideoFormat;

/// Frames that may wait to be shown.
const WAITING: u64 = 2;
/// Attempts to connect, and the pause between them. A virtual X server restarts when its last client disconnects, and
/// does not answer meanwhile.
const ATTEMPTS: usize = 6;
const PAUSE: Duration = Duration::from_millis(250);
/// Key presses that may wait to be read.
const KEYS: usize = 16;

/// A key with a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `q` or Escape, or the window was closed.
    Quit,
    /// The space bar.
    Pause,
    /// `s`.
    Save,
}

impl Key {
    /// Parses X's name of a key.
    fn of(name: &str) -> Option<Self> {
        match name {
            "q" | "Q" | "Escape" => Some(Key::Quit),
            "space" | " " => Some(Key::Pause),
            "s" | "S" => Some(Key::Save),
            _ => None,
        }
    }
}

/// An open window. Dropping closes it.
pub struct Window {
    pipeline: gst::Pipeline,
    input: gst_app::AppSrc,
    keys: Receiver<Key>,
}

impl Window {
    /// Opens a window for frames of `format`.
    ///
    /// # Errors
    /// Unavailable if the display was lost.
    pub fn open(screen: Screen, title: &str, format: &VideoFormat) -> Result<Self> {
        let sink = screen.0;
        let (pixel_width, pixel_height) = format.pixel_aspect;
        let caps = gst::Caps::builder("video/x-raw")
            .field("format", "I420")
            .field("width", format.layout.width as i32)
            .field("height", format.layout.height as i32)
            .field("framerate", gst::Fraction::new(0, 1))
            .field("pixel-aspect-ratio", gst::Fraction::new(pixel_width, pixel_height))
            .field("colorimetry", "1:4:0:0")
            .build();
        let input = gst_app::AppSrc::builder()
            .caps(&caps)
            .format(gst::Format::Time)
            .is_live(true)
            .max_buffers(WAITING)
            .leaky_type(gst_app::AppLeakyType::Downstream)
            .build();
        let (convert, scale) = (element("videoconvert")?, element("videoscale")?);
        // Keeps the aspect ratio; the rest of the window is black.
        scale.set_property("add-borders", true);
        let chain = [input.upcast_ref(), &convert, &scale, &sink];
        let pipeline = gst::Pipeline::new();
        let built =
            |cause: gst::glib::BoolError| Error::internal("the window's pipeline cannot be built").because(cause);
        pipeline.add_many(chain).map_err(built)?;
        gst::Element::link_many(chain).map_err(built)?;
        let (sender, keys) = bounded(KEYS);
        let pad = convert.static_pad("sink").ok_or_else(|| Error::internal("videoconvert has no sink"))?;
        read_keys(&pad, sender.clone());
        report_closing(&pipeline, sender)?;
        let started = pipeline.set_state(gst::State::Playing);
        let window = Self { pipeline, input, keys };
        started.map_err(|_| no_display())?;
        let mut tags = gst::TagList::new();
        if let Some(tags) = tags.get_mut() {
            tags.add::<gst::tags::Title>(&title, gst::TagMergeMode::Replace);
        }
        let _ = window.input.send_event(gst::event::Tag::new(tags));
        Ok(window)
    }

    /// Shows a frame. Times in nanoseconds.
    pub fn show(&self, frame: &RenderedFrame, pts: u64, duration: u64) {
        // A closed window is reported as a key.
        let _ = self.input.push_buffer(frame.timed(pts, duration));
    }

    /// Returns the next key press.
    pub fn pressed(&self) -> Option<Key> {
        self.keys.try_recv().ok()
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// A connected display.
pub struct Screen(gst::Element);

impl Screen {
    /// Connects to the display. `autovideosink` is not used: it tries the kernel's framebuffers too, and one of its
    /// candidates crashes if an X server does not answer.
    ///
    /// # Errors
    /// Unavailable if there is no display.
    pub fn open() -> Result<Self> {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let x = is_set("DISPLAY").then_some(["xvimagesink", "ximagesink"]);
        let wayland = is_set("WAYLAND_DISPLAY").then_some("waylandsink");
        let mut candidates: Vec<&str> = x.into_iter().flatten().chain(wayland).collect();
        for _ in 0..if candidates.is_empty() { 0 } else { ATTEMPTS } {
            for name in &candidates {
                // Not every desktop has all of them.
                let Ok(sink) = gst::ElementFactory::make(name).build() else { continue };
                if sink.set_state(gst::State::Ready).is_ok() {
                    // Frames arrive when they are due, so none has to be dropped as late.
                    sink.set_property("sync", false);
                    sink.set_property("qos", false);
                    return Ok(Self(sink));
                }
                let _ = sink.set_state(gst::State::Null);
            }
            // A server that lacks what the first candidate needs restarts when that one disconnects, just when the
            // second connects. Reversing the order avoids the same race.
            candidates.reverse();
            std::thread::sleep(PAUSE);
        }
        Err(no_display())
    }
}

fn no_display() -> Error {
    Error::unavailable("no window can be opened: there is no display")
        .remedy("leave out --display, or run it where DISPLAY or WAYLAND_DISPLAY is set, or under xvfb-run")
}

/// Reads key presses, which travel upstream as navigation events.
fn read_keys(pad: &gst::Pad, keys: Sender<Key>) {
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &info.data
            && let Ok(gst_video::NavigationEvent::KeyPress { key, .. }) = gst_video::NavigationEvent::parse(event)
            && let Some(key) = Key::of(&key)
        {
            let _ = keys.try_send(key);
        }
        gst::PadProbeReturn::Ok
    });
}

/// Reports a closed window, which fails its pipeline, as [`Key::Quit`].
fn report_closing(pipeline: &gst::Pipeline, keys: Sender<Key>) -> Result<()> {
    let bus = pipeline.bus().ok_or_else(|| Error::internal("a pipeline has no bus"))?;
    bus.set_sync_handler(move |_, message| {
        if let gst::MessageView::Error(error) = message.view() {
            tracing::debug!("window: {}", error.error());
            let _ = keys.try_send(Key::Quit);
        }
        gst::BusSyncReply::Drop
    });
    Ok(())
}
