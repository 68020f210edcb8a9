//! Finds the kept features of what a model learned from.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::media::files::list_folder;
use crate::system::folders;
use crate::system::locate;
use crate::train::adaptable_model::AdaptableModel;
use crate::train::kept_features::KeptFeatures;

/// What the names of kept features end with.
const ENDING: &str = ".features.safetensors";
/// Where set-up and packages have models.
const MODELS: &str = "models";

/// Returns the kept features `given`; else those beside the model, `NAME.features.safetensors`; else any beside it or
/// beside the shipped model that are of its network. Without any it warns.
///
/// # Errors
/// `Input` if those that are given, or have the model's name, cannot be read or are of another network.
pub fn find(given: Option<&Path>, model: &AdaptableModel) -> Result<Option<(PathBuf, KeptFeatures)>> {
    let mut named = model.stem().into_os_string();
    named.push(ENDING);
    let named = PathBuf::from(named);
    if let Some(path) = given.or(named.exists().then_some(&named)) {
        let kept = KeptFeatures::read(path)?;
        check(&kept, model).map_err(|why| {
            Error::input(format!("kept features {}: not of the network of {}", path.display(), model.model.name))
                .because(why)
                .remedy("name its own with --features, or make them with livelabel-train features")
        })?;
        return Ok(Some((path.into(), kept)));
    }
    let beside = folders::of(&model.model.path);
    let folders = [Some(beside.to_path_buf()), locate::find(MODELS)].into_iter().flatten();
    for path in folders.filter_map(|folder| list_folder(&folder).ok()).flatten() {
        let is_kept = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING));
        if let Some(kept) = is_kept.then(|| KeptFeatures::read(&path).ok()).flatten()
            && check(&kept, model).is_ok()
        {
            return Ok(Some((path, kept)));
        }
    }
    tracing::warn!(
        "{}: no kept features of what it learned from were found, so the new model may forget; name them with --features, or \
         make them with livelabel-train features",
        model.model.name
    );
    Ok(None)
}

/// Checks that features are of this model's layers, and their labels its own.
fn check(kept: &KeptFeatures, model: &AdaptableModel) -> std::result::Result<(), String> {
    if kept.backbone != model.cut.backbone_sha256() {
        return Err("they were computed by other layers".into());
    }
    if kept.rows.is_empty() || !model.model.labels.starts_with(&kept.labels) {
        return Err(format!("they have the labels {}", kept.labels.join(", ")));
    }
    Ok(())
}
