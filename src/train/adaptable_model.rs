//! A model file that can be adapted: its layers up to the features, its head, and the adapter that it may have.

use std::path::{Path, PathBuf};

use tch::Tensor;

use crate::error::{Error, Result};
use crate::inference::device::DeviceSelection;
use crate::inference::model::Model;
use crate::inference::session::{Session, SessionOptions};
use crate::onnx::cut::Cut;
use crate::onnx::resnet::FEATURES;
use crate::shutdown::Shutdown;
use crate::train::dataset::Item;
use crate::train::features::Extraction;
use crate::train::fit::Reporter;
use crate::train::frozen::temporary;
use crate::train::model_head::ModelHead;
use crate::train::network_rows::{BATCH, NetworkRow, RowReader};

pub struct AdaptableModel {
    pub model: Model,
    pub cut: Cut,
    pub head: ModelHead,
}

impl AdaptableModel {
    /// # Errors
    /// `Input` if the file is no model, or no model that can be adapted.
    pub fn read(path: Option<&Path>) -> Result<Self> {
        let model = Model::open(path)?;
        let file = std::fs::read(&model.path)
            .map_err(|cause| Error::input(format!("model {}: cannot be read", model.path.display())).because(cause))?;
        let cut = Cut::of(file.into(), &model.labels, &model.path.display().to_string())?;
        let head = ModelHead::of(&cut);
        Ok(Self { model, cut, head })
    }

    /// Computes the features of all items in the analyzer's session, on pictures as the analyzer prepares them. Returns
    /// also the items that cannot be read, which are logged.
    ///
    /// # Errors
    /// `Failed` on a stop; those of [`Session::load`].
    pub fn features<'a>(
        &self,
        items: &[&'a Item],
        every: u64,
        reporter: &dyn Reporter,
        shutdown: &Shutdown,
    ) -> Result<(Vec<NetworkRow<'a>>, Vec<&'a Item>)> {
        let file = temporary(&self.cut.backbone_file())?;
        let backbone = Model::frozen(file.path(), self.model.input.clone(), FEATURES, &self.model.precision)?;
        let session = Session::load(&backbone, SessionOptions::of(DeviceSelection::Auto, BATCH))?;
        let reader = RowReader { session, input: &self.model.input, every, shutdown };
        let all = items.len();
        reader.read(items, &|done, rows| {
            reporter.features(&Extraction { done, all, rows, share: done as f64 / all.max(1) as f64 });
        })
    }

    /// Returns the file's name without its ending and its precision, from which names beside it are made.
    pub fn stem(&self) -> PathBuf {
        let name = self.model.name.trim_end_matches(".onnx");
        let plain = name.strip_suffix(&format!(".{}", self.model.precision)).unwrap_or(name);
        self.model.path.with_file_name(plain)
    }
}

/// Returns rows of features as a tensor `[n, 2048]`.
pub fn tensor<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Tensor {
    let values: Vec<f32> = rows.flatten().copied().collect();
    Tensor::from_slice(&values).view([-1, FEATURES as i64])
}
