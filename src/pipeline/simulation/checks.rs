//! What must hold at every midnight, in UTC and in Berlin.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;

use crate::config::options::Keep;
use crate::history::query::{self, Reader};
use crate::history::tests::{assert_same, dump, rebuilt};
use crate::history::{Place, database, local_time};
use crate::pipeline::simulation::camera::Made;
use crate::pipeline::simulation::files::Files;
use crate::pipeline::simulation::truth::Reported;
use crate::report::journal::{self, Record, SegmentRecord};
use crate::report::stamped_name::StampedName;
use crate::system::utc;

/// How much later than its limit a file may be deleted: frames come once an hour here, and with them the sweeps that see that a
/// file is complete, and that it is too old.
const LATEST: Duration = Duration::from_secs(2 * 3600 + 600);
/// What the clock may be set by in a week without that being distinguished from age.
const SMALL_STEPS: Duration = Duration::from_secs(400);
/// What a camera writes between two sweeps, in bytes.
const GROWTH: u64 = 64 << 10;
/// Longest wait for the thread that writes events.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream that is checked.
pub struct Expected {
    pub name: &'static str,
    pub keep: Keep,
}

/// An interval in a file: its stream, and start and end in milliseconds of the stream.
type Found = (String, f64, f64);

/// What a journal holds.
#[derive(Default)]
struct Journal {
    bytes: u64,
    stream: String,
    started: String,
    /// Time 0 of the stream, in milliseconds since 1970.
    zero: f64,
    intervals: Vec<(f64, f64)>,
    segments: Vec<SegmentRecord>,
}

#[derive(Default)]
pub struct Checks {
    journals: BTreeMap<String, Journal>,
    /// The last complete recording of each stream, and the start of its run.
    last: BTreeMap<String, (String, SegmentRecord)>,
    /// Bytes of the events that were read.
    events: usize,
    /// Runs that were killed, and intervals that no journal has.
    pub killed: usize,
    unrecorded: usize,
    /// How often the clock was set back by a second or more.
    pub set_back: usize,
    /// How often the recordings of each stream show that.
    turned: BTreeMap<String, usize>,
    pub intervals: usize,
    pub deleted: usize,
    pub segments: usize,
}

impl Checks {
    /// Checks files and index against what streams reported. `age` is the time that recordings could age so far.
    pub fn midnight(&mut self, files: &mut Files, streams: &[(Expected, Made)], reported: &[Reported], age: Duration) {
        let read = self.read_journals(files);
        let recorded = compare(reported, &read).unwrap_or_else(|what| panic!("the journals: {what}"));
        self.unrecorded += reported.len() - recorded;
        self.intervals += reported.len();
        self.read_events(reported, &files.folder.with_file_name("events.jsonl"));
        self.index(files);
        for (stream, made) in streams {
            self.names(files, stream, *made);
            retained(files, stream, age);
        }
        self.deleted += files.gone.len();
        files.gone.clear();
    }

    /// Reads the journals that grew. Returns their new intervals, and checks their new recordings.
    fn read_journals(&mut self, files: &Files) -> Vec<Found> {
        self.journals.retain(|name, _| files.seen.contains_key(name));
        let is_known = |name: &str, bytes| self.journals.get(name).is_some_and(|known| known.bytes == bytes);
        let grown = files.seen.iter().filter(|(name, seen)| !is_known(name, seen.bytes));
        let mut grown: Vec<(StampedName, &String)> =
            grown.filter_map(|(name, _)| Some((StampedName::parse(name)?, name))).collect();
        grown.retain(|(name, _)| name.suffix == journal::SUFFIX);
        grown.sort();
        let mut found = Vec::new();
        for (_, name) in grown {
            let known = self.journals.remove(name).unwrap_or_default();
            let now = Journal { bytes: files.seen[name].bytes, ..read_journal(&files.folder.join(name)) };
            let new = now.intervals.iter().skip(known.intervals.len());
            found.extend(new.map(|(start, end)| (now.stream.clone(), *start, *end)));
            for segment in now.segments.iter().skip(known.segments.len()) {
                self.recording(files, &now, segment);
            }
            self.journals.insert(name.clone(), now);
        }
        found
    }

    /// Checks a recording that is complete: its name, its place after the one before, its length and its bytes.
    fn recording(&mut self, files: &Files, journal: &Journal, segment: &SegmentRecord) {
        let start = utc::parse(&segment.start_utc).unwrap();
        let name = StampedName::parse(&segment.file).unwrap();
        assert_eq!(name.stamp.1, utc::stamp(start), "the name is the time");
        assert_eq!(segment.bytes, Some(files.seen[&segment.file].bytes), "{}", segment.file);
        if let Some((run, last)) = self.last.get(&journal.stream).filter(|(run, _)| *run == journal.started) {
            assert!(segment.start >= last.end.unwrap(), "{run}: {} begins before {} ends", segment.file, last.file);
            let (before, last_name) = (utc::parse(&last.start_utc).unwrap(), StampedName::parse(&last.file).unwrap());
            // Only a clock that was set back turns times round, and names with them.
            assert_eq!(before < start, last_name < name, "{} after {}", segment.file, last.file);
            let turned = self.turned.entry(journal.stream.clone()).or_default();
            *turned += usize::from(start <= before);
            assert!(*turned <= self.set_back, "{} after {}", segment.file, last.file);
        }
        self.segments += 1;
        self.last.insert(journal.stream.clone(), (journal.started.clone(), segment.clone()));
    }

    /// Checks that each interval was published once.
    fn read_events(&mut self, reported: &[Reported], path: &Path) {
        let began = Instant::now();
        loop {
            let text = fs::read(path).unwrap();
            let lines = text[self.events..].split(|byte| *byte == b'\n');
            let ends: Vec<Found> = lines
                .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
                .filter(|event| event["event"] == "end")
                .map(|event| {
                    let ms = |key: &str| event[key].as_f64().unwrap();
                    (event["stream"].as_str().unwrap().into(), ms("start_ms"), ms("ms"))
                })
                .collect();
            match compare(reported, &ends) {
                Ok(_) => {
                    self.events = text.len();
                    return;
                }
                Err(what) if began.elapsed() > PATIENCE => panic!("the events: {what}"),
                // Events are written on a thread of its own.
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    /// Checks that the index has each interval and each recording once.
    fn index(&self, files: &Files) {
        let live = Connection::open(database::path(&files.folder)).unwrap();
        let sql = "SELECT name, start, duration FROM intervals JOIN streams ON id = stream WHERE open = 0";
        let mut rows = rows(&live, sql, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let of_journal = |journal: &Journal| -> Vec<(String, i64, i64)> {
            let time = |ms: &f64| (journal.zero + ms).round() as i64;
            let row = |(start, end): &(f64, f64)| (journal.stream.clone(), time(start), time(end) - time(start));
            journal.intervals.iter().map(row).collect()
        };
        for row in self.journals.values().flat_map(of_journal) {
            let at = rows.iter().position(|found| *found == row).unwrap_or_else(|| panic!("the index lacks {row:?}"));
            rows.swap_remove(at);
        }
        // Of some intervals only frames are in the journal.
        assert!(
            rows.len() <= 3 * self.killed + self.unrecorded,
            "{} intervals are in no journal: {rows:?}",
            rows.len()
        );
        let mut recorded: Vec<(String, i64)> =
            self::rows(&live, "SELECT file, bytes FROM segments", |row| Ok((row.get(0)?, row.get(1)?)));
        recorded.sort();
        let complete = files.seen.iter().filter(|(name, seen)| {
            StampedName::parse(name).is_some_and(|name| name.suffix == ".mkv") && seen.bytes > 0 && !files.is_open(name)
        });
        assert_eq!(recorded, complete.map(|(name, seen)| (name.clone(), seen.bytes as i64)).collect::<Vec<_>>());
    }

    /// Checks how many files were made so far.
    fn names(&self, files: &Files, stream: &Expected, made: Made) {
        let parsed = files.names.iter().filter_map(|name| StampedName::parse(name));
        let names: Vec<StampedName> = parsed.filter(|name| name.stem == stream.name).collect();
        let count = |suffix| names.iter().filter(|name| name.suffix == suffix).count();
        assert_eq!(Made { journals: count(journal::SUFFIX), videos: count(".mkv") }, made, "files of {}", stream.name);
    }

    /// Checks that the index has the rows of one that is made anew.
    pub fn rebuilt(&self, files: &Files) {
        let live = Connection::open(database::path(&files.folder)).unwrap();
        assert_same(&dump(&live), &rebuilt(&files.folder));
    }

    /// Checks the totals of a day that has just ended in a zone. Returns its hours.
    pub fn day(&self, files: &Files, zone: &jiff::tz::TimeZone, now: i64) -> i64 {
        let (from, to) = (local_time::day(now - 12 * 3_600_000, zone), local_time::day(now, zone));
        let days = local_time::days(&from, &to, zone, 400).unwrap();
        let (start, end) = (days[0].1, days[days.len() - 1].1);
        let reader = Reader::open(&[Place::of_run(&files.folder)]).unwrap();
        let live = Connection::open(database::path(&files.folder)).unwrap();
        for stream in &reader.streams {
            let sql = format!(
                "SELECT count(*) FROM intervals WHERE stream = {} AND start >= {start} AND start < {end}",
                stream.id
            );
            let counted: i64 = live.query_row(&sql, [], |row| row.get(0)).unwrap();
            let totals = query::days(&reader, stream, &days).unwrap();
            let count: i64 = totals.iter().flat_map(|(_, day)| &day.labels).map(|(_, total)| total.count).sum();
            assert_eq!(count, counted, "{} on {from}", stream.name);
        }
        (end - start) / 3_600_000
    }
}

/// Checks that the files of a stream that are there are those to keep.
fn retained(files: &Files, stream: &Expected, age: Duration) {
    let is_own = |name: &str| StampedName::parse(name).is_some_and(|name| name.stem == stream.name);
    let gone = files.gone.iter().filter(|(name, ..)| is_own(name));
    let own: Vec<_> = files.seen.iter().filter(|(name, _)| is_own(name)).collect();
    match stream.keep {
        Keep::Age(keep) => {
            for (name, _, age) in gone {
                assert!(*age + SMALL_STEPS >= keep, "{name} was deleted after {age:?}");
            }
            for (name, seen) in own {
                let age = age - seen.written;
                assert!(age <= keep + LATEST || files.is_open(name), "{name} is there after {age:?}");
            }
        }
        Keep::Bytes(most) => {
            let total: u64 = own.iter().map(|(_, seen)| seen.bytes).sum();
            assert!(total <= most + GROWTH, "{}: {total} bytes", stream.name);
            let largest = gone.map(|(_, seen, _)| seen.bytes).max();
            assert!(largest.is_none_or(|bytes| total + bytes + GROWTH > most), "{}: only {total} bytes", stream.name);
        }
    }
}

/// Returns how many of the intervals that streams reported were found, each once. One may be missing if nothing could be written.
fn compare(reported: &[Reported], found: &[Found]) -> Result<usize, String> {
    let mut found = found.to_vec();
    let mut count = 0;
    for reported in reported {
        let is_same =
            |(stream, start, end): &Found| (stream, *start, *end) == (&reported.stream, reported.start, reported.end);
        match found.iter().position(is_same) {
            Some(at) => {
                found.swap_remove(at);
                count += 1;
            }
            None if reported.unwritable => {}
            None => return Err(format!("{reported:?} is missing; others: {found:?}")),
        }
    }
    if found.is_empty() { Ok(count) } else { Err(format!("{found:?} are too many")) }
}

fn read_journal(path: &Path) -> Journal {
    let mut journal = Journal::default();
    for record in journal::read(path).unwrap().map(Result::unwrap) {
        match record {
            Record::Start(header) => {
                let opened = utc::parse(header.opened.as_deref().unwrap()).unwrap().unix_timestamp_nanos() as f64 / 1e6;
                journal.zero = opened + header.clock_back_ms.unwrap_or(0.0) - header.opened_ms.unwrap();
                (journal.stream, journal.started) = (header.stream.unwrap(), header.started);
            }
            Record::Interval(interval) => journal.intervals.push((interval.start, interval.end)),
            Record::Segment(segment) if segment.end.is_some() => journal.segments.push(segment),
            _ => {}
        }
    }
    journal
}

fn rows<T>(db: &Connection, sql: &str, row: impl FnMut(&rusqlite::Row) -> rusqlite::Result<T>) -> Vec<T> {
    db.prepare(sql).unwrap().query_map([], row).unwrap().map(Result::unwrap).collect()
}
