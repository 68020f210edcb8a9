//! A model's predictions for labelled pictures, and for the frames of clips that `fit` would learn from.

use std::path::Path;

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::inference::device::DeviceSelection;
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::inference::session::{Session, SessionOptions};
use crate::picture::Picture;
use crate::picture::file::read_picture;
use crate::shutdown::Shutdown;
use crate::train::dataset::{Dataset, Item};
use crate::train::features::frames;
use crate::train::metrics::Prediction;
use crate::train::selection::Selection;

/// Pictures in one batch.
const BATCH: usize = 8;

/// Runs a model on the pictures of a data folder, and on a frame every `every` milliseconds of its clips. The folder's
/// classes must be labels of the model. Unreadable files are logged and skipped.
///
/// # Errors
/// `Input` if the data has other classes than the model, or no file can be read; `Failed` on a stop.
pub fn read(
    model: &Model,
    data: &Path,
    selection: &Selection,
    every: u64,
    device: DeviceSelection,
    shutdown: &Shutdown,
) -> Result<Vec<Prediction>> {
    let data = of_labels(model, data)?;
    let session = Session::load(model, SessionOptions::of(device, BATCH))?;
    let mut reader = Reader { model, data: &data, session, waiting: Vec::new(), predictions: Vec::new() };
    let selected = |item: &&Item| selection.includes(&item.group, &item.name);
    let (clips, pictures): (Vec<&Item>, Vec<&Item>) = data.items.iter().filter(selected).partition(|item| item.clip);
    for chunk in pictures.chunks(BATCH) {
        reader.pictures(chunk)?;
    }
    for item in clips {
        if let Err(error) = reader.clip(item, every, shutdown) {
            tracing::warn!("{error}; {} is skipped", item.name);
        }
    }
    reader.flush()?;
    if shutdown.requested() {
        return Err(Error::failed("stopped while evaluating").remedy("run the same command again"));
    }
    if reader.predictions.is_empty() {
        return Err(Error::input("no picture or clip could be read").remedy("give pictures or clips in class folders"));
    }
    Ok(reader.predictions)
}

/// Reads the files whose classes are labels of the model.
fn of_labels(model: &Model, data: &Path) -> Result<Dataset> {
    let found = Dataset::read(data, &[])?;
    let classes: Vec<String> = model.labels.iter().filter(|label| found.labels.contains(label)).cloned().collect();
    if classes.len() < 2 {
        return Err(Error::input(format!(
            "{}: has the classes {}, the model has the labels {}",
            data.display(),
            found.labels.join(", "),
            model.labels.join(", ")
        ))
        .remedy("give pictures or clips in folders named after the model's labels"));
    }
    Dataset::read(data, &classes)
}

struct Reader<'a> {
    model: &'a Model,
    data: &'a Dataset,
    session: Session,
    /// Name, item and tensor of the pictures in the next batch.
    waiting: Vec<(String, &'a Item, Array3<f32>)>,
    predictions: Vec<Prediction>,
}

impl<'a> Reader<'a> {
    fn pictures(&mut self, items: &[&'a Item]) -> Result<()> {
        let model = self.model;
        let read: Vec<Result<Array3<f32>>> =
            items.par_iter().map(|item| tensor(model, &read_picture(&item.path)?.view())).collect();
        for (item, tensor) in items.iter().zip(read) {
            match tensor {
                Ok(tensor) => self.push(item.name.clone(), item, tensor)?,
                Err(error) => tracing::warn!("{error}; {} is skipped", item.name),
            }
        }
        Ok(())
    }

    fn clip(&mut self, item: &'a Item, every: u64, shutdown: &Shutdown) -> Result<()> {
        frames(&item.path, every, shutdown, &mut |time, picture| {
            let tensor = tensor(self.model, picture)?;
            self.push(format!("{}@{time}", item.name), item, tensor)?;
            Ok(true)
        })
    }

    fn push(&mut self, name: String, item: &'a Item, tensor: Array3<f32>) -> Result<()> {
        self.waiting.push((name, item, tensor));
        if self.waiting.len() == BATCH { self.flush() } else { Ok(()) }
    }

    /// Runs the model on the pictures that wait.
    fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let tensors: Vec<ArrayView3<f32>> = self.waiting.iter().map(|(.., tensor)| tensor.view()).collect();
        let rows = self.session.run_each(&tensors)?;
        for ((name, item, _), row) in self.waiting.drain(..).zip(rows.outer_iter()) {
            let class = &self.data.labels[item.class];
            self.predictions.push(Prediction {
                name,
                group: item.group.clone(),
                class: self.model.labels.iter().position(|label| label == class).unwrap_or(0),
                probabilities: row.iter().map(|&value| f64::from(value)).collect(),
            });
        }
        Ok(())
    }
}

fn tensor(model: &Model, picture: &Picture) -> Result<Array3<f32>> {
    let mut tensor = model.input.tensor();
    Preprocessor::new(&model.input).prepare(picture, tensor.view_mut())?;
    Ok(tensor)
}
