//! Prometheus metrics. Histograms are recorded as the values occur; the rest is read from the telemetry on each scrape.

use std::collections::HashSet;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::error::{Error, Result};
use crate::learning::LearningClient;
use crate::report::rounded;
use crate::telemetry::status::StreamPhase;
use crate::telemetry::{StreamState, Telemetry, Totals, label_value};

/// Upper bounds of the histograms' buckets.
const LATENCY_SECONDS: [f64; 12] = [0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0];
const INFERENCE_SECONDS: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];
const BATCH_SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Installs the recorder. Without it, recording costs nothing.
///
/// # Errors
/// `Internal` if a recorder is installed already.
pub fn install() -> Result<PrometheusHandle> {
    let failed = |cause| Error::internal("the metrics recorder cannot be installed").because(cause);
    let histogram = |name: &str| Matcher::Full(format!("livelabel_{name}"));
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(histogram("latency_seconds"), &LATENCY_SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(histogram("inference_seconds"), &INFERENCE_SECONDS))
        .and_then(|builder| builder.set_buckets_for_metric(histogram("batch_size"), &BATCH_SIZES))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(failed)?;
    describe();
    Ok(handle)
}

/// Returns all metrics in Prometheus' text format.
pub(super) fn scrape(
    handle: &PrometheusHandle,
    telemetry: &Telemetry,
    learning: Option<&LearningClient>,
    clients: usize,
) -> String {
    let streams = telemetry.totals();
    streams.iter().for_each(|(stream, totals)| gather_stream(stream, totals));
    gather_others(telemetry, clients);
    learning.into_iter().for_each(gather_learning);
    let names: HashSet<&str> = streams.iter().map(|(stream, _)| stream.info.name.as_str()).collect();
    // The recorder never forgets a label, so the samples of streams that were removed are left out here.
    let is_present = |line: &&str| stream_of(line).is_none_or(|name| names.contains(name.as_str()));
    handle.render().split_inclusive('\n').filter(is_present).collect()
}

/// Returns the value of a sample's label `stream`.
fn stream_of(line: &str) -> Option<String> {
    let start = ["{stream=\"", ",stream=\""].iter().find_map(|label| line.find(label).map(|at| at + label.len()))?;
    let (mut name, mut rest) = (String::new(), line[start..].chars());
    loop {
        match rest.next()? {
            '"' => return Some(name),
            '\\' => name.push(match rest.next()? {
                'n' => '\n',
                other => other,
            }),
            other => name.push(other),
        }
    }
}

/// Updates the gauges of the run and of the process.
fn gather_others(telemetry: &Telemetry, clients: usize) {
    gauge!("process_start_time_seconds").set(telemetry.started.unix_timestamp() as f64);
    gauge!("livelabel_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    gauge!("livelabel_web_connections").set(clients as f64);
    gather_process();
}

fn gather_stream(state: &StreamState, totals: &Totals) {
    let name = label_value(&state.info.name);
    let named = |key: &'static str, value: &str| [("stream", name.clone()), (key, label_value(value))];
    let stream = [("stream", name.clone())];
    for (outcome, &count) in &totals.frames {
        counter!("livelabel_frames_total", &named("outcome", outcome)).absolute(count);
    }
    gauge!("livelabel_frames_in_flight", &stream).set(state.progress.counters.counts().in_flight as f64);

    let status = state.status();
    gauge!("livelabel_queue_depth", &stream).set(status.waiting as f64);
    gauge!("livelabel_paused", &stream).set(f64::from(u8::from(status.state == StreamPhase::Paused)));
    gauge!("livelabel_up", &stream).set(f64::from(u8::from(status.state == StreamPhase::Running)));
    gauge!("livelabel_stride", &stream).set(status.stride as f64);
    for (reason, &count) in &totals.reconnects {
        counter!("livelabel_reconnects_total", &named("reason", reason)).absolute(count);
    }
    counter!("livelabel_stalls_total", &stream).absolute(totals.stalls);
    counter!("livelabel_gaps_total", &stream).absolute(totals.gaps);
    counter!("livelabel_written_bytes_total", &stream).absolute(totals.written);
    gauge!("livelabel_viewers", &stream).set(state.pictures.viewers() as f64);

    let smoothed = state.smoothed().filter(|_| status.state == StreamPhase::Running);
    for (class, label) in state.info.labels.iter().enumerate() {
        let shown = status.label.as_ref() == Some(label);
        gauge!("livelabel_label", &named("label", label)).set(f64::from(u8::from(shown)));
        let confidence = smoothed.as_ref().map_or(f64::NAN, |smoothed| rounded(f64::from(smoothed[class])));
        gauge!("livelabel_confidence_ratio", &named("label", label)).set(confidence);
    }
}

fn gather_learning(learning: &LearningClient) {
    let (kept, dropped) = learning.counts();
    counter!("livelabel_learning_frames_total", "outcome" => "kept").absolute(kept);
    counter!("livelabel_learning_frames_total", "outcome" => "dropped").absolute(dropped);
    gauge!("livelabel_learning_bytes").set(learning.store().bytes() as f64);
}

fn gather_process() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
    };
    if let Some(kibibytes) = number("VmRSS:") {
        gauge!("process_resident_memory_bytes").set(1024.0 * kibibytes);
    }
    if let Some(threads) = number("Threads:") {
        gauge!("process_threads").set(threads);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the directory handle itself.
        gauge!("process_open_fds").set(files.count().saturating_sub(1) as f64);
    }
}

fn describe() {
    describe_counter!(
        "livelabel_frames_total",
        "Frames by outcome; decoded frames are their sum plus those in flight."
    );
    describe_gauge!("livelabel_frames_in_flight", "Decoded frames that have no label yet.");
    describe_gauge!("livelabel_queue_depth", "A camera's decoded frames that wait for preparation, at most 8.");
    describe_histogram!("livelabel_latency_seconds", Unit::Seconds, "Time from a frame's arrival to the last output.");
    describe_histogram!("livelabel_inference_seconds", Unit::Seconds, "Time of one inference, for one batch.");
    describe_histogram!("livelabel_batch_size", "Frames in one inference.");
    describe_gauge!("livelabel_engine_queue_depth", "Frames of all streams that wait for inference.");
    describe_gauge!("livelabel_up", "1 while the stream delivers frames.");
    describe_gauge!("livelabel_cluster_waiting", "Clips, or cameras, that wait for a worker of the cluster.");
    describe_gauge!("livelabel_cluster_claimed", "Clips, or cameras, that workers have, or gave back a moment ago.");
    describe_gauge!("livelabel_cluster_redelivered", "Of those, the ones that were handed out more than once.");
    describe_gauge!("livelabel_paused", "1 while the stream is paused.");
    describe_gauge!("livelabel_stride", "Every n-th frame is analysed.");
    describe_counter!(
        "livelabel_reconnects_total",
        "Reconnections that delivered frames, by the reason for the loss before."
    );
    describe_counter!("livelabel_stalls_total", "Connections closed because no frames arrived.");
    describe_counter!("livelabel_gaps_total", "Gaps: stretches of time without a frame.");
    describe_gauge!("livelabel_label", "1 for the label that is shown, 0 for the others.");
    describe_gauge!("livelabel_confidence_ratio", "Smoothed confidence of each label; NaN while no frames arrive.");
    describe_counter!("livelabel_written_bytes_total", Unit::Bytes, "Bytes of video written.");
    describe_gauge!("livelabel_viewers", "Viewers of the stream.");
    describe_counter!(
        "livelabel_learning_frames_total",
        "Frames that were chosen for learning, kept or lost because the disk was full or too slow."
    );
    describe_gauge!("livelabel_learning_bytes", Unit::Bytes, "Bytes of the pictures that are kept for learning.");
    describe_gauge!("livelabel_web_connections", "Connections to this server, at most 128.");
    describe_gauge!("process_start_time_seconds", Unit::Seconds, "When the run began, in seconds since 1970.");
    describe_gauge!("livelabel_build_info", "Always 1, with the program's version.");
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Resident memory of the process.");
    describe_gauge!("process_threads", "Threads of the process.");
    describe_gauge!("process_open_fds", "Open files and sockets of the process.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_sample_is_found_whatever_its_name() {
        for (written, name) in [
            ("door", "door"),
            (r#"a\"b"#, "a\"b"),
            (r"back\\", "back\\"),
            (r#"x\",stream=\"y"#, "x\",stream=\"y"),
            (r"two\nlines", "two\nlines"),
            ("", ""),
        ] {
            for line in [
                format!("livelabel_up{{stream=\"{written}\"}} 1"),
                format!("livelabel_label{{label=\"a\",stream=\"{written}\"}} 0"),
                format!("livelabel_label{{stream=\"{written}\",label=\"a\"}} 0"),
            ] {
                assert_eq!(stream_of(&line).as_deref(), Some(name), "{line}");
            }
        }
        assert_eq!(stream_of("# HELP livelabel_up 1 while the stream delivers frames."), None);
        assert_eq!(stream_of("livelabel_web_connections 3"), None);
    }
}
