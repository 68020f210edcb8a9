//! The folder of a run: what was asked, how it went, and all that is needed to go on or to repeat it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::Tensor;

use crate::error::{Error, Result};
use crate::onnx::weights::safetensors as read_tensors;
use crate::train::metrics::{Metrics, Prediction};
use crate::train::network::{Named, values};
use crate::train::options::FitOptions;
use crate::train::split::Split;
use crate::train::state::{EpochRecord, State};

const CONFIG: &str = "config.json";
const CHECKPOINT: &str = "checkpoint.safetensors";
/// Key of the state in the checkpoint's metadata.
const STATE: &str = "state";
/// The trained weights in the form that `livelabel model build` takes.
pub const HEAD: &str = "head.safetensors";
/// The split.
pub const SPLIT: &str = "split.json";
/// How good the network is on what was kept.
pub const REPORT: &str = "report.json";
const PREDICTIONS: &str = "predictions.json";

/// What `config.json` holds.
#[derive(Serialize, Deserialize)]
pub struct Config {
    pub livelabel: String,
    pub libtorch: String,
    pub options: FitOptions,
}

/// What `report.json` holds.
#[derive(Serialize, Deserialize)]
pub struct Report {
    pub metrics: Metrics,
    /// What the logits are divided by.
    pub temperature: f64,
    pub best_epoch: usize,
}

pub struct Run {
    pub folder: PathBuf,
}

impl Run {
    /// Makes the folder of a new run.
    ///
    /// # Errors
    /// Usage, where it holds a run already and `force` is not given; failed, where it cannot be written.
    pub fn create(folder: &Path, options: &FitOptions, force: bool) -> Result<Self> {
        let run = Self { folder: folder.to_path_buf() };
        if run.path(CHECKPOINT).exists() && !force {
            return Err(Error::usage(format!("{}: holds a run already", folder.display()))
                .remedy("go on with it by --resume, or start anew with --force"));
        }
        fs::create_dir_all(folder).map_err(|cause| Error::unwritable(folder, cause))?;
        match fs::remove_file(run.path(CHECKPOINT)) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(Error::unwritable(folder, cause)),
            _ => {}
        }
        let config =
            Config { livelabel: env!("CARGO_PKG_VERSION").into(), libtorch: "2.11.0".into(), options: options.clone() };
        run.write_json(CONFIG, &config)?;
        Ok(run)
    }

    /// Opens the folder of a run that was begun.
    ///
    /// # Errors
    /// Input, where it is none.
    pub fn open(folder: &Path) -> Result<(Self, Config)> {
        let run = Self { folder: folder.to_path_buf() };
        let config = run.read_json(CONFIG)?;
        Ok((run, config))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file beside its place and renames it, so that a full disk leaves the one before.
    ///
    /// # Errors
    /// Failed, where it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let (path, part) = (self.path(name), self.path(&format!("{name}.part")));
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&part, &path)
        };
        write().map_err(|cause| {
            let _ = fs::remove_file(&part);
            Error::unwritable(&path, cause)
        })
    }

    /// # Errors
    /// Failed, where it cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut text =
            serde_json::to_vec_pretty(value).map_err(|cause| Error::internal(name.to_string()).because(cause))?;
        text.push(b'\n');
        self.write(name, &text)
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.path(name);
        let wrong = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Error::input(format!("{}: not the folder of a run", self.folder.display()))
                .because(cause)
                .remedy("give the folder that `livelabel-train fit` made, OUT.run beside the model")
        };
        let text = fs::read(path).map_err(|cause| wrong(cause.into()))?;
        serde_json::from_slice(&text).map_err(|cause| wrong(cause.into()))
    }

    /// The epochs so far, as a table and as JSON.
    ///
    /// # Errors
    /// Failed, where they cannot be written.
    pub fn write_history(&self, history: &[EpochRecord]) -> Result<()> {
        let mut table = csv::Writer::from_writer(Vec::new());
        for record in history {
            table.serialize(record).map_err(|cause| Error::internal("the history").because(cause))?;
        }
        let table = table.into_inner().map_err(|cause| Error::internal("the history").because(cause.to_string()))?;
        self.write("history.csv", &table)?;
        self.write_json("history.json", &history)
    }

    /// Which groups stood where.
    ///
    /// # Errors
    /// Input, where the run has not got that far.
    pub fn split(&self) -> Result<Split> {
        self.read_json(SPLIT)
    }

    /// # Errors
    /// Input, where the run is not complete.
    pub fn report(&self) -> Result<Report> {
        self.read_json(REPORT)
    }

    /// # Errors
    /// Failed, where they cannot be written.
    pub fn write_predictions(&self, labels: &[String], predictions: &[Prediction]) -> Result<()> {
        self.write_json(PREDICTIONS, &(labels, predictions))
    }

    /// The labels, and what the run says of its validation pictures.
    ///
    /// # Errors
    /// Input, where the run is not complete.
    pub fn predictions(&self) -> Result<(Vec<String>, Vec<Prediction>)> {
        self.read_json(PREDICTIONS)
    }

    /// # Errors
    /// Failed, where it cannot be written; the one before is then still there.
    pub fn write_checkpoint(&self, tensors: &Named, state: &State) -> Result<()> {
        let state = serde_json::to_string(state).map_err(|cause| Error::internal("the state").because(cause))?;
        self.write_tensors(CHECKPOINT, tensors, HashMap::from([(STATE.into(), state)]))
    }

    /// The last checkpoint, if there is one.
    ///
    /// # Errors
    /// Input, where it is damaged.
    pub fn checkpoint(&self) -> Result<Option<(State, HashMap<String, Tensor>)>> {
        let path = self.path(CHECKPOINT);
        let origin = path.display().to_string();
        let bytes = match fs::read(&path) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(|cause| Error::input(format!("{origin}: cannot be read")).because(cause))?,
        };
        let (metadata, tensors) = read_tensors(&bytes, &origin)?;
        let state = metadata.get(STATE).and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| {
            Error::input(format!("{origin}: not a checkpoint of this version")).remedy("start anew with --force")
        })?;
        let tensors = tensors.into_iter().map(|(name, weight)| {
            let shape: Vec<i64> = weight.shape.iter().map(|&dim| dim as i64).collect();
            (name, Tensor::from_slice(&weight.values).view(shape.as_slice()))
        });
        Ok(Some((state, tensors.collect())))
    }

    /// # Errors
    /// Failed, where they cannot be written.
    pub fn write_tensors(&self, name: &str, tensors: &Named, metadata: HashMap<String, String>) -> Result<()> {
        let mut raw = Vec::new();
        for (name, tensor) in tensors {
            let shape: Vec<usize> = tensor.size().iter().map(|&dim| dim as usize).collect();
            let bytes: Vec<u8> = values(tensor)?.iter().flat_map(|value| value.to_le_bytes()).collect();
            raw.push((name, shape, bytes));
        }
        let broken = |cause: safetensors::SafeTensorError| Error::internal("tensors cannot be written").because(cause);
        let views = raw
            .iter()
            .map(|(name, shape, bytes)| {
                TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).map(|view| (name.as_str(), view))
            })
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(broken)?;
        self.write(name, &safetensors::serialize(views, Some(metadata)).map_err(broken)?)
    }
}

/// Refuses to go on with a run under other options than it was begun with; `asked` are those on the command line, of
/// which the ones that equal `defaults` were not given.
///
/// # Errors
/// Usage, naming the options that differ.
pub fn check_same(asked: &FitOptions, defaults: &FitOptions, begun: &FitOptions) -> Result<()> {
    let fields = |options: &FitOptions| match serde_json::to_value(options) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (asked, defaults, begun) = (fields(asked), fields(defaults), fields(begun));
    let differing: Vec<String> = asked
        .iter()
        .filter(|(name, value)| defaults.get(*name) != Some(value) && begun.get(*name) != Some(value))
        .map(|(name, value)| {
            let option = name.replace('_', "-");
            format!("--{option} {value}, the run has {}", begun.get(name).unwrap_or(&Value::Null))
        })
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!("a run cannot go on with other options: {}", differing.join("; ")))
        .remedy("leave them out, or start a new run"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_leaves_the_file_before() {
        let folder = tempfile::tempdir().unwrap();
        let run = Run { folder: folder.path().to_path_buf() };
        run.write("checkpoint", b"good").unwrap();
        // A device on which every write fails for lack of room.
        std::os::unix::fs::symlink("/dev/full", run.path("checkpoint.part")).unwrap();
        let error = run.write("checkpoint", b"better").unwrap_err();
        assert!(error.to_string().contains("No space left") && error.exit_code() == 1, "{error}");
        assert_eq!(fs::read(run.path("checkpoint")).unwrap(), b"good");
        run.write("checkpoint", b"better").unwrap();
        assert_eq!(fs::read(run.path("checkpoint")).unwrap(), b"better");
    }
}
