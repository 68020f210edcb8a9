//! `livelabel cluster`: what a cluster does, as text or JSON, and the commands to change it.

use std::path::Path;

use serde::Serialize;

use crate::cli::cluster_args::ClusterCommand;
use crate::cluster::cameras;
use crate::cluster::cameras::camera::CameraName;
use crate::cluster::cameras::held::HeldCamera;
use crate::cluster::connection::{Connection, block_on};
use crate::cluster::job::JobId;
use crate::cluster::objects;
use crate::cluster::overview::{self, ClusterStatus, JobList, OpenCamera, OpenJob};
use crate::cluster::part;
use crate::cluster::presence::{HeldClip, WorkerStatus};
use crate::cluster::record::{self, JobState};
use crate::config::nats::NatsConfig;
use crate::error::{Error, Result};
use crate::system::words::count;

/// Does what the command says. Returns what to print, and the exit code: 1 if a job was not cancelled or fetched.
///
/// # Errors
/// Those of the connection, and of the command.
pub fn run(command: &ClusterCommand) -> Result<(String, u8)> {
    let mut code = 0;
    let text = match command {
        ClusterCommand::Status { nats, json } => {
            let status = overview::request(&NatsConfig::resolve(nats)?, overview::status)?;
            format(&status, *json, status_text)
        }
        ClusterCommand::List { nats, json } => {
            let list = overview::request(&NatsConfig::resolve(nats)?, overview::list)?;
            format(&list, *json, list_text)
        }
        ClusterCommand::Fetch { nats, output_dir, ids } => {
            // Files may take their time.
            block_on(async {
                let connection = Connection::open(&NatsConfig::resolve(nats)?, "fetch").await?;
                let mut lines = Vec::new();
                for id in ids {
                    let fetched = fetch(&connection, id, output_dir).await;
                    let (line, done) = fetched.unwrap_or_else(|error| (error.to_string(), false));
                    code |= u8::from(!done);
                    lines.push(format!("{id}: {line}"));
                }
                Ok(lines.join("\n"))
            })
        }
        ClusterCommand::Cancel { nats, ids } => overview::request(&NatsConfig::resolve(nats)?, async |connection| {
            let mut lines = Vec::new();
            for id in ids {
                let camera = id.as_str().parse::<CameraName>().map_err(Error::usage)?;
                let done = match overview::cancel(connection, id).await? {
                    true => "cancelled",
                    false if cameras::submit::remove(connection, &camera).await? => "removed",
                    false => {
                        code = 1;
                        "is no camera, does not wait, and no worker has it"
                    }
                };
                lines.push(format!("{id}: {done}"));
            }
            Ok(lines.join("\n"))
        }),
        ClusterCommand::Move { nats, camera, worker } => {
            overview::request(&NatsConfig::resolve(nats)?, async |connection| {
                overview::move_camera(connection, camera, worker).await?;
                Ok(format!("{worker} watches {camera}"))
            })
        }
        ClusterCommand::Drain { nats, worker } => overview::request(&NatsConfig::resolve(nats)?, async |connection| {
            overview::drain(connection, worker).await?;
            Ok(format!("{worker} hands its cameras over, and ends after the clips that it has"))
        }),
    }?;
    Ok((text, code))
}

/// Copies the results of a clip. Returns a line about it, and whether they are there.
async fn fetch(connection: &Connection, id: &JobId, output: &Path) -> Result<(String, bool)> {
    let Some(record) = record::read(connection, id).await? else {
        return Ok(("has not ended, or is no clip".into(), false));
    };
    let place = part::place(output, id);
    Ok(match (record.state, &record.objects, &record.folder) {
        (JobState::Done, Some(prefix), _) => match objects::fetch(connection, &record, prefix, output).await? {
            true => (format!("in {}", place.display()), true),
            false => (format!("in {}, as before", place.display()), true),
        },
        (JobState::Done, None, Some(folder)) => (format!("in the workers' folder, {folder}"), false),
        (JobState::Done, None, None) => ("its record names no results".into(), false),
        (JobState::Failed, ..) => (format!("failed: {}", record.error.as_deref().unwrap_or_default()), false),
        (JobState::Cancelled, ..) => ("was cancelled".into(), false),
    })
}

fn format<T: Serialize>(value: &T, json: bool, text: impl Fn(&T) -> String) -> Result<String> {
    match json {
        true => serde_json::to_string_pretty(value).map_err(|cause| Error::internal("JSON").because(cause)),
        false => Ok(text(value)),
    }
}

fn status_text(status: &ClusterStatus) -> String {
    let ClusterStatus { workers, waiting, claimed, redelivered, ended, failed, cameras } = status;
    let mut lines = vec![format!(
        "{}: {waiting} waiting, {claimed} with workers ({redelivered} not for the first time), {ended} ended ({failed} failed)",
        count(waiting + claimed + ended, "clip")
    )];
    if cameras.waiting + cameras.watched > 0 {
        let all = count(cameras.waiting + cameras.watched, "camera");
        lines.push(format!("{all}: {} waiting, {} with workers", cameras.waiting, cameras.watched));
    }
    if workers.is_empty() {
        lines.push("no workers; start one with livelabel worker".into());
    }
    lines.extend(workers.iter().map(worker_text));
    lines.join("\n")
}

fn worker_text(worker: &WorkerStatus) -> String {
    let WorkerStatus { name, version, model, device, capacity, draining, clips, problem, done, failed, .. } = worker;
    let WorkerStatus { cameras, camera_capacity, moves, .. } = worker;
    let draining = if *draining { ", draining" } else { "" };
    let mut text = format!(
        "{name}{draining}: {} of {}, {done} done, {failed} failed; {} of {}, {moves} handed over; {version}, {model}, {device}",
        clips.len(),
        count(*capacity as u64, "clip"),
        cameras.len(),
        count(*camera_capacity as u64, "camera"),
    );
    if let Some(problem) = problem {
        text.push_str(&format!("\n  leaves clips to others: {problem}"));
    }
    for HeldClip { input, progress, .. } in clips {
        let progress = progress.map(|part| format!("{:3.0} %", 100.0 * part)).unwrap_or_default();
        text.push_str(&format!("\n  {progress:>5}  {input}"));
    }
    for camera in cameras {
        text.push_str(&format!("\n  {}", camera_text(camera)));
    }
    text
}

fn camera_text(HeldCamera { camera, input, state, reason, label, stride, delay_ms, .. }: &HeldCamera) -> String {
    match label {
        Some(label) => format!("{camera}: {label}, stride {stride}, {delay_ms:.0} ms ({input})"),
        None => {
            let reason = reason.as_ref().map(|reason| format!(", {reason}")).unwrap_or_default();
            format!("{camera}: {}{reason} ({input})", state.name())
        }
    }
}

fn list_text(list: &JobList) -> String {
    let open = |OpenJob { id, worker }: &OpenJob| match worker {
        Some(worker) => format!("{id}  with {worker}"),
        None => format!("{id}  waits"),
    };
    let failed = list.failed.iter().map(|record| {
        let error = record.error.as_deref().unwrap_or_default();
        format!("{}  failed: {error}", record.id)
    });
    let camera = |OpenCamera { camera, worker, reason }: &OpenCamera| match (worker, reason) {
        (Some(worker), None) => format!("{camera}  watched by {worker}"),
        (Some(worker), Some(reason)) => format!("{camera}  with {worker}, no frames: {reason}"),
        (None, None) => format!("{camera}  waits for a worker"),
        (None, Some(reason)) => format!("{camera}  waits: {reason}"),
    };
    let lines: Vec<String> = list.cameras.iter().map(camera).chain(list.open.iter().map(open)).chain(failed).collect();
    if lines.is_empty() { "there is no camera, no clip waits, and none has failed".into() } else { lines.join("\n") }
}
