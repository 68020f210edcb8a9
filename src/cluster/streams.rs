//! The cluster's streams in JetStream: made if there are none, and checked if there are.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{Context, ErrorCode};

use crate::cluster::claim::CLAIM;
use crate::cluster::job::MAX_MESSAGE;
use crate::cluster::names::{
    ALL_CLIPS, ALL_EVENTS, ALL_WATCHES, ATTEMPTS, CAMERA, CAMERAS, CAMERAS_CONSUMER, CLIPS, CLIPS_CONSUMER, CLIPS_V1,
    EVENTS, FAILED, LIVE, RECORDS, RESULT, STATE, STATES, WATCHES_V1, WORKER, WORKERS,
};
use crate::config::nats::NatsConfig;
use crate::error::{Error, Result};

/// The object store of results.
pub const RESULTS_STORE: &str = "LIVELABEL_RESULTS";
/// Jobs that may wait: more are refused.
const MAX_WAITING: i64 = 10_000_000;
/// How long it is remembered how a job ended, and how a worker was.
pub const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 60 * 60);
pub const PRESENT: Duration = Duration::from_secs(15);
/// How long events are kept, and how many.
const EVENTS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const MAX_EVENTS: i64 = 10_000_000;
/// Jobs that all workers together may have.
const MAX_CLAIMED: i64 = 100_000;

/// The cluster's streams.
#[derive(Clone)]
pub struct Streams {
    pub clips: Stream,
    pub records: Stream,
    pub workers: Stream,
    pub cameras: Stream,
    pub live: Stream,
    pub events: Stream,
    pub states: Stream,
}

/// Opens the streams, and makes those that there are not.
///
/// # Errors
/// `Unavailable` if the server has no JetStream or does not answer; usage if a stream of that name is of something else.
pub async fn open(jetstream: &Context, config: &NatsConfig) -> Result<Streams> {
    let [clips, records, workers] = configs(config.replicas.unwrap_or(1));
    let [cameras, live, events, states] = camera_configs(config.replicas.unwrap_or(1));
    let open = async |stream| open_stream(jetstream, stream, config.replicas).await;
    Ok(Streams {
        clips: open(clips).await?,
        records: open(records).await?,
        workers: open(workers).await?,
        cameras: open(cameras).await?,
        live: open(live).await?,
        events: open(events).await?,
        states: open(states).await?,
    })
}

/// Returns the consumer that hands out clips, and makes it if there is none.
///
/// # Errors
/// `Unavailable` if it cannot be made; usage if there is one that hands out jobs in another way.
pub async fn clips(streams: &Streams) -> Result<PullConsumer> {
    consumer(&streams.clips, CLIPS, CLIPS_CONSUMER, CLIPS_V1).await
}

/// Returns the consumer that hands out cameras, and makes it if there is none.
///
/// # Errors
/// Those of [`clips`].
pub async fn cameras(streams: &Streams) -> Result<PullConsumer> {
    consumer(&streams.live, LIVE, CAMERAS_CONSUMER, WATCHES_V1).await
}

async fn consumer(queue: &Stream, stream: &str, name: &str, subjects: &str) -> Result<PullConsumer> {
    let config = pull::Config {
        durable_name: Some(name.into()),
        filter_subject: subjects.into(),
        ack_policy: AckPolicy::Explicit,
        ack_wait: CLAIM,
        max_ack_pending: MAX_CLAIMED,
        ..pull::Config::default()
    };
    let consumer = queue.get_or_create_consumer(name, config).await.map_err(|cause| {
        Error::unavailable(format!("the consumer {name} of {stream} cannot be used"))
            .because(cause.to_string())
            .remedy("let this NATS user make consumers, or delete the one that there is")
    })?;
    let found = &consumer.cached_info().config;
    // Less would hand jobs out twice, or lose them.
    let usable = found.ack_wait >= CLAIM
        && found.max_deliver <= 0
        && found.ack_policy == AckPolicy::Explicit
        && found.filter_subject == subjects;
    if usable {
        return Ok(consumer);
    }
    Err(Error::usage(format!("the consumer {name} of {stream} has another configuration"))
        .remedy(format!("delete it with: nats consumer rm {stream} {name}")))
}

/// A stream that keeps jobs until they have ended.
fn queue(name: &str, description: &str, subjects: &str, replicas: usize) -> Config {
    Config {
        name: name.into(),
        description: Some(description.into()),
        subjects: vec![subjects.into()],
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_messages: MAX_WAITING,
        max_message_size: MAX_MESSAGE,
        num_replicas: replicas,
        ..Config::default()
    }
}

/// A stream that keeps the last message of each subject with one of these beginnings.
fn last(name: &str, description: &str, prefixes: &[&str], replicas: usize) -> Config {
    Config {
        name: name.into(),
        description: Some(description.into()),
        subjects: prefixes.iter().map(|prefix| format!("{prefix}*")).collect(),
        // A stream in memory would be gone after a restart, and not every user may make it.
        storage: StorageType::File,
        max_messages_per_subject: 1,
        allow_direct: true,
        num_replicas: replicas,
        ..Config::default()
    }
}

fn configs(replicas: usize) -> [Config; 3] {
    let last = |name, description, prefixes| last(name, description, prefixes, replicas);
    let records = last(RECORDS, "How livelabel's jobs ended", &[RESULT, FAILED, ATTEMPTS]);
    let workers = last(WORKERS, "The workers of livelabel", &[WORKER]);
    [
        queue(CLIPS, "Clips that livelabel is to label", ALL_CLIPS, replicas),
        Config { max_age: REMEMBERED, ..records },
        Config { max_age: PRESENT, duplicate_window: PRESENT, ..workers },
    ]
}

fn camera_configs(replicas: usize) -> [Config; 4] {
    let last = |name, description, prefix| Config {
        max_message_size: MAX_MESSAGE,
        ..last(name, description, &[prefix], replicas)
    };
    let events = Config {
        name: EVENTS.into(),
        description: Some("What livelabel's cameras saw".into()),
        subjects: vec![ALL_EVENTS.into()],
        storage: StorageType::File,
        max_age: EVENTS_KEPT,
        max_messages: MAX_EVENTS,
        max_message_size: MAX_MESSAGE,
        num_replicas: replicas,
        ..Config::default()
    };
    [
        last(CAMERAS, "Settings of livelabel's cameras", CAMERA),
        queue(LIVE, "Cameras that livelabel is to watch", ALL_WATCHES, replicas),
        events,
        Config { max_age: REMEMBERED, ..last(STATES, "How livelabel's cameras are", STATE) },
    ]
}

async fn open_stream(jetstream: &Context, config: Config, replicas: Option<usize>) -> Result<Stream> {
    let name = config.name.clone();
    let stream = match jetstream.get_stream(&name).await {
        Ok(stream) => stream,
        Err(cause) => match cause.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                create(jetstream, &config).await?
            }
            GetStreamErrorKind::JetStream(error) => return Err(unusable(&name, &error.to_string())),
            // Without JetStream nobody answers.
            _ => return Err(unusable(&name, &cause.to_string())),
        },
    };
    let found = stream.cached_info().config.num_replicas;
    if replicas.is_some_and(|replicas| replicas != found) {
        tracing::warn!(
            "{} servers keep the stream {name}, as when it was made; change it with: nats stream edit",
            found
        );
    }
    match difference(&config, &stream.cached_info().config) {
        Some(what) => Err(Error::usage(format!("the NATS stream {name} has {what}"))
            .remedy("it is not livelabel's: use another NATS account, or delete the stream if nobody needs it")),
        None => Ok(stream),
    }
}

/// Makes a stream. Another process may do so at the same moment.
async fn create(jetstream: &Context, config: &Config) -> Result<Stream> {
    match jetstream.create_stream(config.clone()).await {
        Ok(stream) => Ok(stream),
        Err(cause) => match cause.kind() {
            CreateStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NAME_EXIST => {
                jetstream.get_stream(&config.name).await.map_err(|cause| unusable(&config.name, &cause.to_string()))
            }
            CreateStreamErrorKind::JetStream(error) => Err(unusable(&config.name, &error.to_string())),
            _ => Err(unusable(&config.name, &cause.to_string())),
        },
    }
}

fn unusable(stream: &str, cause: &str) -> Error {
    let error = Error::unavailable(format!("the NATS stream {stream} cannot be used")).because(cause.to_string());
    if cause.contains("replicas") {
        return error.remedy("join as many servers to one cluster, or leave out --nats-replicas");
    }
    error.remedy("start the server with JetStream (nats-server -js), and let this NATS user use it")
}

/// Says in what a stream differs from livelabel's, if it matters. Limits, copies and storage are the administrator's.
fn difference(wanted: &Config, found: &Config) -> Option<String> {
    if found.subjects != wanted.subjects {
        return Some(format!("other subjects ({})", found.subjects.join(", ")));
    }
    if found.retention != wanted.retention {
        return Some(format!("another retention ({:?})", found.retention));
    }
    let per_subject = found.max_messages_per_subject;
    (per_subject != wanted.max_messages_per_subject && wanted.max_messages_per_subject == 1)
        .then(|| format!("another number of messages a subject ({per_subject})"))
}
