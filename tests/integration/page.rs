//! The page in a headless Chromium, light and dark, on a desktop and on a phone.

use std::fmt::Write;
use std::process::Command;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::admin::ADMIN;
use crate::camera::{Camera, Watch, files, running};
use crate::footage::{colours, project, variant};
use crate::history_video::{moments, segments};
use crate::http::Site;
use crate::program::{Program, ffmpeg, text};
use crate::recording::watched;
use crate::tiny;

/// Checks the page with `tests/page/page.mjs`: the picture moves, no error, no request to another server, every control
/// has a name, every text has enough contrast, nothing overflows. `--intervals` also opens intervals, `--says NAME=TEXT`
/// also expects what a tile says.
fn check_page(site: &Site, arguments: &[&str]) {
    check(site, "page.mjs", arguments);
}

/// Checks the page with a script of `tests/page`.
fn check(site: &Site, script: &str, arguments: &[&str]) {
    let script = project().join("tests/page").join(script);
    let looked = Command::new("node")
        .args([text(&script), &format!("http://127.0.0.1:{}/", site.port)])
        .args(arguments)
        .output()
        .expect("node starts");
    let (found, complaint) = (String::from_utf8_lossy(&looked.stdout), String::from_utf8_lossy(&looked.stderr));
    assert!(looked.status.success(), "{found}{complaint}");
}

#[test]
fn a_single_camera_is_shown_large_with_its_label() {
    let program = Program::new();
    let web = ["--web", "127.0.0.1:0", "--name", "door <b>&amp;</b> 🍳", "--action", "red"];
    let mut watch = Watch::start(&program, &["test://?size=640x360&rate=15"], &web);
    let site = Site::of(&mut watch);
    watch.until("running", running);
    check_page(&site, &[]);
    watch.stop("INT");
}

#[test]
fn several_cameras_form_a_wall() {
    let program = Program::new();
    let given = ["--web", "127.0.0.1:0", "--threshold", "1"];
    let mut watch = Watch::start(&program, &["test://?size=320x180&rate=10"; 4], &given);
    let site = Site::of(&mut watch);
    watch.until("running", running);
    // No label reaches the threshold.
    check_page(&site, &["--says", "test-2=not sure"]);
    watch.stop("INT");
}

#[test]
fn intervals_of_two_cameras_are_opened_while_live() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.h264", &["red", "green", "blue"], &["-c:v", "libx264", "-g", "25"]);
    let camera = Camera::start(&[text(&clip)]);
    let inputs = [camera.url.as_str(), "test://?size=320x180&rate=10"];
    let mut watch = Watch::start(&program, &inputs, &["--web", "127.0.0.1:0", "--window", "0.4s"]);
    let site = Site::of(&mut watch);
    let of_camera = |site: Site| site.json("/api/intervals")["streams"][0]["intervals"].as_array().unwrap().len();
    site.until("four intervals", of_camera, |&number| number > 3);
    check_page(&site, &["--intervals"]);
    watch.stop("INT");
}

#[test]
fn ended_clips_say_what_was_found() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.mp4", &["red", "green", "blue", "red"], &[]);
    std::fs::write(program.path("bad.mp4"), "no video").unwrap();
    let given = ["--web", "127.0.0.1:0", "--window", "1", "--only", "timeline"];
    let mut watch = Watch::start(&program, &[text(&clip), "bad.mp4"], &given);
    let site = Site::of(&mut watch);
    let stays = |fields: &serde_json::Value| fields["message"].to_string().contains("the page stays at");
    watch.line("the page stays", stays);
    let found = "clip.mp4=red 0:00–0:01, 0:03–0:04; green 0:01–0:02; blue 0:02–0:03";
    check_page(&site, &["--says", found, "--says", "bad.mp4=failed"]);
    assert_eq!(watch.stop("INT").0.code, 2);
}

#[test]
fn a_finished_run_is_played() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.mp4", &["red", "green", "blue", "red", "green", "blue"], &[]);
    program.run(&clip, &["--window", "3"]).succeeded();
    let given = ["--log-format", "json", "view", "clip.timeline.json", "--web", "127.0.0.1:0"];
    let mut watch = Watch::spawn(program.command(&given));
    let site = Site::of(&mut watch);
    check_page(&site, &[]);
    watch.stop("INT");
}

/// What a camera's journal holds: labels with their first and last millisecond and their mean confidence, and a gap.
struct Journal<'a> {
    file: &'a str,
    stream: &'a str,
    opened: &'a str,
    intervals: &'a [(&'a str, f64, f64, f64)],
    gap: Option<(f64, f64)>,
}

/// Writes a journal as a run does: a frame each second, and each interval when it is over.
fn write(program: &Program, journal: &Journal) {
    let Journal { file, stream, opened, intervals, gap } = journal;
    let header = json!({"start": {
        "input": "rtsp://camera/live", "started": opened, "opened": opened, "opened_ms": 0.0, "stream": stream,
        "model": {"name": "m.onnx", "sha256": "00", "labels": ["cooking", "drinking", "other"]},
        "action": null, "window": 1, "threshold": 0.0, "hysteresis": 0.0, "stride": 1, "device": "cpu",
    }});
    let mut lines = format!("{header}\n");
    let mut record = |record: Value| writeln!(lines, "{record}").unwrap();
    let mut gap = *gap;
    for &(label, start, end, mean) in *intervals {
        if let Some((from, to)) = gap.filter(|&(from, _)| from <= start) {
            record(json!({"gap": {"start": from, "end": to, "reason": "stalled"}}));
            gap = None;
        }
        let seconds = (start / 1000.0).ceil() as u32..=(end / 1000.0).floor() as u32;
        for ms in seconds.map(|second| 1000.0 * f64::from(second)).filter(|&ms| ms < end) {
            record(json!({"frame": {"ms": ms, "label": label, "confidence": mean, "smoothed": [0.0, 0.0, mean]}}));
        }
        record(json!({"interval": {"label": label, "start": start, "end": end, "mean": mean, "peak": mean}}));
    }
    let end = json!({"end": {
        "frames": {"decoded": 0, "analysed": 0, "held": 0, "dropped": {}}, "wall_s": 1.0, "frames_per_second": 1.0,
        "reconnects": 0, "complete": true,
    }});
    record(end);
    std::fs::write(program.path(file), lines).unwrap();
}

/// Adds pictures of the traffic to the interval of a label, as a run does that records no video: one of each kind, with their
/// milliseconds.
fn write_pictures(program: &Program, file: &str, label: &str, pictures: [(&str, f64); 3]) {
    let clip =
        variant(program.folder.path(), "three.mp4", 75, &["-vf", "select=not(mod(n\\,25)),scale=320:136", "-an"]);
    let made = program.path("three.mjpg");
    let copied = ffmpeg(&["-i", text(&clip), "-c:v", "mjpeg", "-f", "mjpeg", text(&made)]);
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    let all = std::fs::read(&made).unwrap();
    let starts: Vec<usize> = (0..all.len() - 2).filter(|&at| all[at..].starts_with(&[0xff, 0xd8, 0xff])).collect();
    let ends = starts.iter().skip(1).copied().chain([all.len()]);
    let places = starts.iter().zip(ends).map(|(&start, end)| (start, end - start));
    let record = |((kind, ms), (offset, bytes))| json!({"kind": kind, "ms": ms, "offset": offset, "bytes": bytes});
    let records: Vec<Value> = pictures.into_iter().zip(places).map(record).collect();
    assert_eq!(records.len(), 3);
    let with_pictures = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if line["interval"]["label"] == label {
            line["interval"]["pictures"] = json!(records);
        }
        format!("{line}\n")
    };
    let journal = std::fs::read_to_string(program.path(file)).unwrap();
    std::fs::write(program.path(file), journal.lines().map(with_pictures).collect::<String>()).unwrap();
    std::fs::write(program.path(&file.replace(".timeline.jsonl", ".pictures.mjpg")), all).unwrap();
}

#[test]
fn the_history_of_a_folder_is_shown() {
    let program = Program::new();
    let door =
        |file, opened, intervals, gap| write(&program, &Journal { file, stream: "door", opened, intervals, gap });
    let new_year = [("cooking", 0.0, 20e3, 0.8)];
    door("door-20241231T110000Z.timeline.jsonl", "2024-12-31T11:00:00Z", &new_year, None);
    let first = [("other", 0.0, 30e3, 0.9), ("drinking", 30e3, 40e3, 0.8)];
    door("door-20250101T120000Z.timeline.jsonl", "2025-01-01T12:00:00Z", &first, None);
    // From 14:00 on in Berlin.
    let second = [
        ("other", 0.0, 60_120.0, 0.9),
        ("drinking", 60_120.0, 65_320.0, 0.93),
        ("other", 65_320.0, 120e3, 0.9),
        ("cooking", 120e3, 240e3, 0.88),
        ("other", 240e3, 300e3, 0.9),
        ("other", 420e3, 500e3, 0.9),
        ("drinking", 500e3, 501_300.0, 0.71),
        ("other", 501_300.0, 600e3, 0.9),
    ];
    let file = "door-20250102T130000Z.timeline.jsonl";
    door(file, "2025-01-02T13:00:00Z", &second, Some((300e3, 420e3)));
    write_pictures(&program, file, "cooking", [("start", 120e3), ("peak", 171e3), ("end", 239_960.0)]);
    let (file, opened) = ("kitchen-20250102T130000Z.timeline.jsonl", "2025-01-02T13:00:00Z");
    write(
        &program,
        &Journal { file, stream: "küche <b> 🍳", opened, intervals: &[("other", 0.0, 60e3, 0.9)], gap: None },
    );
    let (late, cooked, early) = (
        ["drinking", "14:08:20", "1.3 s", "71 %"],
        ["cooking", "14:02:00", "2 min 0 s", "88 %"],
        ["drinking", "14:01:00", "5.2 s", "93 %"],
    );
    let expected = json!({
        "stream": "door",
        "day": "2025-01-02",
        "date": "Thu, 2 Jan 2025",
        "before": "2025-01-01",
        "lastDate": "Thu, 2 Jan 2025",
        "streams": ["door", "küche <b> 🍳"],
        "calendar": {
            "2024-12-31": "Tuesday, 31 December 2024; cooking 1 interval, 20 s",
            "2025-01-01": "Wednesday, 1 January 2025; drinking 1 interval, 10 s",
            "2025-01-02": "Thursday, 2 January 2025; cooking 1 interval, 2 min 0 s; drinking 2 intervals, 6.5 s",
            "2025-01-03": "Friday, 3 January 2025; not watched",
        },
        "rows": [late, cooked, early],
        "sum": "3 intervals · 2 min 6 s",
        "watched": "watched 7 min 59 s",
        "totals": [["cooking", "1", "2 min 0 s"], ["drinking", "2", "6.5 s"], ["other", "5", "5 min 53 s"]],
        "moments": [
            {"at": "14:01:02", "says": ["drinking", "not recorded"], "label": "drinking"},
            {"at": "14:03:00", "says": ["cooking", "not recorded"], "label": "cooking"},
            {"at": "14:06:00", "says": ["no picture: the camera stopped sending frames"]},
            {"at": "14:09:00", "says": ["other", "not recorded"]},
            {"at": "15:00:00", "says": ["not watched"]},
        ],
        "pictures": [["Start", "14:02:00"], ["Peak", "14:02:51"], ["End", "14:03:59"]],
        "filtered": {"label": "drinking", "rows": [late, early], "sum": "2 intervals · 6.5 s"},
        "longer": {"seconds": 2, "rows": [cooked, early]},
        "month": "4 intervals",
        "all": "5 intervals",
    });
    std::fs::write(program.path("expected.json"), expected.to_string()).unwrap();
    let given = ["--log-format", "json", "view", ".", "--web", "127.0.0.1:0"];
    let mut watch = Watch::spawn(program.command(&given));
    let site = Site::of(&mut watch);
    check(&site, "history.mjs", &[text(&program.path("expected.json"))]);
    watch.stop("INT");
}

/// An interval as a journal has it, with times in milliseconds since 1970.
struct Shown {
    label: String,
    start: f64,
    end: f64,
    share: String,
}

impl Shown {
    /// Whether a frame has this label. Times of frames and of intervals are rounded apart.
    fn has(&self, time: i64) -> bool {
        self.start <= time as f64 + 3.0 && time as f64 + 3.0 < self.end
    }
}

/// The intervals of all journals that are not among those `before`.
fn shown(program: &Program, before: usize) -> Vec<Shown> {
    let mut all = Vec::new();
    for journal in files(program, ".timeline.jsonl").iter().skip(before) {
        let text = std::fs::read_to_string(journal).unwrap();
        let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let header = &records[0]["start"];
        let opened = OffsetDateTime::parse(header["opened"].as_str().unwrap(), &Rfc3339).unwrap();
        let zero = opened.unix_timestamp_nanos() as f64 / 1e6 - header["opened_ms"].as_f64().unwrap();
        all.extend(records.iter().filter_map(|record| record.get("interval")).map(|interval| {
            let number = |name: &str| interval[name].as_f64().unwrap();
            let share = format!("{:.0} %", 100.0 * number("mean"));
            let label = interval["label"].as_str().unwrap().into();
            Shown { label, start: zero + number("start"), end: zero + number("end"), share }
        }));
    }
    all
}

/// A whole second in milliseconds since 1970, as it stands in an address.
fn address(ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(ms / 1000).unwrap();
    time.format(&Rfc3339).unwrap().trim_end_matches('Z').into()
}

/// The first whole second after a time.
fn second_after(ms: f64) -> i64 {
    1000 * (ms / 1000.0 + 0.1).ceil() as i64
}

#[test]
fn the_label_is_shown_over_recordings() {
    let program = Program::new();
    let model = tiny::model();
    // On a busy machine a label may be shown a second late.
    let seconds = ["red", "green", "blue", "gray", "red"].map(|colour| [colour; 3]).concat();
    let clip = colours(program.folder.path(), "clip.mp4", &seconds, &["-c:v", "libx264", "-g", "25"]);
    // The same is recorded three times: as pictures of its intervals only, with labels drawn on it, and as it is.
    let run = |arguments: &[&str]| {
        files(&program, ".summary.json").into_iter().for_each(|file| std::fs::remove_file(file).unwrap());
        let before = files(&program, ".timeline.jsonl").len();
        let given = ["--model", text(&model), "--window", "1", "--stride", "1", "--threshold", "0.5"];
        watched(&program, &clip, "h264", &[&given, arguments].concat());
        shown(&program, before)
    };
    let kept = run(&[]);
    let labelled = run(&["--segment", "1h", "--segment-video", "labelled"]);
    let first = segments(program.folder.path()).len();
    let original = run(&["--segment", "2s"]);
    let frames = moments(&segments(program.folder.path())[first..]);
    assert_eq!(frames.len(), 25 * seconds.len());
    let moment = |at: i64, shown: Option<&Shown>| {
        let (label, share) = shown.map(|shown| (&shown.label, &shown.share)).unzip();
        json!({ "at": address(at), "label": label, "share": share })
    };
    let mut looked_at: Vec<Value> = Vec::new();
    for interval in &original[..3] {
        let at = second_after(interval.start);
        assert!(interval.has(at), "{} at {at}", interval.label);
        looked_at.push(moment(at, Some(interval)));
    }
    // Within the second before an interval, the address means that one.
    looked_at.push(moment(second_after(original[2].end), None));
    let pairs = frames.iter().enumerate().map(|(number, time)| {
        json!([seconds[number / 25], original.iter().find(|shown| shown.has(*time)).map(|shown| &shown.label)])
    });
    let interval = |shown: &Shown| json!([shown.label, shown.start, shown.end, shown.share]);
    let expected = json!({
        "stream": "door",
        "intervals": original.iter().map(interval).collect::<Vec<Value>>(),
        "moments": looked_at,
        "pairs": pairs.collect::<Vec<Value>>(),
        "labelled": address(second_after(labelled[1].start)),
        "kept": moment(second_after(kept[0].start), Some(&kept[0])),
    });
    std::fs::write(program.path("expected.json"), expected.to_string()).unwrap();
    let given = ["--log-format", "json", "view", ".", "--web", "127.0.0.1:0"];
    let mut watch = Watch::spawn(program.command(&given));
    let site = Site::of(&mut watch);
    check(&site, "shown_label.mjs", &[text(&program.path("expected.json"))]);
    watch.stop("INT");
}

#[test]
fn teach_takes_answers_and_shows_models() {
    let program = Program::new();
    let intervals = [("other", 0.0, 60_120.0, 0.9), ("drinking", 60_120.0, 65_320.0, 0.93)];
    let (file, opened) = ("door-20250102T130000Z.timeline.jsonl", "2025-01-02T13:00:00Z");
    write(&program, &Journal { file, stream: "door", opened, intervals: &intervals, gap: None });
    std::fs::write(program.path("admin"), ADMIN).unwrap();
    let web = ["--web", "127.0.0.1:0", "--web-admin-token-file", "admin", "--name", "door", "--output-dir", "."];
    let mut watch = Watch::start(&program, &["test://?size=320x180&rate=2"], &web);
    let site = Site::of(&mut watch);
    check(&site, "teach.mjs", &[ADMIN]);
    watch.stop("INT");
}
