//! The web server: pictures, timeline, events and metrics match the run, and no client disturbs a stream.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::camera::{Camera, Watch, check_went_on, files, records, summary};
use crate::footage::{colours, small};
use crate::http::Site;
use crate::program::{PROMPT, Program, rgb, text};
use crate::tiny;
use crate::window::Screen;

/// A stream name with characters that are special in file names, paths, Prometheus labels and headers.
const ODD: &str = "Tür \"A\"\\ /1 ../🍳";
const WEB: [&str; 2] = ["--web", "127.0.0.1:0"];

fn is_running(site: Site, name: &str) {
    site.until("running", |site| site.stream(name), |stream| stream["state"] == "running");
}

#[test]
fn live_pictures_are_the_jpegs_of_the_recording() {
    let none: &[&str] = &[];
    let cases = [
        none,
        &["--segment", "1h"],
        &["--segment", "1h", "--segment-video", "labelled"],
        &["--output", "test.avi"],
        &["--segment", "1h", "--segment-video", "labelled", "--only-active", "--threshold", "0.1"],
        &["--display"],
        &["--segment", "1h", "--segment-video", "labelled", "--only-active", "--threshold", "0.1", "--display"],
    ];
    let screen = Screen::start();
    for given in cases {
        let program = Program::new();
        let model = tiny::model();
        let run = ["--log-format", "json", "run", "test://?size=320x240&rate=25", "--model", text(&model)];
        let mut command = program.command(&[&run, given, &WEB].concat());
        let mut watch = Watch::spawn({
            command.env("DISPLAY", &screen.name);
            command
        });
        let site = Site::of(&mut watch);
        is_running(site, "test");
        let mut feed = site.pictures("/pictures");
        let pictures: Vec<_> = (0..10).map(|_| feed.next()).collect();
        assert!(pictures.iter().all(|picture| picture.stream == "test"));
        assert!(pictures.windows(2).all(|pair| pair[0].ms < pair[1].ms && pair[0].jpeg != pair[1].jpeg), "{given:?}");
        let mut single = site.pictures("/streams/test.mjpg?fps=2");
        let (first, second) = (single.next(), single.next());
        assert!(second.ms - first.ms > 300.0, "{} {}", first.ms, second.ms);
        let snapshot = site.get("/streams/test/snapshot.jpg");
        assert_eq!((snapshot.status, snapshot.header("content-type")), (200, Some("image/jpeg")));
        assert_eq!(site.stream("test")["size"], serde_json::json!([320, 240]));
        // Both responses are open when the run ends.
        let (finished, took) = watch.stop("INT");
        assert!(finished.code == 130 && took < PROMPT, "{took:?} {}", finished.stderr);
        if !given.contains(&"labelled") && !given.contains(&"--output") {
            continue;
        }
        let video = [files(&program, ".mkv"), files(&program, ".avi")].concat();
        let [video] = &video[..] else { panic!("not one video: {video:?}") };
        let recorded = std::fs::read(video).unwrap();
        for picture in &pictures {
            let there = recorded.windows(picture.jpeg.len()).any(|bytes| bytes == picture.jpeg);
            assert!(there, "{given:?}: the picture at {} is not in the recording", picture.ms);
        }
    }
}

#[test]
fn the_pages_labels_and_timeline_match_the_journal() {
    let program = Program::new();
    let seconds = ["red", "red", "red", "green", "green", "green", "blue", "blue", "blue"];
    let clip = colours(program.folder.path(), "clip.h264", &seconds, &["-c:v", "libx264", "-g", "25"]);
    let camera = Camera::start(&[text(&clip)]);
    let mut watch = Watch::start(&program, &[&camera.url], &[&["--name", "door", "--window", "3"], &WEB[..]].concat());
    let site = Site::of(&mut watch);
    let mut events = site.events();
    for label in ["red", "green", "blue", "red"] {
        let reported = events.until(label, |stream| stream["label"] == label);
        assert!(reported["confidence"].as_f64().unwrap() > 0.4, "{reported}");
    }
    let colour = |label: &str| site.metrics().find("livelabel_label", &[("stream", "door"), ("label", label)]);
    site.until("a label's metric", |_| colour("green"), |&shown| shown == Some(1.0));
    let (mut rows, mut events) = (Vec::new(), site.events());
    while rows.len() < 20 {
        let (event, data) = events.next();
        if event == "rows" {
            assert!(data["name"] == "door" && !data["intervals"].as_array().unwrap().is_empty(), "{data}");
            rows.extend(data["rows"].as_array().unwrap().clone());
        }
    }
    let timeline = site.json("/api/streams/door/timeline");
    let all = timeline["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| all.contains(row)), "an event's rows are not in the timeline");
    watch.stop("INT");
    let records = records(&program);
    // The journal has one frame a second, the page the first of each tenth of a second: some coincide.
    let journal = records.iter().filter_map(|record| record.get("frame"));
    for frame in journal {
        let Some(row) = all.iter().find(|row| row[0] == frame["ms"]) else { continue };
        let shown = row[1].as_i64().and_then(|class| timeline["labels"].get(class as usize));
        assert_eq!(shown.unwrap_or(&Value::Null), &frame["label"], "{row} {frame}");
        assert_eq!(row.as_array().unwrap()[2..], frame["smoothed"].as_array().unwrap()[..]);
    }
    let reported = timeline["intervals"].as_array().unwrap();
    let (open, closed): (Vec<&Value>, Vec<&Value>) = reported.iter().partition(|interval| interval["open"] == true);
    let written: Vec<&Value> = records.iter().filter_map(|record| record.get("interval")).collect();
    assert!(closed.len() >= 4 && open.len() == 1, "{reported:?}");
    for (reported, written) in closed.iter().zip(&written) {
        for key in ["label", "start", "end", "mean", "peak"] {
            assert_eq!(reported[key], written[key], "{reported} {written}");
        }
    }
}

#[test]
fn each_interval_has_a_picture_of_its_own_time() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.h264", &["red", "green", "blue"], &["-c:v", "libx264", "-g", "25"]);
    let camera = Camera::start(&[text(&clip)]);
    let mut watch =
        Watch::start(&program, &[&camera.url], &[&["--name", "a door", "--window", "3"], &WEB[..]].concat());
    let site = Site::of(&mut watch);
    let all = |site: Site| site.json("/api/streams/a%20door/timeline")["intervals"].as_array().unwrap().clone();
    let intervals = site.until("four intervals", all, |intervals| intervals.len() > 4);
    let of_all = site.json("/api/intervals");
    assert_eq!(of_all["streams"][0]["name"], "a door");
    for (number, interval) in intervals[..4].iter().enumerate() {
        assert_eq!(interval["id"], number, "{interval}");
        assert_eq!(&of_all["streams"][0]["intervals"][number], interval);
        let picture = site.get(&format!("/api/streams/a%20door/intervals/{number}.jpg"));
        assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/jpeg")));
        assert_eq!((picture.header("x-stream"), picture.header("cache-control")), (Some("a%20door"), Some("no-store")));
        assert_eq!(picture.header("x-time-ms"), Some(interval["picture_ms"].to_string().as_str()));
        let [start, at, end] = ["start", "picture_ms", "end"].map(|key| interval[key].as_f64().unwrap());
        assert!(start <= at && at < end, "{interval}");
        std::fs::write(program.path("kept.jpg"), &picture.body).unwrap();
        let pixels = rgb(&program.path("kept.jpg"));
        assert_eq!(pixels.len(), 160 * 120 * 3);
        let channels: [u32; 3] =
            std::array::from_fn(|channel| pixels.iter().skip(channel).step_by(3).map(|&value| u32::from(value)).sum());
        let strongest = (0..3).max_by_key(|&channel| channels[channel]).unwrap();
        assert_eq!(interval["label"], ["red", "green", "blue"][strongest], "{channels:?}");
    }
    for file in ["99999.jpg", "0.png", "0", "-1.jpg", "x.jpg"] {
        assert_eq!(site.get(&format!("/api/streams/a%20door/intervals/{file}")).status, 404, "{file}");
    }
    assert_eq!(site.get("/api/streams/nobody/intervals/0.jpg").status, 404);
    watch.stop("INT");
}

#[test]
fn the_page_stays_after_the_last_clip_and_the_exit_code_is_that_of_the_run() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.mp4", &["red", "blue"], &[]);
    std::fs::write(program.path("bad.mp4"), "no video").unwrap();
    for (inputs, code) in [(&[text(&clip)][..], 0), (&[text(&clip), "bad.mp4"], 2)] {
        let given = [&["--force", "--only", "timeline"], &WEB[..]].concat();
        let mut watch = Watch::start(&program, inputs, &given);
        let site = Site::of(&mut watch);
        let page = format!("all inputs have ended; the page stays at http://127.0.0.1:{}/ until Ctrl-C", site.port);
        watch.line("the page stays", |fields| fields["message"] == page.as_str());
        assert_eq!(program.json("clip.timeline.json")["complete"], true);
        assert_eq!(
            (&site.stream("clip.mp4")["state"], &site.stream("clip.mp4")["duration_ms"]),
            (&"ended".into(), &2000.0.into())
        );
        let (finished, took) = watch.stop("TERM");
        assert!(finished.code == code && took < PROMPT, "{took:?} {} {}", finished.code, finished.stderr);
    }
    // With --web-exit, or if there is nothing to see, the run ends by itself.
    let exit = [&["--force", "--only", "timeline", "--web-exit"], &WEB[..]].concat();
    assert_eq!(Watch::start(&program, &[text(&clip)], &exit).finish().0.code, 0);
    assert_eq!(Watch::start(&program, &["bad.mp4"], &WEB).finish().0.code, 2);
}

#[test]
fn clips_wait_for_those_before_them() {
    let program = Program::new();
    let clips: Vec<_> = (0..6).map(|number| small(program.folder.path(), &format!("{number}.mp4"), 120)).collect();
    let clips: Vec<&str> = clips.iter().map(|clip| text(clip)).collect();
    let mut watch = Watch::start(&program, &clips, &[&["--jobs", "1"], &WEB[..]].concat());
    let site = Site::of(&mut watch);
    let mut events = site.events();
    let (_, first) = events.next();
    assert_eq!(first["streams"][5]["state"], "waiting");
    assert_eq!(site.get("/healthz").status, 200);
    site.until("all ended", |site| site.stream("5.mp4"), |stream| stream["state"] == "ended");
    watch.line("the page stays", |fields| {
        fields["message"].as_str().is_some_and(|text| text.contains("the page stays"))
    });
    assert_eq!(watch.stop("INT").0.code, 0);
}

#[test]
fn clips_that_ended_long_ago_keep_their_intervals_only() {
    let program = Program::new();
    let clip = small(program.folder.path(), "00.mp4", 5);
    std::fs::create_dir(program.path("clips")).unwrap();
    for number in 0..70 {
        std::fs::hard_link(&clip, program.path(&format!("clips/{number:02}.mp4"))).unwrap();
    }
    let given = [&["--jobs", "1", "--window", "1", "--only", "timeline"], &WEB[..]].concat();
    let mut watch = Watch::start(&program, &["clips"], &given);
    let site = Site::of(&mut watch);
    site.until("all ended", |site| site.stream("69.mp4"), |stream| stream["state"] == "ended");
    let counts = |number: u32| {
        let timeline = site.json(&format!("/api/streams/{number:02}%2Emp4/timeline"));
        ["rows", "intervals"].map(|list| timeline[list].as_array().unwrap().len())
    };
    for (number, rows) in [(0, false), (5, false), (6, true), (69, true)] {
        let [found, intervals] = counts(number);
        assert_eq!((found > 0, intervals), (rows, 1), "{number}");
    }
    watch.stop("INT");
}

#[test]
fn metrics_and_health_follow_a_camera_with_a_special_name() {
    let program = Program::new();
    let camera = Camera::start(&[]);
    let port = camera.port;
    let given = [&["--name", ODD, "--segment", "1h"], &WEB[..]].concat();
    let mut watch = Watch::start(&program, &[&camera.url], &given);
    let site = Site::of(&mut watch);
    is_running(site, ODD);
    assert_eq!((site.get("/healthz").status, site.get("/healthz").text().as_str()), (200, "ok\n"));
    let path = percent_encoding::utf8_percent_encode(ODD, percent_encoding::NON_ALPHANUMERIC);
    assert_eq!(site.json(&format!("/api/streams/{path}/timeline"))["name"], ODD);
    assert_eq!(site.pictures(&format!("/streams/{path}.mjpg")).next().stream, ODD);
    assert_eq!(site.pictures(&format!("/pictures?stream={path}")).next().stream, ODD);
    assert_eq!(site.get(&format!("/snapshot.jpg?stream={path}")).status, 200);
    let named = [("stream", ODD)];
    assert_eq!(site.metrics().get("livelabel_up", &named), 1.0);

    drop(camera);
    let lost = |stream: &Value| stream["state"] == "reconnecting" && stream["label"].is_null();
    let reported = site.until("lost", |site| site.stream(ODD), lost);
    let health = site.get("/healthz");
    assert!(health.status == 503 && health.text().starts_with(ODD), "{health:?}");
    let reason = reported["reason"].as_str().unwrap().to_string();
    let gaps = site.json(&format!("/api/streams/{path}/timeline"))["gaps"].clone();
    assert!(gaps[0]["end"].is_null() && gaps[0]["reason"].is_string(), "{gaps}");
    // The last picture is still available.
    assert_eq!(site.get("/snapshot.jpg").status, 200);

    let camera = Camera::at(port, &[]);
    site.until("back", |site| site.stream(ODD), |stream| stream["state"] == "running" && stream["gaps"] == 1);
    let gaps = site.json(&format!("/api/streams/{path}/timeline"))["gaps"].clone();
    assert!(gaps.as_array().unwrap().len() == 1 && gaps[0]["end"].is_number(), "{gaps}");
    drop(camera);
    site.until("lost again", |site| site.stream(ODD), lost);
    let metrics = site.metrics();
    watch.stop("TERM");
    let summary = summary(&program);
    let frames = |outcome: &str| metrics.get("livelabel_frames_total", &[("stream", ODD), ("outcome", outcome)]);
    let count = |value: &Value| value.as_u64().unwrap_or(0) as f64;
    assert_eq!(frames("analysed"), count(&summary["frames"]["analysed"]));
    assert_eq!(frames("held"), count(&summary["frames"]["held"]));
    assert_eq!(frames("dropped_overrun"), count(&summary["frames"]["dropped"]["overrun"]));
    let labelled = frames("analysed") + frames("held");
    assert_eq!(metrics.get("livelabel_latency_seconds_count", &named), labelled);
    assert_eq!(metrics.get("livelabel_inference_seconds_count", &[]), metrics.get("livelabel_batch_size_count", &[]));
    assert_eq!(metrics.get("livelabel_batch_size_sum", &[]), frames("analysed"));
    assert_eq!(metrics.get("livelabel_reconnects_total", &[("stream", ODD)]), 1.0);
    assert!(metrics.find("livelabel_reconnects_total", &[("reason", &reason)]).is_some(), "{reason} {metrics:#?}");
    assert_eq!(metrics.get("livelabel_gaps_total", &named), 1.0);
    assert_eq!(metrics.get("livelabel_up", &named), 0.0);
    let videos: u64 = files(&program, ".mkv").iter().map(|path| path.metadata().unwrap().len()).sum();
    let written = metrics.get("livelabel_written_bytes_total", &named);
    assert!((written - videos as f64).abs() < 20_000.0, "{written} of {videos}");
    for name in ["process_resident_memory_bytes", "process_threads", "process_open_fds", "process_start_time_seconds"] {
        assert!(metrics.get(name, &[]) > 0.0, "{name}");
    }
    assert!(metrics.get("livelabel_web_connections", &[]) > 0.0);
    let journals = files(&program, ".timeline.jsonl");
    let name = journals[0].file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("Tür \"A\"\\ -1 ..-🍳-2"), "{name}");
}

#[test]
fn a_frozen_camera_is_reported_as_stalled() {
    let program = Program::new();
    let camera = Camera::start(&[]);
    let mut watch = Watch::start(&program, &[&camera.url], &WEB);
    let site = Site::of(&mut watch);
    let mut events = site.events();
    events.until("running", |stream| stream["state"] == "running" && stream["frames_per_second"].as_f64() > Some(5.0));
    camera.signal("STOP");
    let frozen = Instant::now();
    events.until("stalled", |stream| stream["state"] == "stalled");
    let took = frozen.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(site.get("/healthz").status, 503);
    camera.signal("CONT");
    events.until("running again", |stream| stream["state"] == "running" && stream["reconnects"] == 0);
    watch.stop("INT");
}

#[test]
fn slow_clients_do_not_slow_a_stream_and_a_stuck_one_is_disconnected() {
    let program = Program::new();
    let given = [&["--stride", "auto"], &WEB[..]].concat();
    let mut watch = Watch::start(&program, &["test://?size=640x480&rate=15"], &given);
    let site = Site::of(&mut watch);
    is_running(site, "test");
    let slow: Vec<_> = (0..50).map(|_| site.open("/pictures")).collect();
    let watchers = |site: Site| site.metrics().get("livelabel_viewers", &[("stream", "test")]);
    site.until("50 watch", watchers, |&count| count == 50.0);
    let reading = std::thread::spawn(move || {
        let mut slow = slow;
        for _ in 0..100 {
            for client in &mut slow {
                client.read_exact(&mut [0; 1000]).expect("a slow client is not dropped");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let silent = site.open("/pictures");
    reading.join().unwrap();
    let closed = Instant::now();
    site.until("all are gone", watchers, |&count| count == 0.0);
    assert!(closed.elapsed() < Duration::from_secs(60));
    drop(silent);
    // The slow client missed pictures, and the stream went on.
    watch.stop("INT");
    check_went_on(&summary(&program));
}

#[test]
fn the_number_of_connections_is_limited() {
    let program = Program::new();
    let mut watch = Watch::start(&program, &["test://?size=320x240&rate=10"], &WEB);
    let site = Site::of(&mut watch);
    is_running(site, "test");
    let mut all: Vec<_> = (0..200).map(|_| site.connect()).collect();
    let mut refused = 0;
    for client in &mut all {
        client.write_all(b"GET /pictures HTTP/1.0\r\n\r\n").unwrap();
        let mut status = [0; 12];
        // Beyond the limit of simultaneous 503 responses, connections are closed without one.
        match client.read_exact(&mut status) {
            Ok(()) if status.ends_with(b"200") => {}
            Ok(()) => {
                assert!(status.ends_with(b"503"), "{}", String::from_utf8_lossy(&status));
                refused += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert_eq!(refused, 72);
    assert_eq!(site.get("/healthz").status, 503);
    drop(all);
    site.until("room again", |site| site.get("/healthz").status, |&status| status == 200);
    let (_, took) = watch.stop("INT");
    assert!(took < PROMPT, "{took:?}");
    check_went_on(&summary(&program));
}

#[test]
fn hostile_requests_are_refused() {
    let program = Program::new();
    let mut watch = Watch::start(&program, &["test://?size=320x240&rate=5"], &WEB);
    let site = Site::of(&mut watch);
    is_running(site, "test");
    let mut slow = site.connect();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: local").unwrap();
    let began = Instant::now();

    let long = site.send(&format!("GET /{} HTTP/1.1\r\nHost: localhost", "a".repeat(1 << 20)));
    assert!(long.status == 0 || (400..500).contains(&long.status), "{long:?}");
    for path in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/streams/..%2f..%2fetc%2fpasswd.mjpg",
        "/streams/../../etc/passwd",
        "/streams/nobody.mjpg",
        "/streams/test",
        "/streams//snapshot.jpg",
        "/api/streams/nobody/timeline",
        "/snapshot.jpg?stream=nobody",
        "/pictures?stream=test&stream=nobody",
        "/index.html",
    ] {
        let answer = site.get(path);
        assert_eq!(answer.status, 404, "{path} {answer:?}");
        assert!(!answer.text().contains("root:"));
    }
    for path in ["/pictures?fps=0", "/pictures?fps=many", "/pictures?fps=NaN", "/streams/test.mjpg?fps=-1"] {
        assert_eq!(site.get(path).status, 400, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"] {
        for path in ["/", "/api/streams", "/nothing"] {
            let answer = site.send(&format!("{method} {path} HTTP/1.0"));
            assert!(matches!(answer.status, 400 | 405), "{method} {path} {answer:?}");
        }
    }
    for (host, status) in [("localhost:1", 200), ("[::1]", 200), ("127.0.0.1", 200), ("evil.example", 403), ("", 403)] {
        let answer = site.send(&format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close"));
        assert_eq!(answer.status, status, "{host}");
    }
    let garbage = site.send("\0\u{1}\u{2} nonsense");
    assert!(matches!(garbage.status, 0 | 400), "{garbage:?}");
    let page = site.get("/");
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")));

    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    let (finished, _) = watch.stop("INT");
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}

#[test]
fn with_a_token_requests_need_it() {
    let program = Program::new();
    std::fs::write(program.path("token"), "s3cret-t0ken\n").unwrap();
    let given = ["--web", "0.0.0.0:0", "--web-token-file", "token", "--name", "door"];
    let mut watch = Watch::start(&program, &["test://?size=320x240&rate=5"], &given);
    let site = Site::of(&mut watch);
    let ask = |path: &str, more: &str| site.send(&format!("GET {path} HTTP/1.0{more}"));
    for path in [
        "/",
        "/api/streams",
        "/healthz",
        "/metrics",
        "/pictures",
        "/api/events",
        "/api/intervals",
        "/api/streams/door/intervals/0.jpg",
        "/nothing",
    ] {
        for more in [
            "",
            "\r\nAuthorization: Bearer",
            "\r\nAuthorization: Basic czNjcmV0LXQwa2Vu",
            "\r\nCookie: livelabel=s3cret-t0ken",
        ] {
            assert_eq!(ask(path, more).status, 401, "{path} {more}");
        }
    }
    for (path, more) in
        [("/?token=wrong", ""), ("/healthz?token=", ""), ("/", "\r\nAuthorization: Bearer s3cret-t0keN")]
    {
        assert_eq!(ask(path, more).status, 401, "{path} {more}");
    }
    let bearer = "\r\nAuthorization: Bearer s3cret-t0ken\r\nHost: camera.example";
    assert_eq!(ask("/api/streams", bearer).json()["streams"][0]["name"], "door");
    assert_eq!(ask("/api/streams?token=s3cret-t0ken", "").status, 200);
    let welcome = ask("/?token=s3cret-t0ken", "");
    assert_eq!((welcome.status, welcome.header("location")), (303, Some("/")));
    let cookie = welcome.header("set-cookie").unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("s3cret"),
        "{cookie}"
    );
    let kept = cookie.split(';').next().unwrap();
    assert_eq!(ask("/", &format!("\r\nCookie: theme=dark; {kept}")).status, 200);
    assert_eq!(ask("/", &format!("\r\nCookie: {kept}0")).status, 401);
    let log = format!("{:?}", watch.log);
    let (finished, _) = watch.stop("INT");
    assert!(!format!("{log}{}{}{:?}", finished.stdout, finished.stderr, records(&program)).contains("s3cret"));
}

#[test]
fn who_guesses_the_token_must_wait_and_who_has_a_cookie_need_not() {
    let program = Program::new();
    let given = ["--web", "127.0.0.1:0", "--web-token", "s3cret-t0ken"];
    let mut watch = Watch::start(&program, &["test://?size=320x240&rate=5"], &given);
    let site = Site::of(&mut watch);
    let ask = |more: &str| site.send(&format!("GET /api/streams HTTP/1.0\r\n{more}"));
    let welcome = site.get("/?token=s3cret-t0ken");
    let cookie = format!("Cookie: {}", welcome.header("set-cookie").unwrap().split(';').next().unwrap());
    let right = "Authorization: Bearer s3cret-t0ken";
    // A machine that is busy may take long for each, and then an address need not wait at the end.
    let refused = (0..100).map(|_| ask("Authorization: Bearer wrong")).find(|answer| answer.status != 401).unwrap();
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1, "{refused:?}");
    assert_eq!((ask(&cookie).status, ask("").status), (200, 401));
    // Who waits is let in.
    site.until("the right token", |_| ask(right), |answer| answer.status == 200);
    assert_eq!(ask("Authorization: Bearer wrong").status, 401);
    watch.stop("INT");
}

#[test]
fn ten_thousand_hostile_requests_leave_no_thread_and_no_file_open() {
    /// A few come and go; one left by each hundredth request would be ninety.
    const MORE: usize = 12;
    let program = Program::new();
    let mut watch = Watch::start(&program, &["test://?size=320x240&rate=5"], &WEB);
    let site = Site::of(&mut watch);
    is_running(site, "test");
    let folder = format!("/proc/{}", watch.id());
    let count = |what: &str| std::fs::read_dir(format!("{folder}/{what}")).unwrap().count();
    let requests = |round: u32| {
        let mut random = fastrand::Rng::with_seed(round.into());
        for _ in 0..1000 {
            let path = ["/", "/snapshot.jpg", "/pictures", "/api/events", "/api/history/ribbon?stream=test", "/x"];
            let mut request =
                format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", random.choice(path).unwrap()).into_bytes();
            for _ in 0..random.usize(0..4) {
                let at = random.usize(0..request.len());
                request[at] = random.u8(..);
            }
            request.truncate(random.usize(1..=request.len() * 2));
            let mut stream = site.connect();
            stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
            let _ = stream.write_all(&request);
            // Half of them do not wait for the answer, and nobody waits for long.
            if random.bool() {
                let _ = stream.read(&mut [0; 64]);
            }
        }
    };
    requests(0);
    let connections = |site: Site| site.metrics().get("livelabel_web_connections", &[]);
    let memory = || {
        let status = std::fs::read_to_string(format!("{folder}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    site.until("one connection", connections, |count| *count == 1.0);
    let before = (count("task"), count("fd"), memory());
    (1..10).for_each(requests);
    site.until("one connection", connections, |count| *count == 1.0);
    // Threads that answered questions end when they have had nothing to do for some seconds; what encodes pictures may begin only now.
    let settled = |now: &(usize, usize)| now.0 <= before.0 + MORE && now.1 <= before.1 + MORE;
    site.until("threads and files as before", |_| (count("task"), count("fd")), settled);
    assert!(memory() < before.2 + (32 << 10), "{} KiB, {} KiB before", memory(), before.2);
    watch.stop("INT");
}

#[test]
fn an_unusable_address_is_refused() {
    let program = Program::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let holder = std::net::TcpListener::bind(&taken);
    for (given, why) in [
        (&["--web", "0.0.0.0:0"][..], "--web-token-file"),
        (&["--web", "camera"], "127.0.0.1:8080"),
        (&["--web", "192.0.2.1:80", "--web-token", "long-enough"], "address of this machine"),
        (&["--web", "127.0.0.1:0", "--web-token", "short"], "openssl rand"),
        (&["--web", "127.0.0.1:0", "--web-token-file", "nowhere"], "permissions"),
        (&["--web-token", "long-enough"], "--web 127.0.0.1:8080"),
        (&["--web", &taken], "choose another port"),
    ] {
        let model = tiny::model();
        let finished = program.start(&[&["run", "test://", "--model", text(&model)], given].concat());
        let reported = finished.refusal(2);
        assert!(
            reported.contains(why) && !reported.contains("long-enough") && !reported.contains("short;"),
            "{reported}"
        );
    }
    drop(holder);
}

#[test]
fn a_clip_is_on_the_page_until_the_run_ends() {
    let program = Program::new();
    let clip = small(program.folder.path(), "a \"clip\".mp4", 120);
    let given = [&["test://?size=320x240&rate=5"], &WEB[..]].concat();
    let mut watch = Watch::start(&program, &[text(&clip)], &given);
    let site = Site::of(&mut watch);
    let name = "a \"clip\".mp4";
    let reported = site.until("ended", |site| site.stream(name), |stream| stream["state"] == "ended");
    let frames = |kind: &str| reported["frames"][kind].as_u64().unwrap();
    assert_eq!((&reported["live"], frames("decoded")), (&false.into(), 120));
    assert_eq!(frames("analysed") + frames("held"), 120);
    assert_eq!(site.get("/healthz").status, 200);
    let timeline = site.json("/api/streams/a%20%22clip%22.mp4/timeline");
    let written = program.json("a \"clip\".timeline.json");
    let (reported, kept) = (timeline["intervals"].as_array().unwrap(), written["intervals"].as_array().unwrap());
    assert_eq!(reported.len(), kept.len());
    for (reported, kept) in reported.iter().zip(kept) {
        assert_eq!(
            (&reported["label"], &reported["start"], &reported["end"]),
            (&kept["label"], &kept["start"], &kept["end"])
        );
    }
    let rows = timeline["rows"].as_array().unwrap();
    assert!((45..=50).contains(&rows.len()), "{}", rows.len());
    let kept = written["confidences"]["rows"].as_array().unwrap();
    for row in rows {
        // Without the label's index it is the timeline's row.
        let mut row = row.as_array().unwrap().clone();
        row.remove(1);
        assert!(kept.contains(&row.clone().into()), "{row:?}");
    }
    let snapshot = site.get("/snapshot.jpg?stream=a%20%22clip%22.mp4");
    let recorded = std::fs::read(program.path("a \"clip\".labelled.avi")).unwrap();
    assert!(snapshot.status == 200 && recorded.windows(snapshot.body.len()).any(|bytes| bytes == snapshot.body));
    let mut events = site.events();
    let signalled = std::thread::spawn(move || watch.stop("INT"));
    // The final state is sent before the connection closes.
    let ended = |data: &Value| data["streams"].as_array().unwrap().iter().all(|stream| stream["state"] == "ended");
    while !matches!(events.next(), (event, data) if event == "streams" && ended(&data)) {}
    assert_eq!(signalled.join().unwrap().0.code, 130);
}

#[test]
fn other_sites_cannot_embed_pictures_and_a_request_needs_one_host() {
    let program = Program::new();
    let mut watch = Watch::start(&program, &["test://?size=320x240&rate=10"], &WEB);
    let site = Site::of(&mut watch);
    is_running(site, "test");
    for path in ["/", "/streams/test/snapshot.jpg", "/api/status", "/absent"] {
        let answer = site.get(path);
        for (name, value) in [
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path} {name}");
        }
    }
    let no_host = site.send("GET / HTTP/1.1\r\nConnection: close");
    assert_eq!(no_host.status, 400, "{}", no_host.text());
    let two = site.send("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close");
    assert_eq!(two.status, 400, "{}", two.text());
    assert_eq!(site.send("GET / HTTP/1.0").status, 200);
    watch.stop("INT");
}
