//! Which model a run uses: the one that it names, or one that was made of corrections.

use std::sync::Arc;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::inference::model::Model;
use crate::learning::models::{Base, Models};

/// Returns the model that a run with `config` uses, and the models that can take its place where corrections are kept.
///
/// # Errors
/// Input, if the model that the run names cannot be used. One made of corrections that cannot is left out, and logged.
pub fn open(config: &Config) -> Result<(Model, Option<Arc<Models>>)> {
    let named = Model::open(config.model.as_deref())?;
    let Some(learning) = &config.learning else { return Ok((named, None)) };
    let models = Arc::new(Models::new(&learning.folder, base(&named)));
    Ok((in_use(named, &models), Some(models)))
}

/// Returns the model in use instead of `named`, or `named`.
pub fn in_use(named: Model, models: &Models) -> Model {
    let chosen = models.in_use_instead_of(&named.sha256).and_then(|name| match name {
        Some(name) => Model::read(&models.path(Some(&name))?).map(Some),
        None => Ok(None),
    });
    match chosen {
        Ok(Some(model)) => {
            tracing::info!("uses {}, which was made of corrections to {}", model.name, named.name);
            model
        }
        Ok(None) => named,
        Err(error) => {
            tracing::error!("{error}; uses {}", named.name);
            named
        }
    }
}

pub fn base(model: &Model) -> Base {
    Base {
        path: model.path.clone(),
        name: model.name.clone(),
        sha256: model.sha256.clone(),
        labels: model.labels.clone(),
    }
}

/// The error where no corrections are kept.
pub fn no_corrections() -> Error {
    Error::usage("this run keeps no corrections, so there is no other model").remedy("start it with --learn FOLDER")
}

/// Makes a model the one in use from the next run on, where no camera runs.
///
/// # Errors
/// Those of [`Model::read`] and [`Models::set_in_use`].
pub fn choose(models: &Models, name: Option<&str>) -> Result<String> {
    let model = Model::read(&models.path(name)?)?;
    models.set_in_use(name)?;
    Ok(format!("{} is used from the next run on", model.name))
}
