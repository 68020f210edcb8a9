//! What a kill or a loss of power left of a camera's last run.

use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::report::journal::{Record, SUFFIX};
use crate::report::stamped_name::StampedName;
use crate::system::folders;
use crate::system::utc;
use crate::system::words::count;

/// Says that the last run of the stem did not end, and how far its journal goes; `None` if it ended, or still runs.
pub fn unfinished(folder: &Path, stem: &str) -> Option<String> {
    let names =
        fs::read_dir(folders::named(folder)).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let last = names
        .filter(|name| StampedName::parse(name).is_some_and(|name| name.stem == stem && name.suffix == SUFFIX))
        .max_by(|a, b| StampedName::parse(a).cmp(&StampedName::parse(b)))?;
    let file = File::open(folder.join(&last)).ok()?;
    if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return None;
    }
    let (mut zero, mut until, mut damaged) = (None, None, 0);
    for line in BufReader::new(file).split(b'\n') {
        let ms = match serde_json::from_slice(&line.ok()?) {
            Ok(Record::End { .. }) => return None,
            Ok(Record::Start(header)) => {
                let opened = header.opened.as_deref().and_then(utc::parse).map(utc::epoch_ms);
                zero = opened.zip(header.opened_ms).map(|(opened, ms)| opened as f64 - ms);
                header.opened_ms
            }
            Ok(Record::Frame { ms, .. } | Record::Lost { ms, .. }) => Some(ms),
            Ok(Record::Interval(interval)) => Some(interval.end),
            Ok(Record::Gap { end, .. }) => Some(end),
            Ok(Record::Segment(segment)) => segment.end,
            Ok(Record::Settings(settings)) => Some(settings.ms),
            Err(_) => {
                damaged += 1;
                None
            }
        };
        until = ms.into_iter().chain(until).max_by(f64::total_cmp);
    }
    let until = zero.zip(until).map(|(zero, ms)| utc::milliseconds(utc::of_epoch_ms((zero + ms) as i64)));
    let reach = until.map_or("holds nothing".into(), |until| format!("goes on to {until}"));
    let damage = if damaged > 0 { format!(", without {}", count(damaged, "damaged line")) } else { String::new() };
    Some(format!("the last run was killed or lost its power; its journal {last} {reach}{damage}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::journal::{self, Header, Journal};

    #[test]
    fn a_run_that_did_not_end_is_reported_with_how_far_it_got() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(unfinished(folder.path(), "door"), None);
        let Record::Start(header) = journal::sample().remove(0) else { unreachable!() };
        let header = Header { opened: Some("2026-01-02T03:00:00Z".into()), opened_ms: Some(1000.0), ..*header };
        let write = |name: &str, records: &[Record]| {
            let path = folder.path().join(name);
            let mut journal = Journal::create(&path, header.clone()).unwrap();
            records.iter().for_each(|record| journal.append(record).unwrap());
            path
        };
        let gap = Record::Gap { start: 2000.0, end: 3500.0, reason: None };
        let path = write("door-20260102T030000Z.timeline.jsonl", std::slice::from_ref(&gap));
        write("other-20260102T030000Z.timeline.jsonl", &[gap.clone(), journal::sample().pop().unwrap()]);
        let said = |rest: &str| Some(format!("the last run was killed or lost its power; its journal {rest}"));
        let name = "door-20260102T030000Z.timeline.jsonl";
        assert_eq!(unfinished(folder.path(), "door"), said(&format!("{name} goes on to 2026-01-02T03:00:02.500Z")));
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], &[0; 100]].concat()).unwrap();
        let cut = format!("{name} goes on to 2026-01-02T03:00:02.500Z, without 1 damaged line");
        assert_eq!(unfinished(folder.path(), "door"), said(&cut));
        fs::write(&path, []).unwrap();
        assert_eq!(unfinished(folder.path(), "door"), said(&format!("{name} holds nothing")));
        assert_eq!(unfinished(folder.path(), "other"), None);
        let _running = write("door-20260102T040000Z.timeline.jsonl", &[journal::sample().pop().unwrap()]);
        assert_eq!(unfinished(folder.path(), "door"), None);
    }
}
