//! Keeps a playlist from making the program read files, or ask addresses, that its user did not name.
//!
//! GStreamer's demuxers of playlists make sources by themselves, some of them in no pipeline. So every source that is made
//! anywhere is looked at, and before it opens what it was told to, that is compared with what may be.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;
use url::{Origin, Url};

/// What a source that may not be opened is pointed at: no port of this machine, so nobody is asked.
const NOWHERE: &str = "http://localhost:0/";
/// The error message of a playlist that names what it may not.
const FOREIGN: &str = "the playlist names another host, or a file";

/// What playlists may name.
#[derive(Clone, PartialEq)]
pub(super) enum Scope {
    /// Addresses of the scheme, host and port that a camera has.
    Origin(Origin),
    /// Addresses of any web server.
    Web,
    /// Those, and files.
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

/// The pipelines that follow playlists.
static FOLLOWING: Mutex<Vec<(glib::WeakRef<gst::Pipeline>, Scope)>> = Mutex::new(Vec::new());

/// Lets a pipeline's playlists name what is in `scope`, and nothing else.
pub(super) fn follow(pipeline: &gst::Pipeline, scope: Scope) {
    static WATCH: OnceLock<Watch> = OnceLock::new();
    WATCH.get_or_init(glib::Object::new);
    let mut following = FOLLOWING.lock().unwrap_or_else(PoisonError::into_inner);
    following.retain(|(pipeline, _)| pipeline.upgrade().is_some());
    following.push((pipeline.downgrade(), scope));
}

/// Whether an error says that a playlist names what it may not.
pub(super) fn is_foreign(error: &glib::Error) -> bool {
    error.message().starts_with(FOREIGN)
}

/// Looks at a source each time before it opens what it was told to: its first event comes earlier.
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

/// Keeps a source that a playlist asked for from opening what it may not.
fn refuses(element: &gst::Element) -> bool {
    let mut top: gst::Object = element.clone().upcast();
    let mut depth = 0;
    while let Some(parent) = top.parent() {
        (top, depth) = (parent, depth + 1);
    }
    let pipeline = top.downcast::<gst::Pipeline>().ok();
    // The program's own sources stand in their pipeline itself.
    if pipeline.is_some() && depth == 1 {
        return false;
    }
    let uri = element.dynamic_cast_ref::<gst::URIHandler>().and_then(|handler| handler.uri()).unwrap_or_default();
    let following = FOLLOWING.lock().unwrap_or_else(PoisonError::into_inner);
    // One that is in no pipeline does not tell for whom it reads: a key, or another playlist.
    let own = |(other, _): &&(glib::WeakRef<gst::Pipeline>, Scope)| {
        other.upgrade().is_some_and(|other| pipeline.as_ref().is_none_or(|pipeline| *pipeline == other))
    };
    let mut scopes = following.iter().filter(own).peekable();
    let refused = scopes.peek().is_some() && !scopes.any(|(_, scope)| scope.holds(&uri));
    drop(following);
    if element.has_property("automatic-redirect") {
        // It would be followed before it could be looked at.
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
    /// Hears of every element that is made.
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
    fn a_camera_names_its_own_places_only() {
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
