//! Messages on stderr: one line each, as text or JSON.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::printable;

/// Overrides which messages are shown, in tracing's syntax.
const VARIABLE: &str = "LIVELABEL_LOG";
/// What these tell of their inner lives is not for users; their failures reach them as errors.
const DEFAULT: &str = "info,ort=off,rumqttc=off";

/// What these tell in detail holds addresses and headers with credentials, so that nobody can ask for it.
const SECRETIVE: [&str; 4] = ["ureq", "ureq_proto", "hyper", "rustls"];

static JSON: AtomicBool = AtomicBool::new(false);

/// Whether messages are written as JSON, with fields.
pub fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Starts logging, once for the process.
pub fn start(json: bool) {
    JSON.store(json, Ordering::Relaxed);
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let filter = SECRETIVE.iter().fold(filter, |filter, target| match format!("{target}=warn").parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    });
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    // A second start, as in a test, changes nothing.
    let _ = if json { builder.json().try_init() } else { builder.event_format(Plain).try_init() };
}

/// `livelabel: error: message`, as people expect of a command.
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let kind = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            _ => "",
        };
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        writeln!(writer, "livelabel: {kind}{}", printable::line(&fields))
    }
}
