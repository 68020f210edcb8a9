//! Clips to try: real footage that set-up takes from packages, and variants that ffmpeg makes of it.

use std::path::{Path, PathBuf};

use crate::program::{ffmpeg, text};

/// The project's folder.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file that set-up fetched.
pub fn fetched(name: &str) -> PathBuf {
    let path = project().join(".deps").join(name);
    assert!(path.exists(), "{} is missing: run scripts/setup test", path.display());
    path
}

/// Traffic, 640×272, 25 frames a second, H.264.
pub fn bikes() -> PathBuf {
    fetched("footage/bikes.mp4")
}

/// Makes a clip of the first `frames` frames of the traffic; `arguments` say how it is filtered and encoded.
pub fn variant(folder: &Path, name: &str, frames: u32, arguments: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let (source, frames) = (bikes(), frames.to_string());
    let given = ["-i", text(&source), "-frames:v", &frames];
    let output = ffmpeg(&[&given[..], arguments, &[text(&path)]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// A small clip of `frames` frames that is quickly read.
pub fn small(folder: &Path, name: &str, frames: u32) -> PathBuf {
    variant(folder, name, frames, &["-vf", "scale=320:136", "-c:v", "libx264", "-an"])
}

/// A second of one colour, then a second of the next, and so on; 160×120, 25 frames a second.
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
