//! Cameras with recordings of both kinds, kept pictures, events, frames for learning and an index.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::admin::{ADMIN, post_json};
use crate::camera::{Camera, Watch};
use crate::footage::colours;
use crate::http::Site;
use crate::power::disk::{Cut, Disk, Tree};
use crate::power::log::Log;
use crate::power::{Report, Run, is_long, now, root, try_cuts, try_moments};
use crate::program::{Program, decodes_cleanly, text};
use crate::receiver::Receiver;
use crate::tiny;

/// Both kinds of video; MP4; kept pictures; a file that is written all the time.
const STREAMS: [&str; 4] = ["door", "gate", "yard", "hall"];
/// The last column of the table in docs/guarantees.md, with five seconds for a busy machine.
const LATEST_NS: u64 = 15_000_000_000;

/// What somebody was reported, with the time, in nanoseconds since 1970.
struct Reported {
    events: Vec<(u64, Value)>,
    /// The frame and its label.
    answers: Vec<(u64, i64, String)>,
}

pub fn test(count: u64) {
    let (run, reported) = record();
    let disk = Disk::new(&run.log);
    let end = Tree::read(&root(&run.program));
    disk.whole().assert_same(&end);
    // What a promise means: every recording of the run can be played.
    let videos: Vec<&str> =
        [".mkv", ".mp4"].iter().flat_map(|ending| end.ending(ending)).map(|(name, _)| name).collect();
    assert!(videos.len() > 10, "{videos:?}");
    videos.iter().for_each(|name| decodes_cleanly(&root(&run.program).join(name)));
    assert!(!reported.events.is_empty() && !reported.answers.is_empty());
    try_moments("cameras", &disk, 8 * count, |tree, cut, report| check(&disk, &end, &reported, tree, cut, report));
    try_cuts("cameras", &disk, &disk.cuts(count), |program, tree, cut, report| {
        check(&disk, &end, &reported, tree, cut, report);
        restart(program, &reported, tree, disk.time(cut), report);
    });
}

/// Arguments that all runs have. `inputs` are those of the streams.
fn arguments(program: &Program, inputs: [&str; 4]) -> Vec<String> {
    let kinds =
        ["segment = \"1s\"\nsegment_video = \"both\"", "segment = \"2s\"\nformat = \"mp4\"", "", "segment = \"10m\""];
    let streams = STREAMS.iter().zip(inputs).zip(kinds);
    let pipeline: String = streams
        .map(|((name, input), kind)| format!("[[stream]]\nname = \"{name}\"\ninput = [\"{input}\"]\n{kind}\n"))
        .collect();
    fs::write(program.path("cameras.toml"), pipeline).unwrap();
    fs::write(program.path("admin"), format!("{ADMIN}\n")).unwrap();
    let model = tiny::model();
    let given = "--log-format json run --status-interval 1s --pipeline cameras.toml --window 1 --output-dir out --events out/events.jsonl \
                 --learn out/learned --web 127.0.0.1:0 --web-admin-token-file admin --model";
    given.split_whitespace().chain([text(&model)]).map(String::from).collect()
}

fn record() -> (Run, Reported) {
    let program = Program::new();
    let noise = ["-vf", "noise=alls=40:allf=t", "-c:v", "libx264", "-qp", "20"];
    let clip = colours(program.folder.path(), "clip.mp4", &["red", "0x808000", "0x00C000", "blue"], &noise);
    let cameras: Vec<Camera> = STREAMS.iter().map(|_| Camera::start(&[text(&clip)])).collect();
    let inputs = [0, 1, 2, 3].map(|number: usize| cameras[number].url.as_str());
    let times = Arc::new(Mutex::new(Vec::new()));
    let arrived = Arc::clone(&times);
    let receiver = Receiver::start(move |number| {
        arrived.lock().unwrap().push((number, now()));
        Some(200)
    });
    let mut given = arguments(&program, inputs);
    given.extend(["--webhook".to_string(), receiver.url()]);
    let mut command = program.command(&given.iter().map(String::as_str).collect::<Vec<_>>());
    let (root, log) = (root(&program), program.path("log"));
    Log::record(&mut command, &root, &log);
    let mut watch = Watch::spawn(command);
    let site = Site::of(&mut watch);
    let answers = answer(site, &receiver, Duration::from_secs(if is_long() { 45 } else { 8 }));
    let (finished, _) = watch.stop("INT");
    assert_eq!(finished.code, 130, "{}", finished.stderr);
    let posted = receiver.posted();
    let events = times.lock().unwrap().iter().map(|&(number, time)| (time, posted[number].json())).collect();
    let log = Log::read(&log, &root);
    (Run { program, log }, Reported { events, answers })
}

/// Answers frames for at least this long, and until enough has happened.
fn answer(site: Site, receiver: &Receiver, least: Duration) -> Vec<(u64, i64, String)> {
    let (began, mut answers, mut known) = (Instant::now(), Vec::new(), HashSet::new());
    while began.elapsed() < least || answers.len() < 4 || receiver.posted().len() < 16 {
        assert!(began.elapsed() < Duration::from_secs(120), "only {} answers", answers.len());
        let page = site.json("/api/teach/frames?state=open&limit=2");
        for frame in page["frames"].as_array().unwrap() {
            let id = frame["id"].as_i64().unwrap();
            let label = ["red", "green", "blue"][known.len() % 3];
            let body = json!({"label": label, "version": frame["version"]}).to_string();
            if known.insert(id) && post_json(site, &format!("/api/teach/frames/{id}"), &body).status == 200 {
                answers.push((now(), id, label.to_string()));
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    answers
}

/// The records of a stream's journals that can be read, with the journals' names.
fn records<'a>(tree: &'a Tree, stream: &str) -> Vec<(&'a str, Value)> {
    let journals = tree.ending(".timeline.jsonl").filter(|(name, _)| name.starts_with(&format!("{stream}-")));
    let lines = journals.flat_map(|(name, bytes)| bytes.split(|&byte| byte == b'\n').map(move |line| (name, line)));
    lines.filter_map(|(name, line)| Some((name, serde_json::from_slice(line).ok()?))).collect()
}

/// Checks what a cut left.
fn check(disk: &Disk, end: &Tree, reported: &Reported, tree: &Tree, cut: Cut, report: &mut Report) {
    let time = disk.time(cut);
    for stream in STREAMS {
        let records = records(tree, stream);
        let intervals: Vec<(&str, &Value)> =
            records.iter().filter_map(|(name, record)| Some((*name, record.get("interval")?))).collect();
        for (_, event) in reported
            .events
            .iter()
            .filter(|(at, event)| *at < time && event["event"] == "end" && event["stream"] == stream)
        {
            let is_same = |interval: &Value| {
                interval["label"] == event["label"]
                    && interval["start"] == event["start_ms"]
                    && interval["end"] == event["ms"]
            };
            let found: Vec<_> = intervals.iter().filter(|(_, interval)| is_same(interval)).collect();
            report.count("reported intervals", 1);
            report.check(found.len() == 1, || format!("{} records of {event}", found.len()));
            for (name, interval) in found {
                for picture in interval["pictures"].as_array().into_iter().flatten() {
                    let file = name.replace(".timeline.jsonl", ".pictures.mjpg");
                    let place = |key: &str| picture[key].as_u64().unwrap() as usize;
                    let bytes = |tree: &Tree| {
                        tree.bytes(&file)?.get(place("offset")..place("offset") + place("bytes")).map(<[u8]>::to_vec)
                    };
                    report.count("pictures of them", 1);
                    report
                        .check(bytes(tree).is_some() && bytes(tree) == bytes(end), || format!("{file}: no {picture}"));
                }
            }
        }
        let keys: Vec<String> =
            intervals.iter().map(|(_, interval)| format!("{} {}", interval["label"], interval["start"])).collect();
        report
            .check(keys.iter().collect::<HashSet<_>>().len() == keys.len(), || format!("{stream}: twice in {keys:?}"));
        let segments =
            records.iter().filter_map(|(_, record)| record.get("segment")).filter(|segment| !segment["end"].is_null());
        for file in segments.map(|segment| segment["file"].as_str().unwrap()) {
            report.count("finished recordings", 1);
            let labels = Path::new(file).with_extension("vtt");
            report.check(tree.bytes(file) == end.bytes(file), || format!("{file} is not whole"));
            report.check(tree.bytes(&labels) == end.bytes(&labels), || format!("{} is not whole", labels.display()));
        }
    }
    // Of what is being written, nothing older than the table says is lost.
    for ending in ["timeline.jsonl", ".mkv"] {
        for (name, last) in end.ending(ending).filter(|(name, _)| name.starts_with("hall")) {
            let length = if time == u64::MAX {
                last.len()
            } else {
                disk.length(Path::new(name), time.saturating_sub(LATEST_NS))
            };
            let kept = tree.bytes(name).map_or(0, <[u8]>::len);
            report.check(kept >= length, || format!("{name}: {kept} bytes of {length}"));
        }
    }
    // A name that was given to a complete file is never that of another one.
    for ending in [".vtt", ".summary.json", ".jpg", "in-use.json"] {
        let is_temporary = |name: &str| name.rsplit('/').next().is_some_and(|name| name.starts_with(".tmp"));
        for (name, bytes) in tree.ending(ending).filter(|(name, _)| !is_temporary(name)) {
            report.check(Some(bytes) == end.bytes(name), || {
                format!("{name}: {} bytes are not what was written", bytes.len())
            });
        }
    }
    for (name, bytes) in tree.ending(".tsv") {
        report.check(bytes.starts_with(b"path\tclass") && bytes.ends_with(b"\n"), || format!("{name} is in part"));
    }
    let events: Vec<Value> = tree
        .ending("events.jsonl")
        .flat_map(|(_, bytes)| bytes.split(|&byte| byte == b'\n'))
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    report.check(events.iter().map(Value::to_string).collect::<HashSet<_>>().len() == events.len(), || {
        "an event twice".into()
    });
    if time == u64::MAX {
        // After its end a run cannot lose anything.
        for (name, bytes) in end.ending("").filter(|(name, _)| !name.contains("sqlite")) {
            report.check(tree.bytes(name) == Some(bytes), || format!("{name} is lost after the end"));
        }
    }
}

/// Starts the program on what a cut left, and checks what it says and what it makes of it.
fn restart(program: &Program, reported: &Reported, tree: &Tree, time: u64, report: &mut Report) {
    let given = arguments(program, ["test://?size=160x120&rate=10"; 4]);
    let command = program.command(&given.iter().map(String::as_str).collect::<Vec<_>>());
    let mut watch = Watch::spawn(command);
    let site = Site::of(&mut watch);
    let all_run =
        |streams: &Value| streams["streams"].as_array().unwrap().iter().all(|stream| stream["state"] == "running");
    site.until("all streams", |site| site.json("/api/streams"), all_run);
    let log = watch.log.clone();
    let (finished, _) = watch.stop("INT");
    report.check(finished.code == 130 && !finished.stderr.contains("panicked"), || {
        format!("{}: {}", finished.code, finished.stderr)
    });
    let rest = finished.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = log.into_iter().chain(rest.map(|line| line["fields"].clone())).collect();
    let said: Vec<&str> = lines.iter().filter_map(|fields| fields["message"].as_str()).collect();
    report.check(!said.iter().any(|line| line.contains("cannot be")), || format!("said {said:?}"));
    for stream in STREAMS {
        let journals = tree.ending(".timeline.jsonl").filter(|(name, _)| name.starts_with(&format!("{stream}-")));
        let Some((name, _)) = journals.last() else { continue };
        let records = records(tree, stream);
        let ended = records.iter().any(|(of, record)| *of == name && record.get("end").is_some());
        let found = format!("{stream}: the last run was killed or lost its power; its journal {name} ");
        report.count("unfinished journals reported", usize::from(!ended));
        report.check(said.iter().filter(|line| line.starts_with(&found)).count() == usize::from(!ended), || {
            format!("{stream}: {said:?}")
        });
    }
    let db = Connection::open(program.path("out/learned/learning.sqlite")).unwrap();
    for (_, id, label) in reported.answers.iter().filter(|(at, ..)| *at < time) {
        let row =
            db.query_row("SELECT answer, file FROM frames WHERE id = ?1", [id], |row| Ok((row.get(0)?, row.get(1)?)));
        let found: Option<(Option<String>, String)> = row.ok();
        report.count("answers", 1);
        report.check(found.as_ref().is_some_and(|(answer, _)| answer.as_ref() == Some(label)), || {
            format!("frame {id}: {found:?}")
        });
        let picture = found.map(|(_, file)| program.path("out/learned").join(file));
        report.check(picture.is_some_and(|path| path.is_file()), || format!("frame {id} has no picture"));
    }
    for damaged in Tree::read(&program.path("out")).0.keys().filter(|path| path.to_string_lossy().contains("damaged")) {
        report.check(false, || format!("{}: a database was damaged", damaged.display()));
    }
    let history = || program.start(&["history", "out", "--format", "json"]).succeeded().stdout;
    let before = history();
    program.start(&["index", "rebuild", "out"]).succeeded();
    let after = history();
    report.count("indexes compared", 1);
    report.check(before == after, || format!("the index says {before}\nand one that is made again {after}"));
}
