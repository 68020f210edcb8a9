//! The kept pictures of intervals: where they lie, what they show, and what befalls them.

use prost::Message;
use serde_json::Value;

use crate::camera::{Camera, Watch, files, records, running};
use crate::footage::colours;
use crate::history::{count, rows};
use crate::http::{Response, Site};
use crate::program::{Program, probe, run_on_small_disk, text};
use crate::recording::watched;
use crate::tiny;

const ALL: &str = "/api/history/intervals?from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&limit=1000";
/// Every frame is analysed, and labelled by itself.
const EXACT: [&str; 4] = ["--window", "1", "--stride", "1"];

fn view(program: &Program) -> (Watch, Site) {
    let mut watch = Watch::spawn(program.command(&["--log-format", "json", "view", ".", "--web", "127.0.0.1:0"]));
    let site = Site::of(&mut watch);
    (watch, site)
}

/// The intervals that have pictures, the latest first.
fn pictured(site: Site) -> Vec<Value> {
    pictured_in(&site.get(ALL))
}

fn pictured_in(answer: &Response) -> Vec<Value> {
    let page = answer.json();
    let intervals = page["intervals"].as_array().unwrap();
    intervals.iter().filter(|interval| !interval["pictures"].as_array().unwrap().is_empty()).cloned().collect()
}

fn url(picture: &Value) -> &str {
    picture["url"].as_str().unwrap()
}

/// The kinds of an interval's pictures, each with the colour in its middle and its bytes.
fn shown(site: Site, interval: &Value) -> Vec<(String, [u8; 3], Vec<u8>)> {
    let picture = |picture: &Value| {
        let answer = site.get(url(picture));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/jpeg")), "{}", answer.text());
        assert_eq!(answer.header("x-time"), picture["at"].as_str());
        assert_eq!(answer.header("x-stream"), interval["stream"].as_str());
        let decoded = turbojpeg::decompress(&answer.body, turbojpeg::PixelFormat::RGB).unwrap();
        assert!(decoded.width.max(decoded.height) <= 320);
        let middle = decoded.height / 2 * decoded.pitch + decoded.width / 2 * 3;
        let colour = [0, 1, 2].map(|channel| decoded.pixels[middle + channel]);
        (picture["kind"].as_str().unwrap().to_string(), colour, answer.body)
    };
    interval["pictures"].as_array().unwrap().iter().map(picture).collect()
}

fn is_close(colour: [u8; 3], expected: [u8; 3]) -> bool {
    colour.iter().zip(expected).all(|(&one, other)| one.abs_diff(other) < 20)
}

/// Makes the index anew, and expects the same rows.
fn check_rebuilt(program: &Program) {
    let before = rows(program.folder.path());
    program.start(&["index", "rebuild", "."]).succeeded();
    assert_eq!(before, rows(program.folder.path()));
}

/// A camera that shows red, green and blue for a second each, again and again.
fn changing(program: &Program) -> Camera {
    let coded = ["-c:v", "libx264", "-g", "25"];
    let clip = colours(program.folder.path(), "clip.h264", &["red", "0x00FF00", "blue"], &coded);
    Camera::start(&[text(&clip)])
}

#[test]
fn an_interval_without_video_keeps_its_start_its_peak_and_its_end() {
    let program = Program::new();
    // What is green is called `other`, of which nothing is kept.
    let mut model = tiny::proto();
    let labels = model.metadata_props.iter_mut().find(|property| property.key == "labels").unwrap();
    labels.value = "[\"red\", \"other\", \"blue\"]".into();
    std::fs::write(program.path("model.onnx"), model.encode_to_vec()).unwrap();
    let clip = colours(
        program.folder.path(),
        "clip.mp4",
        &["0x900000", "red", "0xC00000", "0x00FF00", "blue"],
        &["-c:v", "libx264", "-g", "25", "-bf", "0"],
    );
    watched(&program, &clip, "h264", &[&["--model", "model.onnx"], &EXACT[..]].concat());
    let [file] = &files(&program, ".pictures.mjpg")[..] else { panic!("not one file of pictures") };
    let [journal] = &files(&program, ".timeline.jsonl")[..] else { panic!("not one journal") };
    assert_eq!(text(file).strip_suffix(".pictures.mjpg"), text(journal).strip_suffix(".timeline.jsonl"));
    check_rebuilt(&program);

    let records = records(&program);
    let intervals: Vec<&Value> = records.iter().filter_map(|record| record.get("interval")).collect();
    let labels: Vec<&Value> = intervals.iter().map(|interval| &interval["label"]).collect();
    assert_eq!(labels, ["red", "other", "blue"]);
    assert_eq!(intervals[1].get("pictures"), None);
    let number = |value: &Value| value.as_f64().unwrap();
    let red = &intervals[0];
    let times: Vec<f64> = red["pictures"].as_array().unwrap().iter().map(|picture| number(&picture["ms"])).collect();
    assert_eq!(times[0], number(&red["start"]));
    assert!(times.is_sorted() && times[2] < number(&red["end"]), "{red}");

    let (watch, site) = view(&program);
    let listed = pictured(site);
    let labels: Vec<&Value> = listed.iter().map(|interval| &interval["label"]).collect();
    assert_eq!(labels, ["blue", "red"]);
    let red = shown(site, &listed[1]);
    let kinds: Vec<&str> = red.iter().map(|(kind, ..)| kind.as_str()).collect();
    assert_eq!(kinds, ["start", "peak", "end"]);
    for ((_, colour, _), expected) in red.iter().zip([0x90, 0xff, 0xc0]) {
        assert!(is_close(*colour, [expected, 0, 0]), "{colour:?} instead of {expected}");
    }
    let blue = shown(site, &listed[0]);
    assert!(blue.iter().all(|(_, colour, _)| is_close(*colour, [0, 0, 0xff])));
    // The file is one picture after the other, and players play it.
    let all: Vec<u8> = red.iter().chain(&blue).flat_map(|(.., bytes)| bytes.clone()).collect();
    assert!(std::fs::read(file).unwrap() == all);
    let probed = probe(file);
    assert_eq!((probed.codec.as_str(), probed.frames), ("mjpeg", (red.len() + blue.len()) as u64));

    let first = url(&listed[1]["pictures"][0]).to_string();
    let id = first.split('/').nth(4).unwrap();
    for path in [
        first.replace("start", "middle"),
        first.replace(".jpg", ".png"),
        first.replace(id, "1.2.3"),
        first.replace(id, "x"),
        first.replace(id, "..%2f..%2fetc"),
        "/api/history/pictures/start.jpg".into(),
    ] {
        assert_eq!(site.get(&path).status, 404, "{path}");
    }
    watch.stop("INT");
}

#[test]
fn pictures_of_a_run_are_served_while_it_runs_and_after_it_was_killed() {
    let program = Program::new();
    let camera = changing(&program);
    let arguments = [&EXACT[..], &["--name", "door", "--web", "127.0.0.1:0"]].concat();
    let mut watch = Watch::start(&program, &[&camera.url], &arguments);
    let site = Site::of(&mut watch);
    let has_some = |answer: &Response| pictured_in(answer).len() > 3;
    let live = pictured_in(&site.until("intervals with pictures", |site| site.get(ALL), has_some));
    check_colours(site, &live);
    watch.stop("KILL");
    drop(camera);

    // As if it was killed when the pictures of the last interval were written, and what says so was not.
    let [journal] = &files(&program, ".timeline.jsonl")[..] else { panic!("not one journal") };
    let written = std::fs::read_to_string(journal).unwrap();
    let last = written.rfind("{\"interval\"").unwrap();
    std::fs::write(journal, &written[..last]).unwrap();
    let known = written[..last].lines().filter(|line| line.starts_with("{\"interval\"")).count();
    let (watch, site) = view(&program);
    let kept = pictured(site);
    assert_eq!(kept.len(), known);
    check_colours(site, &kept);
    watch.stop("INT");
    check_rebuilt(&program);

    // What is damaged, cut off or gone is not shown, and nothing else in its place.
    let [file] = &files(&program, ".pictures.mjpg")[..] else { panic!("not one file of pictures") };
    let mut bytes = std::fs::read(file).unwrap();
    bytes[..100].fill(0);
    let second =
        records(&program).iter().filter_map(|record| record["interval"]["pictures"][0]["offset"].as_u64()).nth(1);
    let end = second.unwrap() as usize;
    std::fs::write(file, &bytes[..end]).unwrap();
    let (watch, site) = view(&program);
    let left = pictured(site);
    assert_eq!(left.len(), 1);
    let statuses: Vec<u16> =
        left[0]["pictures"].as_array().unwrap().iter().map(|picture| site.get(url(picture)).status).collect();
    assert_eq!(statuses[0], 404);
    assert!(statuses[1..].iter().all(|&status| status == 200), "{statuses:?}");
    let lost = kept.iter().filter(|interval| interval["id"] != left[0]["id"]);
    for picture in lost.flat_map(|interval| interval["pictures"].as_array().unwrap()) {
        assert_eq!(site.get(url(picture)).status, 404);
    }
    std::fs::remove_file(file).unwrap();
    assert!(pictured(site).is_empty());
    assert_eq!(site.get(url(&left[0]["pictures"][1])).status, 404);
    watch.stop("INT");
    check_rebuilt(&program);
}

#[test]
fn a_run_that_connects_between_key_frames_begins_at_one() {
    let program = Program::new();
    let camera = changing(&program);
    // The camera sends all receivers the same, so who comes later does not begin at a key frame.
    let mut first = Watch::start(&program, &[&camera.url], &["--name", "first"]);
    first.until("running", running);
    for name in ["door", "desk", "yard"] {
        let mut later = Watch::start(&program, &[&camera.url], &[&EXACT[..], &["--name", name]].concat());
        later.until("running", running);
        later.stop("INT");
    }
    first.stop("INT");
    let (watch, site) = view(&program);
    let intervals = pictured(site);
    let later: Vec<Value> = intervals.into_iter().filter(|interval| interval["stream"] != "first").collect();
    assert!(later.len() >= 3, "{later:?}");
    check_colours(site, &later);
    watch.stop("INT");
}

/// Expects of every picture the colour that its interval is named after.
fn check_colours(site: Site, intervals: &[Value]) {
    for interval in intervals {
        let expected = match interval["label"].as_str().unwrap() {
            "red" => [0xff, 0, 0],
            "green" => [0, 0xff, 0],
            _ => [0, 0, 0xff],
        };
        for (kind, colour, _) in shown(site, interval) {
            assert!(is_close(colour, expected), "{kind} of {interval} is {colour:?}");
        }
    }
}

#[test]
fn retention_removes_pictures_with_their_journal() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.mp4", &["red", "blue"], &["-c:v", "libx264", "-bf", "0"]);
    let model = tiny::model();
    let arguments = [&["--model", text(&model)], &EXACT[..]].concat();
    watched(&program, &clip, "h264", &arguments);
    let before = files(&program, ".pictures.mjpg");
    let rows_before = rows(program.folder.path());
    assert!(before.len() == 1 && count(&rows_before, "pictures") >= 4, "{rows_before:?}");
    // All that is not open is more than is kept.
    let mut watch = Watch::start(&program, &["test://?size=640x480"], &["--name", "door", "--keep", "1K"]);
    watch.until("running", running);
    watch.stop("INT");
    assert!(!before[0].exists());
    let after = rows(program.folder.path());
    let journals = files(&program, ".timeline.jsonl");
    assert_eq!((journals.len(), count(&after, "sources")), (1, 1));
    check_rebuilt(&program);
    // Pictures of larger frames are scaled.
    let (watch, site) = view(&program);
    let pictures = pictured(site);
    let answer = site.get(url(&pictures[0]["pictures"][0]));
    let header = turbojpeg::read_header(&answer.body).unwrap();
    assert_eq!((header.width, header.height), (320, 240));
    watch.stop("INT");
}

#[test]
fn nothing_is_kept_where_a_video_is_recorded_or_the_user_wants_none() {
    for arguments in [&["--segment", "1h"][..], &["--output", "door.mkv"], &["--interval-pictures=false"]] {
        let program = Program::new();
        let mut watch = Watch::start(&program, &["test://?size=160x120"], arguments);
        watch.until("running", running);
        watch.stop("INT");
        assert!(!records(&program).is_empty());
        assert!(files(&program, ".pictures.mjpg").is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_costs_pictures_and_not_the_analysis() {
    let program = Program::new();
    std::fs::create_dir(program.path("disk")).unwrap();
    // With less than four megabytes left, nothing but the journal is written.
    let script = "mount -t tmpfs -o size=8m tmpfs disk || exit 77\n\
                  size() { cat disk/*.pictures.mjpg 2> /dev/null | wc -c; }\n\
                  timeout -s INT 60 \"$0\" --log-format json run \"$2\" --model \"$1\" --window 1 --stride 1 \
                  --status-interval 1s --name door --output-dir disk 2> log &\n\
                  until [ $(size) -gt 0 ]; do kill -0 $! || exit 1; sleep 0.2; done\n\
                  head -c 5M /dev/zero > disk/filler\n\
                  until grep -q 'the disk is full' log; do kill -0 $! || exit 1; sleep 0.2; done\n\
                  sleep 4; before=$(size); rm disk/filler\n\
                  until [ $(size) -gt $before ]; do kill -0 $! || exit 1; sleep 0.2; done\n\
                  kill -TERM $!; wait; cp disk/*.jsonl disk/*.mjpg .; cat log >&2";
    let camera = changing(&program);
    let Some(full) = run_on_small_disk(&program, script, &[&camera.url], 25) else { return };
    let message = full.report["fields"]["message"].as_str().unwrap();
    assert!(message.contains("continues, but its intervals have no pictures"), "{message}");
    let records = records(&program);
    let intervals: Vec<&Value> = records.iter().filter_map(|record| record.get("interval")).collect();
    let have: Vec<bool> = intervals.iter().map(|interval| interval.get("pictures").is_some()).collect();
    let changes: Vec<bool> = have.iter().copied().fold(Vec::new(), |mut changes, one| {
        if changes.last() != Some(&one) {
            changes.push(one);
        }
        changes
    });
    assert_eq!(changes, [true, false, true], "{have:?}");
    let (watch, site) = view(&program);
    let kept = pictured(site);
    assert_eq!(kept.len(), have.iter().filter(|&&one| one).count());
    check_colours(site, &kept);
    watch.stop("INT");
}
