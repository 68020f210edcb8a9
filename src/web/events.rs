//! Server-sent events: the state of all streams at first, then what the feed hands out.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};

use crate::web::feed::{self, Message};
use crate::web::state::{AppState, UNBUFFERED};

/// When a browser whose connection was lost calls again.
const RETRY: Duration = Duration::from_secs(1);

pub(super) async fn events(State(state): State<Arc<AppState>>) -> Response {
    // Listened to first, so that nothing is missed between the two.
    let receiver = state.feed.listen();
    let first = feed::streams(&state.telemetry).map(|message| event(message).retry(RETRY));
    let rest = stream::unfold(receiver, |mut receiver| async {
        // The end of the run, or a listener that has fallen behind: it comes back and asks for everything.
        let message = receiver.recv().await.ok()??;
        Some((event(message), receiver))
    });
    let events = stream::iter(first).chain(rest).map(Ok::<_, Infallible>);
    ([UNBUFFERED], Sse::new(events)).into_response()
}

fn event(Message { event, data }: Message) -> Event {
    Event::default().event(event).data(data)
}
