//! What the user asks of a training.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::inference::compute_precision::ComputePrecision;
use crate::onnx::head::Pooling;
use crate::train::augment::Recipe;
use crate::train::optimizer::Method;
use crate::train::split::By;

/// Which part of the backbone learns with the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unfreeze {
    /// None: its answers are computed once
    #[default]
    None,
    /// The last of its four stages (res5)
    Stage4,
    /// The last two (res4 and res5)
    Stage3,
}

/// What makes up for classes and scenes of different size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Balance {
    None,
    /// A picture counts the more, the fewer its class has
    #[default]
    Class,
    /// The same by the root of that: rare classes gain less, and common ones lose less
    Root,
    /// Pictures are drawn: classes evenly, and large groups less than in proportion (by the root of their size)
    Group,
}

/// How the learning rate changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// It falls where the validation loss does; the best epoch's weights are taken
    #[default]
    Plateau,
    /// It rises for 30 steps and falls along a cosine to nothing; the last epoch's weights are taken
    Cosine,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Processor {
    /// A GPU where torch finds one
    #[default]
    Auto,
    Cpu,
    Cuda,
}

/// With either method the rate that trains best where none is asked for: see docs/training.md.
const DEFAULT_RATE: f64 = 1e-3;

#[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitOptions {
    /// Class folders of pictures or clips, or a .tsv table with path, class, split_group
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The model file to write
    #[arg(long, value_name = "OUT.onnx")]
    pub model: Option<PathBuf>,
    /// Folder of the run: configuration, checkpoint, history, report [default: beside the model, OUT.run]
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Classes to learn [default: drinking, cooking and other where they are there, else every folder]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub classes: Vec<String>,
    #[arg(long, default_value_t = 35, value_name = "N")]
    pub epochs: usize,
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub batch_size: usize,
    /// Share of hidden units that each step leaves out
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    pub dropout: f64,
    /// Penalty on the absolute values of the hidden layer's weights
    #[arg(long, default_value_t = 0.001, value_name = "FACTOR")]
    pub l1: f64,
    #[arg(long, value_enum, default_value = "sgd")]
    pub optimizer: Method,
    /// Learning rate [default: 0.001]
    #[arg(long, value_name = "RATE")]
    pub lr: Option<f64>,
    #[arg(long, value_enum, default_value = "plateau")]
    pub schedule: Schedule,
    /// Factor of the learning rate for unfrozen stages
    #[arg(long, default_value_t = 0.1, value_name = "FACTOR")]
    pub backbone_lr: f64,
    /// What that factor is multiplied with once more for the stage before the last
    #[arg(long, default_value_t = 0.5, value_name = "FACTOR")]
    pub layer_decay: f64,
    /// Share of the weights that a step of rate 1 takes away
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub weight_decay: f64,
    /// Share of each target that goes to all classes
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub label_smoothing: f64,
    #[arg(long, value_enum, default_value = "class")]
    pub balance: Balance,
    #[arg(long, value_enum, default_value = "mean")]
    pub pooling: Pooling,
    /// What stays together when a part is kept for validation
    #[arg(long, value_enum, default_value = "group")]
    pub split: By,
    /// With --split none: runs that kept in turn what this one learns from; temperature and figures come from them
    #[arg(long, value_name = "RUN", num_args = 1..)]
    pub checked_by: Vec<PathBuf>,
    /// Parts the groups are dealt into; one is kept for validation
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub folds: usize,
    /// Which part is kept, from 0
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub fold: usize,
    /// Views of each picture: itself and varied ones
    #[arg(long, default_value_t = 4, value_name = "K")]
    pub views: usize,
    /// How pictures are varied
    #[arg(long, value_enum, default_value = "keras")]
    pub augment: Recipe,
    /// Time between the frames that are taken from clips, in milliseconds
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    pub every: u64,
    #[arg(long, value_enum, default_value = "none")]
    pub unfreeze: Unfreeze,
    #[arg(long, value_enum, default_value = "auto")]
    pub device: Processor,
    /// What the backbone is computed in: bf16 where the CPU has it (auto), or as named
    #[arg(long, value_enum, default_value = "auto")]
    pub inference_precision: ComputePrecision,
    /// Epochs without a better validation loss after which training ends
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub early_stopping: usize,
    /// Epochs without a better validation loss after which the learning rate is divided by five
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub reduce_after: usize,
    #[arg(long, default_value_t = 42, value_name = "N")]
    pub seed: u64,
    /// Folder for TensorBoard's event files [default: the run's tensorboard]
    #[arg(long, value_name = "DIR")]
    pub tensorboard: Option<PathBuf>,
    /// Web server that takes each epoch's figures, as Keras' RemoteMonitor sends them
    #[arg(long, value_name = "URL")]
    pub remote_monitor: Option<String>,
    /// How the figures in the model file are cut: lines of how groups begin, a tab, what paths have in them, a tab, a name
    /// [default: by source]
    #[arg(long, value_name = "FILE")]
    #[serde(default)]
    pub slices: Option<PathBuf>,
    /// Backbone's weights [default: those that set-up fetched]
    #[arg(long, value_name = "PATH")]
    pub backbone: Option<PathBuf>,
    /// Folder for features [default: ~/.cache/livelabel/features]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Most that the folder for features may hold, in GiB
    #[arg(long, default_value_t = 20.0, value_name = "GIB")]
    pub cache_limit: f64,
    /// Compute the features anew in every epoch (pictures only)
    #[arg(long)]
    pub no_cache: bool,
}

impl FitOptions {
    pub fn rate(&self) -> f64 {
        self.lr.unwrap_or(DEFAULT_RATE)
    }

    /// The folder of the run.
    ///
    /// # Errors
    /// Usage, where neither a run nor a model is named.
    pub fn run_folder(&self) -> Result<PathBuf> {
        match (&self.run, &self.model) {
            (Some(run), _) => Ok(run.clone()),
            (None, Some(model)) => Ok(model.with_extension("run")),
            (None, None) => Err(Error::usage("no model is named").remedy("name the file to write with --model")),
        }
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// Usage, naming the option.
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
            return Err(Error::usage(format!("--{name} is {value}")).remedy("give a number from 0 up"));
        }
        if self.folds < 2 || self.fold >= self.folds {
            return Err(Error::usage(format!("--fold {} of --folds {}", self.fold, self.folds))
                .remedy("take at least 2 folds, and a fold below their number"));
        }
        if self.split != By::None && !self.checked_by.is_empty() {
            return Err(Error::usage("--checked-by is for a run that keeps nothing to check on")
                .remedy("add --split none, or leave it out"));
        }
        if self.unfreeze != Unfreeze::None && self.no_cache {
            return Err(Error::usage("--unfreeze needs the cache").remedy("leave --no-cache out"));
        }
        Ok(())
    }
}
