//! Publishes what a camera sees, and how it is, while the camera is certainly this worker's. An interval that an earlier worker
//! left open is ended.
//!
//! A server that becomes the leader of the queue may hand a camera out that the leader before has handed out, and would confirm both
//! workers' claims. The states decide then: each is written only after the last one of the same holding, so the first worker finds that
//! another has taken the camera.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::cluster::cameras::camera::CameraName;
use crate::cluster::cameras::event::Event;
use crate::cluster::cameras::isolation::Lost;
use crate::cluster::cameras::state::{self, CameraState, OpenInterval};
use crate::cluster::claim::Claim;
use crate::cluster::connection::Connection;
use crate::cluster::names::{self, EVENT, NO_LABEL};
use crate::error::Error;
use crate::events::EventReceiver;
use crate::shutdown::Shutdown;
use crate::system::utc;
use crate::telemetry::StreamState;
use crate::telemetry::status::StreamPhase;

/// How often a change of the state is published at most, and how often it is published without one.
const TICK: Duration = Duration::from_secs(1);
const REPEATED: Duration = Duration::from_secs(6);
/// How long it waits after a server did not confirm a message.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// Bytes of a label in a subject.
const LABEL: usize = 64;

/// How publishing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// With the camera's events, or with the claim.
    All,
    /// Another worker has taken the camera.
    Superseded,
}

/// Publishes for one camera, as long as one worker has it.
pub struct Publisher {
    connection: Connection,
    claim: Arc<Claim>,
    camera: CameraName,
    worker: String,
    lost: Option<Lost>,
    /// Whether what an earlier worker left open is ended, and the servers know who has the camera.
    taken_over: bool,
    /// Differs each time that a worker takes the camera.
    holding: String,
    stream: Arc<StreamState>,
    since: String,
    open: Option<OpenInterval>,
    /// Intervals that have begun, and other events.
    intervals: u64,
    others: u64,
    /// Place of the last state in its stream.
    sequence: u64,
    said: Option<(StreamPhase, Option<String>, Instant)>,
    superseded: bool,
    complained: AtomicBool,
}

impl Publisher {
    pub fn new(
        connection: &Connection,
        claim: &Arc<Claim>,
        camera: &CameraName,
        worker: &str,
        lost: Option<Lost>,
        stream: &Arc<StreamState>,
    ) -> Self {
        Self {
            connection: connection.clone(),
            claim: Arc::clone(claim),
            camera: camera.clone(),
            worker: worker.into(),
            lost,
            taken_over: false,
            holding: state::new_holding(),
            stream: Arc::clone(stream),
            since: utc::milliseconds(utc::now()),
            open: None,
            intervals: 0,
            others: 0,
            sequence: 0,
            said: None,
            superseded: false,
            complained: AtomicBool::new(false),
        }
    }

    /// Returns what differs each time that a worker takes the camera.
    pub fn holding(&self) -> &str {
        &self.holding
    }

    /// Publishes until the camera's events end, or the camera is no longer this worker's, which requests `stop`.
    pub async fn run(mut self, mut events: EventReceiver, stop: Shutdown) -> Published {
        if !self.taken_over {
            self.take_over().await;
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.superseded {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.event(&event.json).await,
                    None => break,
                },
                _ = ticks.tick() => self.say_changes().await,
            }
        }
        self.say(true).await;
        if self.superseded {
            stop.request();
            return Published::Superseded;
        }
        Published::All
    }

    /// Ends what an earlier worker left open, and says that the camera is this one's.
    pub async fn take_over(&mut self) {
        self.end_before().await;
        self.say(false).await;
        self.taken_over = true;
    }

    async fn end_before(&mut self) {
        while self.claim.holds() {
            match state::read(&self.connection, &self.camera).await {
                Ok((before, sequence)) => {
                    self.sequence = sequence;
                    if let Some((before, open)) =
                        before.and_then(|mut before| before.open.take().map(|open| (before, open)))
                    {
                        let end = json!({
                            "event": "end", "stream": self.camera, "label": open.label, "start_ms": open.start_ms,
                            "time": before.time, "incomplete": true, "worker": before.worker,
                        });
                        if let Value::Object(end) = end {
                            self.publish(end, &open.label, &open.end_id, true).await;
                        }
                    }
                    return;
                }
                Err(error) => {
                    self.complain(&error);
                    sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    async fn event(&mut self, json: &str) {
        let Ok(Value::Object(mut event)) = serde_json::from_str(json) else { return };
        let kind = event.get("event").and_then(Value::as_str).unwrap_or_default().to_string();
        let label = event.get("label").and_then(Value::as_str).unwrap_or(NO_LABEL).to_string();
        event.insert("worker".into(), self.worker.as_str().into());
        match kind.as_str() {
            "start" => {
                self.intervals += 1;
                let id = format!("{}-{}-{}", self.camera, self.holding, self.intervals);
                let start_ms = event.get("ms").and_then(Value::as_f64).unwrap_or_default();
                self.open = Some(OpenInterval { label: label.clone(), start_ms, end_id: format!("{id}-end") });
                // Said before, so that the interval is ended by the next worker if this one ends now.
                self.say(false).await;
                self.publish(event, &label, &format!("{id}-start"), false).await;
            }
            "end" => {
                let id = match self.open.take() {
                    Some(open) => open.end_id,
                    None => return,
                };
                self.publish(event, &label, &id, false).await;
                self.say(false).await;
            }
            _ => {
                self.others += 1;
                let id = format!("{}-{}-{kind}-{}", self.camera, self.holding, self.others);
                self.publish(event, NO_LABEL, &id, false).await;
                self.say(false).await;
            }
        }
    }

    /// Publishes an event once, however often it takes. It is dropped if the camera is no longer this worker's.
    async fn publish(&self, mut event: Map<String, Value>, label: &str, id: &str, maybe_there: bool) {
        event.insert("id".into(), id.into());
        let subject = format!("{EVENT}{}.{}", self.camera, names::token(label, LABEL));
        let event = Event { subject: &subject, json: &event, id };
        event.write(&self.connection, maybe_there, || self.may_publish(), |error| self.complain(error)).await;
    }

    /// Says how the camera is if that changed, or was not said for long.
    async fn say_changes(&mut self) {
        let status = self.stream.status();
        let said = |(state, label, at): &(StreamPhase, Option<String>, Instant)| {
            (state, label) == (&status.state, &status.label) && at.elapsed() < REPEATED
        };
        if !self.said.as_ref().is_some_and(said) {
            self.say(false).await;
        }
    }

    /// Logs why something could not be published, once.
    fn complain(&self, error: &Error) {
        match self.complained.swap(true, Ordering::Relaxed) {
            true => tracing::debug!("{}: {error}", self.camera),
            false => tracing::warn!("{}: what it sees is not published: {error}", self.camera),
        }
    }

    fn may_publish(&self) -> bool {
        self.claim.holds() && !self.superseded
    }

    async fn say(&mut self, released: bool) {
        while self.may_publish() {
            let state = CameraState::of(&self.camera, &self.worker, &self.holding, &self.since, &self.stream);
            self.said = Some((state.state, state.label.clone(), Instant::now()));
            let state = CameraState { released, lost: self.lost.clone(), open: self.open.clone(), ..state };
            match state::write(&self.connection, &state, self.sequence).await {
                Ok(Some(sequence)) => {
                    self.sequence = sequence;
                    return;
                }
                Ok(None) => match state::read(&self.connection, &self.camera).await {
                    // Its confirmation was lost, or it was deleted.
                    Ok((last, sequence)) if last.as_ref().is_none_or(|last| last.holding == self.holding) => {
                        self.sequence = sequence;
                    }
                    Ok(_) => self.superseded = true,
                    Err(error) => tracing::debug!("{}: {error}", self.camera),
                },
                Err(error) => {
                    self.complain(&error);
                    sleep(RETRY_DELAY).await;
                }
            }
        }
    }
}
