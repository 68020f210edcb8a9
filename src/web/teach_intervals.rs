//! `/api/teach/intervals`: one answer for all frames of a time. Where few were kept, frames of the recording are added.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use crate::error::Error;
use crate::learning::{Answer, NewFrame, Refused};
use crate::system::utc;
use crate::web::admin::{self, Peer};
use crate::web::history_video::{RecordedFrame, frame_at};
use crate::web::state::{ApiError, AppState};
use crate::web::teach::{Failure, ask, nullable, parse};

/// Frames of an interval, below which frames of the recording are added.
const FEW: usize = 8;

const UNKNOWN: ApiError = (StatusCode::NOT_FOUND, "no stream has this name\n");

#[derive(Deserialize)]
struct Body {
    stream: String,
    from: String,
    to: String,
    #[serde(default, deserialize_with = "nullable")]
    label: Option<Option<String>>,
}

pub(super) fn actions() -> Router<Arc<AppState>> {
    Router::new().route("/api/teach/intervals", post(answer))
}

async fn answer(
    State(state): State<Arc<AppState>>,
    Extension(Peer(peer)): Extension<Peer>,
    body: Bytes,
) -> Result<Response, Failure> {
    let Body { stream, from, to, label } = parse(&body)?;
    let label = label.ok_or_else(|| Failure::Body("it needs a label".into()))?;
    let time = |text: &str| utc::parse(text).map(utc::epoch_ms);
    let range = match (time(&from), time(&to)) {
        (Some(from), Some(to)) if from < to => (from, to),
        _ => return Err(Failure::Body("from and to must be times of RFC 3339, to after from".into())),
    };
    let (name, wanted) = (stream.clone(), label.clone());
    let asked = ask(&state, move |learning| {
        if let Some(label) = wanted.filter(|label| !matches!(learning.labels(), Ok(labels) if labels.contains(label))) {
            let error = Error::usage(format!("there is no label {label:?}")).remedy("add it first");
            return Err(Refused::Invalid(error));
        }
        let kept = learning.store().hashes(&name, range)?.len();
        Ok((kept, learning.is_plain(&name), learning.store().knows(&name)?))
    });
    let (kept, recorded, known) = asked.await?;
    if !known && !recorded && state.find(&stream).is_err() {
        return Err(UNKNOWN.into());
    }
    if recorded && label.is_some() && kept < FEW {
        add_recorded(&state, &stream, range, FEW - kept).await?;
    }
    let answer = label.clone().map_or(Answer::Open, Answer::Label);
    let name = stream.clone();
    let (frames, contradictory) = ask(&state, move |learning| learning.answer_interval(&name, range, &answer)).await?;
    let what = label.map_or("no answer".into(), |label| format!("{label:?}"));
    admin::log(peer.to_canonical(), &format!("{stream} from {from} to {to} is {what}, for learning"));
    Ok(Json(json!({ "frames": frames, "contradictory": contradictory })).into_response())
}

/// Keeps up to `wanted` frames of the recording, evenly spread over the `range`.
async fn add_recorded(
    state: &Arc<AppState>,
    stream: &str,
    (from, to): (i64, i64),
    wanted: usize,
) -> Result<(), Failure> {
    let mut found: Vec<(i64, Bytes)> = Vec::new();
    for number in 0..wanted as i64 {
        let at = from + ((to - from) as i128 * i128::from(2 * number + 1) / (2 * wanted as i128)) as i64;
        // What is not recorded at this time, cannot be read, or has its label drawn on it, is left out.
        if let Ok(RecordedFrame { time, labelled: false, jpeg }) = frame_at(state, stream, at).await
            && (from..to).contains(&time)
            && found.last().is_none_or(|(last, _)| *last != time)
        {
            found.push((time, jpeg));
        }
    }
    let stream = stream.to_string();
    ask(state, move |learning| {
        let read = found.iter().filter_map(|(time, jpeg)| NewFrame::recorded(&stream, *time, jpeg).ok());
        learning.keep_recorded((from, to), &read.collect::<Vec<_>>())
    })
    .await
}
