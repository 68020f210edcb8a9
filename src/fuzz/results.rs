//! Results of earlier runs: timelines and journals, as `view`, `run` and the history read them.

use std::fs;

use rusqlite::Connection;

use crate::fuzz::files::Scratch;
use crate::history::query::{self, Filter, Reader};
use crate::history::{Place, database, folder};
use crate::report::{journal, timeline_reader};
use crate::telemetry::finished_run::FinishedRun;

/// Intervals of a page.
const LIMIT: usize = 100;
/// The years 1900 to 9999, in milliseconds since 1970.
const BELIEVED: (i64, i64) = (-2_208_988_800_000, 253_402_300_800_000);

/// A timeline.
pub fn timeline(bytes: &[u8]) {
    Scratch::with(|scratch| {
        let path = scratch.file("fuzz.timeline.json", bytes);
        let _ = timeline_reader::head(&path);
        let _ = timeline_reader::results(&path, &mut |_| {});
        let _ = timeline_reader::intervals(&path, &mut |_| {});
        if let Ok(run) = FinishedRun::read(&path) {
            let _ = run.videos(&path);
        }
        index(scratch);
        fs::remove_file(&path).expect("a file that was written");
    });
}

/// A camera's journal.
pub fn journal(bytes: &[u8]) {
    Scratch::with(|scratch| {
        let path = scratch.file("fuzz-20260102T030405Z.timeline.jsonl", bytes);
        for record in journal::read(&path).expect("a file that was written") {
            record.expect("a file can be read");
        }
        let _ = journal::is_whole(&path);
        index(scratch);
        fs::remove_file(&path).expect("a file that was written");
    });
}

/// Makes an index of the folder, asks it, reads the folder again, and removes the index.
fn index(scratch: &Scratch) {
    let db = scratch.index();
    update(scratch, &db);
    let rows = count(&db);
    {
        let reader = Reader::open(&[Place::of_run(scratch.path())]).expect("a whole index");
        let filter = Filter { from: BELIEVED.0, to: BELIEVED.1, ..Filter::default() };
        let page = query::page(&reader, &filter, LIMIT, None).expect("a whole index");
        let summary = query::summary(&reader, &filter).expect("a whole index");
        assert!(
            page.intervals.len() <= rows
                && page.next.is_some() == (page.intervals.len() < summary.total.count as usize)
        );
    }
    update(scratch, &db);
    assert_eq!(count(&db), rows, "reading the folder again changes nothing");
    drop(db);
    fs::remove_file(database::path(scratch.path())).expect("the index");
}

fn update(scratch: &Scratch, db: &Connection) {
    folder::update::<anyhow::Error>(scratch.path(), db).expect("an index takes what a folder holds");
}

fn count(db: &Connection) -> usize {
    db.query_row("SELECT count(*) FROM intervals", [], |row| row.get::<_, i64>(0)).expect("a whole index") as usize
}
