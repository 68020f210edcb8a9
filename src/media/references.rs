//! Prevents a playlist from making the program read files or request addresses that the user did not name.
//!
//! GStreamer's playlist demuxers create source elements themselves, some outside any pipeline. So every source element
//! in the process is watched, and its URI is checked before it opens it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;
use url::{Origin, Url};

/// The URI that a refused source gets instead: port 0, so that no request is sent.
const NOWHERE: &str = "http://localhost:0/";
/// The error message for a playlist that names something outside its scope.
const FOREIGN: &str = "the playlist names another host, or a file";

/// The URIs that a playlist may name.
#[derive(Clone, PartialEq)]
pub(super) enum Scope {
    /// Addresses with the camera's scheme, host and port.
    Origin(Origin),
    /// Addresses of any web server.
    Web,
    /// Addresses of any web server, and files.
    WebAndFiles,
}

impl Scope {
    fn holds(&self, uri: &str) -> bool {
        let Ok(url) = Url::parse(uri) else { return false };
        let web = ["http", "https"].contains(&url.scheme());
        match self {
            Scope::Origin(origin) => web && url.origin() == *origin,
            Scope::Web => web,
            Scope::WebAndFiles => web || url.scheme() == "file",
        }
    }
}

/// The pipelines that follow playlists, with their scopes.
static FOLLOWING: Mutex<Vec<(glib::WeakRef<gst::Pipeline>, Scope)>> = Mutex::new(Vec::new());

/// Restricts a pipeline's playlists to URIs in `scope`.
pub(super) fn follow(pipeline: &gst::Pipeline, scope: Scope) {
    static WATCH: OnceLock<Watch> = OnceLock::new();
    WATCH.get_or_init(glib::Object::new);
    let mut following = FOLLOWING.lock().unwrap_or_else(PoisonError::into_inner);
    following.retain(|(pipeline, _)| pipeline.upgrade().is_some());
    following.push((pipeline.downgrade(), scope));
}

/// Returns whether an error means that a playlist names something outside its scope.
pub(super) fn is_foreign(error: &glib::Error) -> bool {
    error.message().starts_with(FOREIGN)
}

/// Checks a source each time before it opens its URI: its stream-start event precedes that.
fn guard(element: &gst::Element) {
    let reads =
        element.dynamic_cast_ref::<gst::URIHandler>().is_some_and(|handler| handler.uri_type() == gst::URIType::Src);
    let Some(pad) = element.static_pad("src").filter(|_| reads) else { return };
    let refused = AtomicBool::new(false);
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::BUFFER, move |pad, info| match &info.data {
        Some(gst::PadProbeData::Event(event)) => {
            if event.type_() == gst::EventType::StreamStart
                && let Some(element) = pad.parent_element()
            {
                refused.store(refuses(&element), Ordering::Relaxed);
            }
            gst::PadProbeReturn::Ok
        }
        _ if refused.load(Ordering::Relaxed) => gst::PadProbeReturn::Drop,
        _ => gst::PadProbeReturn::Ok,
    });
}

/// Returns whether a playlist's source is out of scope, and if so redirects it to [`NOWHERE`].
fn refuses(element: &gst::Element) -> bool {
    let mut top: gst::Object = element.clone().upcast();
    let mut depth = 0;
    while let Some(parent) = top.parent() {
        (top, depth) = (parent, depth + 1);
    }
    let pipeline = top.downcast::<gst::Pipeline>().ok();
    // The program's own sources are direct children of their pipeline.
    if pipeline.is_some() && depth == 1 {
        return false;
    }
    let uri = element.dynamic_cast_ref::<gst::URIHandler>().and_then(|handler| handler.uri()).unwrap_or_default();
    let following = FOLLOWING.lock().unwrap_or_else(PoisonError::into_inner);
    // A source outside any pipeline, for a key or another playlist, does not reveal for which pipeline it reads.
    let own = |(other, _): &&(glib::WeakRef<gst::Pipeline>, Scope)| {
        other.upgrade().is_some_and(|other| pipeline.as_ref().is_none_or(|pipeline| *pipeline == other))
    };
    let mut scopes = following.iter().filter(own).peekable();
    let refused = scopes.peek().is_some() && !scopes.any(|(_, scope)| scope.holds(&uri));
    drop(following);
    if element.has_property("automatic-redirect") {
        // A redirect would be followed without a check.
        element.set_property("automatic-redirect", false);
    }
    if refused {
        if element.has_property("automatic-redirect") {
            element.set_property("location", NOWHERE);
        }
        if let Some(pipeline) = pipeline {
            gst::element_error!(pipeline, gst::ResourceError::NotAuthorized, ("{FOREIGN}"));
        }
    }
    refused
}

glib::wrapper! {
    /// Watches the creation of every element.
    pub struct Watch(ObjectSubclass<imp::Watch>) @extends gst::Tracer, gst::Object;
}

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Watch;

    #[glib::object_subclass]
    impl ObjectSubclass for Watch {
        const NAME: &'static str = "LivelabelSourceWatch";
        type Type = super::Watch;
        type ParentType = gst::Tracer;
    }

    impl ObjectImpl for Watch {
        fn constructed(&self) {
            self.parent_constructed();
            self.register_hook(TracerHook::ElementNew);
        }
    }

    impl GstObjectImpl for Watch {}

    impl TracerImpl for Watch {
        fn element_new(&self, _: u64, element: &gst::Element) {
            guard(element);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cameras_playlist_may_name_its_own_origin_only() {
        let scope = Scope::Origin(Url::parse("http://cam:8080/live.m3u8").unwrap().origin());
        for uri in ["http://cam:8080/1.ts", "http://CAM:8080/other/2.ts?x=1"] {
            assert!(scope.holds(uri), "{uri}");
        }
        for uri in
            ["http://cam/1.ts", "https://cam:8080/1.ts", "http://cam.example:8080/", "file:///etc/passwd", "", "x"]
        {
            assert!(!scope.holds(uri), "{uri}");
        }
        assert!(Scope::Web.holds("https://other/1.ts") && !Scope::Web.holds("file:///1.ts"));
        assert!(Scope::WebAndFiles.holds("file:///1.ts") && !Scope::WebAndFiles.holds("rtmp://other/1"));
    }
}
