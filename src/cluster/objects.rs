//! Results in JetStream's object store, for workers that share no storage. Each worker that completes a clip stores its files under names
//! of their own, and the record of the job says which ones count.

use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::object_store::{Config, ObjectMetadata, ObjectStore};
use async_nats::jetstream::stream::StorageType;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::cluster::connection::Connection;
use crate::cluster::job::JobId;
use crate::cluster::part::{self, Part};
use crate::cluster::record::{JobRecord, unanswered};
use crate::cluster::streams::{REMEMBERED, RESULTS_STORE};
use crate::error::{Error, Result};

/// How often a file is sent, and how long it waits in between: while the servers agree on a leader, none is taken.
const ATTEMPTS: u32 = 5;
const RETRY_DELAY: Duration = Duration::from_secs(2);
/// How long the servers may take to send the next part of a file.
const NEXT: Duration = Duration::from_secs(30);
/// Bytes of a message, of which a file has many. A server takes 1 MiB unless it is told otherwise.
const CHUNK: usize = 512 << 10;

/// Opens the store, and makes it if there is none. Files are kept as the records of their jobs are.
///
/// # Errors
/// `Unavailable` if it cannot be made or used.
pub async fn open(connection: &Connection) -> Result<ObjectStore> {
    let Connection { jetstream, streams, .. } = connection;
    if let Ok(store) = jetstream.get_object_store(RESULTS_STORE).await {
        return Ok(store);
    }
    let config = Config {
        bucket: RESULTS_STORE.into(),
        description: Some("Files of clips that livelabel has labelled".into()),
        max_age: REMEMBERED,
        storage: StorageType::File,
        num_replicas: streams.records.cached_info().config.num_replicas,
        ..Config::default()
    };
    match jetstream.create_object_store(config).await {
        Ok(store) => Ok(store),
        // Another worker may have made it at the same moment.
        Err(cause) => jetstream.get_object_store(RESULTS_STORE).await.map_err(|_| {
            Error::unavailable(format!("the object store {RESULTS_STORE} cannot be made"))
                .because(cause.to_string())
                .remedy("let this NATS user make the stream OBJ_LIVELABEL_RESULTS, or make it: nats object add")
        }),
    }
}

/// Returns what the names of a job's files begin with, another one for each call.
pub fn prefix(id: &JobId) -> String {
    format!("{id}/{:016x}/", fastrand::u64(..))
}

/// Stores the files of a folder.
///
/// # Errors
/// `Unavailable` if the servers do not take them, or a file cannot be read.
pub async fn put(store: &ObjectStore, prefix: &str, folder: &Path, files: &[String]) -> Result<()> {
    for name in files {
        let mut attempts = 1;
        while let Err(error) = put_file(store, prefix, folder, name).await {
            if attempts == ATTEMPTS {
                return Err(error);
            }
            attempts += 1;
            sleep(RETRY_DELAY).await;
        }
    }
    Ok(())
}

async fn put_file(store: &ObjectStore, prefix: &str, folder: &Path, name: &str) -> Result<()> {
    let path = folder.join(name);
    let mut file = File::open(&path).await.map_err(|cause| Error::unwritable(&path, cause))?;
    let meta = ObjectMetadata { name: format!("{prefix}{name}"), chunk_size: Some(CHUNK), ..Default::default() };
    let stored = store.put(meta, &mut file).await;
    stored.map(drop).map_err(|cause| {
        Error::unavailable(format!("{name}: cannot be stored in {RESULTS_STORE}"))
            .because(cause.to_string())
            .remedy("free some space of the NATS servers, or let this NATS user write there")
    })
}

/// Deletes files that no record names. What cannot be deleted goes when it is too old.
pub async fn remove(store: &ObjectStore, prefix: &str, files: &[String]) {
    for name in files {
        if let Err(cause) = store.delete(format!("{prefix}{name}")).await {
            tracing::debug!("{name}: {cause}");
        }
    }
}

/// Deletes the files of a record that is deleted.
pub async fn forget(connection: &Connection, record: &JobRecord) {
    let Some(prefix) = &record.objects else { return };
    match connection.jetstream.get_object_store(RESULTS_STORE).await {
        Ok(store) => remove(&store, prefix, &record.files).await,
        Err(cause) => tracing::debug!("{RESULTS_STORE}: {cause}"),
    }
}

/// Copies the files of a job into a folder with its identifier, in `output`. Returns false if they are there already.
///
/// # Errors
/// `Unavailable` if the servers do not answer or have lost a file; failed, if the folder cannot be written.
pub async fn fetch(connection: &Connection, record: &JobRecord, prefix: &str, output: &Path) -> Result<bool> {
    if part::place(output, &record.id).is_dir() {
        return Ok(false);
    }
    let store = connection.jetstream.get_object_store(RESULTS_STORE).await.map_err(|cause| unanswered(&cause))?;
    let part = Part::create(output, &record.id)?;
    for name in record.files.iter().filter(|name| part::is_name(name)) {
        let path = part.folder.join(name);
        let lost = |cause: &dyn std::error::Error| {
            Error::unavailable(format!("{name}: cannot be read from {RESULTS_STORE}"))
                .because(cause.to_string())
                .remedy("try again; if it is lost, label the clip again: livelabel submit --again")
        };
        let unwritable = |cause| Error::unwritable(&path, cause);
        let mut object = store.get(format!("{prefix}{name}")).await.map_err(|cause| lost(&cause))?;
        let mut file = File::create(&path).await.map_err(unwritable)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            // What is gone is waited for without an end.
            let read = timeout(NEXT, object.read(&mut buffer)).await.map_err(|cause| lost(&cause))?;
            let read = read.map_err(|cause| lost(&cause))?;
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read]).await.map_err(unwritable)?;
        }
        file.sync_all().await.map_err(unwritable)?;
    }
    let (output, id) = (output.to_path_buf(), record.id.clone());
    let placed = tokio::task::spawn_blocking(move || part.complete(&output, &id, false)).await;
    placed.map_err(|cause| Error::internal("a thread").because(cause))?
}
