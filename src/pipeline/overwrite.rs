//! Rejects outputs that would overwrite a file the run reads or another output, and outputs that are not regular files.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::events::JsonLines;
use crate::config::inputs::Job;
use crate::error::{Error, Result};
use crate::system::folders;

/// Identifies a file independently of its path: device and inode.
type Identity = (u64, u64);

/// Rejects outputs of `config` that would overwrite a file that the run reads, even with `--force`.
///
/// # Errors
/// Returns a usage error that names the output.
pub fn check(config: &Config, model: &Path) -> Result<()> {
    let mut known: HashMap<Identity, String> = HashMap::new();
    let inputs = config.jobs.iter().filter(|job| job.live.is_none()).map(|job| (job.input.as_path(), "the input"));
    let pictures = config.pictures.iter().map(|picture| (picture.input.as_path(), "the input"));
    let inputs = inputs.chain(pictures);
    let read = config.read.iter().map(|path| (path.as_path(), "a file that this run reads,"));
    for (path, what) in inputs.chain([(model, "the model")]).chain(read) {
        if let Ok(metadata) = fs::metadata(path) {
            known.entry(identity(&metadata)).or_insert_with(|| format!("{what} {}", path.display()));
        }
    }
    let pictures = config.pictures.iter().flat_map(|picture| picture.outputs());
    let others = config.files.all().chain(pictures).map(Path::to_path_buf);
    for path in config.jobs.iter().flat_map(written).chain(others) {
        check_regular(&path)?;
        check_distinct(&path, &mut known)?;
    }
    match &config.events.lines {
        // A pipe is allowed; a file that the run reads is not.
        Some(JsonLines::File(path)) => check_distinct(path, &mut known),
        _ => Ok(()),
    }
}

/// Returns the files that a job writes, including those that exist only during the run.
fn written(job: &Job) -> Vec<PathBuf> {
    let recorded = job.live.as_ref().and_then(|live| live.recording.file.clone());
    // A camera names its journals by time.
    job.outputs.all().map(Path::to_path_buf).chain(recorded).collect()
}

fn identity(metadata: &fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

fn check_regular(path: &Path) -> Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    // A folder is reported when it is opened, like any path that cannot be written.
    let kind = metadata.file_type();
    let what = if kind.is_symlink() {
        "a link, and its target would be overwritten"
    } else if kind.is_fifo() {
        "a pipe, not a file"
    } else if !kind.is_file() && !kind.is_dir() {
        "not a regular file"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("{}: is {what}", path.display())).remedy("name a new file"))
}

/// Rejects a file that is known already, under any name; otherwise adds it to `known`.
fn check_distinct(path: &Path, known: &mut HashMap<Identity, String>) -> Result<()> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    if let Some(other) = known.insert(identity(&metadata), format!("another output, {}", path.display())) {
        return Err(
            Error::usage(format!("{}: is the same file as {other}", path.display())).remedy("name another file")
        );
    }
    Ok(())
}

/// Rejects the folder of a camera's files if nothing can be written there. Creates it.
///
/// # Errors
/// Returns a usage error that names the folder.
pub fn check_folder(job: &Job) -> Result<()> {
    let Some(live) = &job.live else { return Ok(()) };
    let folder = &live.recording.folder;
    let folder = folders::named(folder);
    fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder)).map(drop).map_err(|cause| {
        Error::usage(format!("{}: nothing can be written to {}", job.name, folder.display()))
            .because(cause)
            .remedy("choose a writable folder")
    })
}

/// Rejects outputs that exist. Not called with `--force`.
pub fn check_absent(job: &Job) -> Result<()> {
    let recorded = job.live.as_ref().and_then(|live| live.recording.file.as_deref());
    let own = job.outputs.all();
    own.chain(recorded).try_for_each(check_file_absent)
}

/// Rejects a file that exists.
pub fn check_file_absent(path: &Path) -> Result<()> {
    if path.exists() {
        return Err(Error::usage(format!("{}: exists already", path.display())).remedy(
            "overwrite it with --force, skip what is complete with --resume, or write elsewhere with --output-dir",
        ));
    }
    Ok(())
}

/// With `--resume`: rejects a file of the run that exists and was not written by such a run.
///
/// # Errors
/// Returns a usage error that names the file.
pub fn check_replaceable(path: &Path, beginning: &str) -> Result<()> {
    let Ok(file) = fs::File::open(path) else { return Ok(()) };
    let mut found = Vec::new();
    let beginning = beginning.as_bytes();
    let _ = file.take(beginning.len() as u64 + 1).read_to_end(&mut found);
    // A loss of power leaves a part of the beginning, or as many zeros, until the disk has it.
    let is_part = beginning.starts_with(&found) || found.iter().all(|byte| *byte == 0);
    let is_ours = found.starts_with(beginning) || (is_part && found.len() <= beginning.len());
    if is_ours { Ok(()) } else { check_file_absent(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cut_leaves_of_a_table_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.csv");
        let check = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            check_replaceable(&path, "input,label").is_ok()
        };
        assert!(
            [&b""[..], b"input", b"input,label", b"input,label,start", &[0; 11]].iter().all(|content| check(content))
        );
        assert!([&b"inputs"[..], b"label", &[0; 12], b"\0\0x"].iter().all(|content| !check(content)));
    }
}
