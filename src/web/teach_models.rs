//! `/api/teach/models` and `/api/teach/training`: the models that were made of corrections, and the trainer that makes them.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::control::Action;
use crate::error::{Error, Result};
use crate::learning::LearningClient;
use crate::learning::models::{self, AdaptedModel, Models};
use crate::learning::training::{self, Files, Training};
use crate::system::utc;
use crate::web::actions::{act, refuse};
use crate::web::admin::{self, Peer};
use crate::web::blocking;
use crate::web::state::{ApiError, AppState, NOT_FOUND};
use crate::web::teach::BUSY;

const UNREADABLE: ApiError = (StatusCode::INTERNAL_SERVER_ERROR, "the models cannot be read\n");

/// The models of a learning folder, and the trainer.
pub(super) struct TeachModels {
    models: Arc<Models>,
    learning: LearningClient,
    /// The folder of the corrections.
    data: PathBuf,
    training: Training,
}

impl TeachModels {
    /// Returns the models of the learning folder `data`.
    pub fn new(models: Arc<Models>, learning: LearningClient, data: PathBuf) -> Self {
        Self { models, learning, data, training: Training::new() }
    }

    /// Returns the list of models as JSON, newest first, and the one that the run names last.
    fn list(&self) -> Value {
        // What is wrong with the file is in the log since the start.
        let in_use = self.models.in_use().ok().flatten();
        let base = self.models.base();
        let adapted = self.models.list();
        let listed = adapted.iter().map(adapted_json).chain([json!({
            "name": null,
            "title": base.name,
            "made": null,
            "labels": base.labels,
            "verdict": null,
            "text": null,
            "report": null,
        })]);
        json!({ "in_use": in_use, "models": listed.collect::<Vec<_>>() })
    }

    /// Returns the files of a training that begins now.
    fn files(&self) -> Result<Files> {
        let (output, report) = self.models.next(utc::now());
        let model = self.models.path(self.models.in_use()?.as_deref())?;
        Ok(Files { model, data: self.data.clone(), output, report })
    }

    fn status(&self) -> Result<Value> {
        let status = self.training.status();
        Ok(json!({
            "available": self.training.is_available(),
            "command": training::command(&self.files()?),
            "state": status.state,
            "lines": status.lines,
            "model": status.model,
        }))
    }
}

fn adapted_json(AdaptedModel { name, report }: &AdaptedModel) -> Value {
    let field = |name: &str| report.as_ref().map_or(Value::Null, |report| report[name].clone());
    json!({
        "name": name,
        "title": name,
        "made": models::made(name).map(utc::milliseconds),
        "labels": field("labels"),
        "verdict": field("verdict"),
        "text": field("text"),
        "report": report,
    })
}

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new().route("/api/teach/models", get(list)).route("/api/teach/training", get(status))
}

/// Returns the routes of who may write.
pub(super) fn actions() -> Router<Arc<AppState>> {
    Router::new().route("/api/teach/models/use", post(use_model)).route("/api/teach/training", post(train))
}

async fn list(State(state): State<Arc<AppState>>) -> Result<Response, ApiError> {
    Ok(Json(ask(&state, |models| Ok(models.list())).await?.map_err(|_| UNREADABLE)?).into_response())
}

async fn status(State(state): State<Arc<AppState>>) -> Result<Response, ApiError> {
    Ok(Json(ask(&state, TeachModels::status).await?.map_err(|_| UNREADABLE)?).into_response())
}

/// The model to use.
#[derive(Deserialize)]
struct Choice {
    /// `None` for the one that the run names.
    name: Option<String>,
    /// Whether to use it although it was not found better.
    #[serde(default)]
    anyway: bool,
}

async fn use_model(
    State(state): State<Arc<AppState>>,
    Extension(peer): Extension<Peer>,
    Json(choice): Json<Choice>,
) -> Result<Response, ApiError> {
    let Choice { name, anyway } = choice;
    let asked = name.clone();
    let may = ask(&state, move |models| {
        let Some(name) = asked else { return Ok(()) };
        models.models.path(Some(&name))?;
        if anyway || models.models.is_better(&name) {
            return Ok(());
        }
        Err(Error::usage(format!("{name}: was not found better than the model before it"))
            .remedy("set `anyway` to use it nevertheless"))
    });
    match may.await? {
        Ok(()) => Ok(act(&state, peer, Action::UseModel(name)).await),
        Err(error) => Ok(refuse(&error)),
    }
}

async fn train(State(state): State<Arc<AppState>>, Extension(peer): Extension<Peer>) -> Result<Response, ApiError> {
    let started = ask(&state, |models| {
        // The trainer reads the table.
        models.learning.write_table()?;
        models.models.create()?;
        let is_first = models.training.start(&models.files()?)?;
        Ok((is_first, models.status()?))
    });
    match started.await? {
        Ok((true, status)) => {
            admin::log(peer.0.to_canonical(), "training");
            Ok(Json(status).into_response())
        }
        Ok((false, status)) => Ok((StatusCode::CONFLICT, Json(status)).into_response()),
        Err(error) => Ok(refuse(&error)),
    }
}

/// Works with the models' files on another thread.
async fn ask<T: Send + 'static>(
    state: &AppState,
    work: impl FnOnce(&TeachModels) -> Result<T> + Send + 'static,
) -> Result<Result<T>, ApiError> {
    let teaching = state.teaching.as_ref().ok_or(NOT_FOUND)?;
    let models = Arc::clone(&teaching.models);
    blocking::run(&teaching.permits, BUSY, UNREADABLE, move || work(&models)).await
}
