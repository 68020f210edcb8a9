//! The thread that writes the index of a run. It reads the journals that the run writes, so nothing waits for it: with a full or
//! slow disk the index falls behind, and catches up from the files when it can.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::history::database::{self, Unusable};
use crate::history::folder::{self, LINES, Work};
use crate::history::journal_reader::JournalReader;
use crate::history::names::Kind;
use crate::history::rows::Rows;
use crate::history::{ids, names};
use crate::report::LockedFile;
use crate::system::clock::SharedClock;

/// Messages that may wait for the thread. Beyond it they are dropped, and the folder is compared with the index.
const QUEUE: usize = 256;
/// How often the journals are looked at.
const POLL: Duration = Duration::from_secs(1);
/// Frames alone are written this often: each write costs the disk a few pages.
const FRAMES: Duration = Duration::from_secs(10);
/// Time until a failed write is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How often the folder is compared with the index, for what other programs did there.
const COMPARE: Duration = Duration::from_secs(3600);

enum Message {
    /// A stream of a folder writes this journal from now on.
    Journal { folder: usize, stream: String, name: String },
    /// Files that retention deleted.
    Deleted { folder: usize, names: Vec<String> },
}

/// What others may know about the writer.
#[derive(Debug, Default)]
pub struct IndexState {
    behind: AtomicBool,
}

impl IndexState {
    /// Returns whether the index lacks something that the files have.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }
}

/// Tells the writer what a stream does. Never waits.
#[derive(Clone)]
pub struct IndexClient {
    sender: Sender<Message>,
    folder: usize,
    missed: Arc<AtomicBool>,
}

impl IndexClient {
    /// Says which journal a stream writes from now on.
    pub fn journal(&self, stream: &str, path: &Path) {
        let Some(name) = name(path) else { return };
        self.send(Message::Journal { folder: self.folder, stream: stream.into(), name });
    }

    /// Says which files were deleted.
    pub fn deleted(&self, paths: &[PathBuf]) {
        let names = paths.iter().filter_map(|path| name(path)).collect();
        self.send(Message::Deleted { folder: self.folder, names });
    }

    fn send(&self, message: Message) {
        if self.sender.try_send(message).is_err() {
            self.missed.store(true, Ordering::Relaxed);
        }
    }
}

fn name(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(Into::into)
}

/// The thread, with an index for each folder that cameras write to.
pub struct IndexWriter {
    folders: Vec<PathBuf>,
    sender: Sender<Message>,
    missed: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    state: Arc<IndexState>,
    thread: Option<JoinHandle<()>>,
}

impl IndexWriter {
    /// Starts the thread. An index that cannot be opened is tried again and again, and stops nothing.
    ///
    /// # Errors
    /// `Unavailable` if the thread cannot be started.
    pub fn start(folders: Vec<PathBuf>, clock: &SharedClock) -> Result<Self> {
        let (mut writer, mut work) = Self::new(folders, clock);
        let thread = std::thread::Builder::new()
            .name("index".into())
            .spawn(move || work.run())
            .map_err(|cause| Error::unavailable("a thread cannot be started").because(cause))?;
        writer.thread = Some(thread);
        Ok(writer)
    }

    /// Returns a writer without its thread, and the thread's work.
    pub(crate) fn new(folders: Vec<PathBuf>, clock: &SharedClock) -> (Self, Writer) {
        let (sender, messages) = bounded(QUEUE);
        let (missed, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let state = Arc::new(IndexState::default());
        state.behind.store(true, Ordering::Relaxed);
        let work = Writer {
            folders: folders.iter().map(|folder| Folder::new(folder, clock.instant())).collect(),
            clock: SharedClock::clone(clock),
            messages,
            missed: Arc::clone(&missed),
            stop: Arc::clone(&stop),
            state: Arc::clone(&state),
        };
        (Self { folders, sender, missed, stop, state, thread: None }, work)
    }

    /// Returns what a stream that writes to `folder` tells the thread with.
    pub fn client(&self, folder: &Path) -> Option<IndexClient> {
        let folder = self.folders.iter().position(|known| known == folder)?;
        Some(IndexClient { sender: self.sender.clone(), folder, missed: Arc::clone(&self.missed) })
    }

    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    pub fn state(&self) -> &Arc<IndexState> {
        &self.state
    }
}

/// Dropping it reads the journals to their ends and joins the thread.
impl Drop for IndexWriter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread; if the queue is full, it is awake.
        let _ = self.sender.try_send(Message::Deleted { folder: usize::MAX, names: Vec::new() });
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The work of the thread.
pub(crate) struct Writer {
    folders: Vec<Folder>,
    clock: SharedClock,
    messages: Receiver<Message>,
    missed: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    state: Arc<IndexState>,
}

impl Writer {
    fn run(&mut self) {
        loop {
            let busy = self.folders.iter().any(Folder::is_busy);
            if !self.round(if busy { Duration::ZERO } else { POLL }, Duration::ZERO) {
                return;
            }
        }
    }

    /// Takes messages, and waits for one if there are none. Then does a piece of each folder's work, as if it was `later`. Returns
    /// whether to go on.
    pub(crate) fn round(&mut self, wait: Duration, later: Duration) -> bool {
        match self.messages.recv_timeout(wait) {
            Ok(message) => self.take(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.stop.store(true, Ordering::Relaxed),
        }
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
        }
        let missed = self.missed.swap(false, Ordering::Relaxed);
        let stop = self.stop.load(Ordering::Relaxed);
        for folder in &mut self.folders {
            folder.missed |= missed;
            folder.step(stop, self.clock.instant() + later);
        }
        self.state.behind.store(self.is_behind(), Ordering::Relaxed);
        !stop
    }

    /// Returns whether an index lacks something that its files have.
    pub(crate) fn is_behind(&self) -> bool {
        self.folders.iter().any(Folder::is_behind)
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Journal { folder, stream, name } => {
                if let Some(folder) = self.folders.get_mut(folder) {
                    folder.journals.insert(stream, name);
                }
            }
            Message::Deleted { folder, names } => {
                if let Some(folder) = self.folders.get_mut(folder) {
                    folder.deleted(&names);
                }
            }
        }
    }
}

/// An open index, and the lock that makes this program its only writer.
pub(super) struct Index {
    pub(super) db: Connection,
    _lock: LockedFile,
}

/// One folder and its index.
pub(super) struct Folder {
    folder: PathBuf,
    pub(super) index: Option<Index>,
    /// The journal that each stream writes, and the readers of those that are read as they grow.
    pub(super) journals: BTreeMap<String, String>,
    readers: BTreeMap<String, JournalReader>,
    backlog: VecDeque<Work>,
    /// Whether the folder must be compared with the index, and when it was.
    missed: bool,
    compared: Instant,
    /// When frames were written last.
    frames: Instant,
    /// When to try again after a failure.
    retry: Option<Instant>,
    /// Whether a failure was logged that is not over.
    failed: bool,
}

impl Folder {
    pub(super) fn new(folder: &Path, now: Instant) -> Self {
        Self {
            folder: folder.into(),
            index: None,
            journals: BTreeMap::new(),
            readers: BTreeMap::new(),
            backlog: VecDeque::new(),
            missed: true,
            compared: now,
            frames: now,
            retry: None,
            failed: false,
        }
    }

    fn is_busy(&self) -> bool {
        self.retry.is_none() && (!self.backlog.is_empty() || self.missed)
    }

    pub(super) fn is_behind(&self) -> bool {
        self.index.is_none() || self.missed || !self.backlog.is_empty()
    }

    pub(super) fn deleted(&mut self, deleted: &[String]) {
        for name in deleted {
            let id = ids::of(&[name]);
            self.backlog.push_back(match names::kind(name) {
                Some(Kind::Video) => Work::RemoveSegment(id),
                _ => Work::RemoveSource(id),
            });
        }
        self.backlog.push_back(Work::RemoveLabels);
    }

    /// Does a piece of the work; with `last`, reads the journals to their ends.
    pub(super) fn step(&mut self, last: bool, now: Instant) {
        if self.retry.is_some_and(|retry| now < retry && !last) {
            return;
        }
        self.retry = None;
        match self.try_step(last, now) {
            Ok(()) if self.failed && !self.is_behind() => {
                self.failed = false;
                tracing::info!("{}: the index has caught up", database::path(&self.folder).display());
            }
            Ok(()) => {}
            Err(error) => {
                if !std::mem::replace(&mut self.failed, true) {
                    tracing::warn!("{error}; watching goes on, and the index catches up when it can be written");
                }
                // What was read and not written is read again.
                self.readers.clear();
                (self.missed, self.retry) = (true, Some(now + RETRY));
            }
        }
    }

    fn try_step(&mut self, last: bool, now: Instant) -> Result<()> {
        let stored = self.open().and_then(|()| self.follow(last, now)).and_then(|()| self.catch_up(last, now));
        match stored {
            Err(Failure::Damage(why)) => {
                self.index = None;
                self.readers.clear();
                self.missed = true;
                database::move_aside(&database::path(&self.folder), &why)
            }
            Err(Failure::Other(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    fn open(&mut self) -> Result<(), Failure> {
        let path = database::path(&self.folder);
        if self.index.is_some() && path.exists() {
            return Ok(());
        }
        if self.index.take().is_some() {
            // Somebody deleted it.
            self.readers.clear();
            self.missed = true;
        }
        let lock = folder::lock(&self.folder)?;
        let db = database::open(&path, true).map_err(|why| failure(&self.folder, why))?;
        self.index = Some(Index { db, _lock: lock });
        Ok(())
    }

    /// Reads the journals that grow, and writes what they say.
    fn follow(&mut self, last: bool, now: Instant) -> Result<(), Failure> {
        let Self { folder, index, journals, readers, frames, .. } = self;
        let Some(Index { db, .. }) = index else { return Ok(()) };
        let mut ended = Vec::new();
        for (stream, name) in journals {
            if readers.get(stream).is_some_and(|reader| reader.name() != name || reader.was_cut()) {
                ended.extend(readers.remove(stream));
            }
            if !readers.contains_key(stream)
                && let Ok(reader) = JournalReader::open(folder, name)
            {
                readers.insert(stream.clone(), reader);
            }
        }
        let mut due = last || now.duration_since(*frames) >= FRAMES || !ended.is_empty();
        let mut all: Vec<&mut JournalReader> = ended.iter_mut().chain(readers.values_mut()).collect();
        let mut more = true;
        while more {
            more = false;
            for reader in &mut all {
                // A journal that cannot be read now is read in the next round.
                more |= reader.read(LINES).unwrap_or(false);
                due |= reader.is_urgent();
            }
            if due && all.iter().any(|reader| reader.has_news()) {
                store(db, &mut all).map_err(|cause| failure(folder, cause.into()))?;
                *frames = now;
            }
        }
        Ok(())
    }

    /// Reads a piece of what the index lacks.
    fn catch_up(&mut self, last: bool, now: Instant) -> Result<(), Failure> {
        let Some(Index { db, .. }) = &self.index else { return Ok(()) };
        let open: HashSet<String> = self.readers.values().map(|reader| reader.name().to_string()).collect();
        if self.backlog.is_empty() && (self.missed || now.duration_since(self.compared) >= COMPARE) {
            self.backlog = folder::compare(&self.folder, db, &open)?;
            (self.missed, self.compared) = (false, now);
        }
        while let Some(work) = self.backlog.front() {
            if !matches!(work, Work::Read(_, name) if open.contains(name)) {
                folder::work(&self.folder, db, work).map_err(|cause| failure(&self.folder, cause.into()))?;
            }
            // A recording whose journal is gone is read from its name.
            self.missed |= matches!(work, Work::RemoveSource(_));
            self.backlog.pop_front();
            // At the end of a run only what is gone is removed; the rest is read by the next one.
            if !last || matches!(self.backlog.front(), Some(Work::Read(..))) {
                break;
            }
        }
        Ok(())
    }
}

fn failure(folder: &Path, why: Unusable) -> Failure {
    match why {
        Unusable::Failed(cause) => Failure::Other(database::failed(&database::path(folder), &cause)),
        why => Failure::Damage(why),
    }
}

fn store(db: &Connection, readers: &mut [&mut JournalReader]) -> rusqlite::Result<()> {
    // After a loss of power the index must not know more than the journals. One that cannot be synced is logged by its stream.
    readers.iter().filter(|reader| reader.has_news()).for_each(|reader| reader.sync());
    let transaction = db.unchecked_transaction()?;
    let mut rows = Rows::new(&transaction);
    for reader in readers.iter_mut().filter(|reader| reader.has_news()) {
        reader.store(&mut rows)?;
    }
    rows.finish()?;
    transaction.commit()
}

/// Why a step failed.
enum Failure {
    Damage(Unusable),
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}
