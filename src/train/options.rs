//! The options of a training.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::inference::inference_precision::InferencePrecision;
use crate::onnx::head::Pooling;
use crate::train::augment::AugmentationPreset;
use crate::train::optimizer::OptimizerKind;
use crate::train::split::SplitBy;

/// Which stages of the backbone are trained with the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unfreeze {
    /// None: its features are computed once
    #[default]
    None,
    /// The last of its four stages (res5)
    Stage4,
    /// The last two (res4 and res5)
    Stage3,
}

/// How classes and groups of different sizes are balanced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Balance {
    None,
    /// A picture's weight is inversely proportional to the size of its class
    #[default]
    Class,
    /// The square root of that weight: a weaker correction
    Root,
    /// Pictures are drawn at random: classes equally often, groups in proportion to the square root of their size
    Group,
}

/// The learning rate schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LrSchedule {
    /// The rate is reduced when the validation loss stops falling; the best epoch's weights are used
    #[default]
    Plateau,
    /// The rate rises for 30 steps, then falls along a cosine to zero; the last epoch's weights are used
    Cosine,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingDevice {
    /// A GPU if libtorch finds one, otherwise the CPU
    #[default]
    Auto,
    Cpu,
    Cuda,
}

/// The default learning rate, the best one for both optimizers: see docs/training.md.
const DEFAULT_RATE: f64 = 1e-3;
/// The default interval between the frames used from clips, in milliseconds.
pub const DEFAULT_EVERY: u64 = 1000;

#[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitOptions {
    /// Class folders of pictures or clips, or a .tsv table with path, class, split_group
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The model file to write
    #[arg(long, value_name = "OUT.onnx")]
    pub model: Option<PathBuf>,
    /// Folder of the run: configuration, checkpoint, history, report [default: OUT.run beside the model]
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Classes to learn [default: drinking, cooking and other if they exist, otherwise every folder]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub classes: Vec<String>,
    /// Maximum number of epochs
    #[arg(long, default_value_t = 35, value_name = "N")]
    pub epochs: usize,
    /// Pictures in a batch
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub batch_size: usize,
    /// Share of hidden units that each step sets to zero
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    pub dropout: f64,
    /// Penalty on the absolute values of the hidden layer's weights
    #[arg(long, default_value_t = 0.001, value_name = "FACTOR")]
    pub l1: f64,
    /// Optimizer
    #[arg(long, value_enum, default_value = "sgd")]
    pub optimizer: OptimizerKind,
    /// Learning rate [default: 0.001]
    #[arg(long, value_name = "RATE")]
    pub lr: Option<f64>,
    /// Learning rate schedule
    #[arg(long, value_enum, default_value = "plateau")]
    pub schedule: LrSchedule,
    /// Factor of the learning rate for unfrozen stages
    #[arg(long, default_value_t = 0.1, value_name = "FACTOR")]
    pub backbone_lr: f64,
    /// With --unfreeze stage3: further factor of the learning rate for the stage before the last
    #[arg(long, default_value_t = 0.5, value_name = "FACTOR")]
    pub layer_decay: f64,
    /// Decoupled weight decay; each step multiplies it by the learning rate
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub weight_decay: f64,
    /// Share of each target that is spread over all classes
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub label_smoothing: f64,
    /// How classes and groups of different sizes are balanced
    #[arg(long, value_enum, default_value = "class")]
    pub balance: Balance,
    /// How the last feature map is pooled
    #[arg(long, value_enum, default_value = "mean")]
    pub pooling: Pooling,
    /// What stays together in the split: groups or single pictures; none holds nothing out
    #[arg(long, value_enum, default_value = "group")]
    pub split: SplitBy,
    /// With --split none: the runs of all folds, which supply temperature and metrics
    #[arg(long, value_name = "RUN", num_args = 1..)]
    pub validated_by: Vec<PathBuf>,
    /// Number of parts that the groups are split into; one is held out for validation
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub folds: usize,
    /// Which part is held out, from 0
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub fold: usize,
    /// Views of each picture: the picture itself and augmented ones
    #[arg(long, default_value_t = 4, value_name = "K")]
    pub views: usize,
    /// Augmentation
    #[arg(long, value_enum, default_value = "keras")]
    pub augment: AugmentationPreset,
    /// Interval between the frames used from clips, in milliseconds
    #[arg(long, default_value_t = DEFAULT_EVERY, value_name = "MS")]
    pub every: u64,
    /// Stages of the backbone that are trained with the head
    #[arg(long, value_enum, default_value = "none")]
    pub unfreeze: Unfreeze,
    /// Device that trains
    #[arg(long, value_enum, default_value = "auto")]
    pub device: TrainingDevice,
    /// Precision of the backbone's computation: auto takes bf16 if the CPU supports it
    #[arg(long, value_enum, default_value = "auto")]
    pub inference_precision: InferencePrecision,
    /// Stop after this many epochs without a better validation loss
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub early_stopping: usize,
    /// Divide the learning rate by five after this many epochs without a better validation loss
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub reduce_after: usize,
    /// Seed of the split and of all random numbers
    #[arg(long, default_value_t = 42, value_name = "N")]
    pub seed: u64,
    /// Folder for TensorBoard's event files [default: `tensorboard` in the run's folder]
    #[arg(long, value_name = "DIR")]
    pub tensorboard: Option<PathBuf>,
    /// Web server to post each epoch's metrics to, as Keras' RemoteMonitor does
    #[arg(long, value_name = "URL")]
    pub remote_monitor: Option<String>,
    /// File that defines slices of the metrics; each line has group prefixes, a part of the path and a name, tab-separated
    /// [default: by source]
    #[arg(long, value_name = "FILE")]
    #[serde(default)]
    pub slices: Option<PathBuf>,
    /// The backbone's weights [default: those fetched by scripts/setup]
    #[arg(long, value_name = "PATH")]
    pub backbone: Option<PathBuf>,
    /// Folder of the feature cache [default: ~/.cache/livelabel/features]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Maximum size of the feature cache, in GiB
    #[arg(long, default_value_t = 20.0, value_name = "GIB")]
    pub cache_limit: f64,
    /// Compute the features in every epoch instead of caching them (pictures only)
    #[arg(long)]
    pub no_cache: bool,
}

impl FitOptions {
    pub fn rate(&self) -> f64 {
        self.lr.unwrap_or(DEFAULT_RATE)
    }

    /// Returns the folder of the run.
    ///
    /// # Errors
    /// `Usage` if neither a run nor a model is given.
    pub fn run_folder(&self) -> Result<PathBuf> {
        match (&self.run, &self.model) {
            (Some(run), _) => Ok(run.clone()),
            (None, Some(model)) => Ok(model.with_extension("run")),
            (None, None) => Err(Error::usage("no model is given").remedy("give the file to write with --model")),
        }
    }

    /// Checks ranges and contradictions.
    ///
    /// # Errors
    /// `Usage`, with the name of the option.
    pub fn check(&self) -> Result<()> {
        let positive = [
            ("epochs", self.epochs),
            ("batch-size", self.batch_size),
            ("views", self.views),
            ("early-stopping", self.early_stopping),
            ("reduce-after", self.reduce_after),
            ("every", self.every as usize),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::usage(format!("--{name} is 0")).remedy("give 1 or more"));
        }
        let shares = [("dropout", self.dropout), ("label-smoothing", self.label_smoothing)];
        if let Some((name, value)) = shares.iter().find(|(_, value)| !(0.0..1.0).contains(value)) {
            return Err(Error::usage(format!("--{name} is {value}")).remedy("give a share from 0 to below 1"));
        }
        let factors = [
            ("l1", self.l1),
            ("weight-decay", self.weight_decay),
            ("backbone-lr", self.backbone_lr),
            ("layer-decay", self.layer_decay),
            ("lr", self.rate()),
        ];
        if let Some((name, value)) = factors.iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0)) {
            return Err(Error::usage(format!("--{name} is {value}")).remedy("give a number of 0 or more"));
        }
        if self.folds < 2 || self.fold >= self.folds {
            return Err(Error::usage(format!("--fold {} of --folds {}", self.fold, self.folds))
                .remedy("give at least 2 folds, and a fold below their number"));
        }
        if self.split != SplitBy::None && !self.validated_by.is_empty() {
            return Err(Error::usage("--validated-by needs a run without validation pictures")
                .remedy("add --split none, or remove --validated-by"));
        }
        if self.unfreeze != Unfreeze::None && self.no_cache {
            return Err(Error::usage("--unfreeze needs the cache").remedy("remove --no-cache"));
        }
        Ok(())
    }
}
