//! Labels a clip in a process of its own, whose crash is no end of the worker.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::cluster::job::ClipJob;
use crate::config::options::StreamOptions;
use crate::error::{Error, Result};
use crate::inference::inference_precision::InferencePrecision;
use crate::shutdown::Shutdown;

/// Most bytes of a process' messages that are read.
const MESSAGES: u64 = 1 << 20;
/// How often it is looked whether a process has ended, and how long it may take to stop.
const POLL: Duration = Duration::from_millis(20);
const STOP: Duration = Duration::from_secs(4);

/// How the process labels.
pub struct OwnProcess<'a> {
    pub model: &'a Path,
    pub device: &'a str,
    pub precision: InferencePrecision,
    /// Environment variables that it must not see.
    pub secrets: &'a [String],
}

impl OwnProcess<'_> {
    /// Labels a clip, which is at this path, into `folder`. Blocks. Returns false if it was stopped.
    ///
    /// # Errors
    /// Why the clip could not be labelled: the program's error, or the signal that ended it.
    pub fn label(&self, job: &ClipJob, clip: &Path, folder: &Path, shutdown: &Shutdown) -> Result<bool> {
        let unavailable =
            |cause: io::Error| Error::unavailable("a process for a clip cannot be started").because(cause);
        let precision = self.precision.to_possible_value().map(|value| value.get_name().to_string());
        let mut command = Command::new(std::env::current_exe().map_err(unavailable)?);
        command.arg("run").arg(clip).arg("--output-dir").arg(folder).arg("--model").arg(self.model);
        command.args(["--device", self.device, "--quiet", "--inference-precision"]).args(precision);
        command.args(flags(&job.settings));
        for variable in self.secrets {
            command.env_remove(variable);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // SAFETY: between fork and exec only a system call is made.
        unsafe {
            command.pre_exec(|| {
                // It must not outlive the worker.
                match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                    0.. => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            });
        }
        let mut child = command.spawn().map_err(unavailable)?;
        let messages = child.stderr.take().map(read_messages);
        let status = wait(&mut child, shutdown).map_err(unavailable)?;
        let messages = messages.and_then(|thread| thread.join().ok()).unwrap_or_default();
        if shutdown.requested() {
            return Ok(false);
        }
        match status.signal() {
            _ if status.success() => Ok(true),
            Some(signal) => Err(Error::failed(format!("{}: ends the program with signal {signal}", job.shown()))
                .remedy("report it with the clip; --max-pixels limits the memory of large frames")),
            None => Err(Error::failed(failure(&messages).unwrap_or_else(|| format!("{}: failed", job.shown())))),
        }
    }
}

/// Returns settings as flags of `livelabel run`.
fn flags(settings: &StreamOptions) -> Vec<OsString> {
    let Ok(Value::Object(keys)) = serde_json::to_value(settings) else { return Vec::new() };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
    let flag = |(key, value): (String, Value)| {
        let value = match &value {
            Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(","),
            value => text(value),
        };
        format!("--{}={value}", key.replace('_', "-")).into()
    };
    keys.into_iter().map(flag).collect()
}

fn read_messages(messages: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut messages = messages;
        let mut bytes = Vec::new();
        let _ = messages.by_ref().take(MESSAGES).read_to_end(&mut bytes);
        // The process must not wait for a reader.
        let _ = io::copy(&mut messages, &mut io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Returns the error among a process' messages.
fn failure(messages: &str) -> Option<String> {
    messages.lines().find_map(|line| line.split_once("error: ").map(|(_, error)| error.to_string()))
}

/// Waits for a process; on request it is stopped.
fn wait(child: &mut Child, shutdown: &Shutdown) -> io::Result<ExitStatus> {
    let mut stopped = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        match stopped {
            None if shutdown.requested() => {
                stopped = Some(Instant::now());
                // It may have ended.
                let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
            }
            Some(since) if since.elapsed() > STOP => child.kill()?,
            _ => {}
        }
        std::thread::sleep(POLL);
    }
}
