//! Counts errors in a clip that its decoder does not report: it drops the frame and continues.
//!
//! GStreamer only logs them, so a log function counts them. A log line names the decoder, and each decoder is
//! registered with its clip.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Once, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::error::Error;
use crate::media::truncation;

/// The log category of GStreamer's base class of video decoders.
const CATEGORY: &str = "videodecoder";
/// The start of a log line about input that could not be decoded.
const PREFIX: &str = "error: ";
const NEVER: u64 = u64::MAX;

static DECODERS: LazyLock<Mutex<HashMap<String, Arc<DecodeErrors>>>> = LazyLock::new(Mutex::default);

/// Counts the decode errors of one clip.
#[derive(Debug)]
pub struct DecodeErrors {
    count: AtomicU64,
    /// End of the last decoded frame, in nanoseconds.
    position: AtomicU64,
    /// The position at the first error.
    first: AtomicU64,
}

impl DecodeErrors {
    /// Registers every decoder that `pipeline` adds.
    pub(super) fn of(pipeline: &gst::Pipeline) -> Arc<Self> {
        static LISTENING: Once = Once::new();
        LISTENING.call_once(listen);
        let decode_errors =
            Arc::new(Self { count: AtomicU64::new(0), position: AtomicU64::new(0), first: AtomicU64::new(NEVER) });
        let registered = Arc::clone(&decode_errors);
        pipeline.connect_deep_element_added(move |_, _, element| {
            let decodes = element.factory().is_some_and(|factory| factory.has_type(gst::ElementFactoryType::DECODER));
            if decodes {
                decoders().insert(element.name().to_string(), Arc::clone(&registered));
            }
        });
        decode_errors
    }

    /// Returns the error of the clip at `path` after it was read to its end; `None` if it is intact.
    pub fn error(&self, path: &Path) -> Option<Error> {
        let seconds = |time: &AtomicU64| time.load(Ordering::Relaxed) as f64 / 1e9;
        let failed = |what: String| {
            Error::failed(format!("{}: {what}", path.display()))
                .remedy("copy or record it again; what could be read was analysed")
        };
        if let Some((actual, stated)) = truncation::missing(path) {
            let end = seconds(&self.position);
            return Some(failed(format!("is cut short at {end:.1} s: it has {actual} of its {stated} bytes")));
        }
        let count = self.count.load(Ordering::Relaxed);
        (count > 0).then(|| {
            failed(format!("is damaged near {:.1} s: {count} parts could not be decoded", seconds(&self.first)))
        })
    }

    /// Sets the decoder's position.
    pub(super) fn advance(&self, position: u64) {
        self.position.store(position, Ordering::Relaxed);
    }

    /// Counts an error at the current position.
    pub(super) fn add(&self) {
        let position = self.position.load(Ordering::Relaxed);
        let _ = self.first.compare_exchange(NEVER, position, Ordering::Relaxed, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Unregisters the clip's decoders.
    pub(super) fn close(self: &Arc<Self>) {
        decoders().retain(|_, decode_errors| !Arc::ptr_eq(decode_errors, self));
    }
}

fn decoders() -> std::sync::MutexGuard<'static, HashMap<String, Arc<DecodeErrors>>> {
    DECODERS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen() {
    if std::env::var_os("GST_DEBUG").is_none() {
        // Otherwise every error would be printed as well.
        gst::log::remove_default_log_function();
    }
    gst::log::set_threshold_for_name(CATEGORY, gst::DebugLevel::Warning);
    gst::log::add_log_function(|category, _, _, _, _, object, message| {
        let Some(object) = object.filter(|_| category.name() == CATEGORY) else { return };
        let counts =
            message.get().is_some_and(|text| text.starts_with(PREFIX) && !text.ends_with("Invalid input packet"));
        if counts && let Some(decode_errors) = decoders().get(&object.to_string()) {
            decode_errors.add();
        }
    });
}
