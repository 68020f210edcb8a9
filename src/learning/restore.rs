//! Reads answers from the table into a new database, after the old one was damaged.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::learning::contradictions;
use crate::learning::files::{self, COLUMNS, TABLE};
use crate::learning::frame::NewFrame;
use crate::learning::rows::insert;
use crate::learning::selection::Reason;
use crate::picture::DifferenceHash;
use crate::picture::file::decode_picture;
use crate::system::utc;

/// The largest table and the largest picture that are read, in bytes.
const MAX_TABLE: u64 = 64 << 20;
const MAX_PICTURE: u64 = 4 << 20;
/// Before this year, a time is that of a clip.
const CLIPS: i32 = 1971;

/// Returns the number of answers that were read. A row whose picture cannot be read is left out.
pub fn restore(folder: &Path, db: &mut Connection) -> rusqlite::Result<u64> {
    let Some(text) = files::read(folder, TABLE, MAX_TABLE).and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return Ok(0);
    };
    let transaction = db.transaction()?;
    let mut restored = 0;
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let Ok([file, class, _, stream, time]) = <[&str; COLUMNS.len()]>::try_from(cells) else { continue };
        let (Some(id), Some(time)) = (files::id_of(file), utc::parse(time)) else { continue };
        let plain = file.starts_with(files::FRAMES) && !file.split('/').any(|part| part == "..");
        let Some(jpeg) = files::read(folder, file, MAX_PICTURE).filter(|_| plain) else { continue };
        let Ok(picture) = decode_picture(&jpeg) else { continue };
        let frame = NewFrame {
            stream: stream.into(),
            stem: String::new(),
            time: utc::epoch_ms(time),
            clip: time.year() < CLIPS,
            // Which one it was, the table does not say.
            reason: Reason::Random,
            said: Vec::new(),
            model: None,
            margin: 1.0,
            hash: DifferenceHash::of(&picture.view()),
            jpeg,
            bucket: None,
        };
        let (new, _) = insert(&transaction, &frame)?;
        transaction.execute(
            "UPDATE OR IGNORE frames SET id = ?2, file = ?3, answer = ?4, own = 1, turn = ?5 WHERE id = ?1",
            params![new, id, file, class, restored as i64 + 1],
        )?;
        transaction.execute("INSERT OR IGNORE INTO labels(name) VALUES (?1)", [class])?;
        restored += 1;
    }
    let streams: Vec<(i64, i64)> = transaction
        .prepare("SELECT stream, id FROM frames ORDER BY stream")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for same in streams.chunk_by(|(a, _), (b, _)| a == b) {
        let frames: Vec<i64> = same.iter().map(|(_, id)| *id).collect();
        contradictions::settle(&transaction, same[0].0, &frames)?;
    }
    transaction.commit()?;
    Ok(restored)
}
