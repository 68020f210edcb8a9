//! A year of sixteen cameras: how large its index is, and how long each question of the page takes. Run it by hand:
//! `cargo test --release --lib -- --ignored --nocapture a_year_of_sixteen_cameras`. docs/history.md has its figures.

use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use crate::history::journal_reader::run;
use crate::history::lookup::Place;
use crate::history::query::{self, Filter, Reader};
use crate::history::rows::{IntervalRow, Rows, SegmentRow, SourceRow};
use crate::history::tests::header;
use crate::history::{database, ids, local_time};

const CAMERAS: usize = 16;
const DAYS: i64 = 365;
const DAY: i64 = 86_400_000;
/// 2026-01-01T00:00:00Z.
const FIRST: i64 = 1_767_225_600_000;
/// Intervals of a camera a day, every second one of `other`, and segments of ten minutes, each with its own journal.
const INTERVALS: i64 = 400;
const SEGMENTS: i64 = 144;

fn camera(rows: &mut Rows, camera: usize) -> rusqlite::Result<()> {
    let name = format!("camera-{camera}");
    let stream = ids::of(&[&name]);
    rows.stream(stream, &name, "camera", &name)?;
    let labels = ["cooking", "drinking", "other"];
    let run = run(rows, stream, FIRST, &header(&name, &labels, "2026-01-01T00:00:00Z", 0.0))?;
    let mut random = fastrand::Rng::with_seed(camera as u64);
    for number in 0..DAYS * SEGMENTS {
        let (start, end) = (FIRST + number * 600_000, FIRST + (number + 1) * 600_000);
        let stamp = local_time::text(start, &jiff::tz::TimeZone::UTC).replace(['-', ':'], "").replace(' ', "T");
        let (file, video) = (format!("{name}-{stamp}Z.timeline.jsonl"), format!("{name}-{stamp}Z.mkv"));
        let source = ids::of(&[&file]);
        let (first, last) = (Some(start), Some(end));
        let row =
            SourceRow { id: source, file: &file, run, stream, bytes: 90_000, first, last, ..SourceRow::default() };
        rows.source(&row)?;
        rows.watched(stream, source, start, end)?;
        let (id, bytes) = (ids::of(&[&video]), 50_000_000);
        rows.segment(&SegmentRow { id, file: &video, stream, source, start, end, bytes })?;
    }
    let length = DAY / INTERVALS;
    for number in 0..DAYS * INTERVALS {
        let start = FIRST + number * length + random.i64(0..length / 4);
        let label = if number % 2 == 0 { "other" } else { labels[random.usize(0..2)] };
        let duration = if label == "other" { length } else { random.i64(500..60_000) };
        let mean = random.i64(50_000..100_000);
        let (label, source) = (ids::of(&[label]), ids::of(&[&name, &(number / 3).to_string()]));
        let row = IntervalRow { stream, label, start, source, duration, mean, peak: mean, open: false };
        rows.interval(&row)?;
    }
    for number in 0..DAYS * 2 {
        let start = FIRST + number * DAY / 2;
        let stamp = local_time::text(start, &jiff::tz::TimeZone::UTC).replace(['-', ':'], "").replace(' ', "T");
        let source = ids::of(&[&format!("{name}-{stamp}Z.timeline.jsonl")]);
        rows.gap(stream, source, (start, start + 30_000), Some("stalled"))?;
        rows.loss(stream, source, start, "stalled")?;
    }
    Ok(())
}

#[test]
#[ignore = "takes minutes and half a gigabyte"]
fn a_year_of_sixteen_cameras() {
    let folder = tempfile::tempdir().unwrap();
    let path = database::path(folder.path());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let began = Instant::now();
    {
        let db: Connection = database::open(&path, false).unwrap();
        for number in 0..CAMERAS {
            let transaction = db.unchecked_transaction().unwrap();
            let mut rows = Rows::new(&transaction);
            camera(&mut rows, number).unwrap();
            rows.finish().unwrap();
            transaction.commit().unwrap();
        }
        db.execute("DELETE FROM labels WHERE id = ?1", params![0]).unwrap();
    }
    let bytes = std::fs::metadata(&path).unwrap().len();
    println!("written in {:.0?}; {} MB", began.elapsed(), bytes / 1_000_000);
    let end = FIRST + DAYS * DAY;
    let berlin = local_time::zone("Europe/Berlin").unwrap();
    let kolkata = local_time::zone("Asia/Kolkata").unwrap();
    let all = Filter { from: FIRST, to: end, ..Filter::default() };
    let one = Filter { streams: vec!["camera-3".into()], ..all.clone() };
    let days = |reader: &Reader, from: &str, to: &str, zone| {
        let days = local_time::days(from, to, zone, 400).unwrap();
        reader.streams.iter().map(|stream| query::days(reader, stream, &days).unwrap().len()).sum::<usize>()
    };
    let ribbon = |reader: &Reader, from, to| {
        query::ribbon(reader, &reader.streams[5], (from, to), 1440, end).unwrap().spans.len()
    };
    type Question<'a> = Box<dyn Fn(&Reader) -> usize + 'a>;
    let questions: Vec<(&str, Question)> = vec![
        ("streams", Box::new(|reader| reader.streams.len())),
        ("days: a month, all cameras", Box::new(|reader| days(reader, "2026-06-01", "2026-07-01", &berlin))),
        ("days: 400 days, all cameras", Box::new(|reader| days(reader, "2026-01-01", "2027-02-05", &kolkata))),
        ("ribbon: a minute", Box::new(|reader| ribbon(reader, FIRST + 100 * DAY, FIRST + 100 * DAY + 60_000))),
        ("ribbon: a day", Box::new(|reader| ribbon(reader, FIRST + 100 * DAY, FIRST + 101 * DAY))),
        ("ribbon: 62 days", Box::new(|reader| ribbon(reader, FIRST + 100 * DAY, FIRST + 162 * DAY))),
        ("ribbon: the year", Box::new(|reader| ribbon(reader, FIRST, end))),
        ("intervals: newest 200", Box::new(|reader| query::page(reader, &all, 200, None).unwrap().intervals.len())),
        ("intervals: newest 1000", Box::new(|reader| query::page(reader, &all, 1000, None).unwrap().intervals.len())),
        (
            "intervals: one label, 55 s or more",
            Box::new(|reader| {
                let filter = Filter { labels: vec!["drinking".into()], min_duration: 55_000, ..all.clone() };
                query::page(reader, &filter, 200, None).unwrap().intervals.len()
            }),
        ),
        (
            "intervals: none is that long, a year, all cameras",
            Box::new(|reader| {
                let filter = Filter { min_duration: DAY, ..all.clone() };
                query::page(reader, &filter, 200, None).unwrap().intervals.len()
            }),
        ),
        (
            "summary: the year, all cameras",
            Box::new(|reader| query::summary(reader, &all).unwrap().total.count as usize),
        ),
        (
            "summary: the year, one camera",
            Box::new(|reader| query::summary(reader, &one).unwrap().total.count as usize),
        ),
        (
            "summary: a day, all cameras, 2 s or more",
            Box::new(|reader| {
                let filter = Filter { from: end - DAY, min_duration: 2000, ..all.clone() };
                query::summary(reader, &filter).unwrap().total.count as usize
            }),
        ),
        (
            "summary: the year, all cameras, 2 s or more",
            Box::new(|reader| {
                let filter = Filter { min_duration: 2000, ..all.clone() };
                query::summary(reader, &filter).unwrap().total.count as usize
            }),
        ),
    ];
    for (name, question) in questions {
        let mut times: Vec<Duration> = Vec::new();
        let mut found = 0;
        for _ in 0..5 {
            let began = Instant::now();
            // As the page does: a connection for each question.
            let reader = Reader::open(&[Place::of_run(folder.path())]).unwrap();
            found = question(&reader);
            times.push(began.elapsed());
        }
        times.sort();
        println!(
            "{name}: {:.1} ms (longest {:.1}), {found}",
            1e3 * times[2].as_secs_f64(),
            1e3 * times[4].as_secs_f64()
        );
    }
}
