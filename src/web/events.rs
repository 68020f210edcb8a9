//! Server-sent events: how all streams are, each second and when something changes, and their new rows.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;

use crate::board::Post;
use crate::board::status::State as Condition;
use crate::web::api;
use crate::web::routes::{Site, UNBUFFERED};

/// How often it is looked whether a state or a label has changed.
const TICK: Duration = Duration::from_millis(100);
const STREAMS: Duration = Duration::from_secs(1);
/// Time between two events with rows of the same stream.
const ROWS: Duration = Duration::from_millis(250);
/// When a browser whose connection was lost calls again.
const RETRY: Duration = Duration::from_secs(1);

pub(super) async fn events(State(site): State<Arc<Site>>) -> Response {
    let events = stream::unfold(Listener::new(site), |mut listener| async {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    ([UNBUFFERED], Sse::new(events)).into_response()
}

/// One who listens, with what they have heard already.
struct Listener {
    site: Arc<Site>,
    streams: Option<Instant>,
    conditions: Vec<(Condition, Option<String>)>,
    heard: HashMap<usize, (u64, Instant)>,
    closed: bool,
}

impl Listener {
    fn new(site: Arc<Site>) -> Self {
        let now = Instant::now();
        let heard = site.board.posts.iter().map(|post| (post.since(u64::MAX).revision, now)).enumerate().collect();
        Self { site, streams: None, conditions: Vec::new(), heard, closed: false }
    }

    /// The next event; `None` after the last, when the run ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.closed {
                return None;
            }
            self.closed = *self.site.closing.borrow();
            if let Some(event) = self.streams() {
                return Some(event);
            }
            let posts = self.site.board.posts.iter().enumerate();
            if let Some(event) = posts.into_iter().find_map(|(i, post)| rows(post, self.heard.get_mut(&i)?)) {
                return Some(event);
            }
            let _ = tokio::time::timeout(TICK, self.site.closed()).await;
        }
    }

    /// How all streams are, where it is time to say so. The end is said always.
    fn streams(&mut self) -> Option<Event> {
        let conditions: Vec<_> = self
            .site
            .board
            .posts
            .iter()
            .map(|post| {
                let status = post.status();
                (status.state, status.label)
            })
            .collect();
        let fresh = self.streams.is_some_and(|told| told.elapsed() < STREAMS);
        if fresh && conditions == self.conditions && !self.closed {
            return None;
        }
        let first = self.streams.replace(Instant::now()).is_none();
        self.conditions = conditions;
        let event = Event::default().event("streams").json_data(api::all(&self.site.board)).ok()?;
        Some(if first { event.retry(RETRY) } else { event })
    }
}

/// What is new of a stream, where it is time to say so.
fn rows(post: &Post, (revision, told): &mut (u64, Instant)) -> Option<Event> {
    if told.elapsed() < ROWS {
        return None;
    }
    let update = post.since(*revision);
    if update.is_empty() {
        return None;
    }
    (*revision, *told) = (update.revision, Instant::now());
    let data = json!({
        "name": post.subject.name,
        "rows": api::rows(&update.rows),
        "intervals": api::intervals(&update.intervals, &post.subject.labels),
        "gaps": api::gaps(&update.gaps),
    });
    Event::default().event("rows").json_data(data).ok()
}
