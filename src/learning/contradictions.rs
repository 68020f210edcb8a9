//! Answers that contradict each other: near-duplicate frames of one stream with different ones.

use rusqlite::{Connection, params};

use crate::learning::selection::ALIKE;
use crate::picture::DifferenceHash;

/// Frames that are named as the contradiction of one, at most.
const NAMED: usize = 20;

/// Finds the contradictions of `frames`, all of one stream, again. A frame without an answer, or of which nobody can tell, has none.
pub fn settle(db: &Connection, stream: i64, frames: &[i64]) -> rusqlite::Result<()> {
    let mut forget = db.prepare_cached("DELETE FROM contradictions WHERE frame = ?1 OR other = ?1")?;
    for frame in frames {
        forget.execute([frame])?;
    }
    let mut rows = db.prepare_cached(
        "SELECT id, hash, answer FROM frames WHERE stream = ?1 AND answer IS NOT NULL AND answer <> ''",
    )?;
    let answered: Vec<(i64, DifferenceHash, String)> = rows
        .query_map([stream], |row| Ok((row.get(0)?, DifferenceHash::from_bytes(row.get(1)?), row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut insert =
        db.prepare_cached("INSERT OR IGNORE INTO contradictions(frame, other) VALUES (?1, ?2), (?2, ?1)")?;
    for frame in frames {
        let Some((_, hash, answer)) = answered.iter().find(|(id, ..)| id == frame) else { continue };
        for (other, other_hash, other_answer) in &answered {
            if other_answer != answer && hash.distance(other_hash) <= ALIKE {
                insert.execute(params![frame, other])?;
            }
        }
    }
    Ok(())
}

/// Returns the frames that contradict one, by id.
pub fn of(db: &Connection, frame: i64) -> rusqlite::Result<Vec<i64>> {
    let mut rows = db.prepare_cached("SELECT other FROM contradictions WHERE frame = ?1 ORDER BY other LIMIT ?2")?;
    rows.query_map(params![frame, NAMED as i64], |row| row.get(0))?.collect()
}
