//! A model's predictions for labelled pictures, and for the frames of clips that `fit` would learn from.

use std::path::Path;

use crate::error::{Error, Result};
use crate::inference::device::DeviceSelection;
use crate::inference::model::Model;
use crate::inference::session::{Session, SessionOptions};
use crate::shutdown::Shutdown;
use crate::train::dataset::{Dataset, Item};
use crate::train::metrics::Prediction;
use crate::train::network_rows::{BATCH, NetworkRow, RowReader};
use crate::train::selection::Selection;

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
    let items: Vec<&Item> = data.items.iter().filter(|item| selection.includes(&item.group, &item.name)).collect();
    let reader = RowReader { session, input: &model.input, every, shutdown };
    let (rows, _) = reader.read(&items, &|_, _| ())?;
    if rows.is_empty() {
        return Err(Error::input("no picture or clip could be read").remedy("give pictures or clips in class folders"));
    }
    let class = |item: &Item| model.labels.iter().position(|label| *label == data.labels[item.class]).unwrap_or(0);
    let prediction = |row: NetworkRow| Prediction {
        name: row.time.map_or(row.item.name.clone(), |time| format!("{}@{time}", row.item.name)),
        group: row.item.group.clone(),
        class: class(row.item),
        probabilities: row.values.into_iter().map(f64::from).collect(),
    };
    Ok(rows.into_iter().map(prediction).collect())
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
