//! Test clips: real footage that `scripts/setup` fetches, and variants that ffmpeg makes of it.

use std::path::{Path, PathBuf};

use crate::program::{ffmpeg, text};

/// The project's folder.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the path of a file that `scripts/setup` fetched.
pub fn fetched(name: &str) -> PathBuf {
    let path = project().join(".deps").join(name);
    assert!(path.exists(), "{} is missing: run scripts/setup test", path.display());
    path
}

/// Returns a clip of traffic: 640×272, 25 frames a second, H.264.
pub fn bikes() -> PathBuf {
    fetched("footage/bikes.mp4")
}

/// Creates a clip of the first `frames` frames of the traffic. `arguments` are ffmpeg's filter and encoder options.
pub fn variant(folder: &Path, name: &str, frames: u32, arguments: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let (source, frames) = (bikes(), frames.to_string());
    let given = ["-i", text(&source), "-frames:v", &frames];
    let output = ffmpeg(&[&given[..], arguments, &[text(&path)]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// Creates a small clip of `frames` frames.
pub fn small(folder: &Path, name: &str, frames: u32) -> PathBuf {
    variant(folder, name, frames, &["-vf", "scale=320:136", "-c:v", "libx264", "-an"])
}

/// Creates a clip with one second of each colour: 160×120, 25 frames a second.
pub fn colours(folder: &Path, name: &str, colours: &[&str], arguments: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let inputs: Vec<String> =
        colours.iter().map(|colour| format!("color={colour}:size=160x120:rate=25:duration=1")).collect();
    let mut given: Vec<&str> = inputs.iter().flat_map(|input| ["-f", "lavfi", "-i", input]).collect();
    let (filter, arguments) = match arguments {
        ["-vf", filter, rest @ ..] => (format!(",{filter}"), rest),
        _ => (String::new(), arguments),
    };
    let joined = format!("concat=n={}{filter}", colours.len());
    given.extend(["-filter_complex", &joined]);
    given.extend(arguments);
    given.push(text(&path));
    let output = ffmpeg(&given);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}
