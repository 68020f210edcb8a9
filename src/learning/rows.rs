//! The rows of kept frames.

use rusqlite::{Connection, params};
use serde_json::{Map, Value};

use crate::learning::files;
use crate::learning::frame::NewFrame;
use crate::report::rounded;

/// Inserts a frame. Returns its id, and the path of its picture below the folder.
pub fn insert(db: &Connection, frame: &NewFrame) -> rusqlite::Result<(i64, String)> {
    let stream = stream_id(db, &frame.stream)?;
    if let Some(bucket) = frame.bucket {
        let values = params![stream, bucket.tokens, bucket.filled];
        db.execute("UPDATE streams SET tokens = ?2, filled = ?3 WHERE id = ?1", values)?;
    }
    let said: Map<String, Value> = frame
        .said
        .iter()
        .map(|(label, probability)| (label.clone(), rounded(f64::from(*probability)).into()))
        .collect();
    let margin = (f64::from(frame.margin) * 1e5).round() as i64;
    db.execute(
        "INSERT INTO frames(stream, time, clip, reason, margin, model, said, hash, file, bytes, own, turn, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '', ?9, 0, 0, 1)",
        params![
            stream,
            frame.time,
            frame.clip,
            frame.reason.rank(),
            margin,
            frame.model,
            Value::Object(said).to_string(),
            frame.hash.to_bytes(),
            frame.jpeg.len() as i64,
        ],
    )?;
    let id = db.last_insert_rowid();
    let file = files::picture(&frame.stem, frame.time, id);
    db.execute("UPDATE frames SET file = ?2 WHERE id = ?1", params![id, file])?;
    Ok((id, file))
}

/// Returns the id of a stream, which is added if it is new. Its bucket is filled at its first frame.
pub fn stream_id(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    db.execute("INSERT OR IGNORE INTO streams(name, tokens, filled) VALUES (?1, 1e9, 0)", [name])?;
    db.query_row("SELECT id FROM streams WHERE name = ?1", [name], |row| row.get(0))
}
