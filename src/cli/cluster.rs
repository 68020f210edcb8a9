//! `livelabel cluster`: what a cluster does, as text or JSON, and the commands to change it.

use serde::Serialize;

use crate::cli::cluster_args::ClusterCommand;
use crate::cluster::overview::{self, ClusterStatus, JobList, OpenJob};
use crate::cluster::presence::{HeldClip, WorkerStatus};
use crate::config::nats::NatsConfig;
use crate::error::{Error, Result};
use crate::system::words::count;

/// Does what the command says. Returns what to print, and the exit code: 1 if a job was not cancelled.
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
        ClusterCommand::Cancel { nats, ids } => overview::request(&NatsConfig::resolve(nats)?, async |connection| {
            let mut lines = Vec::new();
            for id in ids {
                let cancelled = overview::cancel(connection, id).await?;
                code = code.max(u8::from(!cancelled));
                lines.push(format!(
                    "{id}: {}",
                    if cancelled { "cancelled" } else { "does not wait, and no worker has it" }
                ));
            }
            Ok(lines.join("\n"))
        }),
        ClusterCommand::Drain { nats, worker } => overview::request(&NatsConfig::resolve(nats)?, async |connection| {
            overview::drain(connection, worker).await?;
            Ok(format!("{worker} ends after the clips that it has"))
        }),
    }?;
    Ok((text, code))
}

fn format<T: Serialize>(value: &T, json: bool, text: impl Fn(&T) -> String) -> Result<String> {
    match json {
        true => serde_json::to_string_pretty(value).map_err(|cause| Error::internal("JSON").because(cause)),
        false => Ok(text(value)),
    }
}

fn status_text(status: &ClusterStatus) -> String {
    let ClusterStatus { workers, waiting, claimed, redelivered, ended, failed } = status;
    let mut lines = vec![format!(
        "{}: {waiting} waiting, {claimed} with workers ({redelivered} not for the first time), {ended} ended ({failed} failed)",
        count(waiting + claimed + ended, "clip")
    )];
    if workers.is_empty() {
        lines.push("no workers; start one with livelabel worker".into());
    }
    lines.extend(workers.iter().map(worker_text));
    lines.join("\n")
}

fn worker_text(worker: &WorkerStatus) -> String {
    let WorkerStatus { name, version, model, device, capacity, draining, clips, problem, done, failed } = worker;
    let draining = if *draining { ", draining" } else { "" };
    let mut text = format!(
        "{name}{draining}: {} of {}, {done} done, {failed} failed; {version}, {model}, {device}",
        clips.len(),
        count(*capacity as u64, "clip")
    );
    if let Some(problem) = problem {
        text.push_str(&format!("\n  leaves clips to others: {problem}"));
    }
    for HeldClip { input, progress, .. } in clips {
        let progress = progress.map(|part| format!("{:3.0} %", 100.0 * part)).unwrap_or_default();
        text.push_str(&format!("\n  {progress:>5}  {input}"));
    }
    text
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
    let lines: Vec<String> = list.open.iter().map(open).chain(failed).collect();
    if lines.is_empty() { "no clip waits, and none has failed".into() } else { lines.join("\n") }
}
