//! Server-sent events: first the state of all streams, then the messages of the [`Feed`](crate::web::feed::Feed).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};

use crate::web::feed::Message;
use crate::web::state::{AppState, UNBUFFERED};

/// After this time a browser reconnects.
const RETRY: Duration = Duration::from_secs(1);

pub(super) async fn events(State(state): State<Arc<AppState>>) -> Response {
    // Subscribes first, so that no message is missed.
    let receiver = state.feed.subscribe();
    let first = state.feed.streams(&state.telemetry).map(|message| event(message).retry(RETRY));
    let rest = stream::unfold(receiver, |mut receiver| async {
        // Ends at the end of the run, or if the subscriber fell behind. It then reconnects and loads everything again.
        let message = receiver.recv().await.ok()??;
        Some((event(message), receiver))
    });
    let events = stream::iter(first).chain(rest).map(Ok::<_, Infallible>);
    ([UNBUFFERED], Sse::new(events)).into_response()
}

fn event(Message { event, data }: Message) -> Event {
    Event::default().event(event).data(data)
}
