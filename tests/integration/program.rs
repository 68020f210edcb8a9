//! Runs the binary, and the programs that check its output.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::{time_limit, tiny};

/// The binary, with a temporary working folder.
pub struct Program {
    pub folder: TempDir,
}

/// The result of a finished process.
pub struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Finished {
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Checks the exit code. Returns the single error line on stderr.
    pub fn refusal(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        let mut errors = self.stderr.lines().filter(|line| line.starts_with("livelabel: error: "));
        let error = errors.next().unwrap_or_else(|| panic!("no error line in: {}", self.stderr));
        assert_eq!(errors.next(), None, "more than one error line");
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        error
    }
}

impl Program {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a command that runs the binary in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        time_limit::watch();
        let mut command = Command::new(env!("CARGO_BIN_EXE_livelabel"));
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    pub fn start(&self, arguments: &[&str]) -> Finished {
        self.command(arguments).output().expect("the binary starts").into()
    }

    /// Runs `livelabel run` with the tiny model, whose labels are red, green and blue.
    pub fn run(&self, clip: &Path, arguments: &[&str]) -> Finished {
        let model = tiny::model();
        let given = ["run", text(clip), "--model", text(&model)];
        self.start(&[&given[..], arguments].concat())
    }

    /// Reads a JSON file in the folder.
    pub fn json(&self, name: &str) -> Value {
        let bytes = std::fs::read(self.path(name)).unwrap_or_else(|cause| panic!("{name}: {cause}"));
        serde_json::from_slice(&bytes).unwrap_or_else(|cause| panic!("{name}: {cause}"))
    }
}

/// An end that waits for nobody takes less, also on a busy machine. One that waits for a connection's time limit takes longer.
pub const PROMPT: Duration = Duration::from_secs(6);

/// Reports a skipped test. Bypasses the test runner, which captures the output of passing tests.
pub fn skipped(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Runs a shell script that may mount file systems, with the binary as `$0` and `arguments` from `$1` on. If it ends with 77, or the
/// kernel allows no mounts, the test is skipped.
pub fn run_with_mounts(program: &Program, script: &str, arguments: &[&str]) -> Option<Finished> {
    let given = ["--map-root-user", "--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_livelabel")];
    let made = Command::new("unshare").args(given).args(arguments).current_dir(program.folder.path()).output();
    let finished = made.map(Finished::from).expect("unshare starts");
    if finished.code == 77 || finished.stderr.contains("unshare failed") {
        skipped("no file system can be mounted");
        return None;
    }
    Some(finished)
}

/// A run whose disk was full for a while.
pub struct FullDisk {
    /// The line of the log that says so.
    pub report: Value,
    pub finished: Finished,
}

/// Runs a shell script that mounts a small disk and watches a camera with a JSON log. It gets the binary as `$0`, a model as
/// `$1` and `arguments` from `$2` on. Checks that the full disk is reported once, and that more than `further` frames are decoded
/// after it. Returns `None` if no file system can be mounted.
pub fn run_on_small_disk(program: &Program, script: &str, arguments: &[&str], further: u64) -> Option<FullDisk> {
    let model = tiny::model();
    let finished = run_with_mounts(program, script, &[&[text(&model)], arguments].concat())?;
    let lines: Vec<Value> = finished.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let full = |line: &Value| line["fields"]["message"].as_str().is_some_and(|text| text.contains("the disk is full"));
    let at = lines.iter().position(full).unwrap_or_else(|| panic!("never full: {}", finished.stderr));
    assert_eq!(lines.iter().filter(|line| full(line)).count(), 1, "{}", finished.stderr);
    let decoded = |line: &Value| line["fields"]["decoded"].as_u64();
    let (before, after) = (lines[..at].iter().filter_map(decoded).max(), lines[at..].iter().filter_map(decoded).max());
    assert!(after > before.map(|count| count + further), "{}", finished.stderr);
    Some(FullDisk { report: lines[at].clone(), finished })
}

/// Waits until a file that is being written has this many bytes.
pub fn wait_for_size(path: &Path, bytes: u64) {
    let began = Instant::now();
    while std::fs::metadata(path).map_or(0, |file| file.len()) < bytes {
        assert!(began.elapsed() < Duration::from_secs(120), "{} does not grow", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// ffprobe's properties of a file's video stream.
#[derive(Debug, PartialEq)]
pub struct Probed {
    pub codec: String,
    pub width: u64,
    pub height: u64,
    pub frames: u64,
    pub seconds: f64,
}

/// Probes a file. Counts the frames by decoding all of them.
pub fn probe(path: &Path) -> Probed {
    let entries = "stream=codec_name,width,height,nb_read_frames:format=duration";
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-select_streams", "v", "-show_entries", entries, "-of", "json"])
        .arg(path)
        .output()
        .expect("ffprobe starts");
    let probed: Value = serde_json::from_slice(&output.stdout).expect("ffprobe writes JSON");
    let stream = &probed["streams"][0];
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
    Probed {
        codec: stream["codec_name"].as_str().unwrap_or_default().into(),
        width: stream["width"].as_u64().unwrap_or(0),
        height: stream["height"].as_u64().unwrap_or(0),
        frames: number(&stream["nb_read_frames"]) as u64,
        seconds: number(&probed["format"]["duration"]),
    }
}

/// Decodes the pictures of a file with ffmpeg, and expects no error.
pub fn decodes_cleanly(path: &Path) {
    // Keeps timestamps: rounded to a guessed rate, two frames could coincide.
    let times = ["-fps_mode", "passthrough", "-enc_time_base", "-1"];
    let output = ffmpeg(&[&["-xerror", "-i", text(path), "-map", "0:v"], &times[..], &["-f", "null", "-"]].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Decodes all frames with ffmpeg, to packed RGB, upright.
pub fn rgb(path: &Path) -> Vec<u8> {
    let filter = "scale=in_color_matrix=auto:flags=accurate_rnd+full_chroma_int+bitexact";
    let output = ffmpeg(&[
        "-i",
        text(path),
        "-fps_mode",
        "passthrough",
        "-vf",
        filter,
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Returns the times of a file's frames in milliseconds, from ffprobe.
pub fn times(path: &Path) -> Vec<f64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-show_entries", "frame=pts_time", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .expect("ffprobe starts");
    let text = String::from_utf8(output.stdout).expect("ffprobe writes UTF-8");
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| 1000.0 * line.trim_matches(',').parse::<f64>().expect("a time"))
        .collect()
}

pub fn ffmpeg(arguments: &[&str]) -> Output {
    Command::new("ffmpeg").args(["-v", "error", "-nostdin", "-y"]).args(arguments).output().expect("ffmpeg starts")
}
