//! Runs the trainer on the corrections: one process at a time, on the cores that the analyzer leaves, whose output can be
//! read meanwhile.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::system::printable;

/// The trainer, in the same folder as this program.
const TRAINER: &str = "livelabel-train";
/// Lines of its output that are kept, and bytes of each.
const LINES: usize = 40;
const MAX_LINE: u64 = 500;
/// How often a process that has closed its output is asked whether it has ended.
const POLL: Duration = Duration::from_millis(50);

/// What the trainer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingState {
    #[default]
    Idle,
    Running,
    Done,
    Failed,
}

/// What is known of the last training.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TrainingStatus {
    pub state: TrainingState,
    /// The last lines of the trainer's output.
    pub lines: VecDeque<String>,
    /// The name of the model's file, once it is there.
    pub model: Option<String>,
}

/// The files of a training.
pub struct Files {
    /// The model that the new one is compared with.
    pub model: PathBuf,
    /// The folder of the corrections.
    pub data: PathBuf,
    pub output: PathBuf,
    pub report: PathBuf,
}

impl Files {
    /// Returns the trainer's arguments. It writes the model whatever it finds, since the page says what that is.
    fn arguments(&self) -> [&std::ffi::OsStr; 10] {
        [
            "adapt".as_ref(),
            "--model".as_ref(),
            self.model.as_os_str(),
            "--data".as_ref(),
            self.data.as_os_str(),
            "--output".as_ref(),
            self.output.as_os_str(),
            "--report".as_ref(),
            self.report.as_os_str(),
            "--anyway".as_ref(),
        ]
    }
}

/// The trainer's process and its output. Dropping it ends the process.
pub struct Training {
    /// The trainer's program, if it is installed.
    program: Option<PathBuf>,
    status: Arc<Mutex<TrainingStatus>>,
    process: Mutex<Option<Process>>,
}

struct Process {
    child: Arc<Mutex<Child>>,
    thread: JoinHandle<()>,
}

impl Training {
    /// Looks for the trainer beside this program.
    pub fn new() -> Self {
        let program = std::env::current_exe().ok().map(|program| program.with_file_name(TRAINER));
        Self::with_program(program.filter(|program| program.is_file()))
    }

    fn with_program(program: Option<PathBuf>) -> Self {
        Self { program, status: Arc::default(), process: Mutex::default() }
    }

    /// Returns whether the trainer is installed.
    pub fn is_available(&self) -> bool {
        self.program.is_some()
    }

    pub fn status(&self) -> TrainingStatus {
        lock(&self.status).clone()
    }

    /// Starts the trainer. Returns false if it runs already.
    ///
    /// # Errors
    /// `Unavailable` if it is not installed or cannot be started.
    pub fn start(&self, files: &Files) -> Result<bool> {
        let remedy = || format!("type {}", command(files));
        let program = self.program.as_ref().ok_or_else(|| {
            Error::unavailable("the trainer is not installed beside this program")
                .remedy(format!("run scripts/setup train; or {} elsewhere", remedy()))
        })?;
        let mut process = lock(&self.process);
        if lock(&self.status).state == TrainingState::Running {
            return Ok(false);
        }
        if let Some(ended) = process.take() {
            let _ = ended.thread.join();
        }
        let failed = |cause| Error::unavailable("the trainer cannot be started").because(cause).remedy(remedy());
        // Streams go first.
        let mut command = Command::new("nice");
        command.args(["-n", "10"]).arg(program).args(files.arguments());
        // Both outputs in one pipe, in the order in which they are written.
        let (output, input) = std::io::pipe().map_err(failed)?;
        let second = input.try_clone().map_err(failed)?;
        let child = command.stdin(Stdio::null()).stdout(input).stderr(second).spawn().map_err(failed)?;
        // Its copies of the pipe's end would keep the reader waiting.
        drop(command);
        *lock(&self.status) = TrainingStatus { state: TrainingState::Running, ..TrainingStatus::default() };
        let child = Arc::new(Mutex::new(child));
        let (follower, status, model) = (Arc::clone(&child), Arc::clone(&self.status), files.output.clone());
        let thread = std::thread::Builder::new()
            .name("training".into())
            .spawn(move || follow(output, &follower, &status, &model))
            .inspect_err(|_| {
                end(&child);
                lock(&self.status).state = TrainingState::Failed;
            })
            .map_err(failed)?;
        *process = Some(Process { child, thread });
        Ok(true)
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = process.take() {
            end(&process.child);
            let _ = process.thread.join();
        }
    }
}

/// Returns the command that a user can type for the same training.
pub fn command(files: &Files) -> String {
    let quoted = files.arguments().map(|argument| quote(&argument.to_string_lossy()));
    format!("{TRAINER} {}", quoted.join(" "))
}

/// Quotes an argument for a shell, if it has to be.
fn quote(argument: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_./=:,+@".contains(character);
    match !argument.is_empty() && argument.chars().all(is_plain) {
        true => argument.into(),
        false => format!("'{}'", argument.replace('\'', "'\\''")),
    }
}

/// Reads the output to its end, and says how the process ended.
fn follow(output: impl Read, child: &Mutex<Child>, status: &Mutex<TrainingStatus>, model: &Path) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    // A longer line is several.
    while let Ok(1..) = output.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
        // Its tables keep their columns.
        let text = printable::lines(String::from_utf8_lossy(&line).trim_end());
        let mut status = lock(status);
        status.lines.push_back(text);
        if status.lines.len() > LINES {
            status.lines.pop_front();
        }
        line.clear();
    }
    let ended = wait(child);
    let mut status = lock(status);
    let name = model.file_name().map(|name| name.to_string_lossy().into_owned());
    status.model = name.filter(|_| model.is_file());
    let succeeded = ended.is_ok_and(|code| code.success()) && status.model.is_some();
    status.state = if succeeded { TrainingState::Done } else { TrainingState::Failed };
}

/// Waits for the end of a process, which another thread may kill meanwhile.
fn wait(child: &Mutex<Child>) -> std::io::Result<ExitStatus> {
    loop {
        if let Some(status) = lock(child).try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(POLL);
    }
}

fn end(child: &Mutex<Child>) {
    // It writes its files beside and renames them, so nothing is left half.
    let _ = lock(child).kill();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Trainer {
        folder: tempfile::TempDir,
        training: Training,
    }

    impl Trainer {
        /// A trainer that runs `script`, with the paths of model, data, output and report as `$3`, `$5`, `$7` and `$9`.
        fn new(script: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("trainer");
            // Another process writes it: a child of another test may inherit a descriptor of this one, and what is open for
            // writing cannot be run.
            let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
            assert!(Command::new("sh").args(["-c", write]).arg(&program).arg(script).status().unwrap().success());
            Self { folder, training: Training::with_program(Some(program)) }
        }

        fn files(&self) -> Files {
            let path = |name: &str| self.folder.path().join(name);
            Files {
                model: path("old.onnx"),
                data: path("it's data"),
                output: path("new.onnx"),
                report: path("new.json"),
            }
        }

        /// Waits until the process has ended.
        fn ended(&self) -> TrainingStatus {
            let process = lock(&self.training.process).take().unwrap();
            process.thread.join().unwrap();
            self.training.status()
        }
    }

    #[test]
    fn the_models_name_is_told_when_it_is_there() {
        let trainer = Trainer::new("echo \"$1  $2\"; echo to stderr >&2; echo made > \"$7\"");
        assert_eq!(trainer.training.status().state, TrainingState::Idle);
        trainer.training.start(&trainer.files()).unwrap();
        let status = trainer.ended();
        assert_eq!((status.state, status.model.as_deref()), (TrainingState::Done, Some("new.onnx")));
        assert_eq!(status.lines, ["adapt  --model", "to stderr"]);
    }

    #[test]
    fn a_failure_is_told_and_the_output_bounded() {
        let trainer = Trainer::new("seq 100; exit 1");
        trainer.training.start(&trainer.files()).unwrap();
        let status = trainer.ended();
        assert_eq!((status.state, status.model), (TrainingState::Failed, None));
        assert_eq!((status.lines.len(), status.lines[0].as_str()), (40, "61"));
    }

    #[test]
    fn one_trainer_runs_at_a_time_and_ends_with_the_program() {
        let trainer = Trainer::new("echo $$ > \"$9\"; echo begun; exec sleep 1000");
        assert!(trainer.training.start(&trainer.files()).unwrap());
        assert!(!trainer.training.start(&trainer.files()).unwrap());
        while trainer.training.status().lines.is_empty() {
            std::thread::yield_now();
        }
        let process = std::fs::read_to_string(trainer.folder.path().join("new.json")).unwrap();
        drop(trainer.training);
        assert!(!Path::new("/proc").join(process.trim()).exists());
    }

    #[test]
    fn where_there_is_no_trainer_the_command_is_told() {
        let trainer = Trainer::new("");
        let error = Training::with_program(None).start(&trainer.files()).unwrap_err().to_string();
        let folder = trainer.folder.path().display();
        let command = format!(
            "livelabel-train adapt --model {folder}/old.onnx --data '{folder}/it'\\''s data' --output {folder}/new.onnx \
             --report {folder}/new.json --anyway"
        );
        assert!(error.ends_with(&format!("type {command} elsewhere")), "{error}");
    }
}
