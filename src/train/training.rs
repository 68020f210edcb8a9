//! The training loop: epochs over rows of features with validation after each, and a state that can be saved and
//! restored.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use tch::{Device, Kind, Tensor, no_grad};

use crate::error::{Error, Result};
use crate::onnx::build::FreezePoint;
use crate::onnx::head::Pooling;
use crate::onnx::resnet::Stage;
use crate::shutdown::Shutdown;
use crate::train::balance::{cumulative_weights, root_weights};
use crate::train::dataset::Dataset;
use crate::train::feature_cache::FeatureCache;
use crate::train::features::{Sample, tensor};
use crate::train::frozen::forward;
use crate::train::metrics::{Metrics, Prediction};
use crate::train::network::{Backbone, Head, Named, pool, values};
use crate::train::optimizer::{Optimizer, OptimizerKind, WeightOptions};
use crate::train::options::{Balance, FitOptions, LrSchedule, Unfreeze};
use crate::train::state::{EpochRecord, TrainerState, cosine};
use crate::train::units::Units;
use crate::train::views::{Views, view_of_file};

/// Validation rows in one batch.
const VALIDATION_BATCH: usize = 64;

/// The source of rows.
pub enum Rows<'a> {
    Cached(&'a mut FeatureCache),
    /// Computed from the pictures in every epoch.
    Computed(&'a Views),
}

/// A training in progress.
pub struct Training<'a> {
    options: &'a FitOptions,
    data: &'a Dataset,
    backbone: &'a Backbone,
    head: Head,
    units: Units,
    optimizer: Optimizer,
    cut: FreezePoint,
    device: Device,
    rows: Rows<'a>,
    train: Vec<Sample>,
    validation: Vec<Sample>,
    /// Weight of each class in the loss.
    class_weights: Vec<f64>,
    /// Cumulative sampling weights of `train`, if samples are drawn.
    sampling: Option<Vec<f64>>,
    pub state: TrainerState,
    /// The weights after the best epoch.
    best: Vec<(String, Tensor)>,
}

/// The network, and its training and validation samples.
pub struct TrainingData<'a> {
    pub data: &'a Dataset,
    pub backbone: &'a Backbone,
    pub rows: Rows<'a>,
    pub cut: FreezePoint,
    pub train: Vec<Sample>,
    pub validation: Vec<Sample>,
}

impl<'a> Training<'a> {
    pub fn new(options: &'a FitOptions, training_data: TrainingData<'a>, device: Device) -> Self {
        let TrainingData { data, backbone, rows, cut, train, validation } = training_data;
        tch::manual_seed(options.seed as i64);
        let units = Units::new(data, device);
        let head = Head::new(units.count(), device);
        let mut weights = head.weights();
        let l1 = |name: &str| if name == "dense1.weight" { options.l1 } else { 0.0 };
        let mut weight_options: Vec<WeightOptions> =
            weights.iter().map(|(name, _)| WeightOptions { factor: 1.0, l1: l1(name) }).collect();
        if let FreezePoint::Before(stage) = cut {
            for (name, weight) in backbone.weights_from(stage) {
                let depth = if Stage::Fourth.and_after().any(|last| name.starts_with(&last)) { 0 } else { 1 };
                weight_options
                    .push(WeightOptions { factor: options.backbone_lr * options.layer_decay.powi(depth), l1: 0.0 });
                weights.push((name, weight));
            }
        }
        let best = copies(&weights);
        let optimizer = Optimizer::new(options.optimizer, weights, weight_options, options.weight_decay);
        let mut counts = vec![0.0; data.labels.len()];
        for sample in &train {
            counts[data.items[sample.item].class] += 1.0;
        }
        let even = train.len() as f64 / counts.len() as f64;
        let class_weights = match options.balance {
            Balance::Class => counts.iter().map(|count| even / f64::max(*count, 1.0)).collect(),
            Balance::Root => root_weights(&counts),
            Balance::None | Balance::Group => vec![1.0; counts.len()],
        };
        let sampling = (options.balance == Balance::Group).then(|| cumulative_weights(data, &train));
        let state = TrainerState::new(options.rate());
        Self {
            options,
            data,
            backbone,
            head,
            units,
            optimizer,
            cut,
            device,
            rows,
            train,
            validation,
            class_weights,
            sampling,
            state,
            best,
        }
    }

    /// Trains one epoch and validates. `progress` is called with the number of samples done and the mean loss and
    /// accuracy so far.
    ///
    /// # Errors
    /// `Failed` if the loss is not finite, or on a requested stop. The checkpoint then remains that of the last epoch.
    pub fn epoch(&mut self, shutdown: &Shutdown, progress: &mut dyn FnMut(usize, f64, f64)) -> Result<EpochRecord> {
        let began = std::time::Instant::now();
        let epoch = self.state.epoch + 1;
        // Every epoch has its own seed, so that a resumed run continues exactly as an uninterrupted one.
        let seed = self.options.seed.wrapping_mul(1_000_003).wrapping_add(epoch as u64);
        tch::manual_seed(seed as i64);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let order = self.order(&mut rng);
        let rate = self.rate();
        let (mut loss_sum, mut right, mut done) = (0.0, 0.0, 0);
        for (number, indices) in order.chunks(self.options.batch_size).enumerate() {
            if shutdown.requested() {
                return Err(Error::failed(format!("stopped in epoch {epoch}")).remedy("resume with --resume RUN"));
            }
            let picks: Vec<(Sample, usize)> = indices
                .iter()
                .map(|&index| (self.train[index].clone(), rng.random_range(0..self.train[index].views)))
                .collect();
            let classes = self.classes(picks.iter().map(|(sample, _)| sample));
            let rows = self.rows(&picks)?;
            let logits = self.forward(&rows, self.options.dropout);
            let log = logits.log_softmax(1, Kind::Float);
            let of_labels = self.units.sum_by_label(&log);
            let own = self.units.of_items(&log, picks.iter().map(|(sample, _)| &self.data.items[sample.item]));
            let each = self.losses(&own, &of_labels, &classes);
            let loss = each.mean(Kind::Float);
            let plain = loss.double_value(&[]);
            if !plain.is_finite() {
                return Err(Error::failed(format!("the loss is {plain} in batch {} of epoch {epoch}", number + 1))
                    .remedy(format!(
                        "lower --lr (it is {rate}); the checkpoint of epoch {} is kept",
                        self.state.epoch
                    )));
            }
            self.optimizer.step(&loss, self.rate());
            let hits = of_labels.argmax(1, false).eq_tensor(&classes).sum(Kind::Int64).int64_value(&[]);
            done += indices.len();
            loss_sum += plain * indices.len() as f64;
            right += hits as f64;
            progress(done, loss_sum / done as f64, right / done as f64);
        }
        let seconds = began.elapsed().as_secs_f64();
        let metrics = Metrics::of(&self.data.labels, &self.predictions(1.0)?);
        let record = EpochRecord {
            epoch,
            loss: loss_sum / done as f64,
            accuracy: right / done as f64,
            val_loss: metrics.log_loss,
            val_accuracy: metrics.accuracy,
            val_macro_f1: metrics.macro_f1,
            learning_rate: rate,
            seconds,
            images_per_second: done as f64 / seconds,
        };
        if self.state.record(record.clone(), self.options) {
            self.best = copies(self.optimizer.weights());
        }
        self.state.steps = self.optimizer.steps();
        Ok(record)
    }

    /// Returns the number of samples of an epoch.
    pub fn samples(&self) -> usize {
        self.train.len()
    }

    /// Returns the rate of the next step: the cosine schedule's, or the state's. SGD adds Keras' decay of rate / epochs
    /// for each step, as in the original.
    fn rate(&self) -> f64 {
        let (options, steps) = (self.options, self.optimizer.steps() as f64);
        match (options.schedule, options.optimizer) {
            (LrSchedule::Cosine, _) => {
                let all = options.epochs * self.train.len().div_ceil(options.batch_size);
                cosine(options.rate(), steps, all as f64)
            }
            (LrSchedule::Plateau, OptimizerKind::Sgd) => {
                self.state.rate / (1.0 + options.rate() / options.epochs as f64 * steps)
            }
            (LrSchedule::Plateau, OptimizerKind::Adam) => self.state.rate,
        }
    }

    /// Returns the samples of an epoch: each once in random order, or as many drawn by their weights.
    fn order(&self, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let count = self.train.len();
        match &self.sampling {
            Some(sums) => (0..count)
                .map(|_| {
                    let drawn = rng.random_range(0.0..1.0) * sums.last().unwrap_or(&1.0);
                    sums.partition_point(|&sum| sum <= drawn).min(count - 1)
                })
                .collect(),
            None => {
                let mut order: Vec<usize> = (0..count).collect();
                order.shuffle(rng);
                order
            }
        }
    }

    fn classes<'s>(&self, samples: impl Iterator<Item = &'s Sample>) -> Tensor {
        let classes: Vec<i64> = samples.map(|sample| self.data.items[sample.item].class as i64).collect();
        Tensor::from_slice(&classes).to_device(self.device)
    }

    fn rows(&mut self, picks: &[(Sample, usize)]) -> Result<Tensor> {
        match &mut self.rows {
            Rows::Cached(store) => {
                let rows: Vec<usize> = picks.iter().map(|(sample, view)| sample.first_row + view).collect();
                Ok(tensor(self.cut, &store.read(&rows)?, self.device))
            }
            Rows::Computed(views) => {
                let (items, views) = (&self.data.items, *views);
                let read = |(sample, view): &(Sample, usize)| view_of_file(&items[sample.item], views, *view);
                let pictures: Vec<_> = picks.par_iter().map(read).collect::<Result<_>>()?;
                let pictures: Vec<f32> = pictures.into_iter().flatten().collect();
                let size = crate::onnx::resnet::INPUT_SIZE as i64;
                let pictures = Tensor::from_slice(&pictures).view([-1, 3, size, size]).to_device(self.device);
                Ok(forward(self.cut, self.backbone, &pictures).to_kind(Kind::Float))
            }
        }
    }

    /// Maps rows to the logits of units.
    fn forward(&self, rows: &Tensor, dropout: f64) -> Tensor {
        match self.cut {
            FreezePoint::Pooled(_) => self.head.forward(rows, dropout),
            FreezePoint::Before(stage) => {
                let map = self.backbone.from(stage, rows);
                self.head.forward(&pool(&map, self.options.pooling), dropout)
            }
        }
    }

    /// Returns the cross-entropy of each sample with its smoothed target, times its class' weight. `own` is the
    /// log-probability of its target, `of_labels` that of all labels.
    fn losses(&self, own: &Tensor, of_labels: &Tensor, classes: &Tensor) -> Tensor {
        let smoothing = self.options.label_smoothing;
        let each = -(own * (1.0 - smoothing) + of_labels.mean_dim(1i64, false, Kind::Float) * smoothing);
        let weights: Vec<f32> = self.class_weights.iter().map(|&weight| weight as f32).collect();
        each * Tensor::from_slice(&weights).to_device(self.device).index_select(0, classes)
    }

    /// Returns the logits of the labels of every validation sample.
    ///
    /// # Errors
    /// Those of reading rows.
    pub fn validation_logits(&mut self) -> Result<Vec<Vec<f32>>> {
        let samples = self.validation.clone();
        let mut all = Vec::new();
        for chunk in samples.chunks(VALIDATION_BATCH) {
            let picks: Vec<_> = chunk.iter().map(|sample| (sample.clone(), 0)).collect();
            let rows = self.rows(&picks)?;
            let logits = values(&no_grad(|| self.units.sum_by_label(&self.forward(&rows, 0.0).to_kind(Kind::Float))))?;
            all.extend(logits.chunks_exact(self.data.labels.len()).map(<[f32]>::to_vec));
        }
        Ok(all)
    }

    /// Returns the predictions for the validation samples, with logits divided by `temperature`.
    ///
    /// # Errors
    /// Those of reading rows.
    pub fn predictions(&mut self, temperature: f64) -> Result<Vec<Prediction>> {
        let logits = self.validation_logits()?;
        let prediction = |(sample, logits): (&Sample, &Vec<f32>)| {
            let item = &self.data.items[sample.item];
            let name = if item.clip { format!("{}@{}", item.name, sample.time) } else { item.name.clone() };
            let probabilities = super::calibration::softmax(logits, temperature);
            Prediction { name, group: item.group.clone(), class: item.class, probabilities }
        };
        Ok(self.validation.iter().zip(&logits).map(prediction).collect())
    }

    /// Returns the classes of the validation samples.
    pub fn validation_classes(&self) -> Vec<usize> {
        self.validation.iter().map(|sample| self.data.items[sample.item].class).collect()
    }

    /// Returns the label of each output unit, if the data has subclasses.
    pub fn labels_of_units(&self) -> Option<Vec<usize>> {
        self.units.labels()
    }

    /// Restores the weights of the best epoch.
    pub fn restore_best(&mut self) {
        for ((_, weight), (_, best)) in self.optimizer.weights().iter().zip(&self.best) {
            no_grad(|| weight.shallow_clone().copy_(best));
        }
    }

    /// Returns all trained weights by name.
    pub fn weights(&self) -> &Named {
        self.optimizer.weights()
    }

    /// Returns all tensors of a checkpoint.
    pub fn tensors(&self) -> Named {
        let best = self.best.iter().map(|(name, tensor)| (format!("best.{name}"), tensor.shallow_clone()));
        self.optimizer.state().into_iter().chain(best).collect()
    }

    /// Restores a checkpoint.
    ///
    /// # Errors
    /// The errors of `saved`, which returns a tensor by name.
    pub fn restore(&mut self, state: TrainerState, mut saved: impl FnMut(&str) -> Result<Tensor>) -> Result<()> {
        self.optimizer.restore(&mut saved, state.steps)?;
        for (name, best) in &mut self.best {
            *best = saved(&format!("best.{name}"))?.to_device(self.device);
        }
        self.state = state;
        Ok(())
    }
}

fn copies(weights: &Named) -> Named {
    weights.iter().map(|(name, weight)| (name.clone(), weight.detach().copy())).collect()
}

/// Returns the cut between frozen and trained layers for these options.
pub fn cut(unfreeze: Unfreeze, pooling: Pooling) -> FreezePoint {
    match unfreeze {
        Unfreeze::None => FreezePoint::Pooled(pooling),
        Unfreeze::Stage4 => FreezePoint::Before(Stage::Fourth),
        Unfreeze::Stage3 => FreezePoint::Before(Stage::Third),
    }
}
