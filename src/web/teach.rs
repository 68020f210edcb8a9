//! `/api/teach`: the frames that are kept for learning, and what people say of them. The database works on threads of their own, a few
//! at once.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::error::{Error, ErrorKind};
use crate::learning::models::Models;
use crate::learning::{self, Answer, Answered, Frame, LearningClient, Refused};
use crate::web::admin::{self, Peer};
use crate::web::blocking;
use crate::web::history::{Pairs, number, text};
use crate::web::history_json::moment;
use crate::web::state::{ApiError, AppState, NOT_FOUND, Name};
use crate::web::teach_models::TeachModels;

/// Questions and answers that are worked on at once. Further ones wait.
const AT_ONCE: usize = 4;
/// Frames of a page, usually and at most.
const LIMIT: usize = 60;
const MAX_LIMIT: usize = 500;

pub(super) const BUSY: ApiError =
    (StatusCode::SERVICE_UNAVAILABLE, "too many questions about frames and models at once\n");
const BROKEN: ApiError = (StatusCode::INTERNAL_SERVER_ERROR, "the frames cannot be read or written\n");
const NO_FRAME: ApiError = (StatusCode::NOT_FOUND, "there is no such frame\n");

/// The frames and models that are served.
pub struct Teaching {
    pub(super) learning: LearningClient,
    pub(super) models: Arc<TeachModels>,
    pub(super) permits: Arc<Semaphore>,
}

impl Teaching {
    /// `folder` is that of the frames.
    pub fn new(learning: LearningClient, models: Arc<Models>, folder: PathBuf) -> Self {
        let models = Arc::new(TeachModels::new(models, learning.clone(), folder));
        Self { learning, models, permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

/// What only reads.
pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/api/teach", get(overview))
        .route("/api/teach/frames", get(frames))
        .route("/api/teach/frames/{frame}", get(picture))
}

/// What changes a frame, or the labels.
pub(super) fn actions() -> Router<Arc<AppState>> {
    Router::new().route("/api/teach/frames/{frame}", post(answer)).route("/api/teach/labels", post(add_label))
}

/// Why a request has no effect.
pub(super) enum Failure {
    Fixed(ApiError),
    /// The body is not what it should be.
    Body(String),
    Refused(Refused),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Fixed(error)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(Refused::Failed(error))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let told = |status: StatusCode, error: String| (status, Json(json!({ "error": error }))).into_response();
        match self {
            Self::Fixed(error) => error.into_response(),
            Self::Body(cause) => told(StatusCode::BAD_REQUEST, format!("the body cannot be read ({cause})")),
            Self::Refused(Refused::Unknown) => NO_FRAME.into_response(),
            Self::Refused(Refused::Changed(state)) => (StatusCode::CONFLICT, Json(described(&state))).into_response(),
            Self::Refused(Refused::Invalid(error)) => told(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            Self::Refused(Refused::Failed(error)) => {
                tracing::warn!("{error}");
                let full = error.kind() == ErrorKind::Unavailable;
                let status = if full { StatusCode::INSUFFICIENT_STORAGE } else { StatusCode::INTERNAL_SERVER_ERROR };
                told(status, error.to_string())
            }
        }
    }
}

/// Works with the frames on another thread.
pub(super) async fn ask<T: Send + 'static, E: Send + 'static>(
    state: &AppState,
    question: impl FnOnce(&LearningClient) -> Result<T, E> + Send + 'static,
) -> Result<T, Failure>
where
    Failure: From<E>,
{
    let teaching = state.teaching.as_ref().ok_or(NOT_FOUND)?;
    let learning = teaching.learning.clone();
    let answer = blocking::run(&teaching.permits, BUSY, BROKEN, move || question(&learning));
    Ok(answer.await??)
}

/// Reads the JSON of a body.
pub(super) fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|cause| Failure::Body(cause.to_string()))
}

/// Reads a key that may be null, or missing: the outer `None`.
pub(super) fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn overview(State(state): State<Arc<AppState>>) -> Result<Response, Failure> {
    let answer = ask(&state, |learning| {
        let counts = learning.store().counts()?;
        Ok::<Value, Error>(json!({
            "labels": learning.labels()?,
            "model_labels": learning.model_labels(),
            "counts": {
                "frames": counts.frames, "open": counts.open, "answered": counts.answered,
                "contradictory": counts.contradictory,
            },
            "kept_bytes": learning.store().bytes(),
            "limit_bytes": learning.limit(),
        }))
    });
    Ok(Json(answer.await?).into_response())
}

async fn frames(State(state): State<Arc<AppState>>, query: Pairs) -> Result<Response, Failure> {
    let listed = match text(&query, "state") {
        None | Some("open") => learning::State::Open,
        Some("answered") => learning::State::Answered,
        Some("contradictory") => learning::State::Contradictory,
        Some(_) => return Err((StatusCode::BAD_REQUEST, "state is open, answered or contradictory\n").into()),
    };
    let limit = number(&query, "limit", LIMIT as f64, 1.0..=MAX_LIMIT as f64)? as usize;
    let after = match text(&query, "after") {
        None | Some("") => None,
        Some(cursor) => Some(cursor.parse().map_err(|()| (StatusCode::BAD_REQUEST, "after is no cursor\n"))?),
    };
    let stream = text(&query, "stream").filter(|name| !name.is_empty()).map(String::from);
    let page = ask(&state, move |learning| learning.store().page(listed, stream.as_deref(), limit, after)).await?;
    let frames: Vec<Value> = page.frames.iter().map(frame).collect();
    Ok(Json(json!({ "frames": frames, "next": page.next.map(|next| next.to_string()) })).into_response())
}

fn frame(frame: &Frame) -> Value {
    json!({
        "id": frame.id,
        "stream": frame.stream,
        "time": moment(frame.time),
        "clip": frame.clip,
        "reason": frame.reason.name(),
        "said": serde_json::from_str::<Value>(&frame.said).unwrap_or_else(|_| json!({})),
        "model": frame.model,
        "answer": frame.answer,
        "version": frame.version,
        "contradicts": frame.contradicts,
        "interval_answer": frame.disputed,
    })
}

fn described(state: &Answered) -> Value {
    json!({
        "id": state.id,
        "answer": state.answer,
        "version": state.version,
        "contradicts": state.contradicts,
        "interval_answer": state.disputed,
    })
}

async fn picture(State(state): State<Arc<AppState>>, Path(file): Name) -> Result<Response, Failure> {
    let id = file.strip_suffix(".jpg").and_then(|id| id.parse().ok()).ok_or(NO_FRAME)?;
    let found = ask(&state, move |learning| learning.store().picture(id)).await?;
    let jpeg = found.ok_or(NO_FRAME)?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response())
}

#[derive(Deserialize)]
struct AnswerBody {
    #[serde(default, deserialize_with = "nullable")]
    label: Option<Option<String>>,
    #[serde(default)]
    skip: bool,
    version: i64,
}

async fn answer(State(state): State<Arc<AppState>>, Path(id): Name, body: Bytes) -> Result<Response, Failure> {
    let id: i64 = id.parse().map_err(|_| NO_FRAME)?;
    let AnswerBody { label, skip, version } = parse(&body)?;
    let answer = match (label, skip) {
        (Some(Some(label)), false) => Answer::Label(label),
        (Some(None), false) => Answer::Open,
        (None, true) => Answer::Skip,
        _ => return Err(Failure::Body("it needs either label or skip".into())),
    };
    let answered = ask(&state, move |learning| learning.answer(id, version, &answer)).await?;
    Ok(Json(described(&answered)).into_response())
}

#[derive(Deserialize)]
struct LabelBody {
    label: String,
}

async fn add_label(
    State(state): State<Arc<AppState>>,
    peer: axum::Extension<Peer>,
    body: Bytes,
) -> Result<Response, Failure> {
    let LabelBody { label } = parse(&body)?;
    let named = label.clone();
    let labels = ask(&state, move |learning| learning.add_label(&label)).await?;
    admin::log(peer.0.0.to_canonical(), &format!("label {named:?} for learning"));
    Ok(Json(json!({ "labels": labels })).into_response())
}
