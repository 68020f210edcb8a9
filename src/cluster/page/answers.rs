//! A worker's answers to pages that show its cameras.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use crate::cluster::cameras::camera::CameraName;
use crate::cluster::connection::{Connection, answer, listen};
use crate::cluster::names::{PICTURE, VIEW};
use crate::cluster::page::{Look, LookAtPicture, TIME, View};
use crate::cluster::worker_state::WorkerState;
use crate::telemetry::{Picture, Snapshot};

/// How long a question waits for the next picture.
const NEXT_PICTURE: Duration = Duration::from_millis(500);
/// Questions for pictures that wait at the same time. Further ones get no answer, and are asked again.
const WAITING: usize = 256;
/// Pictures are made for so long after the last question: the next one is on its way.
const LOOKED_AT: Duration = Duration::from_secs(2);

type Pictures = watch::Receiver<Option<Picture>>;

/// Answers pages.
pub struct Answers<'a> {
    worker: &'a Arc<WorkerState>,
    connection: &'a Connection,
    waiting: RefCell<JoinSet<()>>,
    /// What is looked at, which has its pictures made.
    looked_at: RefCell<HashMap<CameraName, (Pictures, Instant)>>,
}

impl<'a> Answers<'a> {
    pub fn new(worker: &'a Arc<WorkerState>, connection: &'a Connection) -> Self {
        Self { worker, connection, waiting: RefCell::default(), looked_at: RefCell::default() }
    }

    /// Answers until it is dropped.
    pub async fn run(&self) {
        let name = &self.worker.name;
        tokio::join!(
            listen(self.connection, format!("{VIEW}{name}"), async |message| self.view(message).await),
            listen(self.connection, format!("{PICTURE}{name}"), async |message| self.picture(&message)),
            self.forget(),
        );
    }

    async fn view(&self, message: Message) {
        let (Some(reply), Ok(look)) = (message.reply, serde_json::from_slice::<Look>(&message.payload)) else { return };
        let Some((identity, stream)) = self.worker.cameras.find(&look.camera).and_then(|held| held.identified()) else {
            return;
        };
        let revision = look.seen.filter(|(seen, _)| *seen == identity).map_or(0, |(_, revision)| revision);
        answer(self.connection, reply, &View { identity, stream: Snapshot::of(&stream, revision) }).await;
    }

    fn picture(&self, message: &Message) {
        let look = serde_json::from_slice::<LookAtPicture>(&message.payload);
        let (Some(reply), Ok(look)) = (message.reply.clone(), look) else { return };
        let Some(stream) = self.worker.cameras.find(&look.camera).and_then(|held| held.stream()) else { return };
        let mut pictures = stream.pictures.subscribe();
        self.looked_at.borrow_mut().insert(look.camera, (stream.pictures.subscribe(), Instant::now()));
        let mut waiting = self.waiting.borrow_mut();
        while waiting.try_join_next().is_some() {}
        if waiting.len() >= WAITING {
            return;
        }
        let client = self.connection.client.clone();
        waiting.spawn(async move {
            let is_new =
                |picture: &Option<Picture>| picture.as_ref().is_some_and(|picture| Some(picture.ms) != look.after_ms);
            let next = timeout(NEXT_PICTURE, pictures.wait_for(is_new)).await;
            let Ok(Ok(Some(picture))) = next.map(|found| found.map(|picture| picture.clone())) else {
                // None yet: the page asks again.
                let _ = client.publish(reply, Bytes::new()).await;
                return;
            };
            if picture.jpeg.len() < client.server_info().max_payload {
                let mut headers = HeaderMap::new();
                headers.insert(TIME, picture.ms.to_string());
                let _ = client.publish_with_headers(reply, headers, picture.jpeg).await;
            }
        });
    }

    /// Ends the making of pictures that nobody asks for any more.
    async fn forget(&self) {
        let mut ticks = interval(LOOKED_AT / 2);
        loop {
            ticks.tick().await;
            self.looked_at.borrow_mut().retain(|_, (_, asked)| asked.elapsed() < LOOKED_AT);
        }
    }
}
