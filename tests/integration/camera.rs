//! An RTSP camera for tests: the server of `examples/camera.rs`, which tests can kill and freeze.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Finished, Program, text};
use crate::tiny;

/// A running camera. Dropping it kills the process.
pub struct Camera {
    child: Child,
    pub url: String,
    pub port: u16,
}

impl Camera {
    pub fn start(arguments: &[&str]) -> Self {
        Self::at(0, arguments)
    }

    /// Starts a camera on a given port, for example that of an earlier one.
    pub fn at(port: u16, arguments: &[&str]) -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_livelabel")).with_file_name("examples").join("camera");
        let mut child = Command::new(program)
            .arg(port.to_string())
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the camera starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("the camera prints its address");
        let url = line.trim().strip_prefix("ready ").expect("an address").to_string();
        let port = url.rsplit(':').next().and_then(|rest| rest.split('/').next()?.parse().ok()).expect("a port");
        Self { child, url, port }
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &process.to_string()]).status().expect("kill starts").success());
}

/// A run with cameras that logs its status as JSON every second.
pub struct Watch {
    /// `None` after `finish`. Otherwise dropping kills the process, so that a failing test does not leave it running.
    child: Option<Child>,
    /// A thread always reads them: a full pipe would block the process.
    lines: Receiver<String>,
    pub log: Vec<Value>,
}

impl Watch {
    pub fn start(program: &Program, inputs: &[&str], arguments: &[&str]) -> Self {
        Self::command(program, &[inputs, arguments, &["--model", text(&tiny::model())]].concat())
    }

    pub fn command(program: &Program, arguments: &[&str]) -> Self {
        let given = ["--log-format", "json", "run", "--status-interval", "1s"];
        Self::spawn(program.command(&[&given[..], arguments].concat()))
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines() {
                // Nobody waits for the lines of a run that was dropped.
                let _ = sender.send(line.expect("the log is text"));
            }
        });
        Self { child: Some(child), lines, log: Vec::new() }
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Reads the log until a status satisfies `wanted`.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.line(what, |fields| fields["message"] == "status" && wanted(fields))
    }

    /// Reads the log until a line's fields satisfy `wanted`.
    pub fn line(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + Duration::from_secs(90);
        loop {
            let line =
                self.lines.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap_or_else(|cause| {
                    panic!("{cause}; neither within 90 s nor before it ended: {what}; {:#?}", self.log);
                });
            let fields = serde_json::from_str::<Value>(&line).expect("a line is JSON")["fields"].clone();
            self.log.push(fields.clone());
            if wanted(&fields) {
                return fields;
            }
        }
    }

    /// Sends a signal and waits for the end. Returns the output and how long the run took to end.
    pub fn stop(self, name: &str) -> (Finished, Duration) {
        signal(self.id(), name);
        self.finish()
    }

    /// Waits for the run's end.
    pub fn finish(mut self) -> (Finished, Duration) {
        let began = Instant::now();
        let rest = self.lines.iter().map(|line| line + "\n").collect();
        let output = self.child.take().expect("it runs").wait_with_output().expect("it ends");
        let finished = Finished { stderr: rest, ..Finished::from(output) };
        (finished, began.elapsed())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns whether a status shows that frames are being labelled.
pub fn running(status: &Value) -> bool {
    status["state"] == "running" && status["frames_per_second"].as_f64().is_some_and(|rate| rate > 1.0)
}

/// Lists the files in the folder with this ending, in chronological order.
pub fn files(program: &Program, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(program.folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| text(path).ends_with(ending))
        .collect();
    // Of two files of one second, the second one has a number behind the time.
    found.sort_by_key(|path| text(path).trim_end_matches(ending).to_owned());
    found
}

/// Checks that nothing made the stream wait. A machine that is busy may be too slow for some of its frames; one that waited
/// would have lost most.
pub fn check_went_on(summary: &Value) {
    let dropped = summary["frames"]["dropped"]["overrun"].as_u64().unwrap_or(0);
    assert!(4 * dropped < summary["frames"]["decoded"].as_u64().expect("a count"), "{summary}");
}

/// Returns all records of all journals, in chronological order.
pub fn records(program: &Program) -> Vec<Value> {
    let journals = files(program, ".timeline.jsonl");
    let text: String = journals.iter().map(|path| std::fs::read_to_string(path).expect("a journal")).collect();
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

/// Reads the summary of a run with one camera.
pub fn summary(program: &Program) -> Value {
    let [path] = &files(program, ".summary.json")[..] else { panic!("not one summary") };
    serde_json::from_slice(&std::fs::read(path).expect("a summary")).expect("JSON")
}
