//! `livelabel history`: what cameras and clips showed, as a table, CSV or JSON; and `livelabel index rebuild`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::args::{HistoryArgs, HistoryFormat};
use crate::error::{Error, Result};
use crate::history::local_time::{self, End};
use crate::history::query::{self, Filter, Interval, LabelTotal, Outage, Reader, Stream};
use crate::history::{self, Place};
use crate::report::interval_table::harmless;
use crate::system::{printable, utc, words};

/// Intervals that are read at once.
const PAGE: usize = 1000;
/// Outages of a stream that are listed.
const MAX_OUTAGES: usize = 10_000;
/// A shorter time without frames between two stretches is no outage, in milliseconds.
const SHORTEST_OUTAGE: i64 = 5000;
const DAY: i64 = 86_400_000;

/// Makes the index of a folder anew, and says what it holds.
///
/// # Errors
/// Usage, if a run writes it; input, if the folder holds nothing; a failure if it cannot be written.
pub fn rebuild(folder: &Path) -> Result<String> {
    let path = history::rebuild(folder)?;
    let reader = Reader::open(&[Place::of_run(folder)])?;
    Ok(format!("{}: {}", path.display(), words::count(reader.streams.len() as u64, "stream")))
}

/// Prints what the index of a folder answers.
///
/// # Errors
/// Usage, if an option is wrong or names a stream or label that there is not; input, if the folder holds nothing; a failure if the
/// index cannot be read.
pub fn show(args: &HistoryArgs, out: &mut dyn Write) -> Result<()> {
    let zone = local_time::local();
    let now = utc::epoch_ms(utc::now());
    let time = |text: &Option<String>, end, usual| {
        text.as_deref().map_or(Ok(usual), |text| local_time::parse(text, end, &zone, now))
    };
    let (from, to) = (time(&args.since, End::Since, i64::MIN / 4)?, time(&args.until, End::Until, i64::MAX / 4)?);
    if from >= to {
        return Err(Error::usage("--until is not after --since").remedy("give a later end"));
    }
    let place = history::open(&args.folder)?;
    let reader = Reader::open(std::slice::from_ref(&place))?;
    check_names("stream", &args.stream, reader.streams.iter().map(|stream| &stream.name))?;
    check_names("label", &args.label, reader.streams.iter().flat_map(|stream| &stream.labels))?;
    let filter = Filter {
        streams: args.stream.clone(),
        labels: args.label.clone(),
        from,
        to,
        min_duration: args.min_duration.map_or(0, |least| least.as_millis() as i64),
        min_confidence: 0,
    };
    let answer = Answer::read(&reader, &filter, &zone)?;
    let printed = match args.format {
        HistoryFormat::Table => out.write_all(printable::visible(&answer.text()).as_bytes()),
        HistoryFormat::Csv => answer.csv(out),
        HistoryFormat::Json => writeln!(out, "{:#}", answer.json()),
    };
    match printed {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::failed("the history cannot be printed").because(cause))
        }
        _ => Ok(()),
    }
}

fn check_names<'a>(what: &str, wanted: &[String], known: impl Iterator<Item = &'a String>) -> Result<()> {
    let mut known: Vec<&String> = known.collect();
    known.sort();
    known.dedup();
    match wanted.iter().find(|name| !known.contains(name)) {
        Some(name) => {
            let known: Vec<&str> = known.iter().take(20).map(|name| name.as_str()).collect();
            Err(Error::usage(format!("the history has no {what} {name:?}"))
                .remedy(format!("use one of {}", known.join(", "))))
        }
        None => Ok(()),
    }
}

/// Everything that is printed.
struct Answer<'a> {
    reader: &'a Reader,
    zone: &'a TimeZone,
    /// In order of time.
    intervals: Vec<Interval>,
    /// By day, stream and label.
    days: BTreeMap<(String, usize, usize), LabelTotal>,
    outages: Vec<(usize, Outage)>,
}

impl<'a> Answer<'a> {
    fn read(reader: &'a Reader, filter: &Filter, zone: &'a TimeZone) -> Result<Self> {
        let mut intervals = Vec::new();
        let mut before = None;
        loop {
            let page = query::page(reader, filter, PAGE, before)?;
            intervals.extend(page.intervals);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        intervals.reverse();
        let mut days: BTreeMap<(String, usize, usize), LabelTotal> = BTreeMap::new();
        for interval in &intervals {
            let key = |at| (local_time::day(at, zone), interval.stream, interval.label);
            let (start, end) = (interval.start.max(filter.from), interval.end.min(filter.to));
            days.entry(key(start)).or_default().count += 1;
            for (from, to) in by_day(start, end, zone) {
                days.entry(key(from)).or_default().duration += to - from;
            }
        }
        let mut outages = Vec::new();
        for (number, stream) in reader.streams.iter().enumerate() {
            if stream.kind == "camera" && (filter.streams.is_empty() || filter.streams.contains(&stream.name)) {
                outages.extend(outages_of(reader, stream, filter)?.into_iter().map(|outage| (number, outage)));
            }
        }
        outages.sort_by_key(|(_, outage)| outage.start);
        Ok(Self { reader, zone, intervals, days, outages })
    }

    fn stream(&self, number: usize) -> &Stream {
        &self.reader.streams[number]
    }

    /// Formats a time: a position in a clip, or a time of day.
    fn time(&self, stream: &Stream, at: i64) -> String {
        match position(stream, at) {
            Some(ms) => words::clock(std::time::Duration::from_millis(ms)),
            None => local_time::text(at, self.zone),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut rows = vec![["stream", "label", "start", "end", "duration", "mean", "peak"].map(String::from).to_vec()];
        for interval in &self.intervals {
            let stream = self.stream(interval.stream);
            rows.push(vec![
                stream.name.clone(),
                stream.labels[interval.label].clone(),
                self.time(stream, interval.start),
                self.time(stream, interval.end),
                duration(interval.end - interval.start),
                format!("{:.2}", interval.mean),
                format!("{:.2}", interval.peak),
            ]);
        }
        section(&mut text, "Intervals", &rows, "none");
        let mut rows = vec![["day", "stream", "label", "count", "duration"].map(String::from).to_vec()];
        for ((day, stream, label), total) in &self.days {
            let stream = self.stream(*stream);
            // The day on which a clip was analysed says nothing about it.
            let day = if stream.kind == "clip" { String::new() } else { day.clone() };
            let (count, length) = (total.count.to_string(), duration(total.duration));
            rows.push(vec![day, stream.name.clone(), stream.labels[*label].clone(), count, length]);
        }
        section(&mut text, "Totals", &rows, "none");
        if self.reader.streams.iter().any(|stream| stream.kind == "camera") {
            let mut rows = vec![["stream", "start", "end", "duration", "reason"].map(String::from).to_vec()];
            for (stream, Outage { start, end, reason }) in &self.outages {
                let stream = self.stream(*stream);
                let length = end.map_or_else(String::new, |end| duration(end - start));
                let end = end.map_or_else(|| "to the end of the run".into(), |end| self.time(stream, end));
                let reason = reason.clone().unwrap_or_default();
                rows.push(vec![stream.name.clone(), self.time(stream, *start), end, length, reason]);
            }
            section(&mut text, "Gaps and outages", &rows, "none");
        }
        for stream in self.reader.streams.iter().filter(|stream| stream.clock_back > 0) {
            let back = duration(stream.clock_back);
            let _ = writeln!(
                text,
                "{}: the clock was set back by {back} during a run; its times follow the stream",
                stream.name
            );
        }
        text
    }

    fn csv(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let mut writer = csv::Writer::from_writer(out);
        let names = ["stream", "label", "start", "end", "duration_s", "mean", "peak", "position_s"];
        writer.write_record(names)?;
        for interval in &self.intervals {
            let stream = self.stream(interval.stream);
            let position = position(stream, interval.start);
            let moment = |at| if position.is_some() { String::new() } else { moment(at) };
            writer.write_record([
                harmless(&stream.name).as_ref(),
                harmless(&stream.labels[interval.label]).as_ref(),
                &moment(interval.start),
                &moment(interval.end),
                &seconds(interval.end - interval.start),
                &interval.mean.to_string(),
                &interval.peak.to_string(),
                &position.map(|ms| seconds(ms as i64)).unwrap_or_default(),
            ])?;
        }
        writer.flush()
    }

    fn json(&self) -> Value {
        let interval = |interval: &Interval| {
            let stream = self.stream(interval.stream);
            json!({
                "stream": stream.name, "label": stream.labels[interval.label],
                "start": moment(interval.start), "end": moment(interval.end),
                "duration_ms": interval.end - interval.start, "mean": interval.mean, "peak": interval.peak,
                "position_ms": position(stream, interval.start),
            })
        };
        let day = |((day, stream, label), total): (&(String, usize, usize), &LabelTotal)| {
            let stream = self.stream(*stream);
            json!({
                "day": day, "stream": stream.name, "label": stream.labels[*label], "count": total.count,
                "duration_ms": total.duration,
            })
        };
        let outage = |(stream, outage): &(usize, Outage)| {
            json!({
                "stream": self.stream(*stream).name, "start": moment(outage.start), "end": outage.end.map(moment),
                "reason": outage.reason,
            })
        };
        let stream = |stream: &Stream| {
            json!({
                "name": stream.name, "kind": stream.kind, "labels": stream.labels,
                "clock_back_ms": Some(stream.clock_back).filter(|&back| back > 0),
            })
        };
        json!({
            "streams": self.reader.streams.iter().map(stream).collect::<Vec<Value>>(),
            "intervals": self.intervals.iter().map(interval).collect::<Vec<Value>>(),
            "days": self.days.iter().map(day).collect::<Vec<Value>>(),
            "gaps": self.outages.iter().map(outage).collect::<Vec<Value>>(),
        })
    }
}

/// Returns the gaps of a camera, and the times at which no run watched it.
fn outages_of(reader: &Reader, stream: &Stream, filter: &Filter) -> Result<Vec<Outage>> {
    let Some((first, last)) = stream.range else { return Ok(Vec::new()) };
    let range = (first.max(filter.from), last.min(filter.to));
    if range.0 >= range.1 {
        return Ok(Vec::new());
    }
    let mut outages = query::outages(reader, stream, range.0, range.1, MAX_OUTAGES)?;
    let watched = query::watched(reader, stream, range, SHORTEST_OUTAGE)?;
    let known = outages.clone();
    for pair in watched.windows(2) {
        let (start, end) = (pair[0].1, pair[1].0);
        if !known.iter().any(|gap| gap.start < end && gap.end.is_none_or(|until| until > start)) {
            outages.push(Outage { start, end: Some(end), reason: Some("not_watched".into()) });
        }
    }
    Ok(outages)
}

/// Returns the position in a clip, in milliseconds; `None` for a camera.
fn position(stream: &Stream, at: i64) -> Option<u64> {
    let (first, _) = stream.range.filter(|_| stream.kind == "clip")?;
    u64::try_from(at - first).ok()
}

/// Splits a stretch at the days of a zone.
fn by_day(start: i64, end: i64, zone: &TimeZone) -> Vec<(i64, i64)> {
    let mut parts = Vec::new();
    let mut at = start;
    while at < end {
        let next = local_time::next_day(at, zone).unwrap_or(at + DAY).clamp(at + 1, end);
        parts.push((at, next));
        at = next;
    }
    parts
}

fn section(text: &mut String, title: &str, rows: &[Vec<String>], empty: &str) {
    let _ = writeln!(text, "{title}");
    if rows.len() < 2 {
        let _ = writeln!(text, "  {empty}\n");
        return;
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| console::measure_text_width(&row[column])).max().unwrap_or(0))
        .collect();
    for row in rows {
        let cells =
            row.iter().zip(&widths).map(|(cell, width)| console::pad_str(cell, *width, console::Alignment::Left, None));
        let line = cells.map(|cell| cell.into_owned()).collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "  {}", line.trim_end());
    }
    text.push('\n');
}

/// Formats a duration as `7.1 s`, or longer ones as `1:02:03`.
fn duration(ms: i64) -> String {
    match ms {
        ..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        _ => words::clock(std::time::Duration::from_millis(ms as u64)),
    }
}

fn seconds(ms: i64) -> String {
    format!("{:.3}", ms as f64 / 1000.0)
}

fn moment(ms: i64) -> String {
    utc::milliseconds(time::OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::milliseconds(ms)))
}
