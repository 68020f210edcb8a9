//! `livelabel view`: a finished run with the frames of its video.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::camera::Watch;
use crate::footage::{colours, small};
use crate::http::Site;
use crate::program::{PROMPT, Program, ffmpeg, rgb, text, times};

/// Serves a finished run on a free port.
fn view(program: &Program, arguments: &[&str]) -> (Watch, Site) {
    let given = ["--log-format", "json", "view", "clip.timeline.json", "--web", "127.0.0.1:0"];
    let mut watch = Watch::spawn(program.command(&[&given[..], arguments].concat()));
    let site = Site::of(&mut watch);
    (watch, site)
}

/// Extracts the JPEGs of a video with ffmpeg, without decoding them.
fn jpegs(program: &Program, video: &Path) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir_in(program.folder.path()).unwrap();
    let pattern = folder.path().join("%05d.jpg");
    let taken = ffmpeg(&["-i", text(video), "-c", "copy", "-f", "image2", text(&pattern)]);
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn a_picture_is_the_videos_own_jpeg() {
    for format in ["avi", "mkv"] {
        let program = Program::new();
        let clip = small(program.folder.path(), "clip.mp4", 60);
        program.run(&clip, &["--format", format, "--window", "5"]).succeeded();
        let video = program.path(&format!("clip.labelled.{format}"));
        let (jpegs, times) = (jpegs(&program, &video), times(&video));
        assert_eq!((jpegs.len(), times.len()), (60, 60));
        let (watch, site) = view(&program, &[]);
        // Also backwards, and after the end.
        for (number, at) in
            [0, 1, 59, 30, 29, 31, 3].map(|number| (number, times[number] + 1.0)).into_iter().chain([(59, 1e6)])
        {
            let answer = site.get(&format!("/recording/picture.jpg?at={at}"));
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/jpeg")), "{}", answer.head);
            assert!(answer.body == jpegs[number], "{format}: another picture at {at} than number {number}");
            let reported: f64 = answer.header("x-time-ms").unwrap().parse().unwrap();
            assert!((reported - times[number]).abs() < 1.0, "{reported} for {}", times[number]);
        }
        let (finished, took) = watch.stop("INT");
        assert!(finished.code == 130 && took < PROMPT, "{took:?} {}", finished.stderr);
    }
}

#[test]
fn playback_is_in_real_time_from_any_position() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 75);
    program.run(&clip, &[]).succeeded();
    let jpegs = jpegs(&program, &program.path("clip.labelled.avi"));
    let (watch, site) = view(&program, &[]);
    let mut pictures = site.pictures("/recording/pictures?from=1500&speed=1");
    let began = Instant::now();
    let mut last = 1479.0;
    while last < 2900.0 {
        let picture = pictures.next();
        assert!(picture.stream == "clip.mp4" && picture.ms > last, "{} behind {last}", picture.ms);
        assert!(picture.jpeg == jpegs[(picture.ms / 40.0).round() as usize], "another picture at {}", picture.ms);
        last = picture.ms;
    }
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
    pictures.end();
    site.pictures("/recording/pictures?from=2900&speed=4").end();

    // A viewer's threads end when it disconnects.
    let threads = || std::fs::read_dir(format!("/proc/{}/task", watch.id())).unwrap().count();
    let before = threads();
    let players: Vec<_> = (0..8).map(|_| site.pictures("/recording/pictures?from=0")).collect();
    assert!(threads() > before + 8);
    assert_eq!(site.get("/recording/pictures").status, 503);
    drop(players);
    let began = Instant::now();
    while threads() > before + 2 {
        assert!(began.elapsed() < Duration::from_secs(30), "{} threads of {before}", threads());
        std::thread::sleep(Duration::from_millis(100));
    }
    watch.stop("INT");
}

#[test]
fn without_a_labelled_video_the_clip_is_decoded() {
    let program = Program::new();
    let encoded = ["-vf", "hue=h=40*t", "-c:v", "libx264", "-g", "30", "-pix_fmt", "yuv420p"];
    let clip = colours(program.folder.path(), "clip.mp4", &["red", "0x00C000", "blue"], &encoded);
    program.run(&clip, &["--only", "timeline"]).succeeded();
    let frames: Vec<u8> = rgb(&clip);
    let frame = 160 * 120 * 3;
    let (watch, site) = view(&program, &[]);
    for number in [0, 1, 44, 74, 30, 29] {
        let answer = site.get(&format!("/recording/picture.jpg?at={}", 40 * number + 1));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let picture = program.path("picture.jpg");
        std::fs::write(&picture, &answer.body).unwrap();
        let expected = &frames[number * frame..][..frame];
        let apart: u64 = rgb(&picture).iter().zip(expected).map(|(&a, &b)| u64::from(a.abs_diff(b))).sum();
        assert!(apart < 6 * frame as u64, "picture {number} is off by {} on average", apart / frame as u64);
    }
    let mut pictures = site.pictures("/recording/pictures?from=2000&speed=2");
    assert!((1999.0..2041.0).contains(&pictures.next().ms));
    watch.stop("INT");
}

#[test]
fn the_api_returns_the_content_of_the_timeline() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.mp4", &["red", "0x00C000", "blue"], &["-c:v", "libx264"]);
    program.run(&clip, &["--window", "1", "--action", "green"]).succeeded();
    let timeline = program.json("clip.timeline.json");
    let (watch, site) = view(&program, &["--video", "clip.labelled.avi"]);
    let all = site.json("/api/streams");
    let stream = &all["streams"][0];
    assert_eq!(
        (&all["mode"], &stream["name"], &stream["live"]),
        (&json!("recording"), &json!("clip.mp4"), &json!(false))
    );
    assert_eq!((&stream["duration_ms"], &stream["size"]), (&json!(3000.0), &json!([160, 120])));
    assert_eq!((&stream["frames_per_second"], &stream["action"]), (&json!(25.0), &json!("green")));
    let reported = site.json("/api/streams/clip.mp4/timeline");
    let rows = reported["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 75);
    for (row, confidences) in rows.iter().zip(timeline["confidences"]["rows"].as_array().unwrap()) {
        let row = row.as_array().unwrap();
        let green = (1000.0..2000.0).contains(&row[0].as_f64().unwrap());
        assert_eq!(row[1], if green { 1 } else { -1 }, "{row:?}");
        assert_eq!([&row[..1], &row[2..]].concat(), *confidences.as_array().unwrap());
    }
    let mut interval = timeline["intervals"][0].clone();
    for (key, value) in [("id", json!(0)), ("open", json!(false)), ("picture_ms", json!(null))] {
        interval[key] = value;
    }
    assert_eq!(reported["intervals"], json!([interval]));
    let mut events = site.events();
    for _ in 0..2 {
        let (event, data) = events.next();
        assert_eq!((event.as_str(), &data["mode"]), ("streams", &json!("recording")));
    }
    assert_eq!(site.get("/").status, 200);
    for (path, status) in [
        ("/healthz", 200),
        ("/pictures", 404),
        ("/metrics", 404),
        ("/api/streams/other/timeline", 404),
        ("/recording/picture.jpg?at=-1", 400),
        ("/recording/picture.jpg?at=soon", 400),
        ("/recording/picture.jpg?at=NaN", 400),
        ("/recording/pictures?from=0&speed=0", 400),
        ("/recording/pictures?from=1e300", 400),
    ] {
        assert_eq!(site.get(path).status, status, "{path}");
    }
    watch.stop("INT");
}

#[test]
fn invalid_timelines_and_videos_are_refused() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.mp4", &["red"], &["-c:v", "libx264"]);
    program.run(&clip, &["--only", "timeline"]).succeeded();
    let whole = std::fs::read_to_string(program.path("clip.timeline.json")).unwrap();
    for (name, text) in [
        ("empty.timeline.json", String::new()),
        ("cut.timeline.json", whole[..whole.len() / 2].into()),
        ("journal.timeline.jsonl", "{\"start\":{}}\n{\"frame\":{}}\n".into()),
        ("other.json", "{\"schema\":\"other\"}".into()),
        ("short.timeline.json", whole.replacen("\"labels\": [\"red\",\"green\",\"blue\"]", "\"labels\": [\"red\"]", 1)),
    ] {
        std::fs::write(program.path(name), text).unwrap();
        let finished = program.start(&["view", name, "--web", "127.0.0.1:0"]);
        assert!(finished.refusal(2).contains("is not a timeline"), "{name}: {}", finished.stderr);
    }
    std::fs::write(program.path("new.timeline.json"), whole.replacen("\"version\": 2", "\"version\": 3", 1)).unwrap();
    std::fs::write(program.path("text.mp4"), "no video").unwrap();
    let mp4 = std::fs::read(&clip).unwrap();
    std::fs::write(program.path("half.mp4"), &mp4[..mp4.len() / 2]).unwrap();
    let tone = program.path("tone.wav");
    assert!(ffmpeg(&["-f", "lavfi", "-i", "sine=duration=1", text(&tone)]).status.success());
    for (arguments, why) in [
        (&["missing.timeline.json"][..], "cannot be opened"),
        (&["new.timeline.json"], "has a newer version"),
        (&["clip.timeline.json", "--video", "missing.avi"], "there is no such video"),
        (&["clip.timeline.json", "--video", "text.mp4"], "cannot be played"),
        (&["clip.timeline.json", "--video", "tone.wav"], "cannot be played"),
        (&["clip.timeline.json", "--video", "half.mp4"], "half.mp4: cannot be played"),
        (&["clip.timeline.json", "--web", "0.0.0.0:0"], "anyone on the network"),
    ] {
        let finished = program.start(&[&["view"][..], arguments].concat());
        assert!(finished.refusal(2).contains(why), "{arguments:?}: {}", finished.stderr);
    }
    std::fs::remove_file(clip).unwrap();
    let finished = program.start(&["view", "clip.timeline.json"]);
    assert!(finished.refusal(2).contains("--video FILE"), "{}", finished.stderr);
}
