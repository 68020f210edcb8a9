//! Frames kept for learning, and answers about them over HTTP: what is kept of a clip and of a camera, and what befalls the folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::admin::{ADMIN, post_json as post};
use crate::camera::{Camera, Watch, running};
use crate::footage::colours;
use crate::http::{Response, Site};
use crate::program::{Program, run_with_mounts, text};
use crate::recording::recorded;
use crate::tiny;

/// Between red and green.
const UNSURE: &str = "0x808000";
const GREEN: &str = "0x00C000";
/// Makes every picture unlike any other: the hash of a plain one is that of the noise.
const NOISE: [&str; 6] = ["-vf", "noise=alls=40:allf=t", "-c:v", "libx264", "-qp", "10"];

/// A clip with one second of noise around each colour.
fn noisy(program: &Program, name: &str, colour: &[&str]) -> PathBuf {
    colours(program.folder.path(), name, colour, &NOISE)
}

/// Runs the tiny model, without smoothing, with a page that takes the admin token.
fn start(program: &Program, input: &str, given: &[&str]) -> (Watch, Site) {
    fs::write(program.path("admin"), format!("{ADMIN}\n")).unwrap();
    let common = ["--window", "1", "--learn", "learned", "--web", "127.0.0.1:0", "--web-admin-token-file", "admin"];
    let mut watch = Watch::start(program, &[input], &[&common[..], given].concat());
    let site = Site::of(&mut watch);
    (watch, site)
}

fn clip(program: &Program) -> (Watch, Site) {
    let path = noisy(program, "clip.mp4", &["red", GREEN, UNSURE, "blue"]);
    let (watch, site) = start(program, text(&path), &["--only", "timeline", "--force"]);
    let ended = |site: Site| site.stream("clip.mp4")["state"] == "ended";
    site.until("the clip's end", ended, |&ended| ended);
    (watch, site)
}

fn say(site: Site, id: u64, version: u64, label: &str) -> Response {
    post(site, &format!("/api/teach/frames/{id}"), &json!({ "label": label, "version": version }).to_string())
}

/// The frames of a list: id, reason and time.
fn list(site: Site, query: &str) -> Vec<(u64, String, String)> {
    let page = site.json(&format!("/api/teach/frames?{query}"));
    assert_eq!(page["next"], Value::Null);
    let cell = |frame: &Value, key: &str| frame[key].as_str().unwrap().to_string();
    let frames = page["frames"].as_array().unwrap();
    frames.iter().map(|frame| (frame["id"].as_u64().unwrap(), cell(frame, "reason"), cell(frame, "time"))).collect()
}

fn ids(site: Site, query: &str) -> Vec<u64> {
    list(site, query).into_iter().map(|(id, ..)| id).collect()
}

/// The rows of the table, each as its cells.
fn table(folder: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(folder.join("corrections.tsv")).unwrap();
    let mut rows = text.lines().map(|line| line.split('\t').map(String::from).collect());
    assert_eq!(rows.next(), Some(["path", "class", "split_group", "stream", "time"].map(String::from).to_vec()));
    rows.collect()
}

/// Path and answer of every frame in the database that has one, sorted by path. Checks that each picture is there.
fn answers(folder: &Path) -> Vec<(String, String)> {
    let db = Connection::open(folder.join("learning.sqlite")).unwrap();
    let intact: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(intact, "ok");
    let mut rows = db.prepare("SELECT file, answer FROM frames ORDER BY file").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))).unwrap();
    let mut found = Vec::new();
    for (file, answer) in rows.map(Result::unwrap) {
        assert!(folder.join(&file).is_file(), "{file}");
        found.extend(answer.filter(|answer| !answer.is_empty()).map(|answer| (file, answer)));
    }
    found
}

#[test]
fn the_unsure_and_the_changing_frames_of_a_clip_are_kept_once() {
    let program = Program::new();
    let (watch, site) = clip(&program);
    let counts = |frames: u64| move |site: &Value| site["counts"]["frames"] == frames;
    let teach = site.until("nine frames", |site| site.json("/api/teach"), counts(9));
    assert_eq!(teach["labels"], json!(["red", "green", "blue"]));
    assert_eq!((&teach["labels"], &teach["limit_bytes"]), (&teach["model_labels"], &json!(1_073_741_824)));
    let found = list(site, "state=open");
    let expected = [
        (5, "unsure", "1970-01-01T00:00:02.000Z"),
        (8, "change", "1970-01-01T00:00:03.000Z"),
        (7, "change", "1970-01-01T00:00:02.960Z"),
        (3, "change", "1970-01-01T00:00:01.000Z"),
        (2, "change", "1970-01-01T00:00:00.960Z"),
        (9, "random", "1970-01-01T00:00:03.520Z"),
        (6, "random", "1970-01-01T00:00:02.520Z"),
        (4, "random", "1970-01-01T00:00:01.520Z"),
        (1, "random", "1970-01-01T00:00:00.520Z"),
    ];
    assert_eq!(found, expected.map(|(id, reason, time)| (id, reason.to_string(), time.to_string())));
    let frame = &site.json("/api/teach/frames?limit=1")["frames"][0];
    assert_eq!(
        (&frame["stream"], &frame["clip"], &frame["model"]),
        (&json!("clip.mp4"), &json!(true), &json!("tiny.onnx"))
    );
    let said = |label: &str| frame["said"][label].as_f64().unwrap();
    assert!(said("green") - said("red") < 0.3 && said("red") > 0.3 && said("blue") < 0.1, "{frame}");
    let picture = site.get("/api/teach/frames/5.jpg");
    assert_eq!(picture.header("content-type"), Some("image/jpeg"));
    let header = turbojpeg::read_header(&picture.body).unwrap();
    assert_eq!((header.width, header.height), (160, 120));
    let bytes = (1..=9).map(|id| site.get(&format!("/api/teach/frames/{id}.jpg")).body.len() as u64);
    assert_eq!(teach["kept_bytes"], bytes.sum::<u64>());
    let metrics = site.metrics();
    assert_eq!(metrics.get("livelabel_learning_frames_total", &[("outcome", "kept")]), 9.0);
    assert_eq!(metrics.get("livelabel_learning_frames_total", &[("outcome", "dropped")]), 0.0);
    assert_eq!(metrics.get("livelabel_learning_bytes", &[]), teach["kept_bytes"].as_f64().unwrap());
    let said = "keeps up to 200 frames a day of each stream in learned";
    assert!(watch.log.iter().any(|fields| fields["message"] == said), "{:#?}", watch.log);
    watch.stop("INT");
    for path in ["learned", "learned/frames/clip.mp4/1970-01-01"] {
        assert_eq!(fs::metadata(program.path(path)).unwrap().permissions().mode() & 0o777, 0o700, "{path}");
    }
    for path in
        ["learned/learning.sqlite", "learned/corrections.tsv", "learned/frames/clip.mp4/1970-01-01/000002000-5.jpg"]
    {
        assert_eq!(fs::metadata(program.path(path)).unwrap().permissions().mode() & 0o777, 0o600, "{path}");
    }
    // The same clip once more shows nothing new.
    let (watch, site) = clip(&program);
    assert_eq!(site.json("/api/teach")["counts"]["frames"], 9);
    watch.stop("INT");
}

#[test]
fn answers_are_given_changed_and_taken_back() {
    let program = Program::new();
    let (watch, site) = clip(&program);
    site.until("nine frames", |site| ids(site, "").len(), |&count| count == 9);
    let answer = say(site, 5, 1, "red").json();
    assert_eq!(answer, json!({"id": 5, "answer": "red", "version": 2, "contradicts": [], "interval_answer": null}));
    // Another browser still shows it as it was.
    let late = say(site, 5, 1, "green");
    assert_eq!((late.status, serde_json::from_slice::<Value>(&late.body).unwrap()), (409, answer));
    let undone = post(site, "/api/teach/frames/5", r#"{"label": null, "version": 2}"#).json();
    assert_eq!((&undone["answer"], &undone["version"]), (&Value::Null, &json!(3)));
    assert_eq!(say(site, 5, 3, "green").status, 200);
    assert_eq!(post(site, "/api/teach/frames/7", r#"{"skip": true, "version": 1}"#).json()["answer"], "");
    let labels = post(site, "/api/teach/labels", r#"{"label": "washing the cat"}"#).json();
    assert_eq!(labels, json!({"labels": ["red", "green", "blue", "washing the cat"]}));
    assert_eq!(say(site, 8, 1, "washing the cat").status, 200);
    assert_eq!((ids(site, "state=answered"), ids(site, "stream=clip.mp4")), (vec![8, 7, 5], vec![3, 2, 9, 6, 4, 1]));
    assert_eq!((ids(site, "state=contradictory"), ids(site, "stream=door")), (vec![], vec![]));
    let counts = json!({"frames": 9, "open": 6, "answered": 3, "contradictory": 0});
    assert_eq!(site.json("/api/teach")["counts"], counts);
    // Soon after, and without another request.
    let folder = program.path("learned");
    site.until("the table", |_| table(&folder).len(), |&rows| rows == 2);
    watch.stop("INT");
    let visit = "clip.mp4/1970-01-01T00:00:02Z";
    let row = |file: &str, class: &str, time: &str| {
        let file = format!("frames/clip.mp4/1970-01-01/{file}.jpg");
        [file.as_str(), class, visit, "clip.mp4", time].map(String::from).to_vec()
    };
    let expected = [
        row("000002000-5", "green", "1970-01-01T00:00:02.000Z"),
        row("000003000-8", "washing the cat", "1970-01-01T00:00:03.000Z"),
    ];
    assert_eq!(table(&folder), expected);
    // An older table, as a kill would leave it, is replaced at the next start.
    fs::write(folder.join("corrections.tsv"), "path\tclass\tsplit_group\tstream\ttime\n").unwrap();
    let (watch, _) = clip(&program);
    watch.stop("INT");
    assert_eq!(table(&folder), expected);
}

#[test]
fn what_is_no_answer_is_refused_and_changes_nothing() {
    let program = Program::new();
    let (watch, site) = clip(&program);
    site.until("nine frames", |site| ids(site, "").len(), |&count| count == 9);
    let deep = format!("{}1{}", "[".repeat(30_000), "]".repeat(30_000));
    for (path, body, status) in [
        ("/api/teach/frames/3", r#"{"label": "purple", "version": 1}"#, 422),
        ("/api/teach/frames/3", r#"{"label": "", "version": 1}"#, 422),
        ("/api/teach/frames/3", r#"{"label": "red"}"#, 400),
        ("/api/teach/frames/3", r#"{"version": 1}"#, 400),
        ("/api/teach/frames/3", r#"{"label": "red", "skip": true, "version": 1}"#, 400),
        ("/api/teach/frames/3", r#"{"label": 7, "version": 1}"#, 400),
        ("/api/teach/frames/3", r#"{"label": "red", "version": 99999999999999999999}"#, 400),
        ("/api/teach/frames/3", "", 400),
        ("/api/teach/frames/3", "\u{0}\u{1}garbage", 400),
        ("/api/teach/frames/3", &deep, 400),
        ("/api/teach/frames/99", r#"{"label": "red", "version": 1}"#, 404),
        ("/api/teach/frames/3.jpg", r#"{"label": "red", "version": 1}"#, 404),
        ("/api/teach/frames/..%2f3", r#"{"label": "red", "version": 1}"#, 404),
        ("/api/teach/labels", r#"{"label": "../../etc/passwd"}"#, 422),
        ("/api/teach/labels", r#"{"label": ".."}"#, 422),
        ("/api/teach/labels", r#"{"label": "a\tb"}"#, 422),
        ("/api/teach/labels", r#"{"label": ""}"#, 422),
        ("/api/teach/labels", r#"{"label": null}"#, 400),
        ("/api/teach/intervals", r#"{"stream": "clip.mp4", "from": "x", "to": "y", "label": "red"}"#, 400),
        ("/api/teach/intervals", "{}", 400),
        ("/api/teach", "{}", 405),
    ] {
        assert_eq!(post(site, path, body).status, status, "{path} {}", &body[..body.len().min(80)]);
    }
    let interval = |stream: &str, label: &str| {
        let range =
            [("stream", stream), ("label", label), ("from", "1970-01-01T00:00:00Z"), ("to", "1970-01-02T00:00:00Z")];
        let body: serde_json::Map<String, Value> =
            range.map(|(key, value)| (key.into(), value.into())).into_iter().collect();
        post(site, "/api/teach/intervals", &Value::Object(body).to_string()).status
    };
    assert_eq!((interval("clip.mp4", "purple"), interval("nobody", "red")), (422, 404));
    let head = format!("POST /api/teach/labels HTTP/1.0\r\nContent-Type: application/json\r\nX-Admin-Token: {ADMIN}");
    assert_eq!(site.send(&format!("{head}\r\nContent-Length: 1000000")).status, 413);
    for query in ["state=all", "limit=0", "limit=501", "after=x"] {
        assert_eq!(site.get(&format!("/api/teach/frames?{query}")).status, 400, "{query}");
    }
    for file in ["3", "99.jpg", "-1.jpg", "..%2flearning.sqlite", "x.jpg"] {
        assert_eq!(site.get(&format!("/api/teach/frames/{file}")).status, 404, "{file}");
    }
    for number in 0..197 {
        assert_eq!(post(site, "/api/teach/labels", &json!({ "label": format!("n{number}") }).to_string()).status, 200);
    }
    let many = post(site, "/api/teach/labels", r#"{"label": "one too many"}"#);
    assert!(many.status == 422 && many.text().contains("there are 200 labels"), "{many:?}");
    // Without the token nobody may answer.
    let body = "Content-Type: application/json\r\nContent-Length: 0";
    for path in ["/api/teach/frames/3", "/api/teach/labels", "/api/teach/intervals"] {
        assert_eq!(site.send(&format!("POST {path} HTTP/1.0\r\n{body}")).status, 401, "{path}");
    }
    assert_eq!(site.json("/api/teach")["counts"], json!({"frames": 9, "open": 9, "answered": 0, "contradictory": 0}));
    watch.stop("INT");
}

#[test]
fn without_the_option_or_the_token_there_is_nothing_to_answer() {
    let program = Program::new();
    fs::write(program.path("admin"), ADMIN).unwrap();
    let web = ["--web", "127.0.0.1:0", "--web-admin-token-file", "admin"];
    let mut watch = Watch::start(&program, &["test://?size=160x120"], &web);
    let site = Site::of(&mut watch);
    for path in ["/api/teach", "/api/teach/frames", "/api/teach/frames/1.jpg"] {
        assert_eq!(site.get(path).status, 404, "{path}");
    }
    assert_eq!(site.json("/api/streams")["teach"], false);
    for path in ["/api/teach/frames/1", "/api/teach/labels", "/api/teach/intervals"] {
        assert_eq!(post(site, path, "{}").status, 404, "{path}");
    }
    watch.stop("INT");
    let mut watch = Watch::start(&program, &["test://?size=160x120"], &["--web", "127.0.0.1:0", "--learn", "learned"]);
    let site = Site::of(&mut watch);
    assert_eq!(
        (site.get("/api/teach").status, post(site, "/api/teach/labels", r#"{"label": "x"}"#).status),
        (200, 405)
    );
    assert_eq!(site.json("/api/streams")["teach"], true);
    watch.stop("INT");
    assert_eq!(table(&program.path("learned")), Vec::<Vec<String>>::new());

    let model = tiny::model();
    let dry =
        program.start(&["run", "test://", "--dry-run", "--model", text(&model), "--learn", "x", "--learn-limit", "5M"]);
    assert!(
        dry.stdout.contains("\nlearning up to 200 frames a day of each stream in x, 5.0 MB in all\n"),
        "{}",
        dry.stdout
    );
    assert!(!program.path("x").exists());
    for (given, why) in [
        (&["--learn-per-day", "5"][..], "--learn-per-day is set, but no frames are kept"),
        (&["--learn", "x", "--learn-per-day", "0"], "out of range"),
        (&["--learn", "admin"], "admin: cannot be written"),
    ] {
        let start = ["run", "test://", "--dry-run", "--model", text(&model)];
        let refused = program.start(&[&start[..], given].concat());
        assert!(refused.refusal(2).contains(why), "{given:?}: {}", refused.stderr);
    }
    let refused = program.start(&["run", "test://", "--model", text(&model), "--learn", "admin"]);
    assert!(refused.refusal(2).contains("choose a writable folder with --learn"), "{}", refused.stderr);
}

/// A camera that plays a clip again and again.
fn camera(program: &Program, colour: &[&str]) -> Camera {
    let clip = noisy(program, "camera.mp4", colour);
    Camera::start(&[text(&clip)])
}

#[test]
fn a_camera_keeps_no_more_than_the_bucket_holds() {
    let program = Program::new();
    let camera = camera(&program, &["red", GREEN, "blue"]);
    fs::write(program.path("p.toml"), "learn = \"learned\"\nlearn_per_day = 20\nlearn_limit = \"500k\"\n").unwrap();
    let model = tiny::model();
    let given = ["--pipeline", "p.toml", &camera.url, "--name", "door", "--window", "1", "--stride", "1"];
    let web = ["--web", "127.0.0.1:0", "--model", text(&model)];
    let mut watch = Watch::command(&program, &[&given[..], &web].concat());
    let site = Site::of(&mut watch);
    site.until("the bucket is empty", |site| ids(site, "").len(), |&count| count == 5);
    // As many changes once more.
    std::thread::sleep(Duration::from_secs(4));
    let frames = site.json("/api/teach/frames")["frames"].as_array().unwrap().clone();
    assert_eq!(frames.len(), 5);
    for frame in &frames {
        assert_eq!(
            (&frame["stream"], &frame["reason"], &frame["clip"]),
            (&json!("door"), &json!("change"), &json!(false))
        );
    }
    let (time, now) = (frames[0]["time"].as_str().unwrap(), site.json("/api/streams")["server"]["now"].clone());
    assert!(time[..13] <= now.as_str().unwrap()[..13] && time > "2020", "{time} {now}");
    watch.stop("INT");
    // The bucket is as empty after a restart.
    let mut watch = Watch::command(&program, &[&given[..], &web].concat());
    let site = Site::of(&mut watch);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(ids(site, "").len(), 5);
    watch.stop("INT");
}

/// When the recordings begin and end.
fn range(program: &Program) -> (String, String) {
    let db = Connection::open(program.path(".livelabel/index.sqlite")).unwrap();
    let moment = |sql: &str| {
        let ms: i64 = db.query_row(sql, [], |row| row.get(0)).unwrap();
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap();
        moment.format(&Rfc3339).unwrap()
    };
    (moment("SELECT min(start) FROM segments"), moment("SELECT max(end) FROM segments"))
}

/// Runs with the recordings of a camera of which nothing comes any more.
fn paused(program: &Program) -> (Watch, Site) {
    let (watch, site) = start(program, "rtsp://127.0.0.1:9/live", &["--name", "door", "--segment", "2s", "--paused"]);
    let known = |history: &Value| history["streams"][0]["recorded"] == true && history["rebuilding"] == false;
    site.until("a recording", |site| site.json("/api/history"), known);
    site.until("its stream", |site| site.stream("door"), |stream| stream["state"] == "paused");
    (watch, site)
}

#[test]
fn frames_with_a_label_on_them_are_nothing_to_learn_from() {
    let program = Program::new();
    recorded(&program, &noisy(&program, "clip.mp4", &["red"; 3]), "h264", &["--segment-video", "labelled"]);
    let (from, to) = range(&program);
    // The camera's own video is recorded now.
    let (watch, site) = paused(&program);
    let body = json!({"stream": "door", "from": from, "to": to, "label": "green"}).to_string();
    let answer = post(site, "/api/teach/intervals", &body).json();
    assert_eq!(answer, json!({"frames": 0, "contradictory": 0}));
    watch.stop("INT");
}

#[test]
fn an_interval_is_answered_with_frames_of_the_recording() {
    let program = Program::new();
    recorded(&program, &noisy(&program, "clip.mp4", &["red"; 6]), "h264", &[]);
    let (first, end) = range(&program);
    let (watch, site) = paused(&program);
    let say = |from: &str, to: &str, label: &str| {
        let body = json!({"stream": "door", "from": from, "to": to, "label": label}).to_string();
        post(site, "/api/teach/intervals", &body).json()
    };
    assert_eq!(say(&first, &end, "green"), json!({"frames": 8, "contradictory": 0}));
    let frames = site.json("/api/teach/frames?state=answered")["frames"].as_array().unwrap().clone();
    let expected = (json!("interval"), json!("green"), json!({}), Value::Null);
    for frame in &frames {
        assert_eq!(
            (&frame["reason"], &frame["answer"], &frame["said"], &frame["model"]),
            (&expected.0, &expected.1, &expected.2, &expected.3)
        );
    }
    let parsed = |text: &str| OffsetDateTime::parse(text, &Rfc3339).unwrap();
    let mut times: Vec<_> = frames.iter().map(|frame| parsed(frame["time"].as_str().unwrap())).collect();
    times.sort_unstable();
    // In the middle of each eighth, to a frame and a millisecond.
    let (start, eighth) = (parsed(&first), (parsed(&end) - parsed(&first)) / 8);
    for (number, found) in times.iter().enumerate() {
        let early: time::Duration = start + eighth * number as i32 + eighth / 2 - *found;
        assert!((-1..=41).contains(&early.whole_milliseconds()), "{number}: {early}");
    }
    // Nothing is added once there are eight, and where nothing was recorded.
    assert_eq!(say(&first, &end, "red"), json!({"frames": 8, "contradictory": 0}));
    assert_eq!(say("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z", "red"), json!({"frames": 0, "contradictory": 0}));
    // A frame's own answer stays, is told, and left out until somebody settles it.
    let id = frames[0]["id"].as_u64().unwrap();
    assert_eq!(self::say(site, id, 3, "blue").status, 200);
    assert_eq!(say(&first, &end, "red"), json!({"frames": 7, "contradictory": 1}));
    let told = site.json("/api/teach/frames?state=contradictory");
    assert_eq!(
        (&told["frames"][0]["id"], &told["frames"][0]["answer"], &told["frames"][0]["interval_answer"]),
        (&json!(id), &json!("blue"), &json!("red"))
    );
    let folder = program.path("learned");
    site.until("seven rows", |_| table(&folder).len(), |&rows| rows == 7);
    assert_eq!(self::say(site, id, 5, "blue").json()["interval_answer"], Value::Null);
    site.until("eight rows", |_| table(&folder).len(), |&rows| rows == 8);
    watch.stop("INT");
    assert_eq!(answers(&folder).len(), 8);
}

#[test]
fn an_interval_without_a_recording_answers_what_was_kept() {
    let program = Program::new();
    let (watch, site) = clip(&program);
    site.until("nine frames", |site| ids(site, "").len(), |&count| count == 9);
    let body = |label: Value| {
        let (from, to) = ("1970-01-01T00:00:01.000Z", "1970-01-01T00:00:03.000Z");
        json!({"stream": "clip.mp4", "from": from, "to": to, "label": label}).to_string()
    };
    let answer = post(site, "/api/teach/intervals", &body("red".into())).json();
    assert_eq!(answer, json!({"frames": 5, "contradictory": 0}));
    assert_eq!((ids(site, "state=answered"), ids(site, "")), (vec![7, 6, 5, 4, 3], vec![8, 2, 9, 1]));
    assert_eq!(post(site, "/api/teach/intervals", &body(Value::Null)).json()["frames"], 5);
    assert_eq!(ids(site, "").len(), 9);
    watch.stop("INT");
}

#[test]
fn a_kill_leaves_what_the_next_start_makes_whole() {
    let program = Program::new();
    let camera = camera(&program, &["red", GREEN, "blue"]);
    let folder = program.path("learned");
    let mut given = 0;
    for wait in [0, 130, 470, 1100, 2300] {
        let (mut watch, site) = start(&program, &camera.url, &["--name", "door", "--stride", "1"]);
        watch.until("running", running);
        let (id, ..) = site.until("a frame", |site| list(site, ""), |found| !found.is_empty()).remove(0);
        assert_eq!(say(site, id, 1, "green").status, 200);
        given += 1;
        std::thread::sleep(Duration::from_millis(wait));
        watch.stop("KILL");
        // What was answered stays so.
        let (watch, site) = start(&program, "test://?size=160x120", &["--paused", "--name", "other"]);
        assert_eq!(site.json("/api/teach")["counts"]["answered"], given);
        watch.stop("INT");
        let answers = answers(&folder);
        let rows = table(&folder).into_iter().map(|row| (row[0].clone(), row[1].clone())).collect::<Vec<_>>();
        assert_eq!((rows.len(), &rows), (given, &answers));
    }
}

#[test]
fn a_full_disk_stops_neither_the_camera_nor_learning_for_good() {
    let program = Program::new();
    // No two changes look alike.
    let camera = camera(&program, &["red", GREEN, "blue"].repeat(10));
    let binary = env!("CARGO_BIN_EXE_livelabel");
    let model = tiny::model();
    // The database fits, pictures do not until the filler is gone.
    let script = format!(
        "mkdir disk && mount -t tmpfs -o size=1m tmpfs disk || exit 77\n\
         timeout 90 {binary} run '{}' --name door --window 1 --stride 1 --model {} --learn disk/learned 2> log &\n\
         until [ -f disk/learned/corrections.tsv ]; do kill -0 $! || exit 1; sleep 0.1; done\n\
         cat /dev/zero > disk/filler 2> /dev/null\n\
         until grep -q 'watching goes on' log; do kill -0 $! || exit 1; sleep 0.2; done\n\
         rm disk/filler\n\
         until grep -q 'frames are kept again' log; do kill -0 $! || exit 1; sleep 0.2; done\n\
         kill -TERM $!; wait; cp -r disk/learned kept",
        camera.url,
        text(&model)
    );
    let Some(finished) = run_with_mounts(&program, &script, &[]) else { return };
    let said = fs::read_to_string(program.path("log")).unwrap();
    assert!(finished.code == 0 && !said.contains("error: "), "{said}");
    assert_eq!(said.matches("watching goes on").count(), 1, "{said}");
    assert_eq!(answers(&program.path("kept")), []);
}
