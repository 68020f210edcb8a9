//! The folder of a run: options, history, results, and everything needed to resume or repeat it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::Tensor;

use crate::error::{Error, Result};
use crate::onnx::weights::safetensors as read_tensors;
use crate::system::replace::replace;
use crate::train::metrics::{Metrics, Prediction};
use crate::train::network::{Named, values};
use crate::train::options::FitOptions;
use crate::train::split::Split;
use crate::train::state::{EpochRecord, TrainerState};

const CONFIG: &str = "config.json";
const CHECKPOINT: &str = "checkpoint.safetensors";
/// Key of the trainer's state in the checkpoint's metadata.
const STATE: &str = "state";
/// The trained weights, in the format of `livelabel model build`.
pub const HEAD: &str = "head.safetensors";
/// The split.
pub const SPLIT: &str = "split.json";
/// The validation results.
pub const REPORT: &str = "report.json";
const PREDICTIONS: &str = "predictions.json";

/// The content of `config.json`.
#[derive(Serialize, Deserialize)]
pub struct RunConfig {
    pub livelabel: String,
    pub libtorch: String,
    pub options: FitOptions,
}

/// The content of `report.json`.
#[derive(Serialize, Deserialize)]
pub struct Report {
    pub metrics: Metrics,
    /// The divisor of the logits.
    pub temperature: f64,
    pub best_epoch: usize,
}

pub struct Run {
    pub folder: PathBuf,
}

impl Run {
    /// Creates the folder of a new run.
    ///
    /// # Errors
    /// `Usage` if it contains a run and `force` is false; `Failed` if it cannot be written.
    pub fn create(folder: &Path, options: &FitOptions, force: bool) -> Result<Self> {
        let run = Self { folder: folder.to_path_buf() };
        if run.path(CHECKPOINT).exists() && !force {
            return Err(Error::usage(format!("{}: contains a run already", folder.display()))
                .remedy("resume it with --resume, or overwrite it with --force"));
        }
        fs::create_dir_all(folder).map_err(|cause| Error::unwritable(folder, cause))?;
        match fs::remove_file(run.path(CHECKPOINT)) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(Error::unwritable(folder, cause)),
            _ => {}
        }
        let config = RunConfig {
            livelabel: env!("CARGO_PKG_VERSION").into(),
            libtorch: "2.11.0".into(),
            options: options.clone(),
        };
        run.write_json(CONFIG, &config)?;
        Ok(run)
    }

    /// Opens the folder of an existing run.
    ///
    /// # Errors
    /// `Input` if it is not the folder of a run.
    pub fn open(folder: &Path) -> Result<(Self, RunConfig)> {
        let run = Self { folder: folder.to_path_buf() };
        let config = run.read_json(CONFIG)?;
        Ok((run, config))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a temporary file and renames it, so that a full disk keeps the previous version.
    ///
    /// # Errors
    /// `Failed` if it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        replace(&path, bytes).map_err(|cause| Error::unwritable(&path, cause))
    }

    /// # Errors
    /// `Failed` if it cannot be written.
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
                .remedy("give the folder that `livelabel-train fit` created, OUT.run beside the model")
        };
        let text = fs::read(path).map_err(|cause| wrong(cause.into()))?;
        serde_json::from_slice(&text).map_err(|cause| wrong(cause.into()))
    }

    /// Writes the epochs so far, as CSV and as JSON.
    ///
    /// # Errors
    /// `Failed` if they cannot be written.
    pub fn write_history(&self, history: &[EpochRecord]) -> Result<()> {
        let mut table = csv::Writer::from_writer(Vec::new());
        for record in history {
            table.serialize(record).map_err(|cause| Error::internal("the history").because(cause))?;
        }
        let table = table.into_inner().map_err(|cause| Error::internal("the history").because(cause.to_string()))?;
        self.write("history.csv", &table)?;
        self.write_json("history.json", &history)
    }

    /// Reads the split.
    ///
    /// # Errors
    /// `Input` if the run has no split yet.
    pub fn split(&self) -> Result<Split> {
        self.read_json(SPLIT)
    }

    /// # Errors
    /// `Input` if the run is not complete.
    pub fn report(&self) -> Result<Report> {
        self.read_json(REPORT)
    }

    /// # Errors
    /// `Failed` if they cannot be written.
    pub fn write_predictions(&self, labels: &[String], predictions: &[Prediction]) -> Result<()> {
        self.write_json(PREDICTIONS, &(labels, predictions))
    }

    /// Reads the labels and the validation predictions.
    ///
    /// # Errors
    /// `Input` if the run is not complete.
    pub fn predictions(&self) -> Result<(Vec<String>, Vec<Prediction>)> {
        self.read_json(PREDICTIONS)
    }

    /// # Errors
    /// `Failed` if it cannot be written; the previous checkpoint is then intact.
    pub fn write_checkpoint(&self, tensors: &Named, state: &TrainerState) -> Result<()> {
        let state = serde_json::to_string(state).map_err(|cause| Error::internal("the state").because(cause))?;
        self.write_tensors(CHECKPOINT, tensors, HashMap::from([(STATE.into(), state)]))
    }

    /// Reads the last checkpoint, if there is one.
    ///
    /// # Errors
    /// `Input` if it is damaged.
    pub fn checkpoint(&self) -> Result<Option<(TrainerState, HashMap<String, Tensor>)>> {
        let path = self.path(CHECKPOINT);
        let origin = path.display().to_string();
        let bytes = match fs::read(&path) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(|cause| Error::input(format!("{origin}: cannot be read")).because(cause))?,
        };
        let (metadata, tensors) = read_tensors(&bytes, &origin)?;
        let state = metadata.get(STATE).and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| {
            Error::input(format!("{origin}: not a checkpoint of this version")).remedy("start again with --force")
        })?;
        let tensors = tensors.into_iter().map(|(name, weight)| {
            let shape: Vec<i64> = weight.shape.iter().map(|&dim| dim as i64).collect();
            (name, Tensor::from_slice(&weight.values).view(shape.as_slice()))
        });
        Ok(Some((state, tensors.collect())))
    }

    /// # Errors
    /// `Failed` if they cannot be written.
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

/// Checks that a run is resumed with the options of its start. `given` are the options of the command line; those that
/// equal `defaults` count as not given.
///
/// # Errors
/// `Usage`, with the options that differ.
pub fn check_same(given: &FitOptions, defaults: &FitOptions, original: &FitOptions) -> Result<()> {
    let fields = |options: &FitOptions| match serde_json::to_value(options) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (given, defaults, original) = (fields(given), fields(defaults), fields(original));
    let differing: Vec<String> = given
        .iter()
        .filter(|(name, value)| defaults.get(*name) != Some(value) && original.get(*name) != Some(value))
        .map(|(name, value)| {
            let option = name.replace('_', "-");
            format!("--{option} {value}, the run has {}", original.get(name).unwrap_or(&Value::Null))
        })
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!("a run cannot be resumed with other options: {}", differing.join("; ")))
        .remedy("remove them, or start a new run"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_keeps_the_previous_file() {
        let folder = tempfile::tempdir().unwrap();
        let run = Run { folder: folder.path().to_path_buf() };
        run.write("checkpoint", b"good").unwrap();
        // Every write to this device fails with "No space left".
        std::os::unix::fs::symlink("/dev/full", run.path("checkpoint.part")).unwrap();
        let error = run.write("checkpoint", b"better").unwrap_err();
        assert!(error.to_string().contains("No space left") && error.exit_code() == 1, "{error}");
        assert_eq!(fs::read(run.path("checkpoint")).unwrap(), b"good");
        run.write("checkpoint", b"better").unwrap();
        assert_eq!(fs::read(run.path("checkpoint")).unwrap(), b"better");
    }
}
