//! Logs to stderr: one line for each message, as text or JSON.

mod stderr;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::logging::stderr::Stderr;
use crate::system::{printable, utc, words};

/// Environment variable that overrides the filter, in tracing's syntax.
const VARIABLE: &str = "LIVELABEL_LOG";
/// Libraries whose own logs are not for users; their failures are reported as errors.
const DEFAULT: &str = "info,ort=off,rumqttc=off,rustls_platform_verifier=off";

/// Libraries whose detailed logs hold addresses and headers with credentials. The filter cannot enable them.
const CAPPED: [&str; 5] = ["async_nats=off", "ureq=warn", "ureq_proto=warn", "hyper=warn", "rustls=warn"];

static JSON: AtomicBool = AtomicBool::new(false);

/// Returns whether messages are logged as JSON, with fields.
pub fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Starts logging, once for the process.
pub fn start(json: bool) {
    JSON.store(json, Ordering::Relaxed);
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let filter = CAPPED.iter().fold(filter, |filter, directive| match directive.parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    });
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(self::stderr).log_internal_errors(false);
    // A second start, as in a test, has no effect.
    let _ = if json { builder.json().try_init() } else { builder.event_format(Plain).try_init() };
}

/// Returns a writer of whole lines, which are lost if nobody reads them.
pub(crate) fn stderr() -> Stderr {
    Stderr { report: lost }
}

/// Says how many lines were lost.
fn lost(count: u64) -> String {
    let lines = words::count(count, "line");
    let message = format!("lost {lines} of this log, which nobody read; read it, or write it to a file");
    if is_json() {
        let time = utc::milliseconds(utc::now());
        let line =
            json!({"timestamp": time, "level": "WARN", "fields": {"message": message}, "target": module_path!()});
        return format!("{line}\n");
    }
    format!("livelabel: warning: {message}\n")
}

/// Formats messages like `livelabel: error: message`, as is usual for a command.
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
