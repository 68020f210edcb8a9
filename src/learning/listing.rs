//! Lists of frames, in pages.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection, Row, params_from_iter};

use crate::error::Result;
use crate::learning::contradictions;
use crate::learning::selection::Reason;
use crate::learning::store::Store;

/// The condition of a frame whose answer contradicts another one.
pub(super) const CONTRADICTORY: &str =
    "(frames.disputed IS NOT NULL OR frames.id IN (SELECT frame FROM contradictions))";

/// Which frames are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Without an answer: the most useful first, and the newest first among equals.
    Open,
    /// The latest answer first.
    Answered,
    /// As `Answered`.
    Contradictory,
}

/// A kept frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub id: i64,
    pub stream: String,
    /// In milliseconds since 1970; of a clip since its beginning.
    pub time: i64,
    pub clip: bool,
    pub reason: Reason,
    /// The model, and its probability of each label, as JSON. A frame of a recording has none.
    pub model: Option<String>,
    pub said: String,
    /// `None` without an answer, empty if nobody can tell.
    pub answer: Option<String>,
    pub version: i64,
    pub contradicts: Vec<i64>,
    /// What an interval's answer says otherwise.
    pub disputed: Option<String>,
}

/// A page, and where the next one begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub frames: Vec<Frame>,
    pub next: Option<Cursor>,
}

/// The place of a frame in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor([i64; 3]);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([a, b, c]) = self;
        write!(f, "{a}_{b}_{c}")
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let numbers: Option<Vec<i64>> = text.split('_').map(|part| part.parse().ok()).collect();
        numbers.and_then(|numbers| numbers.try_into().ok()).map(Self).ok_or(())
    }
}

/// How many frames there are. Those that contradict are answered too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub frames: u64,
    pub open: u64,
    pub answered: u64,
    pub contradictory: u64,
}

impl Store {
    /// Lists frames, of one stream or of all, after `after`.
    ///
    /// # Errors
    /// `Failed` if the database cannot be read.
    pub fn page(&self, state: State, stream: Option<&str>, limit: usize, after: Option<Cursor>) -> Result<Page> {
        page(&self.db(), state, stream, limit, after).map_err(|cause| self.failed(&cause))
    }

    /// # Errors
    /// `Failed` if the database cannot be read.
    pub fn counts(&self) -> Result<Counts> {
        let sql = format!("SELECT count(*), count(*) FILTER (WHERE {CONTRADICTORY}), count(answer) FROM frames");
        let numbers = self
            .db()
            .query_row(&sql, [], |row| Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?].map(i64::unsigned_abs)));
        let [frames, contradictory, answered] = numbers.map_err(|cause| self.failed(&cause))?;
        Ok(Counts { frames, open: frames - answered, answered, contradictory })
    }

    /// Returns whether a frame of this stream was ever kept.
    ///
    /// # Errors
    /// `Failed` if the database cannot be read.
    pub fn knows(&self, stream: &str) -> Result<bool> {
        let found = self.db().query_row("SELECT count(*) FROM streams WHERE name = ?1", [stream], |row| row.get(0));
        found.map(|count: i64| count > 0).map_err(|cause| self.failed(&cause))
    }
}

fn page(
    db: &Connection,
    state: State,
    stream: Option<&str>,
    limit: usize,
    after: Option<Cursor>,
) -> rusqlite::Result<Page> {
    // The frames that were unsure come by margin; the others of a kind are alike.
    let key = match state {
        State::Open => "reason, CASE reason WHEN 0 THEN margin ELSE 0 END, -id",
        State::Answered | State::Contradictory => "-turn, 0, -id",
    };
    let condition = match state {
        State::Open => "answer IS NULL",
        State::Answered => "answer IS NOT NULL",
        State::Contradictory => CONTRADICTORY,
    };
    let mut sql = format!(
        "SELECT id, (SELECT name FROM streams WHERE streams.id = stream), time, clip, reason, model, said, answer, version,
         disputed, {key} FROM frames WHERE {condition}"
    );
    let mut values: Vec<rusqlite::types::Value> = Vec::new();
    if let Some(stream) = stream {
        sql.push_str(" AND stream = (SELECT id FROM streams WHERE name = ?)");
        values.push(stream.to_string().into());
    }
    if let Some(Cursor(place)) = after {
        sql.push_str(&format!(" AND ({key}) > (?, ?, ?)"));
        values.extend(place.map(Into::into));
    }
    // By the key. One more than fits tells whether there is another page.
    sql.push_str(&format!(" ORDER BY 11, 12, 13 LIMIT {}", limit + 1));
    let mut rows = db.prepare(&sql)?;
    let mut found: Vec<(Frame, Cursor)> =
        rows.query_map(params_from_iter(values), frame)?.collect::<rusqlite::Result<_>>()?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(_, cursor)| *cursor);
    let mut frames: Vec<Frame> = found.into_iter().map(|(frame, _)| frame).collect();
    for frame in frames.iter_mut().filter(|frame| frame.answer.is_some()) {
        frame.contradicts = contradictions::of(db, frame.id)?;
    }
    Ok(Page { frames, next })
}

fn frame(row: &Row) -> rusqlite::Result<(Frame, Cursor)> {
    let frame = Frame {
        id: row.get(0)?,
        stream: row.get(1)?,
        time: row.get(2)?,
        clip: row.get(3)?,
        reason: Reason::of_rank(row.get(4)?),
        model: row.get(5)?,
        said: row.get(6)?,
        answer: row.get(7)?,
        version: row.get(8)?,
        contradicts: Vec::new(),
        disputed: row.get(9)?,
    };
    Ok((frame, Cursor([row.get(10)?, row.get(11)?, row.get(12)?])))
}
