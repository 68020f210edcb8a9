//! How a job ended, kept in JetStream. The first record of a job stays; a later one changes nothing.

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind, Stream};
use futures_util::{StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cluster::connection::Connection;
use crate::cluster::job::{JobId, VERSION};
use crate::cluster::names::{ATTEMPTS, FAILED, RESULT};
use crate::error::{Error, Result};
use crate::system::utc;

/// Records that are read at the same time.
const CONCURRENT: usize = 64;

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    Done,
    Failed,
    Cancelled,
}

/// The record of a job that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    pub version: u32,
    pub id: JobId,
    pub state: JobState,
    pub input: String,
    /// When it ended, by the worker's clock.
    pub ended: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The folder of its files; or what their names in the object store begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<String>,
    /// The names of its files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Intervals other than `other`, and duration of what was labelled; unknown if another worker wrote the files and ended then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intervals: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
}

impl JobRecord {
    pub fn new(id: &JobId, input: &str, state: JobState) -> Self {
        Self {
            version: VERSION,
            id: id.clone(),
            state,
            input: input.into(),
            ended: utc::milliseconds(utc::now()),
            worker: None,
            error: None,
            folder: None,
            objects: None,
            files: Vec::new(),
            intervals: None,
            duration_ms: None,
        }
    }
}

/// What came of earlier times that a job was handed out. It is kept only if something did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attempts {
    /// Times that a worker gave it back, for whatever reason.
    pub given_back: u64,
    /// The workers that cannot do it, and why.
    pub unable: Vec<(String, String)>,
}

impl Attempts {
    /// Notes that a worker cannot do the job, once.
    pub fn add_unable(&mut self, worker: &str, why: &str) {
        if self.unable.iter().all(|(name, _)| name != worker) {
            self.unable.push((worker.into(), why.into()));
        }
    }
}

/// Returns the record of a job; `None` if the job has not ended.
///
/// # Errors
/// `Unavailable` if the server does not answer.
pub async fn read(connection: &Connection, id: &JobId) -> Result<Option<JobRecord>> {
    last(&connection.streams.records, format!("{RESULT}{id}")).await
}

/// Writes the record of a job. Returns false if it has one already.
///
/// # Errors
/// `Unavailable` if the server does not confirm it.
pub async fn write(connection: &Connection, record: &JobRecord) -> Result<bool> {
    let first = create(&connection.jetstream, format!("{RESULT}{}", record.id), record).await?;
    if first {
        list_failed(connection, record).await?;
    }
    Ok(first)
}

/// Writes a copy of a record if the job failed, so that failures can be listed without reading all records. Does nothing if there is one.
///
/// # Errors
/// `Unavailable` if the server does not confirm it.
pub async fn list_failed(connection: &Connection, record: &JobRecord) -> Result<()> {
    if record.state == JobState::Failed {
        create(&connection.jetstream, format!("{FAILED}{}", record.id), record).await?;
    }
    Ok(())
}

/// Returns what came of earlier times.
///
/// # Errors
/// `Unavailable` if the server does not answer.
pub async fn attempts(connection: &Connection, id: &JobId) -> Result<Attempts> {
    let found = last(&connection.streams.records, format!("{ATTEMPTS}{id}")).await?;
    Ok(found.unwrap_or_default())
}

/// Notes what came of this time. Only the worker that has the job calls it.
///
/// # Errors
/// `Unavailable` if the server does not confirm it.
pub async fn note(connection: &Connection, id: &JobId, attempts: &Attempts) -> Result<()> {
    publish(&connection.jetstream, format!("{ATTEMPTS}{id}"), attempts).await
}

/// Forgets how a job ended, so that it can be done again.
///
/// # Errors
/// `Unavailable` if this user may not, or the server does not answer.
pub async fn forget(connection: &Connection, id: &JobId) -> Result<()> {
    for kind in [FAILED, ATTEMPTS, RESULT] {
        let records = &connection.streams.records;
        // A purge of the subject would move consumers of 2.9's servers past other records.
        match records.direct_get_last_for_subject(format!("{kind}{id}")).await {
            Ok(message) => drop(records.delete_message(message.sequence).await.map_err(|cause| unanswered(&cause))?),
            Err(cause) if cause.kind() == DirectGetErrorKind::NotFound => {}
            Err(cause) => return Err(unanswered(&cause)),
        }
    }
    Ok(())
}

/// Returns the last message of a subject. One that cannot be read counts as none. A server that lags behind the others may answer.
///
/// # Errors
/// `Unavailable` if the server does not answer.
pub async fn last<T: DeserializeOwned>(stream: &Stream, subject: String) -> Result<Option<T>> {
    match stream.direct_get_last_for_subject(subject).await {
        Ok(message) => Ok(serde_json::from_slice(&message.payload).ok()),
        Err(cause) if cause.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(cause) => Err(unanswered(&cause)),
    }
}

/// Returns the last message of a subject, as the leader of its stream has it.
///
/// # Errors
/// `Unavailable` if the server does not answer.
pub async fn leader_last(stream: &Stream, subject: &str) -> Result<Option<StreamMessage>> {
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(message)),
        Err(cause) if cause.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(cause) => Err(unanswered(&cause)),
    }
}

/// Publishes a message, and waits until the servers have it.
///
/// # Errors
/// `Unavailable` if the servers do not confirm it.
pub async fn publish<T: Serialize>(jetstream: &Context, subject: String, value: &T) -> Result<()> {
    send(jetstream, subject, message(value)?).await.map(drop).map_err(|cause| unanswered(&cause))
}

/// Publishes the first message of a subject, and waits until the servers have it. Returns false if the subject has one.
///
/// # Errors
/// `Unavailable` if the servers do not confirm it.
pub async fn create<T: Serialize>(jetstream: &Context, subject: String, value: &T) -> Result<bool> {
    match send(jetstream, subject, message(value)?.expected_last_subject_sequence(0)).await {
        Ok(_) => Ok(true),
        Err(cause) if cause.kind() == PublishErrorKind::WrongLastSequence => Ok(false),
        Err(cause) => Err(unanswered(&cause)),
    }
}

/// Returns a message with a value as JSON.
///
/// # Errors
/// Internal, if it has no JSON.
pub fn message<T: Serialize>(value: &T) -> Result<PublishMessage> {
    let bytes = serde_json::to_vec(value).map_err(|cause| Error::internal("a message").because(cause))?;
    Ok(PublishMessage::build().payload(bytes.into()))
}

/// Publishes a message, and waits until the servers have it. Returns its place in the stream.
///
/// # Errors
/// Those of the servers.
pub async fn send(jetstream: &Context, subject: String, message: PublishMessage) -> Result<u64, PublishError> {
    jetstream.send_publish(subject, message).await?.await.map(|stored| stored.sequence)
}

/// Returns what follows `prefix` in the subjects of a stream.
///
/// # Errors
/// `Unavailable` if the server does not answer.
pub async fn subjects(stream: &Stream, prefix: &str) -> Result<Vec<String>> {
    let names = listed(stream, format!("{prefix}*")).await?;
    Ok(names.iter().filter_map(|subject| subject.strip_prefix(prefix)).map(String::from).collect())
}

/// Returns whether a stream has a message with this subject.
///
/// # Errors
/// `Unavailable` if the server does not answer.
pub async fn has_message(stream: &Stream, subject: String) -> Result<bool> {
    Ok(!listed(stream, subject).await?.is_empty())
}

/// Returns the subjects of a stream that match a filter.
async fn listed(stream: &Stream, filter: String) -> Result<Vec<String>> {
    let listed = stream.info_with_subjects(filter).await.map_err(|cause| unanswered(&cause))?;
    let subjects: Vec<(String, usize)> = listed.try_collect().await.map_err(|cause| unanswered(&cause))?;
    Ok(subjects.into_iter().map(|(subject, _)| subject).collect())
}

/// Returns the last message of each subject. Those that cannot be read are left out.
pub async fn values<T: DeserializeOwned>(stream: &Stream, prefix: &str) -> Result<Vec<T>> {
    let names = subjects(stream, prefix).await?;
    let read = names.into_iter().map(|name| last(stream, format!("{prefix}{name}")));
    let values = futures_util::stream::iter(read).buffered(CONCURRENT);
    values.try_filter_map(async |value| Ok(value)).try_collect().await
}

pub fn unanswered(cause: &dyn std::error::Error) -> Error {
    Error::unavailable("a request to NATS failed")
        .because(cause.to_string())
        .remedy("check the servers and the permissions of this user, and try again")
}
