//! Reads the backbone's weights: TensorFlow.js shards or one safetensors file, both with Keras' names.

use std::collections::HashMap;
use std::path::{Component, Path};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::onnx::graph::{Weight, value_count};
use crate::system::regular_file;

/// The ε of Keras' ResNet50, if the file does not state it.
const DEFAULT_EPSILON: f32 = 0.001;

/// The largest file that is read, in bytes. ResNet50's weights have 98 MiB.
pub(super) const MAX_FILE_SIZE: u64 = 2 << 30;

/// Named tensors of a Keras network, in Keras' layouts (a convolution is height × width × in × out).
#[derive(Debug)]
pub struct Weights {
    tensors: HashMap<String, Weight>,
    /// Batch norm's ε, the same for every layer.
    pub epsilon: f32,
    origin: String,
}

impl Weights {
    /// Reads a folder with a TensorFlow.js `model.json`, that file itself, or a `.safetensors` file.
    pub fn read(path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        if path.is_dir() {
            return Self::read_tfjs(&path.join("model.json"), origin);
        }
        match path.extension().and_then(|ext| ext.to_str()) {
            Some("json") => Self::read_tfjs(path, origin),
            Some("safetensors") => Self::read_safetensors(path, origin),
            _ => Err(Error::input(format!("{origin}: not weights of a known format"))
                .remedy("give a folder with a TensorFlow.js model.json, or a .safetensors file")),
        }
    }

    /// Returns the tensor `name`, which must have `shape`.
    ///
    /// # Errors
    /// Input, with the tensor's name, if it is missing or has another shape.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<&Weight> {
        let tensor = self.tensors.get(name).ok_or_else(|| {
            Error::input(format!("{}: has no tensor {name}", self.origin)).remedy("give the weights of Keras' ResNet50")
        })?;
        if tensor.shape != shape {
            return Err(Error::input(format!(
                "{}: tensor {name} has shape {:?}, not {shape:?}",
                self.origin, tensor.shape
            ))
            .remedy("give the weights of Keras' ResNet50"));
        }
        Ok(tensor)
    }

    /// Iterates over all tensors with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Weight)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    fn read_tfjs(manifest: &Path, origin: String) -> Result<Self> {
        let text = read(manifest)?;
        let model: TfjsModel = serde_json::from_slice(&text).map_err(|cause| {
            Error::input(format!("{}: not a TensorFlow.js model", manifest.display()))
                .because(cause)
                .remedy("give the model.json in the folder of the shards")
        })?;
        let folder = manifest.parent().unwrap_or(Path::new("."));
        let mut tensors = HashMap::new();
        for group in &model.weights_manifest {
            let mut bytes = Vec::new();
            for path in &group.paths {
                if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
                    return Err(Error::input(format!("{origin}: the shard {path:?} is not in its folder"))
                        .remedy("fetch the model again; shards lie beside its model.json"));
                }
                bytes.extend(read(&folder.join(path))?);
            }
            let mut rest = bytes.as_slice();
            for entry in &group.weights {
                if entry.dtype != "float32" || entry.quantization.is_some() {
                    return Err(Error::input(format!("{origin}: tensor {} is not plain float32", entry.name))
                        .remedy("convert the weights without quantization"));
                }
                let length = value_count(&entry.shape).and_then(|count| count.checked_mul(size_of::<f32>()));
                let Some((head, tail)) = length.and_then(|length| rest.split_at_checked(length)) else {
                    return Err(Error::input(format!("{origin}: the shards end before tensor {}", entry.name))
                        .remedy("fetch them again; a download was cut short"));
                };
                tensors.insert(entry.name.clone(), Weight { shape: entry.shape.clone(), values: floats(head) });
                rest = tail;
            }
            if !rest.is_empty() {
                return Err(Error::input(format!("{origin}: the shards hold {} bytes too many", rest.len()))
                    .remedy("fetch them again; they belong to another model.json"));
            }
        }
        let epsilon = model.epsilon().unwrap_or(DEFAULT_EPSILON);
        Ok(Self { tensors, epsilon, origin })
    }

    fn read_safetensors(path: &Path, origin: String) -> Result<Self> {
        let bytes = read(path)?;
        let (metadata, tensors) = safetensors(&bytes, &origin)?;
        let epsilon = match metadata.get("epsilon") {
            None => DEFAULT_EPSILON,
            Some(text) => text.parse().map_err(|cause: std::num::ParseFloatError| {
                Error::input(format!("{origin}: metadata epsilon is {text:?}")).because(cause).remedy("write a number")
            })?,
        };
        Ok(Self { tensors, epsilon, origin })
    }
}

/// Reads the metadata and the float32 tensors of a safetensors file.
pub fn safetensors(bytes: &[u8], origin: &str) -> Result<(HashMap<String, String>, HashMap<String, Weight>)> {
    let malformed = |cause| {
        Error::input(format!("{origin}: not a safetensors file"))
            .because(cause)
            .remedy("give a complete file that was written by safetensors")
    };
    let (_, header) = safetensors::SafeTensors::read_metadata(bytes).map_err(malformed)?;
    let file = safetensors::SafeTensors::deserialize(bytes).map_err(malformed)?;
    let mut tensors = HashMap::new();
    for (name, view) in file.iter() {
        if view.dtype() != safetensors::Dtype::F32 {
            return Err(
                Error::input(format!("{origin}: tensor {name} is {:?}", view.dtype())).remedy("store it as float32")
            );
        }
        tensors.insert(name.to_string(), Weight { shape: view.shape().to_vec(), values: floats(view.data()) });
    }
    Ok((header.metadata().clone().unwrap_or_default(), tensors))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    regular_file::read(path, MAX_FILE_SIZE).map_err(|cause| {
        Error::input(format!("{}: cannot be read", path.display()))
            .because(cause)
            .remedy("check the name, or run scripts/setup train to fetch the weights")
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TfjsModel {
    #[serde(default)]
    model_topology: serde_json::Value,
    weights_manifest: Vec<TfjsGroup>,
}

#[derive(Deserialize)]
struct TfjsGroup {
    paths: Vec<String>,
    weights: Vec<TfjsWeight>,
}

#[derive(Deserialize)]
struct TfjsWeight {
    name: String,
    shape: Vec<usize>,
    dtype: String,
    quantization: Option<serde_json::Value>,
}

impl TfjsModel {
    /// Returns the ε of the topology's first batch norm.
    fn epsilon(&self) -> Option<f32> {
        let layers = self.model_topology.pointer("/model_config/config/layers")?.as_array()?;
        let norm = layers.iter().find(|layer| layer["class_name"] == "BatchNormalization")?;
        Some(norm.pointer("/config/epsilon")?.as_f64()? as f32)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tfjs(manifest: &str, shard: &[u8]) -> Result<Weights> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.json"), manifest).unwrap();
        fs::write(folder.path().join("shard.bin"), shard).unwrap();
        Weights::read(folder.path())
    }

    const MANIFEST: &str = r#"{
        "modelTopology": {"model_config": {"config": {"layers": [
            {"class_name": "BatchNormalization", "config": {"epsilon": 0.002}}]}}},
        "weightsManifest": [{"paths": ["shard.bin"], "weights": [
            {"name": "a", "shape": [2], "dtype": "float32"}, {"name": "b", "shape": [], "dtype": "float32"}]}]}"#;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn tfjs_shards_are_split_by_the_manifest() {
        let weights = tfjs(MANIFEST, &bytes(&[1.0, 2.0, 3.0])).unwrap();
        assert_eq!(weights.tensor("a", &[2]).unwrap().values, [1.0, 2.0]);
        assert_eq!(weights.tensor("b", &[]).unwrap().values, [3.0]);
        assert_eq!(weights.epsilon, 0.002);
    }

    #[test]
    fn short_and_long_shards_are_refused() {
        let short = tfjs(MANIFEST, &bytes(&[1.0, 2.0])).unwrap_err().to_string();
        assert!(short.contains("end before tensor b"), "{short}");
        let long = tfjs(MANIFEST, &bytes(&[1.0, 2.0, 3.0, 4.0])).unwrap_err().to_string();
        assert!(long.contains("4 bytes too many"), "{long}");
    }

    #[test]
    fn a_shape_of_any_size_is_no_overflow() {
        for shape in ["[4611686018427387904, 4]", "[18446744073709551615]", "[9223372036854775808, 2, 0]"] {
            let error = tfjs(&MANIFEST.replace("[2]", shape), &[0; 12]).unwrap_err().to_string();
            assert!(error.contains("end before tensor a"), "{shape}: {error}");
        }
    }

    #[test]
    fn shards_are_files_in_their_folder() {
        for path in ["/dev/zero", "../shard.bin", "a/../../shard.bin"] {
            let error = tfjs(&MANIFEST.replace("shard.bin", path), &[0; 12]).unwrap_err().to_string();
            assert!(error.contains("is not in its folder"), "{path}: {error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("weights.safetensors");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        let error = Weights::read(&link).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }

    #[test]
    fn a_tensor_with_another_shape_is_refused() {
        let weights = tfjs(MANIFEST, &bytes(&[1.0, 2.0, 3.0])).unwrap();
        let error = weights.tensor("a", &[3]).unwrap_err().to_string();
        assert!(error.contains("tensor a has shape [2], not [3]"), "{error}");
    }
}
