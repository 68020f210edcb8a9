//! `livelabel-train fit`: trains a model on a data folder.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rayon::prelude::*;
use serde_json::json;
use tch::{Cuda, Device};

use crate::error::{Error, Result};
use crate::inference::slices::Slice;
use crate::onnx::build::{self, HeadSource, LEARNED_FROM, SLICES};
use crate::onnx::graph::WeightPrecision;
use crate::onnx::weights::Weights;
use crate::shutdown::Shutdown;
use crate::system::locate;
use crate::system::words::count;
use crate::train::callbacks::remote_monitor::RemoteMonitor;
use crate::train::callbacks::tensorboard::TensorBoard;
use crate::train::callbacks::{Callback, History};
use crate::train::confusion_plot::write_confusion;
use crate::train::dataset::Dataset;
use crate::train::evaluate;
use crate::train::feature_cache::{FeatureCache, make_room};
use crate::train::features::{self, Extraction, Pass, Sample};
use crate::train::frozen::{self, FrozenLayers};
use crate::train::learned_files::LearnedFiles;
use crate::train::metrics::Metrics;
use crate::train::network::{Backbone, Named};
use crate::train::options::{FitOptions, TrainingDevice};
use crate::train::pace::speed;
use crate::train::plots;
use crate::train::run::{HEAD, REPORT, Report, Run, SPLIT};
use crate::train::split::{Split, SplitBy};
use crate::train::state::EpochRecord;
use crate::train::training::{Rows, Training, TrainingData, cut};
use crate::train::validation::{Validation, validate};
use crate::train::views::{Views, content};

/// Where `scripts/setup` puts the backbone's weights.
const BACKBONE: &str = ".deps/resnet50";
const GIB: f64 = (1u64 << 30) as f64;

/// Reports the progress of a training.
pub trait Reporter {
    /// Prints a message.
    fn message(&self, text: &str);
    fn features(&self, extraction: &Extraction);
    /// Number of samples of the epoch, done and in total, with the loss and accuracy so far.
    fn samples(&self, done: usize, all: usize, loss: f64, accuracy: f64);
    /// Number of settings of a sweep, done and in total.
    fn settings(&self, done: usize, all: usize);
    fn epoch(&self, record: &EpochRecord, epochs: usize);
}

/// What a training needs besides its options, prepared once.
pub struct Prepared {
    pub data: Dataset,
    pub split: Split,
    /// SHA-256 of each item's file; nothing if it cannot be read.
    contents: Vec<Option<[u8; 32]>>,
    backbone_path: PathBuf,
    backbone: Backbone,
    views: Views,
    store: Option<FeatureCache>,
    train: Vec<Sample>,
    validation: Vec<Sample>,
    device: Device,
}

impl Prepared {
    /// Reads the data, splits it, and computes the missing features.
    ///
    /// # Errors
    /// `Input` if the data is not suitable for training; `Failed` on a stop or if features cannot be stored.
    pub fn new(options: &FitOptions, reporter: &dyn Reporter, shutdown: &Shutdown) -> Result<Self> {
        let data = options
            .data
            .as_deref()
            .ok_or_else(|| Error::usage("no data is given").remedy("give a folder with --data"))?;
        let device = device(options.device)?;
        let data = Dataset::read(data, &options.classes)?;
        let split = Split::new(&data, options.split, options.folds, options.fold, options.seed)?;
        describe(&data, &split, reporter);

        let backbone_path = backbone(options)?;
        let weights = Weights::read(&backbone_path)?;
        let kind = frozen::kind(options.inference_precision);
        let backbone = Backbone::new(&weights, device, kind)?;
        let contents: Vec<Option<[u8; 32]>> = data.items.par_iter().map(|item| content(&item.path).ok()).collect();
        let cut = cut(options.unfreeze, options.pooling);
        let views = Views { augmentation: options.augment.augmentation(), seed: options.seed };
        let held_out = split.validates(&data);
        let views_of: Vec<usize> = held_out.iter().map(|&held_out| if held_out { 1 } else { options.views }).collect();
        let (store, samples) = if options.no_cache {
            (None, uncached(&data, &views_of)?)
        } else {
            let limit = (options.cache_limit * GIB) as u64;
            let (most, every) = (options.views, options.every);
            let (data, contents, views_of, views) = (&data, contents.as_slice(), views_of.as_slice(), &views);
            let pass = Pass { data, contents, views_of, most, views, cut, every, limit };
            let cache = cache(options)?;
            let mut frozen = FrozenLayers::load(&weights, cut, kind, &backbone, device)?;
            let folder = features::folder(&cache, &weights, cut, &frozen.describe(), views);
            make_room(&cache, &folder, features::needed(&pass), limit)?;
            let (length, format) = features::row(cut);
            let mut store = FeatureCache::open(&folder, length, format)?;
            reporter.message(&format!("features by {}", frozen.describe()));
            let (before, began) = (store.count(), Instant::now());
            let progress = |extraction: &Extraction| reporter.features(extraction);
            let (samples, unreadable) = features::compute(&pass, &mut frozen, &mut store, shutdown, &progress)?;
            let (rows, seconds) = (store.count() - before, began.elapsed().as_secs_f64());
            if rows > 0 {
                let (pace, rows) = (speed(rows as f64 / seconds, "rows"), count(rows as u64, "row"));
                reporter.message(&format!("{rows} in {seconds:.1} s, {pace}"));
            }
            if unreadable > 0 {
                reporter
                    .message(&format!("{unreadable} of {} files could not be read and are skipped", data.items.len()));
            }
            (Some(store), samples)
        };
        let (mut validation, train): (Vec<Sample>, Vec<Sample>) =
            samples.into_iter().partition(|sample| held_out[sample.item]);
        if split.by == SplitBy::None {
            validation.clone_from(&train);
        }
        for (side, samples) in [("training", &train), ("validation", &validation)] {
            let missing =
                (0..data.labels.len()).find(|&class| samples.iter().all(|s| data.items[s.item].class != class));
            if let Some(class) = missing {
                return Err(Error::input(format!("class {} has no readable picture for {side}", data.labels[class]))
                    .remedy("add pictures from other sources"));
            }
        }
        Ok(Self { data, split, contents, backbone_path, backbone, views, store, train, validation, device })
    }

    /// Returns the files that the training learns from.
    fn learned_files(&self) -> LearnedFiles {
        let items: BTreeSet<usize> = self.train.iter().map(|sample| sample.item).collect();
        let contents: Vec<[u8; 32]> = items.into_iter().filter_map(|item| self.contents[item]).collect();
        LearnedFiles::of(&contents)
    }

    /// Returns a training with an untrained head.
    pub fn training<'a>(&'a mut self, options: &'a FitOptions) -> Training<'a> {
        let rows = match &mut self.store {
            Some(store) => Rows::Cached(store),
            None => Rows::Computed(&self.views),
        };
        let (train, validation) = (self.train.clone(), self.validation.clone());
        let cut = cut(options.unfreeze, options.pooling);
        let training_data = TrainingData { data: &self.data, backbone: &self.backbone, rows, cut, train, validation };
        Training::new(options, training_data, self.device)
    }
}

/// Trains in `run`, resuming from its checkpoint if there is one, and writes the model file.
///
/// # Errors
/// `Input` if the data is not suitable for training; `Failed` if training breaks off.
pub fn fit(options: &FitOptions, run: &Run, reporter: &dyn Reporter, shutdown: &Shutdown) -> Result<Metrics> {
    let mut callbacks = callbacks(options, run)?;
    let mut prepared = Prepared::new(options, reporter, shutdown)?;
    run.write_json(SPLIT, &prepared.split)?;
    let labels = prepared.data.labels.clone();
    let backbone_path = prepared.backbone_path.clone();
    let mut training = prepared.training(options);
    run_epochs(&mut training, options, run, &mut callbacks, reporter, shutdown)?;
    plots::loss_accuracy(&training.state.history, training.state.best_epoch, &run.path("loss-accuracy.png"))?;
    training.restore_best();

    let slice_definitions = options.slices.as_deref().map(evaluate::read_slices).transpose()?.unwrap_or_default();
    let Validation { temperature, predictions, note, on } = validate(&mut training, options, run, &labels)?;
    let metrics = Metrics::of(&labels, &predictions);
    let slices = evaluate::slices(&labels, &predictions, &slice_definitions);
    run.write("report.txt", format!("{}\n{note}\n", metrics.report()).as_bytes())?;
    let best_epoch = training.state.best_epoch;
    let applied = temperature.unwrap_or(1.0);
    let report = Report { metrics, temperature: applied, best_epoch };
    run.write_json(REPORT, &report)?;
    let metrics = report.metrics;
    write_confusion(&metrics, &run.path("confusion.png"))?;
    let (low, high) = metrics.accuracy_interval;
    let uncalibrated = if temperature.is_none() { "; confidences are not calibrated" } else { "" };
    let figures = format!(
        "on {} of {} {on}: accuracy {:.3} ({low:.3}-{high:.3}), macro F1 {:.3}{uncalibrated}",
        count(metrics.pictures as u64, "picture"),
        count(metrics.groups as u64, "group"),
        metrics.accuracy,
        metrics.macro_f1
    );
    let weights: Named =
        training.weights().iter().map(|(name, weight)| (name.clone(), weight.shallow_clone())).collect();
    let units = training.labels_of_units();
    let mut metadata = metadata(&prepared.data, options, figures, &slices);
    metadata.insert(LEARNED_FROM.into(), prepared.learned_files().text());
    let divisor = match units {
        None => applied,
        Some(units) => {
            metadata.insert("units".into(), json!(units).to_string());
            metadata.insert("temperature".into(), applied.to_string());
            1.0
        }
    };
    write_head(run, &weights, divisor, metadata)?;
    if let Some(model) = &options.model {
        build::build(&backbone_path, &HeadSource::File(run.path(HEAD)), WeightPrecision::Fp32, model)?;
    }
    reporter.message(&format!("{}\n{note}", metrics.report()));
    Ok(metrics)
}

fn callbacks<'a>(options: &FitOptions, run: &'a Run) -> Result<Vec<Box<dyn Callback + 'a>>> {
    let events = options.tensorboard.clone().unwrap_or_else(|| run.path("tensorboard"));
    let mut callbacks: Vec<Box<dyn Callback>> = vec![Box::new(History(run)), Box::new(TensorBoard::create(&events)?)];
    if let Some(url) = &options.remote_monitor {
        callbacks.push(Box::new(RemoteMonitor::new(url)?));
    }
    Ok(callbacks)
}

fn run_epochs(
    training: &mut Training,
    options: &FitOptions,
    run: &Run,
    callbacks: &mut [Box<dyn Callback + '_>],
    reporter: &dyn Reporter,
    shutdown: &Shutdown,
) -> Result<()> {
    if let Some((state, mut tensors)) = run.checkpoint()? {
        reporter.message(&format!("resuming after epoch {}", state.epoch));
        training.restore(state, |name| {
            tensors.remove(name).ok_or_else(|| {
                Error::input(format!("{}: the checkpoint lacks {name}", run.folder.display()))
                    .remedy("start again with --force")
            })
        })?;
    }
    while !training.state.ended(options) {
        let all = training.samples();
        let record =
            training.epoch(shutdown, &mut |done, loss, accuracy| reporter.samples(done, all, loss, accuracy))?;
        for callback in callbacks.iter_mut() {
            callback.epoch(&training.state.history)?;
        }
        run.write_checkpoint(&training.tensors(), &training.state)?;
        reporter.epoch(&record, options.epochs);
    }
    if training.state.epoch < options.epochs {
        reporter.message(&format!("stopped early: no improvement since epoch {}", training.state.best_epoch));
    }
    Ok(())
}

fn describe(data: &Dataset, split: &Split, reporter: &dyn Reporter) {
    reporter.message(&format!("groups by {}\n{}", data.grouped_by, split.describe(data)));
    if split.by == SplitBy::None {
        tracing::warn!("no validation pictures: the figures are for the training pictures");
    } else if split.by == SplitBy::Frame {
        tracing::warn!(
            "split by picture: neighbouring frames of one video are on both sides, so the metrics are too optimistic"
        );
    } else if data.alone > 0 {
        tracing::warn!(
            "{} of {} files are not named VIDEO_NUMBER, so each forms its own group; if several come from one source, \
             the metrics are too optimistic",
            data.alone,
            data.items.len()
        );
    }
}

/// Writes the trained weights as a head file. The last layer is divided by `divisor`.
fn write_head(run: &Run, weights: &Named, divisor: f64, metadata: HashMap<String, String>) -> Result<()> {
    let scaled = |(name, weight): &(String, tch::Tensor)| {
        let weight = if name.starts_with("dense2") { weight / divisor } else { weight.shallow_clone() };
        (name.clone(), weight)
    };
    let tensors: Named = weights.iter().map(scaled).collect();
    run.write_tensors(HEAD, &tensors, metadata)
}

/// Returns the metadata of a head file.
fn metadata(data: &Dataset, options: &FitOptions, figures: String, slices: &[Slice]) -> HashMap<String, String> {
    let text = |value: serde_json::Value| value.to_string();
    let source = options.data.as_deref().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let pooling = text(json!(options.pooling)).trim_matches('"').to_string();
    let (files, classes) = (data.items.len(), data.labels.len());
    HashMap::from([
        ("labels".into(), text(json!(data.labels))),
        ("pooling".into(), pooling),
        ("trained_on".into(), format!("{files} files of {source} in {classes} classes")),
        ("metrics".into(), figures),
        (SLICES.into(), text(json!(slices))),
    ])
}

/// Returns samples whose features are computed in every epoch.
fn uncached(data: &Dataset, views_of: &[usize]) -> Result<Vec<Sample>> {
    if let Some(clip) = data.items.iter().find(|item| item.clip) {
        return Err(Error::usage(format!("{}: --no-cache does not support clips", clip.name))
            .remedy("remove --no-cache, or extract pictures with `livelabel frames`"));
    }
    let sample = |(item, &views): (usize, &usize)| Sample { item, time: 0, first_row: 0, views };
    Ok(views_of.iter().enumerate().map(sample).collect())
}

fn device(requested: TrainingDevice) -> Result<Device> {
    match (requested, Cuda::is_available()) {
        (TrainingDevice::Cpu, _) | (TrainingDevice::Auto, false) => Ok(Device::Cpu),
        (TrainingDevice::Cuda | TrainingDevice::Auto, true) => Ok(Device::Cuda(0)),
        (TrainingDevice::Cuda, false) => Err(Error::unavailable("torch finds no CUDA device")
            .remedy("use --device cpu, or preload libtorch_cuda.so of libtorch 2.11.0 on a machine with a GPU")),
    }
}

/// Returns the path of the backbone's weights.
///
/// # Errors
/// `Unavailable` if none are given and `scripts/setup` has not fetched them.
pub fn backbone(options: &FitOptions) -> Result<PathBuf> {
    match &options.backbone {
        Some(path) => Ok(path.clone()),
        None => locate::find(BACKBONE).ok_or_else(|| {
            Error::unavailable("the backbone's weights were not found")
                .remedy("run scripts/setup train, or give their path with --backbone")
        }),
    }
}

fn cache(options: &FitOptions) -> Result<PathBuf> {
    if let Some(cache) = &options.cache {
        return Ok(cache.clone());
    }
    let from_env = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = from_env("XDG_CACHE_HOME").or_else(|| from_env("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("livelabel/features")).ok_or_else(|| {
        Error::usage("no folder for the feature cache: HOME is not set").remedy("give a folder with --cache")
    })
}
