//! What people say of frames. An answer has effect only if it was given to the state of the frame that the browser showed.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Error;
use crate::learning::contradictions;
use crate::learning::listing::CONTRADICTORY;
use crate::learning::store::Store;
use crate::system::printable;

/// Labels in all, and characters of one.
const MAX_LABELS: usize = 200;
const MAX_LABEL: usize = 64;

/// An answer about a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Label(String),
    /// Nobody can tell.
    Skip,
    /// None: an answer is taken back.
    Open,
}

impl Answer {
    fn column(&self) -> Option<&str> {
        match self {
            Self::Label(label) => Some(label),
            Self::Skip => Some(""),
            Self::Open => None,
        }
    }
}

/// The state of a frame after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub id: i64,
    /// `None` without an answer, empty if nobody can tell.
    pub answer: Option<String>,
    pub version: i64,
    pub contradicts: Vec<i64>,
    /// What an interval's answer says otherwise.
    pub disputed: Option<String>,
}

/// Why an answer has no effect.
#[derive(Debug)]
pub enum Refused {
    /// There is no such frame.
    Unknown,
    /// Somebody else was first: the state is another one than the answer was given to.
    Changed(Box<Answered>),
    Invalid(Error),
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Store {
    /// Answers a frame whose version is `version`. A label must be one of `labels`.
    ///
    /// # Errors
    /// Returns why it has no effect.
    pub fn answer(
        &self,
        id: i64,
        version: i64,
        answer: &Answer,
        labels: &[String],
    ) -> std::result::Result<Answered, Refused> {
        check_known(answer, labels)?;
        let mut db = self.db();
        let transaction = self.begin(&mut db)?;
        let answered = try_answer(&transaction, id, version, answer).map_err(|cause| self.failed(&cause))??;
        transaction.commit().map_err(|cause| self.failed(&cause))?;
        Ok(answered)
    }

    /// Answers every frame of a stream from `from` to before `to` that has no answer of its own. A frame whose own answer differs keeps
    /// it, and is contradictory. Without a label, takes such answers back. Returns how many frames were answered, and how many in this
    /// time contradict.
    ///
    /// # Errors
    /// Returns why it has no effect.
    pub fn answer_interval(
        &self,
        stream: &str,
        (from, to): (i64, i64),
        answer: &Answer,
        labels: &[String],
    ) -> std::result::Result<(u64, u64), Refused> {
        check_known(answer, labels)?;
        let mut db = self.db();
        let transaction = self.begin(&mut db)?;
        let counts = try_interval(&transaction, stream, (from, to), answer).map_err(|cause| self.failed(&cause))?;
        transaction.commit().map_err(|cause| self.failed(&cause))?;
        Ok(counts)
    }

    /// Returns the labels: those of `model`, then new ones in the order in which they were added.
    ///
    /// # Errors
    /// `Failed` if the database cannot be read.
    pub fn labels(&self, model: &[String]) -> crate::error::Result<Vec<String>> {
        labels(&self.db(), model).map_err(|cause| self.failed(&cause))
    }

    /// Adds a label, unless there is one of this name. Returns all.
    ///
    /// # Errors
    /// `Invalid` if the name cannot be used or there are too many.
    pub fn add_label(&self, name: &str, model: &[String]) -> std::result::Result<Vec<String>, Refused> {
        let name = name.trim();
        check_name(name)?;
        let db = self.db();
        let mut all = labels(&db, model).map_err(|cause| self.failed(&cause))?;
        if all.iter().any(|label| label == name) {
            return Ok(all);
        }
        if all.len() >= MAX_LABELS {
            return Err(invalid(format!("there are {MAX_LABELS} labels, and no more are possible"), "use one of them"));
        }
        db.execute("INSERT OR IGNORE INTO labels(name) VALUES (?1)", [name]).map_err(|cause| self.failed(&cause))?;
        all.push(name.into());
        Ok(all)
    }
}

fn invalid(message: String, remedy: &str) -> Refused {
    Refused::Invalid(Error::usage(message).remedy(remedy))
}

fn check_known(answer: &Answer, labels: &[String]) -> std::result::Result<(), Refused> {
    match answer {
        Answer::Label(label) if !labels.contains(label) => {
            Err(invalid(format!("there is no label {label:?}"), "add it first"))
        }
        _ => Ok(()),
    }
}

/// Refuses a name that no file, table or terminal could show as it is.
fn check_name(name: &str) -> std::result::Result<(), Refused> {
    let length = name.chars().count();
    if length == 0 || length > MAX_LABEL {
        return Err(invalid(format!("a label has 1 to {MAX_LABEL} characters, and this one {length}"), "shorten it"));
    }
    if name.contains('\n') || printable::visible(name) != name {
        return Err(invalid("a label has no control characters".into(), "write it in letters"));
    }
    if name.contains('/') || name == "." || name == ".." {
        return Err(invalid(
            format!("{name:?} would be a path, and a label may become a folder's name"),
            "leave out /",
        ));
    }
    Ok(())
}

fn labels(db: &Connection, model: &[String]) -> rusqlite::Result<Vec<String>> {
    let mut all = model.to_vec();
    let mut rows = db.prepare_cached("SELECT name FROM labels ORDER BY id")?;
    for name in rows.query_map([], |row| row.get::<_, String>(0))? {
        let name = name?;
        if !all.contains(&name) {
            all.push(name);
        }
    }
    Ok(all)
}

fn next_turn(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT coalesce(max(turn), 0) + 1 FROM frames WHERE answer IS NOT NULL", [], |row| row.get(0))
}

fn try_answer(
    db: &Connection,
    id: i64,
    version: i64,
    answer: &Answer,
) -> rusqlite::Result<std::result::Result<Answered, Refused>> {
    let Some((stream, before)) = state(db, id)? else { return Ok(Err(Refused::Unknown)) };
    if before.version != version {
        return Ok(Err(Refused::Changed(Box::new(before))));
    }
    let turn = if *answer == Answer::Open { 0 } else { next_turn(db)? };
    db.execute(
        "UPDATE frames SET answer = ?2, own = ?3, disputed = NULL, turn = ?4, version = version + 1 WHERE id = ?1",
        params![id, answer.column(), *answer != Answer::Open, turn],
    )?;
    contradictions::settle(db, stream, &[id])?;
    let after = state(db, id)?.map(|(_, after)| after);
    Ok(after.ok_or(Refused::Unknown))
}

/// Returns a frame's stream and state.
fn state(db: &Connection, id: i64) -> rusqlite::Result<Option<(i64, Answered)>> {
    let mut row = db.prepare_cached("SELECT stream, answer, version, disputed FROM frames WHERE id = ?1")?;
    let found = row
        .query_row([id], |row| {
            let (answer, version, disputed) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok((row.get(0)?, Answered { id, answer, version, contradicts: Vec::new(), disputed }))
        })
        .optional()?;
    let Some((stream, state)) = found else { return Ok(None) };
    Ok(Some((stream, Answered { contradicts: contradictions::of(db, id)?, ..state })))
}

fn try_interval(
    db: &Connection,
    stream: &str,
    (from, to): (i64, i64),
    answer: &Answer,
) -> rusqlite::Result<(u64, u64)> {
    let stream: Option<i64> =
        db.query_row("SELECT id FROM streams WHERE name = ?1", [stream], |row| row.get(0)).optional()?;
    let Some(stream) = stream else { return Ok((0, 0)) };
    let label = answer.column();
    let turn = if *answer == Answer::Open { 0 } else { next_turn(db)? };
    let mut rows = db.prepare_cached(
        "UPDATE frames SET answer = ?4, turn = ?5, version = version + 1
         WHERE stream = ?1 AND time >= ?2 AND time < ?3 AND own = 0 AND answer IS NOT ?4 RETURNING id",
    )?;
    let changed: Vec<i64> =
        rows.query_map(params![stream, from, to, label, turn], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    // What is no different any more is settled.
    db.execute(
        "UPDATE frames SET disputed = CASE WHEN answer = ?4 OR answer = '' THEN NULL ELSE ?4 END, version = version + 1
         WHERE stream = ?1 AND time >= ?2 AND time < ?3 AND own = 1
         AND disputed IS NOT CASE WHEN answer = ?4 OR answer = '' THEN NULL ELSE ?4 END",
        params![stream, from, to, label],
    )?;
    contradictions::settle(db, stream, &changed)?;
    let number = |condition: &str| -> rusqlite::Result<i64> {
        let sql = format!("SELECT count(*) FROM frames WHERE stream = ?1 AND time >= ?2 AND time < ?3 AND {condition}");
        db.query_row(&sql, params![stream, from, to], |row| row.get(0))
    };
    // Those that had the label already count too.
    let answered = if *answer == Answer::Open { changed.len() as i64 } else { number("own = 0")? };
    Ok((answered.unsigned_abs(), number(CONTRADICTORY)?.unsigned_abs()))
}
