//! Tests of the index as a whole: the same rows however they came about, and what befalls a database.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::history::lookup::Place;
use crate::history::query::{self, Filter, Reader};
use crate::history::writer::Folder;
use crate::history::{database, folder, local_time};
use crate::labels::window::{SmoothingWindow, WindowAlign};
use crate::report::journal::{
    FrameCounts, Header, IntervalRecord, Journal, ModelName, PictureKind, PictureRecord, Record, RecordedVideo,
    SegmentRecord,
};
use crate::report::timeline;

/// 2026-01-02T03:00:00Z, when the first journal begins.
pub(super) const ZERO: i64 = 1_767_322_800_000;
const SECOND: f64 = 1000.0;

pub(super) fn header(stream: &str, labels: &[&str], opened: &str, opened_ms: f64) -> Header {
    Header {
        input: "test://".into(),
        file: None,
        started: "2026-01-02T03:00:00Z".into(),
        model: ModelName {
            name: "m.onnx".into(),
            sha256: "00".into(),
            labels: labels.iter().map(ToString::to_string).collect(),
        },
        action: None,
        window: SmoothingWindow::Predictions(1),
        window_align: WindowAlign::Trailing,
        threshold: 0.0,
        hysteresis: 0.0,
        stride: 1.into(),
        device: "cpu".into(),
        opened: Some(opened.into()),
        opened_ms: Some(opened_ms),
        stream: Some(stream.into()),
        clock_back_ms: None,
    }
}

fn frame(ms: f64, label: Option<&str>) -> Record {
    let label = label.map(Into::into);
    Record::Frame { ms, label, confidence: 0.9, smoothed: vec![0.9, 0.1], prediction: None, inferred: false }
}

pub(super) fn interval(label: &str, start: f64, end: f64) -> Record {
    let (label, pictures) = (label.into(), Vec::new());
    Record::Interval(IntervalRecord { label, start, end, mean: 0.91, peak: 0.99, onset: None, offset: None, pictures })
}

/// An interval with pictures of ten bytes each, from `offset` on.
pub(super) fn pictured(label: &str, start: f64, end: f64, offset: u64) -> Record {
    let Record::Interval(interval) = interval(label, start, end) else { unreachable!() };
    let times = [start, (start + end) / 2.0, end - 40.0];
    let picture = |((kind, ms), number): ((PictureKind, f64), u64)| PictureRecord {
        kind,
        ms,
        offset: offset + 10 * number,
        bytes: 10,
    };
    let pictures = PictureKind::ALL.into_iter().zip(times).zip(0..).map(picture).collect();
    Record::Interval(IntervalRecord { pictures, ..interval })
}

fn segment(file: &str, end: f64) -> Record {
    Record::Segment(SegmentRecord {
        file: file.into(),
        video: RecordedVideo::Original,
        start: 0.0,
        start_utc: "2026-01-02T03:00:00Z".into(),
        end: Some(end),
        bytes: None,
    })
}

fn end(complete: bool) -> Record {
    Record::End {
        frames: FrameCounts::default(),
        wall_s: 1.0,
        frames_per_second: 1.0,
        reconnects: 0,
        shortest_ms: None,
        complete,
    }
}

/// Two journals of one run of the camera `door`: labels, a gap, recordings, and an interval over the change of the file.
fn records() -> [(&'static str, Header, Vec<Record>); 2] {
    let labels = ["drinking", "other"];
    let first = header("door", &labels, "2026-01-02T03:00:00Z", 0.0);
    let second = header("door", &labels, "2026-01-02T04:00:00Z", 3600.0 * SECOND);
    let mut early: Vec<Record> = (0..60).map(|second| frame(SECOND * f64::from(second), Some("other"))).collect();
    early.extend([
        interval("other", 0.0, 60.0 * SECOND),
        frame(60.0 * SECOND, Some("drinking")),
        frame(61.0 * SECOND, Some("drinking")),
        pictured("drinking", 60.0 * SECOND, 62.5 * SECOND, 0),
        frame(62.5 * SECOND, None),
        Record::Lost { ms: 70.0 * SECOND, reason: "stalled".into() },
        Record::Gap { start: 63.0 * SECOND, end: 100.0 * SECOND, reason: Some("stalled".into()) },
        frame(100.0 * SECOND, Some("other")),
        segment("door-20260102T030000Z.mkv", 63.0 * SECOND),
        segment("../door-20260102T030000Z.mkv", 63.0 * SECOND),
        segment("missing.mkv", 63.0 * SECOND),
        frame(3599.0 * SECOND, Some("other")),
    ]);
    let late = vec![
        frame(3600.5 * SECOND, Some("other")),
        interval("other", 100.0 * SECOND, 3700.0 * SECOND),
        frame(3700.0 * SECOND, Some("drinking")),
        frame(3701.0 * SECOND, Some("drinking")),
    ];
    [("door-20260102T030000Z.timeline.jsonl", first, early), ("door-20260102T040000Z.timeline.jsonl", second, late)]
}

/// A folder with the journals, a recording that they name, and one that they do not: the run was killed.
fn recorded() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, header, records) in records() {
        let mut journal = Journal::create(&folder.path().join(name), header).unwrap();
        records.iter().for_each(|record| journal.append(record).unwrap());
    }
    for name in ["door-20260102T030000Z.mkv", "door-20260102T040000Z.mkv"] {
        std::fs::write(folder.path().join(name), name).unwrap();
        let file = std::fs::File::options().write(true).open(folder.path().join(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_millis(ZERO as u64 + 3_800_000)).unwrap();
    }
    folder
}

/// Returns every row of every table.
pub(crate) fn dump(db: &Connection) -> Vec<String> {
    let mut all = Vec::new();
    let mut names = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let tables: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(tables.len(), 12);
    for table in tables {
        let mut rows = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = rows.column_count();
        let row =
            |row: &rusqlite::Row| (0..columns).map(|column| row.get::<_, Value>(column)).collect::<Result<Vec<_>, _>>();
        let mut found: Vec<String> =
            rows.query_map([], row).unwrap().map(|row| format!("{table} {:?}", row.unwrap())).collect();
        found.sort();
        all.extend(found);
    }
    all
}

fn dump_of(folder: &Path) -> Vec<String> {
    dump(&database::open(&database::path(folder), true).unwrap())
}

/// Returns the rows of an index that is made anew.
pub(crate) fn rebuilt(folder: &Path) -> Vec<String> {
    let other = tempfile::tempdir().unwrap();
    let path = other.path().join("index.sqlite");
    folder::build(folder, &path).unwrap();
    dump(&Connection::open(path).unwrap())
}

/// Steps until the index has everything.
fn settle(folder: &mut Folder, mut now: Instant) {
    for _ in 0..1000 {
        now += Duration::from_secs(11);
        folder.step(false, now);
        if !folder.is_behind() {
            return;
        }
    }
    panic!("the index does not catch up");
}

fn follow(folder: &Path, journal: &str) -> Folder {
    let mut index = Folder::new(folder, Instant::now());
    index.journals.insert("door".into(), journal.into());
    index
}

fn differs(a: &[String], b: &[String]) -> String {
    let missing =
        |a: &[String], b: &[String]| a.iter().filter(|row| !b.contains(row)).cloned().collect::<Vec<_>>().join("\n");
    format!("only there:\n{}\nonly here:\n{}", missing(a, b), missing(b, a))
}

pub(crate) fn assert_same(live: &[String], anew: &[String]) {
    assert!(live == anew, "{}", differs(live, anew));
}

#[test]
fn rows_written_as_things_happen_are_those_of_an_index_made_anew() {
    let done = recorded();
    let folder = tempfile::tempdir().unwrap();
    for name in ["door-20260102T030000Z.mkv", "door-20260102T040000Z.mkv"] {
        std::fs::hard_link(done.path().join(name), folder.path().join(name)).unwrap();
    }
    let mut index = Folder::new(folder.path(), Instant::now());
    let mut now = Instant::now();
    for (name, header, records) in records() {
        let mut journal = Journal::create(&folder.path().join(name), header).unwrap();
        index.journals.insert("door".into(), name.into());
        for record in records {
            journal.append(&record).unwrap();
            now += Duration::from_millis(700);
            index.step(false, now);
        }
    }
    settle(&mut index, now);
    let anew = rebuilt(folder.path());
    assert_same(&dump(&index.index.as_ref().unwrap().db), &anew);
    // The interval that was open when the run was killed is known from its frames; one that spans two files is there once.
    let count = |table: &str| anew.iter().filter(|row| row.starts_with(table)).count();
    let tables = ["streams", "runs", "sources", "intervals", "pictures", "gaps", "losses", "watched", "segments"];
    assert_eq!(tables.map(count), [1, 1, 2, 4, 3, 1, 1, 3, 2]);
}

#[test]
fn a_crash_at_any_moment_loses_nothing() {
    let whole = recorded();
    let expected = rebuilt(whole.path());
    let name = "door-20260102T030000Z.timeline.jsonl";
    let bytes = std::fs::read(whole.path().join(name)).unwrap();
    for cut in (0..=bytes.len()).step_by(bytes.len() / 23) {
        // The journal as far as it is written when the run is killed, in the middle of a line as well.
        std::fs::write(whole.path().join(name), &bytes[..cut]).unwrap();
        let mut index = follow(whole.path(), name);
        index.step(false, Instant::now());
        index.step(false, Instant::now() + Duration::from_secs(60));
        drop(index);
        database::open(&database::path(whole.path()), true).unwrap();
        let mut file = std::fs::File::options().append(true).open(whole.path().join(name)).unwrap();
        file.write_all(&bytes[cut..]).unwrap();
        settle(&mut Folder::new(whole.path(), Instant::now()), Instant::now());
        assert_same(&dump_of(whole.path()), &expected);
        std::fs::remove_dir_all(whole.path().join(".livelabel")).unwrap();
    }
}

#[test]
fn retention_takes_rows_with_files() {
    let folder = recorded();
    let before = rebuilt(folder.path());
    let mut index = Folder::new(folder.path(), Instant::now());
    settle(&mut index, Instant::now());
    for name in ["door-20260102T030000Z.timeline.jsonl", "door-20260102T040000Z.mkv"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
        index.deleted(&[name.to_string()]);
    }
    settle(&mut index, Instant::now());
    let anew = rebuilt(folder.path());
    assert_same(&dump(&index.index.as_ref().unwrap().db), &anew);
    assert!(anew.len() < before.len());
    // Deleted by somebody else, while no run watched: found by comparing.
    drop(index);
    std::fs::remove_file(folder.path().join("door-20260102T040000Z.timeline.jsonl")).unwrap();
    std::fs::remove_file(folder.path().join("door-20260102T030000Z.mkv")).unwrap();
    settle(&mut Folder::new(folder.path(), Instant::now()), Instant::now());
    assert_same(&dump_of(folder.path()), &[]);
}

#[test]
fn a_full_disk_loses_no_row() {
    let folder = recorded();
    let expected = rebuilt(folder.path());
    let name = "door-20260102T030000Z.timeline.jsonl";
    let bytes = std::fs::read(folder.path().join(name)).unwrap();
    std::fs::write(folder.path().join(name), &bytes[..bytes.len() / 2]).unwrap();
    let mut index = follow(folder.path(), name);
    let mut now = Instant::now();
    settle(&mut index, now);
    let limit = |index: &Folder, pages: i64| {
        let db = &index.index.as_ref().unwrap().db;
        let most: i64 = db.pragma_update_and_check(None, "max_page_count", pages, |row| row.get(0)).unwrap();
        // Leaves no free space in the pages that there are.
        let _ = db.execute_batch("CREATE TABLE full(x); INSERT INTO full VALUES (zeroblob(1000000));");
        most
    };
    let pages = limit(&index, 1);
    let mut fill = 0;
    while index.index.as_ref().unwrap().db.execute("INSERT INTO labels VALUES (?1, zeroblob(900))", [fill]).is_ok() {
        fill += 1;
        assert!(fill < 1000, "{pages} pages are never full");
    }
    // A new stream needs a page.
    let other = folder.path().join("door-20260102T050000Z.timeline.jsonl");
    let long = "n".repeat(3000);
    let mut journal = Journal::create(&other, header(&long, &["other"], "2026-01-02T05:00:00Z", 0.0)).unwrap();
    journal.append(&frame(0.0, Some("other"))).unwrap();
    index.journals.insert("door".into(), "door-20260102T050000Z.timeline.jsonl".into());
    std::fs::write(folder.path().join(name), &bytes).unwrap();
    for _ in 0..3 {
        now += Duration::from_secs(60);
        index.step(false, now);
        assert!(index.is_behind());
    }
    let db = &index.index.as_ref().unwrap().db;
    db.pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(())).unwrap();
    db.execute_batch("DROP TABLE IF EXISTS full; DELETE FROM labels WHERE length(name) = 900").unwrap();
    drop(journal);
    std::fs::remove_file(&other).unwrap();
    index.journals.clear();
    settle(&mut index, now);
    assert_same(&dump(&index.index.as_ref().unwrap().db), &expected);
}

#[test]
fn an_index_that_has_no_tables_yet_holds_nothing() {
    let folder = recorded();
    let path = database::path(folder.path());
    let streams = || Reader::open(&[Place::of_run(folder.path())]).unwrap().streams.len();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert_eq!(streams(), 0);
    // As the writer leaves it between creating the file, setting its mode, and making the tables.
    let db = Connection::open(&path).unwrap();
    assert_eq!((path.exists(), streams()), (true, 0));
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
    assert_eq!(streams(), 0);
    let mut index = Folder::new(folder.path(), Instant::now());
    settle(&mut index, Instant::now());
    assert_eq!(streams(), 1);
}

#[test]
fn a_damaged_or_newer_index_is_moved_aside_and_made_again() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 5] = [
        ("index.damaged.sqlite", |path| std::fs::write(path, b"no database").unwrap()),
        ("index.damaged.sqlite", |path| {
            let mut bytes = std::fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[4096..middle].fill(0x5a);
            std::fs::write(path, bytes).unwrap();
        }),
        ("index.damaged.sqlite", |path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 3]).unwrap();
        }),
        ("index.other.sqlite", |path| Connection::open(path).unwrap().pragma_update(None, "user_version", 99).unwrap()),
        ("index.damaged.sqlite", |path| {
            std::fs::remove_file(path).unwrap();
            Connection::open(path).unwrap().execute_batch("CREATE TABLE other(x)").unwrap();
        }),
    ];
    for (number, (aside, harm)) in harms.into_iter().enumerate() {
        for by_reader in [false, true] {
            let folder = recorded();
            settle(&mut Folder::new(folder.path(), Instant::now()), Instant::now());
            let path = database::path(folder.path());
            let _ = std::fs::remove_file(format!("{}-wal", path.display()));
            harm(&path);
            if by_reader {
                let place = crate::history::open(folder.path()).unwrap();
                assert_eq!(Reader::open(&[place]).unwrap().streams.len(), 1, "{number}");
            } else {
                settle(&mut Folder::new(folder.path(), Instant::now()), Instant::now());
            }
            assert_same(&dump_of(folder.path()), &rebuilt(folder.path()));
            assert!(path.with_file_name(aside).exists(), "{number}: {aside} is missing");
        }
    }
}

#[test]
fn an_index_is_only_written_by_one_and_read_by_all() {
    let folder = recorded();
    let mut index = Folder::new(folder.path(), Instant::now());
    settle(&mut index, Instant::now());
    let refused = folder::rebuild(folder.path()).unwrap_err();
    assert!(refused.exit_code() == 2 && refused.to_string().contains("stop the run first"), "{refused}");
    let place = crate::history::open(folder.path()).unwrap();
    assert_eq!(Reader::open(&[place]).unwrap().streams[0].name, "door");
    drop(index);
    let path = folder::rebuild(folder.path()).unwrap();
    assert_eq!(path, database::path(folder.path()));
    assert_same(&dump_of(folder.path()), &rebuilt(folder.path()));
}

#[test]
fn without_an_index_nothing_is_written() {
    let folder = recorded();
    let place = crate::history::open(folder.path()).unwrap();
    assert_eq!(Reader::open(&[place]).unwrap().streams.len(), 1);
    assert!(!folder.path().join(".livelabel").exists());
    let empty = tempfile::tempdir().unwrap();
    let error = crate::history::open(empty.path()).err().unwrap();
    assert!(error.exit_code() == 2 && error.to_string().contains("holds no journals"), "{error}");
}

pub(super) fn reader(folder: &Path) -> Reader {
    let place: Place = crate::history::open(folder).unwrap();
    // The file is open, so its name may go.
    Reader::open(&[place]).unwrap()
}

pub(super) fn filter(from: i64, to: i64) -> Filter {
    Filter { from, to, ..Filter::default() }
}

#[test]
fn names_like_paths_and_statements_are_only_names() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["../../etc/passwd", "'; DROP TABLE streams; --", "a\0b", "", "🍳"];
    for (number, name) in names.into_iter().enumerate() {
        let path = folder.path().join(format!("x{number}-20260102T030000Z.timeline.jsonl"));
        let mut journal =
            Journal::create(&path, header(name, &["../../../label", "other"], "2026-01-02T03:00:00Z", 0.0)).unwrap();
        journal.append(&frame(0.0, Some("../../../label"))).unwrap();
        journal.append(&interval("../../../label", 0.0, 2000.0)).unwrap();
        journal.append(&interval("a label that the model does not have", 0.0, 2000.0)).unwrap();
    }
    let reader = reader(folder.path());
    let mut found: Vec<&str> = reader.streams.iter().map(|stream| stream.name.as_str()).collect();
    found.sort_unstable();
    let mut expected = names;
    expected.sort_unstable();
    assert_eq!(found, expected);
    let page = query::page(&reader, &filter(ZERO, ZERO + 10_000), 100, None).unwrap();
    assert_eq!(page.intervals.len(), names.len());
}

#[test]
fn nonsense_in_a_journal_takes_no_time_and_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x-20260102T030000Z.timeline.jsonl");
    let mut journal = Journal::create(&path, header("x", &["a", "other"], "2026-01-02T03:00:00Z", 0.0)).unwrap();
    for (start, end) in [(0.0, 1e300), (-1e300, 1e300), (1e17, 1e18), (500.0, 100.0), (-1e15, -1e15 + 1.0)] {
        journal.append(&interval("a", start, end)).unwrap();
        journal.append(&Record::Gap { start, end, reason: None }).unwrap();
        journal.append(&Record::Lost { ms: end, reason: "x".into() }).unwrap();
        journal.append(&frame(start, Some("a"))).unwrap();
    }
    let Record::Interval(good) = interval("a", 0.0, 1000.0) else { unreachable!() };
    let picture = |ms, offset, bytes| PictureRecord { kind: PictureKind::Start, ms, offset, bytes };
    // Places where no picture can be, and more of them than an interval has.
    let pictures =
        [picture(0.0, u64::MAX, 10), picture(0.0, 0, u64::MAX), picture(1e300, 0, 10)].into_iter().cycle().take(1000);
    journal.append(&Record::Interval(IntervalRecord { pictures: pictures.collect(), ..good })).unwrap();
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    // A line of nine megabytes, and one that is no text.
    file.write_all(&vec![b'x'; 9 << 20]).unwrap();
    file.write_all(b"\n\xff\xfe{}\n[1, 2]\n").unwrap();
    drop(file);
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    writeln!(file, "{}", serde_json::to_string(&interval("a", 2000.0, 3000.0)).unwrap()).unwrap();
    let reader = reader(folder.path());
    let page = query::page(&reader, &filter(ZERO, ZERO + 10_000), 100, None).unwrap();
    let starts: Vec<i64> = page.intervals.iter().map(|interval| interval.start - ZERO).collect();
    assert_eq!(starts, [2000, 0]);
    assert!(!rebuilt(folder.path()).iter().any(|row| row.starts_with("pictures")));
}

#[test]
fn a_clock_that_jumps_back_a_day_keeps_the_order_of_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let day = 86_400_000.0;
    for (number, opened, ms, back) in [
        ("door-20260102T030000Z.timeline.jsonl", "2026-01-02T03:00:00Z", 0.0, None),
        // An hour later, by a clock that was set back by a day.
        ("door-20260101T040000Z.timeline.jsonl", "2026-01-01T04:00:00Z", 3600.0 * SECOND, Some(day)),
    ] {
        let header = Header { clock_back_ms: back, ..header("door", &["drinking", "other"], opened, ms) };
        let mut journal = Journal::create(&folder.path().join(number), header).unwrap();
        journal.append(&frame(ms, Some("drinking"))).unwrap();
        journal.append(&interval("drinking", ms, ms + 2000.0)).unwrap();
    }
    let reader = reader(folder.path());
    assert_eq!((reader.streams[0].clock_back, reader.streams[0].range), (86_400_000, Some((ZERO, ZERO + 3_600_000))));
    let page = query::page(&reader, &filter(i64::MIN / 4, i64::MAX / 4), 10, None).unwrap();
    let starts: Vec<i64> = page.intervals.iter().map(|interval| interval.start - ZERO).collect();
    assert_eq!(starts, [3_600_000, 0]);
}

#[test]
fn a_camera_that_never_came_back_is_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    for (name, started) in [
        ("door-20260102T030000Z.timeline.jsonl", "2026-01-02T03:00:00Z"),
        ("door-20260103T030000Z.timeline.jsonl", "2026-01-03T03:00:00Z"),
    ] {
        let header = Header { started: started.into(), ..header("door", &["other"], started, 0.0) };
        let mut journal = Journal::create(&folder.path().join(name), header).unwrap();
        for record in [
            frame(0.0, Some("other")),
            Record::Lost { ms: 1000.0, reason: "refused".into() },
            Record::Gap { start: 0.0, end: 5000.0, reason: Some("refused".into()) },
            frame(5000.0, None),
            Record::Lost { ms: 7000.0, reason: "stalled".into() },
        ] {
            journal.append(&record).unwrap();
        }
    }
    let read = reader(folder.path());
    let outages = query::outages(&read, &read.streams[0], 0, i64::MAX / 4, 10).unwrap();
    let day = 86_400_000;
    let expected = [(0, Some(5000)), (7000, None), (day, Some(day + 5000)), (day + 7000, None)];
    let found: Vec<(i64, Option<i64>)> =
        outages.iter().map(|outage| (outage.start - ZERO, outage.end.map(|end| end - ZERO))).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_model_with_other_labels_adds_to_what_there_was() {
    let folder = tempfile::tempdir().unwrap();
    for (name, started, labels) in [
        ("door-20260102T030000Z.timeline.jsonl", "2026-01-02T03:00:00Z", ["drinking", "other"]),
        ("door-20260103T030000Z.timeline.jsonl", "2026-01-03T03:00:00Z", ["reading", "other"]),
    ] {
        let header = Header { started: started.into(), ..header("door", &labels, started, 0.0) };
        let mut journal = Journal::create(&folder.path().join(name), header).unwrap();
        journal.append(&interval(labels[0], 0.0, 2000.0)).unwrap();
        journal.append(&end(true)).unwrap();
    }
    let reader = reader(folder.path());
    assert_eq!(reader.streams[0].labels, ["reading", "other", "drinking"]);
    let only = Filter { labels: vec!["drinking".into()], ..filter(0, i64::MAX / 4) };
    let page = query::page(&reader, &only, 10, None).unwrap();
    assert_eq!(page.intervals.iter().map(|interval| (interval.label, interval.start)).collect::<Vec<_>>(), [(2, ZERO)]);
}

#[test]
fn a_clip_is_read_from_its_timeline() {
    let folder = tempfile::tempdir().unwrap();
    let journal_path = folder.path().join("sip.jsonl");
    let header = Header {
        input: "/videos/sip.mp4".into(),
        opened: None,
        opened_ms: None,
        stream: None,
        ..header("", &["drinking", "other"], "", 0.0)
    };
    let mut journal = Journal::create(&journal_path, header).unwrap();
    for record in [
        frame(0.0, Some("drinking")),
        interval("drinking", 0.0, 1500.0),
        Record::Gap { start: 1500.0, end: 4000.0, reason: None },
        frame(4000.0, None),
    ] {
        journal.append(&record).unwrap();
    }
    timeline::write(&journal_path, &end(true), &folder.path().join("sip-2.timeline.json")).unwrap();
    let read = reader(folder.path());
    let stream = &read.streams[0];
    assert_eq!(
        (stream.name.as_str(), stream.kind.as_str(), stream.range),
        ("sip-2.mp4", "clip", Some((ZERO, ZERO + 4000)))
    );
    let gaps = query::outages(&read, stream, ZERO, ZERO + 10_000, 10).unwrap();
    assert_eq!(gaps.iter().map(|gap| (gap.start - ZERO, gap.end.unwrap() - ZERO)).collect::<Vec<_>>(), [(1500, 4000)]);
    assert_eq!(query::summary(&read, &filter(0, i64::MAX / 4)).unwrap().total.duration, 1500);
}

#[test]
fn an_interval_over_the_change_of_the_file_is_there_once_where_the_clock_was_adjusted() {
    // Each journal has the clock of its own beginning.
    for opened in
        ["2026-01-02T04:00:00.0006Z", "2026-01-02T04:00:00.4Z", "2026-01-02T03:59:59.6Z", "2026-01-02T05:30:00Z"]
    {
        let folder = tempfile::tempdir().unwrap();
        for (name, header, records) in records() {
            let opened = if header.opened_ms > Some(0.0) { Some(opened.into()) } else { header.opened.clone() };
            let mut journal = Journal::create(&folder.path().join(name), Header { opened, ..header }).unwrap();
            records.iter().for_each(|record| journal.append(record).unwrap());
        }
        let page = query::page(&reader(folder.path()), &filter(0, i64::MAX / 4), 10, None).unwrap();
        let others: Vec<(i64, bool)> = page
            .intervals
            .iter()
            .filter(|interval| interval.label == 1)
            .map(|interval| (interval.end - interval.start, interval.open))
            .collect();
        assert_eq!(others, [(3_600_000, false), (60_000, false)], "{opened}");
    }
}

#[test]
fn answers_agree_with_each_other() {
    let folder = recorded();
    let read = reader(folder.path());
    let stream = &read.streams[0];
    let utc = local_time::zone("UTC").unwrap();
    let days = local_time::days("2026-01-01", "2026-01-05", &utc, 400).unwrap();
    let totals = query::days(&read, stream, &days).unwrap();
    assert_eq!(totals.len(), 1);
    let (day, totals) = &totals[0];
    assert_eq!(day.to_string(), "2026-01-02");
    // The clip that the journal names, and the one that was not finished when the run was killed.
    assert_eq!((totals.watched, totals.recorded), (63_000 + 3_499_000 + 100_500, 63_000 + 200_000));
    let labels: Vec<(usize, i64, i64)> =
        totals.labels.iter().map(|(label, sum)| (*label, sum.count, sum.duration)).collect();
    assert_eq!(labels, [(0, 2, 2500 + 1000), (1, 2, 60_000 + 3_600_000)]);
    // From the counts, and from the intervals.
    let (start, end) = (days[0].1, days[4].1);
    for wanted in [filter(start, end), Filter { min_duration: 1, ..filter(start, end) }] {
        let summary = query::summary(&read, &wanted).unwrap();
        assert_eq!((summary.total.count, summary.total.duration), (4, 3_663_500));
    }
    let mut listed = Vec::new();
    let mut before = None;
    loop {
        let page = query::page(&read, &filter(start, end), 1, before).unwrap();
        listed.extend(page.intervals);
        before = page.next.map(|next| next.to_string().parse().unwrap());
        if before.is_none() {
            break;
        }
    }
    let listed: Vec<(i64, i64, usize, bool, bool)> = listed
        .iter()
        .map(|interval| (interval.start - ZERO, interval.end - ZERO, interval.label, interval.open, interval.recorded))
        .collect();
    assert_eq!(
        listed,
        [
            (3_700_000, 3_701_000, 0, true, true),
            (100_000, 3_700_000, 1, false, false),
            (60_000, 62_500, 0, false, true),
            (0, 60_000, 1, false, true),
        ]
    );
    // One that began before the range and reaches into it is listed and counted, with its part in the range.
    let within = filter(ZERO + 3_600_000, ZERO + 3_650_000);
    assert_eq!(query::page(&read, &within, 10, None).unwrap().intervals.len(), 1);
    assert_eq!(query::summary(&read, &within).unwrap().total.duration, 50_000);
    let ribbon = query::ribbon(&read, stream, (ZERO, ZERO + 4_000_000), 1440, 0).unwrap();
    let spans: Vec<(i64, i64, usize)> =
        ribbon.spans.iter().map(|span| (span.0 - ZERO, span.1 - ZERO, span.2)).collect();
    assert_eq!(spans, [(0, 60_000, 1), (60_000, 62_500, 0), (100_000, 3_700_000, 1), (3_700_000, 3_701_000, 0)]);
    let relative = |stretches: &[(i64, i64)]| -> Vec<(i64, i64)> {
        stretches.iter().map(|(start, end)| (start - ZERO, end - ZERO)).collect()
    };
    assert_eq!(relative(&ribbon.watched), [(0, 63_000), (100_000, 3_701_000)]);
    assert_eq!(relative(&ribbon.recorded), [(0, 63_000), (3_600_000, 3_800_000)]);
    assert_eq!(ribbon.gaps, [(ZERO + 63_000, ZERO + 100_000, Some("stalled".into()))]);
}
