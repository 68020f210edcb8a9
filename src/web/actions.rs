//! The actions of who may write: reload the pipeline file, pause and resume a camera.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;

use crate::control::{self, Action, Answer};
use crate::error::{Error, ErrorKind};
use crate::web::admin::{self, Peer};
use crate::web::state::{AppState, Name};

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/api/reload", post(reload))
        .route("/api/streams/{name}/pause", post(pause))
        .route("/api/streams/{name}/resume", post(resume))
}

/// `/api/reload`: reads the pipeline file again.
async fn reload(State(state): State<Arc<AppState>>, Extension(peer): Extension<Peer>) -> Response {
    act(&state, peer, Action::Reload).await
}

/// `/api/streams/NAME/pause`: disconnects a camera until it is resumed.
async fn pause(State(state): State<Arc<AppState>>, peer: Extension<Peer>, Path(name): Name) -> Response {
    act_on(&state, peer.0, Action::Pause(name.clone()), &name).await
}

/// `/api/streams/NAME/resume`: connects a paused camera again.
async fn resume(State(state): State<Arc<AppState>>, peer: Extension<Peer>, Path(name): Name) -> Response {
    act_on(&state, peer.0, Action::Resume(name.clone()), &name).await
}

async fn act_on(state: &AppState, peer: Peer, action: Action, stream: &str) -> Response {
    match state.find(stream) {
        Ok(_) => act(state, peer, action).await,
        Err(error) => error.into_response(),
    }
}

/// Has the run do something, logs who asked for it and what came of it, and waits for the end.
pub(super) async fn act(state: &AppState, Peer(peer): Peer, action: Action) -> Response {
    let requested =
        state.control.as_ref().ok_or_else(control::ended).and_then(|control| control.request(action.clone()));
    // A task of its own: what was done is logged even if the client does not wait.
    let done = tokio::spawn(async move {
        let answer = match requested {
            Ok(answer) => answer.await.unwrap_or_else(|_| Err(control::ended())),
            Err(error) => Err(error),
        };
        match &answer {
            Ok(done) => admin::log(peer.to_canonical(), &format!("{action}: {done}")),
            Err(error) => admin::log(peer.to_canonical(), &format!("{action}: refused: {error}")),
        }
        answer
    });
    respond(done.await.unwrap_or_else(|_| Err(control::ended())))
}

fn respond(answer: Answer) -> Response {
    match answer {
        Ok(message) => Json(json!({ "message": message })).into_response(),
        Err(error) => refuse(&error),
    }
}

/// Says why something was not done.
pub(super) fn refuse(error: &Error) -> Response {
    let status = match error.kind() {
        ErrorKind::Usage | ErrorKind::Input => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(json!({ "error": error.to_string() }))).into_response()
}
