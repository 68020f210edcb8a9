//! `/api/history`: what the index knows. Questions run on threads of their own, a few at once, on connections that only read.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream;
use tokio::sync::Semaphore;

use crate::error::Result;
use crate::history::query::{self, Cursor, Filter, Reader, Stream};
use crate::history::{IndexState, Place, local_time};
use crate::media::limits::Limits;
use crate::system::utc;
use crate::web::blocking;
use crate::web::history_export::{self, Exports};
use crate::web::history_json as views;
use crate::web::history_pictures;
use crate::web::history_video::{self, Recordings};
use crate::web::state::{ApiError, AppState, NOT_FOUND};

/// Questions that run at once. Further ones wait.
const QUESTIONS: usize = 4;
/// The longest range of days, and of a ribbon in milliseconds: 400 days.
const MAX_DAYS: usize = 400;
const MAX_RANGE: i64 = MAX_DAYS as i64 * 86_400_000;
/// Columns of a ribbon, usually and at most.
const WIDTH: usize = 1440;
const MAX_WIDTH: usize = 10_000;
/// Intervals of a page, usually and at most; and of a piece of the table.
const LIMIT: usize = 200;
const MAX_LIMIT: usize = 1000;

const BUSY: ApiError = (StatusCode::SERVICE_UNAVAILABLE, "too many questions to the history at once\n");
const UNREADABLE: ApiError = (StatusCode::INTERNAL_SERVER_ERROR, "the index cannot be read\n");
const UNKNOWN: ApiError = (StatusCode::NOT_FOUND, "no stream has this name\n");

/// Returns the indexes that there are. New ones may be made.
type ListIndexes = Box<dyn Fn() -> Vec<Place> + Send + Sync>;

/// The indexes that are served.
pub struct History {
    places: ListIndexes,
    /// What writes them, if this program does.
    state: Option<Arc<IndexState>>,
    permits: Arc<Semaphore>,
    pub(super) recordings: Recordings,
    pub(super) exports: Exports,
}

impl History {
    /// `limits` are those of the recordings that are played.
    pub fn new(places: Vec<Place>, state: Option<Arc<IndexState>>, limits: Limits) -> Self {
        let places: Arc<[Place]> = places.into();
        Self::of(Box::new(move || places.to_vec()), state, limits)
    }

    /// As [`History::new`], for indexes of which there may be more later.
    pub fn of(places: ListIndexes, state: Option<Arc<IndexState>>, limits: Limits) -> Self {
        let permits = Arc::new(Semaphore::new(QUESTIONS));
        Self { places, state, permits, recordings: Recordings::new(limits), exports: Exports::default() }
    }

    fn is_behind(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.is_behind())
    }
}

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/api/history", get(streams))
        .route("/api/history/days", get(days))
        .route("/api/history/ribbon", get(ribbon))
        .route("/api/history/intervals", get(intervals))
        .route("/api/history/intervals/summary", get(summary))
        .route("/api/history/intervals.csv", get(table))
        .merge(history_pictures::routes())
        .merge(history_video::routes())
        .merge(history_export::routes())
}

/// Asks the indexes on another thread.
pub(super) async fn ask<T: Send + 'static>(
    state: &Arc<AppState>,
    question: impl FnOnce(&Reader) -> Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let history = state.history.as_ref().ok_or(NOT_FOUND)?;
    let asked = Arc::clone(state);
    let answer = blocking::run(&history.permits, BUSY, UNREADABLE, move || {
        let places = asked.history.as_ref().map_or_else(Vec::new, |history| (history.places)());
        Reader::open(&places).and_then(|reader| question(&reader))
    });
    answer.await?.map_err(|error| {
        tracing::warn!("{error}");
        UNREADABLE
    })
}

/// Asks about the streams of this name, of which there must be one.
pub(super) async fn ask_about<T: Send + 'static>(
    state: &Arc<AppState>,
    name: &str,
    question: impl FnOnce(&Reader, &str) -> Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let name = name.to_string();
    let answer = ask(state, move |reader| match reader.streams.iter().any(|stream| stream.name == name) {
        true => question(reader, &name).map(Some),
        false => Ok(None),
    });
    answer.await?.ok_or(UNKNOWN)
}

async fn streams(State(state): State<Arc<AppState>>) -> Result<Response, ApiError> {
    let behind = state.history.as_ref().is_some_and(History::is_behind);
    let answer = ask(&state, move |reader| Ok(views::streams(reader, utc::now(), behind))).await?;
    Ok(Json(answer).into_response())
}

async fn days(State(state): State<Arc<AppState>>, query: Pairs) -> Result<Response, ApiError> {
    if state.history.is_none() {
        return Err(NOT_FOUND);
    }
    let zone = text(&query, "zone").unwrap_or("UTC");
    let zone = local_time::zone(zone).ok_or((StatusCode::BAD_REQUEST, "there is no such time zone\n"))?;
    let (from, to) = (text(&query, "from").unwrap_or_default(), text(&query, "to").unwrap_or_default());
    let days = local_time::days(from, to, &zone, MAX_DAYS)
        .ok_or((StatusCode::BAD_REQUEST, "from and to must be dates, 1 to 400 days apart\n"))?;
    let names = all(&query, "stream");
    let answer = ask(&state, move |reader| {
        let mut found = Vec::new();
        for stream in reader.named(&names) {
            found.extend(query::days(reader, stream, &days)?.into_iter().map(|(day, totals)| (day, stream, totals)));
        }
        found.sort_by_key(|(day, _, _)| *day);
        Ok(views::days(&found))
    });
    Ok(Json(answer.await?).into_response())
}

async fn ribbon(State(state): State<Arc<AppState>>, query: Pairs) -> Result<Response, ApiError> {
    if state.history.is_none() {
        return Err(NOT_FOUND);
    }
    let range = range(&query)?;
    if range.1 - range.0 > MAX_RANGE {
        return Err((StatusCode::BAD_REQUEST, "a ribbon has at most 400 days\n"));
    }
    let width = number(&query, "width", WIDTH as f64, 1.0..=MAX_WIDTH as f64)? as usize;
    let name = stream_name(&query)?;
    let now = utc::epoch_ms(utc::now());
    let answer = ask(&state, move |reader| {
        let Some(stream) = reader.streams.iter().find(|stream| stream.name == name) else { return Ok(None) };
        // A stream that two folders have is in both.
        let mut answer = query::Ribbon::default();
        for same in reader.streams.iter().filter(|other| other.name == name) {
            answer.add(query::ribbon(reader, same, range, width, now)?, &same.labels, &stream.labels);
        }
        Ok(Some(views::ribbon(stream, range, &answer)))
    });
    let answer = answer.await?.ok_or(UNKNOWN)?;
    Ok(Json(answer).into_response())
}

async fn intervals(State(state): State<Arc<AppState>>, query: Pairs) -> Result<Response, ApiError> {
    if state.history.is_none() {
        return Err(NOT_FOUND);
    }
    let filter = filter(&query)?;
    let limit = number(&query, "limit", LIMIT as f64, 1.0..=MAX_LIMIT as f64)? as usize;
    let before: Option<Cursor> = match text(&query, "before") {
        None | Some("") => None,
        Some(cursor) => Some(cursor.parse().map_err(|()| (StatusCode::BAD_REQUEST, "before is no cursor\n"))?),
    };
    let answer = ask(&state, move |reader| {
        let page = query::page(reader, &filter, limit, before)?;
        Ok(views::page(reader, &page, utc::now()))
    });
    Ok(Json(answer.await?).into_response())
}

async fn summary(State(state): State<Arc<AppState>>, query: Pairs) -> Result<Response, ApiError> {
    if state.history.is_none() {
        return Err(NOT_FOUND);
    }
    let filter = filter(&query)?;
    let answer = ask(&state, move |reader| Ok(views::summary(&query::summary(reader, &filter)?)));
    Ok(Json(answer.await?).into_response())
}

/// The list as CSV, piece by piece, so that a slow client holds neither memory nor the index.
async fn table(State(state): State<Arc<AppState>>, query: Pairs) -> Result<Response, ApiError> {
    if state.history.is_none() {
        return Err(NOT_FOUND);
    }
    let filter = filter(&query)?;
    let first = Some((state, None, true));
    let pieces = stream::unfold(first, move |place| {
        let filter = filter.clone();
        async move {
            let (state, before, is_first): (Arc<AppState>, Option<Cursor>, bool) = place?;
            let asked = ask(&state, move |reader| {
                let page = query::page(reader, &filter, MAX_LIMIT, before)?;
                Ok((views::table(reader, &page, is_first), page.next))
            });
            match asked.await {
                Ok((text, next)) => {
                    let rest = next.map(|next| (state, Some(next), false));
                    Some((Ok(Bytes::from(text)), rest))
                }
                // The client sees that the table is not complete.
                Err((_, why)) => Some((Err(std::io::Error::other(why)), None)),
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"intervals.csv\""),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

pub(super) type Pairs = Query<Vec<(String, String)>>;

pub(super) fn text<'a>(query: &'a Pairs, key: &str) -> Option<&'a str> {
    query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

fn all(query: &Pairs, key: &str) -> Vec<String> {
    query.iter().filter(|(name, value)| name == key && !value.is_empty()).map(|(_, value)| value.clone()).collect()
}

pub(super) fn number(
    query: &Pairs,
    key: &str,
    usual: f64,
    range: std::ops::RangeInclusive<f64>,
) -> Result<f64, ApiError> {
    match text(query, key) {
        None | Some("") => Ok(usual),
        Some(written) => written
            .parse()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or((StatusCode::BAD_REQUEST, "a number is out of range\n")),
    }
}

/// Returns a time in milliseconds since 1970.
pub(super) fn moment(query: &Pairs, key: &str) -> Option<i64> {
    text(query, key).and_then(utc::parse).map(utc::epoch_ms)
}

/// Returns the name of the stream that is asked about.
pub(super) fn stream_name(query: &Pairs) -> Result<String, ApiError> {
    text(query, "stream").map(String::from).ok_or((StatusCode::BAD_REQUEST, "stream is missing\n"))
}

/// Returns `from` and `to` in milliseconds since 1970.
pub(super) fn range(query: &Pairs) -> Result<(i64, i64), ApiError> {
    match (moment(query, "from"), moment(query, "to")) {
        (Some(from), Some(to)) if from < to => Ok((from, to)),
        _ => Err((StatusCode::BAD_REQUEST, "from and to must be times of RFC 3339, to after from\n")),
    }
}

fn filter(query: &Pairs) -> Result<Filter, ApiError> {
    let (from, to) = range(query)?;
    Ok(Filter {
        streams: all(query, "stream"),
        labels: all(query, "label"),
        from,
        to,
        min_duration: number(query, "min_duration_ms", 0.0, 0.0..=1e12)?.ceil() as i64,
        min_confidence: (number(query, "min_confidence", 0.0, 0.0..=1.0)? * 1e5).round() as i64,
    })
}

/// Returns the id of an interval: it stays the same when the index is made again.
pub(super) fn interval_id(stream: &Stream, start: i64) -> String {
    format!("{:x}-{start}", stream.id)
}
