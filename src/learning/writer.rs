//! The thread that keeps frames and writes the table, and what others ask and tell it with.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use crate::config::learning::LearningConfig;
use crate::error::{Error, Result};
use crate::learning::answers::{Answer, Answered, Refused};
use crate::learning::files::TABLE;
use crate::learning::frame::NewFrame;
use crate::learning::selection::ALIKE;
use crate::learning::store::Store;

/// Frames that may wait for the thread. Further ones are dropped and counted.
const QUEUE: usize = 64;
/// Changes within this time are written together.
const TOGETHER: Duration = Duration::from_secs(1);
/// Time until a table that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How often the thread looks for what no message says.
const POLL: Duration = Duration::from_millis(200);

/// What the thread, the streams and the page share.
struct Shared {
    store: Store,
    per_day: usize,
    sender: Sender<Option<NewFrame>>,
    /// The labels of the model in use.
    model: RwLock<Vec<String>>,
    /// Streams whose recordings show the camera's own video, without labels.
    plain: Mutex<Vec<String>>,
    /// Whether the table lacks something that the database has.
    changed: AtomicBool,
    /// Held by who writes the table.
    table: Mutex<()>,
    stop: AtomicBool,
    kept: AtomicU64,
    dropped: AtomicU64,
}

/// Keeps frames, and answers about them. Never waits for the thread.
#[derive(Clone)]
pub struct LearningClient(Arc<Shared>);

impl LearningClient {
    /// Hands over a frame. If too many wait already, it is dropped and counted.
    pub fn keep(&self, frame: NewFrame) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.0.sender.try_send(Some(frame)) {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a frame that could not be encoded.
    pub fn drop_one(&self) {
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps frames of a recording at once, without near-duplicates of each other and of those in `range`.
    ///
    /// # Errors
    /// Those of [`Store::add`].
    pub fn keep_recorded(&self, range: (i64, i64), frames: &[NewFrame]) -> Result<()> {
        let Some(first) = frames.first() else { return Ok(()) };
        let mut known = self.0.store.hashes(&first.stream, range)?;
        for frame in frames {
            if known.iter().any(|hash| hash.distance(&frame.hash) <= ALIKE) {
                continue;
            }
            if self.0.store.add(frame)?.is_some() {
                known.push(frame.hash);
                self.0.kept.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Answers a frame: see [`Store::answer`].
    ///
    /// # Errors
    /// Those of [`Store::answer`].
    pub fn answer(&self, id: i64, version: i64, answer: &Answer) -> Result<Answered, Refused> {
        let answered = self.0.store.answer(id, version, answer, &self.labels()?)?;
        self.0.changed.store(true, Ordering::Release);
        Ok(answered)
    }

    /// Answers an interval: see [`Store::answer_interval`].
    ///
    /// # Errors
    /// Those of [`Store::answer_interval`].
    pub fn answer_interval(&self, stream: &str, range: (i64, i64), answer: &Answer) -> Result<(u64, u64), Refused> {
        let counts = self.0.store.answer_interval(stream, range, answer, &self.labels()?)?;
        self.0.changed.store(true, Ordering::Release);
        Ok(counts)
    }

    /// Returns the labels: those of the model in use, then new ones.
    ///
    /// # Errors
    /// Those of [`Store::labels`].
    pub fn labels(&self) -> Result<Vec<String>> {
        self.0.store.labels(&self.model_labels())
    }

    /// Adds a label: see [`Store::add_label`].
    ///
    /// # Errors
    /// Those of [`Store::add_label`].
    pub fn add_label(&self, name: &str) -> Result<Vec<String>, Refused> {
        self.0.store.add_label(name, &self.model_labels())
    }

    /// Returns the labels of the model in use.
    pub fn model_labels(&self) -> Vec<String> {
        self.0.model.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says which labels the model in use has.
    pub fn set_model_labels(&self, labels: &[String]) {
        *self.0.model.write().unwrap_or_else(PoisonError::into_inner) = labels.to_vec();
    }

    /// Says whether a stream is recorded without labels on its pictures.
    pub fn set_plain(&self, stream: &str, plain: bool) {
        let mut all = self.0.plain.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|name| name != stream);
        if plain {
            all.push(stream.into());
        }
    }

    /// Returns whether a stream is recorded without labels on its pictures.
    pub fn is_plain(&self, stream: &str) -> bool {
        self.0.plain.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|name| name == stream)
    }

    /// Writes the table of the settled answers now.
    ///
    /// # Errors
    /// Those of [`Store::write_table`].
    pub fn write_table(&self) -> Result<()> {
        self.0.write_table()
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Returns the most frames of a stream and day.
    pub fn per_day(&self) -> usize {
        self.0.per_day
    }

    /// Returns the most bytes of all pictures.
    pub fn limit(&self) -> u64 {
        self.0.store.limit
    }

    /// Returns how many frames this run kept, and how many it lost because the disk was full or too slow.
    pub fn counts(&self) -> (u64, u64) {
        (self.0.kept.load(Ordering::Relaxed), self.0.dropped.load(Ordering::Relaxed))
    }
}

impl Shared {
    fn write_table(&self) -> Result<()> {
        let _table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        self.store.write_table()
    }
}

/// The folder of a run, and its thread. Dropping it keeps what waits, writes the table and joins the thread.
pub struct Learning {
    client: LearningClient,
    thread: Option<JoinHandle<()>>,
}

impl Learning {
    /// Opens the folder and starts the thread. `labels` are those of the model.
    ///
    /// # Errors
    /// Those of [`Store::open`]; `Unavailable` if the thread cannot be started.
    pub fn start(config: &LearningConfig, labels: &[String]) -> Result<Self> {
        let store = Store::open(&config.folder, config.limit)?;
        let (sender, frames) = bounded(QUEUE);
        let shared = Arc::new(Shared {
            store,
            per_day: config.per_day,
            sender,
            model: RwLock::new(labels.to_vec()),
            plain: Mutex::default(),
            // A kill may have left an older table.
            changed: AtomicBool::new(true),
            table: Mutex::default(),
            stop: AtomicBool::new(false),
            kept: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let work = Writer { shared: Arc::clone(&shared), frames, failed: false, table_failed: false };
        let thread = std::thread::Builder::new()
            .name("learning".into())
            .spawn(move || work.run())
            .map_err(|cause| Error::unavailable("a thread cannot be started").because(cause))?;
        Ok(Self { client: LearningClient(shared), thread: Some(thread) })
    }

    pub fn client(&self) -> &LearningClient {
        &self.client
    }
}

impl Drop for Learning {
    fn drop(&mut self) {
        self.client.0.stop.store(true, Ordering::Release);
        // Wakes the thread; if the queue is full, it is awake.
        let _ = self.client.0.sender.try_send(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    shared: Arc<Shared>,
    frames: Receiver<Option<NewFrame>>,
    /// Whether a failure was logged that is not over: of a frame, and of the table.
    failed: bool,
    table_failed: bool,
}

impl Writer {
    fn run(mut self) {
        // The table of an earlier run is replaced at once.
        let mut due = Some(Instant::now());
        loop {
            match self.frames.recv_timeout(POLL) {
                Ok(Some(frame)) => self.keep(&frame),
                Ok(None) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let stop = self.shared.stop.load(Ordering::Acquire);
            if stop {
                while let Ok(frame) = self.frames.try_recv() {
                    frame.iter().for_each(|frame| self.keep(frame));
                }
            }
            let now = Instant::now();
            if due.is_none() && self.shared.changed.load(Ordering::Acquire) {
                due = Some(now + TOGETHER);
            }
            if due.is_some_and(|due| now >= due || stop) {
                due = self.write_table().then_some(now + RETRY);
            }
            if stop {
                return;
            }
        }
    }

    fn keep(&mut self, frame: &NewFrame) {
        let Shared { store, kept, dropped, .. } = &*self.shared;
        match store.add(frame) {
            Ok(Some(_)) => {
                kept.fetch_add(1, Ordering::Relaxed);
                if std::mem::take(&mut self.failed) {
                    tracing::info!("{}: frames are kept again", store.folder.display());
                }
            }
            Ok(None) => {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                dropped.fetch_add(1, Ordering::Relaxed);
                if !std::mem::replace(&mut self.failed, true) {
                    tracing::warn!("{error}; watching goes on, and frames are kept when it can be written");
                }
            }
        }
    }

    /// Returns whether it must be tried again.
    fn write_table(&mut self) -> bool {
        // What changes meanwhile is written the next time.
        self.shared.changed.store(false, Ordering::Release);
        match self.shared.write_table() {
            Ok(()) => {
                if std::mem::take(&mut self.table_failed) {
                    tracing::info!("{}: has every answer again", table(&self.shared.store).display());
                }
                false
            }
            Err(error) => {
                if !std::mem::replace(&mut self.table_failed, true) {
                    tracing::warn!("{error}; the answers are in the database, and the table follows");
                }
                true
            }
        }
    }
}

fn table(store: &Store) -> PathBuf {
    store.folder.join(TABLE)
}
