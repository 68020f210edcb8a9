//! What a run must not write to: a file that it reads, a link, or what is no file; and not twice to one.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::events::Lines;
use crate::config::inputs::Job;
use crate::error::{Error, Result};

/// What tells a file from all others, whatever it is called: its device and its number there.
type Identity = (u64, u64);

/// Refuses outputs of `config` that would destroy or change something that the run reads, with or without `--force`.
///
/// # Errors
/// Usage, naming the output.
pub fn check(config: &Config, model: &Path) -> Result<()> {
    let mut known: HashMap<Identity, String> = HashMap::new();
    let inputs = config.jobs.iter().filter(|job| job.live.is_none()).map(|job| (job.input.as_path(), "the input"));
    let read = config.read.iter().map(|path| (path.as_path(), "a file that this run reads,"));
    for (path, what) in inputs.chain([(model, "the model")]).chain(read) {
        if let Ok(metadata) = fs::metadata(path) {
            known.entry(identity(&metadata)).or_insert_with(|| format!("{what} {}", path.display()));
        }
    }
    for path in config.jobs.iter().flat_map(written) {
        check_regular(&path)?;
        check_other(&path, &mut known)?;
    }
    match &config.events.lines {
        // A pipe may be meant; what is read is not.
        Some(Lines::File(path)) => check_other(path, &mut known),
        _ => Ok(()),
    }
}

/// Files that a job writes, those that are there only while it runs among them.
fn written(job: &Job) -> Vec<PathBuf> {
    let recorded = job.live.as_ref().and_then(|live| live.record.file.clone());
    let outputs = &job.outputs;
    let own = outputs.files().map(Path::to_path_buf);
    // A camera has no outputs of that kind, and so no journal of that name.
    let journal = job.live.is_none().then(|| outputs.journal.clone());
    own.chain(journal).chain(recorded).collect()
}

fn identity(metadata: &fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

fn check_regular(path: &Path) -> Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    // A folder is told when it is opened, like all that cannot be written.
    let kind = metadata.file_type();
    let what = if kind.is_symlink() {
        "a link; what it points to would be written over"
    } else if kind.is_fifo() {
        "a pipe, and results are files"
    } else if !kind.is_file() && !kind.is_dir() {
        "no file that can be written over"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("{}: is {what}", path.display())).remedy("name a new file"))
}

/// Refuses a file that is known under whatever name; else it is known from then on.
fn check_other(path: &Path, known: &mut HashMap<Identity, String>) -> Result<()> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    if let Some(other) = known.insert(identity(&metadata), format!("another output, {}", path.display())) {
        return Err(
            Error::usage(format!("{}: is the same file as {other}", path.display())).remedy("name another file")
        );
    }
    Ok(())
}

/// Refuses to write over what is there, unless the user says so.
pub fn check_absent(job: &Job) -> Result<()> {
    let recorded = job.live.as_ref().and_then(|live| live.record.file.as_deref());
    let own = job.outputs.files().chain([job.outputs.journal.as_path()]);
    for path in own.chain(recorded) {
        if path.exists() {
            return Err(Error::usage(format!("{}: exists already", path.display()))
                .remedy("write over it with --force, or elsewhere with --output-dir"));
        }
    }
    Ok(())
}
