//! The kept features: what a model's backbone computes for pictures that it learned from, without the pictures.
//!
//! A safetensors file. A row is a picture: 2048 bytes with a scale, the picture's label and group as numbers, and the
//! probabilities that the model itself gave. Groups have no names.

use std::collections::HashMap;
use std::path::Path;

use half::f16;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::error::{Error, Result};
use crate::onnx::graph::value_count;
use crate::onnx::resnet::FEATURES;
use crate::system::regular_file;
use crate::system::replace::replace;

/// Version of the format.
const VERSION: &str = "1";
/// Largest file that is read, in bytes.
const MAX_FILE_SIZE: u64 = 1 << 30;
/// Bytes of a row, without the probabilities.
const ROW: usize = FEATURES + size_of::<f32>() + 2 * size_of::<u32>();

/// The rows, one after the other in each list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeptFeatures {
    /// SHA-256 of the layers that computed the features.
    pub backbone: String,
    pub labels: Vec<String>,
    pub rows: Vec<KeptRow>,
}

/// One picture that the model learned from.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptRow {
    pub features: Quantized,
    /// Index into [`KeptFeatures::labels`].
    pub label: usize,
    /// Pictures of one group have the same number.
    pub group: u32,
    /// The model's probabilities, one for each label.
    pub said: Vec<f32>,
}

/// Features in a byte each.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    pub values: Vec<u8>,
    pub scale: f32,
}

impl Quantized {
    /// Quantizes features, which are not negative. Those that are multiples of one number, as an int8 file computes
    /// them, are kept exactly.
    pub fn of(features: &[f32]) -> Self {
        let largest = features.iter().copied().fold(0.0, f32::max);
        let smallest = features.iter().copied().filter(|&value| value > 0.0).fold(f32::INFINITY, f32::min);
        let is_multiple = |value: f32| ((value / smallest) - (value / smallest).round()).abs() < 0.05;
        let exact = largest / smallest < 255.5 && features.iter().all(|&value| is_multiple(value));
        let scale = match (largest > 0.0, exact) {
            (false, _) => 1.0,
            (true, true) => smallest,
            (true, false) => largest / 255.0,
        };
        Self { values: features.iter().map(|value| (value / scale).round().clamp(0.0, 255.0) as u8).collect(), scale }
    }

    pub fn features(&self) -> impl Iterator<Item = f32> {
        self.values.iter().map(|&value| f32::from(value) * self.scale)
    }
}

impl KeptFeatures {
    /// Returns how many rows a file of `bytes` can hold.
    pub fn capacity(bytes: u64, labels: usize) -> usize {
        // The header takes a few hundred bytes and the labels' names.
        let space = bytes.saturating_sub(4096 + 100 * labels as u64);
        usize::try_from(space).unwrap_or(usize::MAX) / (ROW + labels * size_of::<f16>())
    }

    /// # Errors
    /// `Failed` if the file cannot be written; what was there stays.
    pub fn write(&self, path: &Path) -> Result<()> {
        let count = self.rows.len();
        let floats = |of: fn(&KeptRow) -> f32| self.rows.iter().flat_map(|row| of(row).to_le_bytes()).collect();
        let numbers = |of: fn(&KeptRow) -> u32| self.rows.iter().flat_map(|row| of(row).to_le_bytes()).collect();
        let features = self.rows.iter().flat_map(|row| row.features.values.iter().copied()).collect();
        let said =
            self.rows.iter().flat_map(|row| row.said.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()));
        let tensors: [(&str, Dtype, Vec<usize>, Vec<u8>); 5] = [
            ("features", Dtype::U8, vec![count, FEATURES], features),
            ("scale", Dtype::F32, vec![count], floats(|row| row.features.scale)),
            ("label", Dtype::U32, vec![count], numbers(|row| row.label as u32)),
            ("group", Dtype::U32, vec![count], numbers(|row| row.group)),
            ("said", Dtype::F16, vec![count, self.labels.len()], said.collect()),
        ];
        let broken = |cause: safetensors::SafeTensorError| Error::internal("features cannot be written").because(cause);
        let views = tensors
            .iter()
            .map(|(name, kind, shape, bytes)| Ok((*name, TensorView::new(*kind, shape.clone(), bytes)?)))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(broken)?;
        let labels = serde_json::to_string(&self.labels).map_err(|cause| Error::internal("labels").because(cause))?;
        let metadata = [("version", VERSION.to_string()), ("backbone", self.backbone.clone()), ("labels", labels)]
            .map(|(key, text)| (key.to_string(), text));
        let bytes = safetensors::serialize(views, Some(HashMap::from(metadata))).map_err(broken)?;
        replace(path, &bytes).map_err(|cause| Error::unwritable(path, cause))
    }

    /// # Errors
    /// `Input` if the file cannot be read, or is not complete.
    pub fn read(path: &Path) -> Result<Self> {
        let origin = path.display();
        let bytes = regular_file::read(path, MAX_FILE_SIZE);
        let bytes = bytes.map_err(|cause| {
            Error::input(format!("kept features {origin}: cannot be read")).because(cause).remedy("check --features")
        })?;
        Self::parse(&bytes).map_err(|why| {
            Error::input(format!("kept features {origin}: not a file of kept features"))
                .because(why)
                .remedy("make it again with livelabel-train features")
        })
    }

    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let text = |cause: safetensors::SafeTensorError| cause.to_string();
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(text)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let entry = |key: &str| metadata.get(key).ok_or(format!("its metadata lack {key}"));
        if entry("version")? != VERSION {
            return Err(format!("it has version {:?}, not {VERSION}", entry("version")?));
        }
        let labels: Vec<String> = serde_json::from_str(entry("labels")?).map_err(|cause| cause.to_string())?;
        let file = SafeTensors::deserialize(bytes).map_err(text)?;
        let tensor = |name: &str, kind: Dtype, width: usize| -> std::result::Result<Vec<u8>, String> {
            let view = file.tensor(name).map_err(text)?;
            let row = view.shape().get(1..).unwrap_or_default();
            if view.dtype() != kind || value_count(row) != Some(width) {
                return Err(format!("its tensor {name} is {:?} {:?}", view.dtype(), view.shape()));
            }
            Ok(view.data().to_vec())
        };
        let numbers = |name: &str| Ok::<_, String>(four_bytes(&tensor(name, Dtype::U32, 1)?, u32::from_le_bytes));
        let features = tensor("features", Dtype::U8, FEATURES)?;
        let scales = four_bytes(&tensor("scale", Dtype::F32, 1)?, f32::from_le_bytes);
        let (of_rows, groups) = (numbers("label")?, numbers("group")?);
        let said = tensor("said", Dtype::F16, labels.len())?;
        let said: Vec<f32> = said.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect();
        let count = features.len() / FEATURES;
        let complete = [scales.len(), of_rows.len(), groups.len()].iter().all(|&length| length == count)
            && said.len() == count * labels.len();
        let sound = scales.iter().all(|scale| scale.is_finite()) && said.iter().all(|value| value.is_finite());
        if !complete || !sound || of_rows.iter().any(|&label| label as usize >= labels.len()) {
            return Err("its tensors do not belong together".into());
        }
        let rows = (0..count).map(|row| KeptRow {
            features: Quantized { values: features[row * FEATURES..][..FEATURES].to_vec(), scale: scales[row] },
            label: of_rows[row] as usize,
            group: groups[row],
            said: said[row * labels.len()..][..labels.len()].to_vec(),
        });
        Ok(Self { backbone: entry("backbone")?.clone(), rows: rows.collect(), labels })
    }
}

fn four_bytes<T>(bytes: &[u8], of: fn([u8; 4]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|&bytes| of(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> KeptFeatures {
        let row = |number: usize| KeptRow {
            features: Quantized::of(
                &(0..FEATURES).map(|index| ((index + number) % 7) as f32 * 0.25).collect::<Vec<_>>(),
            ),
            label: number % 2,
            group: number as u32 / 2,
            said: vec![0.25, 0.75],
        };
        let labels = ["cooking", "../drinking"].map(String::from).to_vec();
        KeptFeatures { backbone: "abc".into(), labels, rows: (0..5).map(row).collect() }
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.safetensors");
        let kept = kept();
        kept.write(&path).unwrap();
        assert_eq!(KeptFeatures::read(&path).unwrap(), kept);
        let features: Vec<f32> = kept.rows[1].features.features().take(8).collect();
        assert_eq!(features, [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 0.0, 0.25]);
    }

    #[test]
    fn as_many_rows_as_fit_are_no_more_than_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.safetensors");
        let count = KeptFeatures::capacity(100_000, 2);
        let rows = kept().rows.into_iter().cycle().take(count).collect();
        KeptFeatures { rows, ..kept() }.write(&path).unwrap();
        let size = std::fs::metadata(&path).unwrap().len();
        assert!((94_000..=100_000).contains(&size), "{size}");
    }

    #[test]
    fn other_features_are_quantized_to_the_largest() {
        let found = Quantized::of(&[0.0, 0.001, 0.5, 2.55]);
        assert_eq!((found.values, (found.scale - 0.01).abs() < 1e-8), (vec![0, 0, 50, 255], true));
        assert_eq!(Quantized::of(&[0.0, 0.0]), Quantized { values: vec![0, 0], scale: 1.0 });
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.safetensors");
        kept().write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for length in [0, 7, 100, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let error = KeptFeatures::read(&path).unwrap_err();
            assert!(error.to_string().contains("not a file of kept features") && error.exit_code() == 2, "{error}");
        }
        let mut other = kept();
        other.rows[0].label = 2;
        other.write(&path).unwrap();
        let error = KeptFeatures::read(&path).unwrap_err().to_string();
        assert!(error.contains("do not belong together"), "{error}");
    }
}
