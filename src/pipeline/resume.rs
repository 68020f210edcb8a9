//! `--resume`: which clips an earlier run has completed with the same model and settings.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use crate::config::inputs::Job;
use crate::error::{Error, Result};
use crate::inference::model::Model;
use crate::pipeline::context::header_of;
use crate::pipeline::observer::{LabeledInterval, Observer};
use crate::pipeline::overwrite;
use crate::report::interval_table::IntervalTable;
use crate::report::journal::IntervalRecord;
use crate::report::timeline_reader;
use crate::system::printable;
use crate::telemetry::StreamInfo;

/// Keys of a timeline that may differ: they do not decide labels.
const FREE: [&str; 4] = ["started", "device", "opened", "opened_ms"];

/// Returns whether all files of a clip are there, made of the same clip with the same model and settings. A clip whose
/// timeline is incomplete, or whose journal is left, is not complete; its files are replaced.
///
/// # Errors
/// Without `force`: usage, if the files that are there are of something else, which names the difference.
pub fn is_complete(job: &Job, model: &Model, force: bool) -> Result<bool> {
    let outputs = &job.outputs;
    let absent = || if force { Ok(false) } else { overwrite::check_absent(job).map(|()| false) };
    let Some(timeline) = outputs.timeline.as_deref() else { return absent() };
    if !timeline.exists() {
        let journal = outputs.journal.as_deref().is_some_and(Path::exists);
        return if journal { Ok(again(job)) } else { absent() };
    }
    let compared = timeline_reader::head(timeline).and_then(|head| match difference(&head, job, model)? {
        None => Ok(head.get("complete") == Some(&Value::Bool(true))),
        Some(what) => Err(Error::usage(format!("{}: {what}", timeline.display()))
            .remedy("label the clip again with --force, or write elsewhere with --output-dir")),
    });
    match compared {
        Ok(complete) => Ok((complete && outputs.files().all(Path::exists)) || again(job)),
        Err(_) if force => Ok(false),
        Err(error) => Err(error),
    }
}

/// Says that a clip is labelled again. Returns false.
fn again(job: &Job) -> bool {
    tracing::info!("{}: the last run did not complete it, so it is labelled again", printable::path(&job.input));
    false
}

/// Says how a timeline's clip, model or settings differ from those of this run.
fn difference(head: &serde_json::Map<String, Value>, job: &Job, model: &Model) -> Result<Option<String>> {
    let now = serde_json::to_value(header_of(job, model, String::new(), OffsetDateTime::UNIX_EPOCH))
        .map_err(|cause| Error::internal("a header").because(cause))?;
    let differs = |key: &String, value: &Value| match key.as_str() {
        "input" => {
            // A folder of clips may have moved.
            let name = |text: &Value| Some(printable::parse_path(text.as_str()?).file_name()?.to_os_string());
            name(value) != head.get(key).and_then(name)
        }
        "model" => head.get(key).is_none_or(|then| then["sha256"] != value["sha256"]),
        _ => head.get(key) != Some(value),
    };
    let found =
        now.as_object().into_iter().flatten().find(|(key, value)| !FREE.contains(&key.as_str()) && differs(key, value));
    Ok(found.map(|(key, value)| {
        let then = head.get(key);
        match key.as_str() {
            "input" | "file" if then.is_some() => "is of another clip, or of this one before it changed".into(),
            "file" => "is of an older version, which did not note the clip's size and time".into(),
            "model" => "is of another model".into(),
            _ => match then {
                Some(then) => format!("is of a run with {key} {then}, not {value}"),
                None => format!("does not say its {key}"),
            },
        }
    }))
}

/// Passes the intervals of an earlier run to the run's table, to the observer and to `each`. Returns the duration of what
/// was labelled, in milliseconds.
///
/// # Errors
/// Returns a failure if the timeline cannot be read or the table cannot be written.
pub fn replay(
    timeline: &Path,
    info: &StreamInfo,
    table: Option<&IntervalTable>,
    observer: &dyn Observer,
    each: &mut dyn FnMut(&IntervalRecord),
) -> Result<f64> {
    let mut written = Ok(());
    let duration = timeline_reader::intervals(timeline, &mut |interval| {
        each(&interval);
        if let (Some(table), Ok(())) = (table, &written) {
            written = table.add(&info.input, &interval, None);
        }
        let (onset, offset) = interval.activity();
        let time = |ms: f64| Duration::from_secs_f64(ms.max(0.0) / 1000.0);
        observer.interval(
            info,
            LabeledInterval {
                label: &interval.label,
                start: time(interval.start),
                end: time(interval.end),
                mean: interval.mean,
                peak: interval.peak,
                onset: time(onset),
                offset: time(offset),
            },
        );
    })?;
    written.map(|()| duration)
}
