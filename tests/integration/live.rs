//! Cameras: live analysis, and reconnection after every kind of failure.

use std::time::Duration;

use serde_json::Value;

use crate::camera::{Camera, Watch, files, records, running, signal, summary};
use crate::footage::colours;
use crate::program::{PROMPT, Program, decodes_cleanly, ffmpeg, probe, rgb, run_on_small_disk, text};
use crate::tiny;

fn of<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter_map(|record| record.get(kind)).collect()
}

/// Returns whether a status' frame counts add up.
fn balanced(status: &Value) -> bool {
    let count = |name: &str| status[name].as_u64().unwrap_or_else(|| panic!("no {name} in {status}"));
    count("decoded") == count("analysed") + count("held") + count("dropped") + count("in_flight")
}

#[test]
fn a_test_stream_is_labelled_and_recorded_in_segments() {
    let program = Program::new();
    let mut watch =
        Watch::start(&program, &["test://?size=320x240&rate=25"], &["--segment", "2s", "--segment-video", "labelled"]);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(4));
    let (finished, _) = watch.stop("INT");
    assert_eq!(finished.code, 130, "{}", finished.stderr);
    let videos = files(&program, ".mkv");
    assert!(videos.len() >= 3, "{videos:?}");
    let mut frames = 0;
    for video in &videos {
        decodes_cleanly(video);
        let made = probe(video);
        assert_eq!((made.codec.as_str(), made.width, made.height), ("mjpeg", 320, 240));
        assert!(made.seconds < 2.2, "{made:?}");
        frames += made.frames;
    }
    let summary = summary(&program);
    let count = |name: &str| summary["frames"][name].as_u64().unwrap();
    assert_eq!(frames + summary["pictures_skipped"].as_u64().unwrap(), count("analysed") + count("held"));
    assert_eq!(summary["videos"], videos.len());
    let latency = |name: &str| summary["latency_ms"][name].as_f64().unwrap();
    assert!(0.0 < latency("p50") && latency("p50") <= latency("p95") && latency("p95") <= latency("p99"), "{summary}");
    assert!(finished.stdout.contains("latency"), "{}", finished.stdout);
}

#[test]
fn a_killed_or_frozen_camera_is_reconnected() {
    let program = Program::new();
    let camera = Camera::start(&[]);
    let mut watch = Watch::start(&program, &[&camera.url], &[]);
    watch.until("running", running);
    let port = camera.port;
    drop(camera);
    watch.until("lost", |status| status["state"] == "reconnecting" && status["label"].is_null());
    let camera = Camera::at(port, &[]);
    watch.until("back", |status| running(status) && status["reconnects"] == 1);
    camera.signal("STOP");
    watch.until("stalled", |status| status["stalls"] == 1);
    camera.signal("CONT");
    watch.until("back again", |status| running(status) && status["reconnects"] == 2 && status["gaps"] == 2);
    let (finished, _) = watch.stop("TERM");
    assert_eq!(finished.code, 143);
    let records = records(&program);
    let gaps = of(&records, "gap");
    assert_eq!((gaps.len(), &gaps[1]["reason"]), (2, &"stalled".into()));
    let number = |value: &Value| value.as_f64().unwrap();
    let inside = |time: f64| gaps.iter().any(|gap| number(&gap["start"]) < time && time < number(&gap["end"]));
    for frame in of(&records, "frame") {
        assert!(!inside(number(&frame["ms"])), "{frame} in {gaps:?}");
    }
    for interval in of(&records, "interval") {
        assert!(!inside((number(&interval["start"]) + number(&interval["end"])) / 2.0), "{interval} over {gaps:?}");
    }
    let summary = summary(&program);
    assert_eq!(
        (&summary["reconnects"], &summary["stalls"], &summary["gaps"]["count"]),
        (&2.into(), &1.into(), &2.into())
    );
}

#[test]
fn a_wrong_path_a_wrong_password_and_a_refused_connection_are_logged_once() {
    let open = Camera::start(&[]);
    let locked = Camera::start(&["--login", "ann:s3cret-word"]);
    let wrong_path = open.url.replace("/live", "/other");
    let wrong_password = locked.url.replace("rtsp://", "rtsp://ann:w0ng-word@");
    for (url, why) in [
        (wrong_path.as_str(), "not found"),
        (wrong_password.as_str(), "unauthorised"),
        ("rtsp://127.0.0.1:9/live", "refused"),
    ] {
        let program = Program::new();
        let mut watch = Watch::start(&program, &[url], &[]);
        let message =
            watch.line(why, |fields| fields["message"].as_str().is_some_and(|text| text.contains("no camera")));
        assert!(message["message"].as_str().unwrap().contains(why), "{message}");
        for _ in 0..4 {
            watch.until("still trying", |status| status["state"] == "connecting");
        }
        let log = format!("{:?}", watch.log);
        assert_eq!(log.matches("no camera").count(), 1, "{log}");
        let (finished, took) = watch.stop("TERM");
        assert!(finished.code == 143 && took < PROMPT, "{took:?} {}", finished.stderr);
        let kept = format!("{log}{}{}{}{:?}", finished.stdout, finished.stderr, summary(&program), records(&program));
        assert!(!kept.contains("w0ng-word") && !kept.contains("ann"), "{kept}");
    }
}

#[test]
fn a_password_from_a_file_is_never_shown() {
    let camera = Camera::start(&["--login", "ann:s3cret-word"]);
    let program = Program::new();
    std::fs::write(program.path("password"), "s3cret-word\n").unwrap();
    // Any variable name works for the user's name.
    let given = [camera.url.as_str(), "--user-env", "LIVELABEL_TEST_USER", "--password-file", "password"];
    let model = tiny::model();
    let arguments = [&["--log-format", "json", "run", "--status-interval", "1s"], &given[..]].concat();
    let mut command = program.command(&arguments);
    command.args(["--model", text(&model)]).env("LIVELABEL_TEST_USER", "ann");
    let mut watch = Watch::spawn(command);
    watch.until("running", running);
    let log = format!("{:?}", watch.log);
    let (finished, _) = watch.stop("INT");
    assert!(!format!("{log}{}{}", finished.stdout, finished.stderr).contains("s3cret-word"));
}

#[test]
fn the_end_of_a_stream_and_changes_of_size_and_rate_are_handled() {
    let program = Program::new();
    let camera = Camera::start(&["--end-after", "4"]);
    let mut watch = Watch::start(&program, &[&camera.url], &[]);
    watch.line("the end", |fields| fields["message"].as_str().is_some_and(|text| text.contains("end of stream")));
    watch.until("back", |status| running(status) && status["reconnects"] == 1);
    watch.stop("INT");

    let program = Program::new();
    let camera = Camera::start(&["--resize-after", "4"]);
    let mut watch = Watch::start(&program, &[&camera.url], &["--output", "door.mkv"]);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(6));
    let slower =
        |status: &Value| running(status) && status["frames_per_second"].as_f64().is_some_and(|rate| rate < 15.0);
    watch.until("running on at another rate", slower);
    watch.stop("INT");
    let video = program.path("door.mkv");
    decodes_cleanly(&video);
    let made = probe(&video);
    assert_eq!((made.width, made.height), (320, 240));
    assert!(made.seconds > 6.0, "{made:?}");
}

#[test]
fn a_clock_jump_of_an_hour_does_not_affect_stream_times() {
    let program = Program::new();
    let camera = Camera::start(&["--jump-after", "4"]);
    let mut watch = Watch::start(&program, &[&camera.url], &[]);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(6));
    watch.until("running on", running);
    watch.stop("INT");
    let wall = 1000.0 * summary(&program)["wall_s"].as_f64().unwrap();
    let times: Vec<f64> = of(&records(&program), "frame").iter().map(|frame| frame["ms"].as_f64().unwrap()).collect();
    assert!(times.is_sorted() && times.last().is_some_and(|&last| last <= wall), "{times:?} in {wall}");
}

#[test]
fn under_overload_frame_counts_add_up_and_latency_is_bounded() {
    let program = Program::new();
    // 400 frames a second, far more than the shipped model can analyse.
    let mut watch = Watch::command(&program, &["test://?size=640x480&rate=200", "test://?size=640x480&rate=200"]);
    let mut early = (0, 0, 0);
    // Two streams log their status every second: one minute.
    for i in 0..120 {
        let status = watch.until("a status", |_| true);
        assert!(balanced(&status), "{status}");
        if i == 30 {
            early = resources(watch.id());
        }
    }
    let late = resources(watch.id());
    assert!(late.2 <= early.2 + 24 && late.0 <= early.0 + 1, "{early:?} became {late:?}");
    let settled: Vec<Value> = watch.log.iter().filter(|fields| fields["message"] == "status").cloned().collect();
    let last = &settled[settled.len() - 1];
    assert!(last["stride"].as_u64().unwrap() > 1, "{last}");
    assert!(last["in_flight"].as_u64().unwrap() <= 16, "{last}");
    watch.stop("INT");
}

#[test]
fn dead_cameras_do_not_disturb_live_ones() {
    let program = Program::new();
    let living = ["test://?rate=5"; 5];
    let dead = ["rtsp://127.0.0.1:9/a", "rtsp://127.0.0.1:9/b", "/dev/video97"];
    let mut watch = Watch::start(&program, &[&living[..], &dead[..]].concat(), &[]);
    for name in ["test", "test-2", "test-3", "test-4", "test-5"] {
        watch.until(name, |status| status["stream"] == name && running(status));
    }
    watch.until("a dead one", |status| status["stream"] == "video97" && status["state"] == "connecting");
    let (finished, took) = watch.stop("TERM");
    assert!(finished.code == 143 && took < PROMPT, "{took:?}");
    assert_eq!(files(&program, ".summary.json").len(), 8);
}

/// Returns the number of threads and open files, and the resident memory in MiB, of a process.
fn resources(process: u32) -> (usize, usize, u64) {
    let count = |what: &str| std::fs::read_dir(format!("/proc/{process}/{what}")).unwrap().count();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    (count("task"), count("fd"), resident.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024)
}

#[test]
fn twenty_lost_cameras_leak_nothing() {
    let program = Program::new();
    let mut camera = Camera::start(&[]);
    let (url, port) = (camera.url.clone(), camera.port);
    let mut watch = Watch::start(&program, &[&url], &[]);
    watch.until("running", running);
    let mut at_five = (0, 0, 0);
    for cycle in 1..=20 {
        drop(camera);
        camera = Camera::at(port, &[]);
        watch.until("back", |status| running(status) && status["reconnects"] == cycle);
        if cycle == 5 {
            at_five = resources(watch.id());
        }
    }
    let (threads, files, resident) = resources(watch.id());
    assert!(threads <= at_five.0 + 1 && files <= at_five.1 + 2, "{at_five:?} became {threads} {files}");
    assert!(resident <= at_five.2 + 24, "{at_five:?} became {resident} MiB");
    watch.stop("INT");
}

#[test]
fn a_kill_leaves_a_playable_video() {
    let program = Program::new();
    let mut watch =
        Watch::start(&program, &["test://?size=320x240&rate=25"], &["--segment", "1h", "--segment-video", "labelled"]);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(4));
    let status = watch.until("a status", |_| true);
    signal(watch.id(), "KILL");
    std::thread::sleep(Duration::from_millis(300));
    // Two files, if the hour ended meanwhile.
    let videos = files(&program, ".mkv");
    let labelled = status["analysed"].as_u64().unwrap() + status["held"].as_u64().unwrap();
    let kept: u64 = videos.iter().map(|video| probe(video).frames).sum();
    assert!(kept + 50 >= labelled, "{kept} of {labelled}");
}

#[test]
fn only_the_newest_files_are_kept() {
    let program = Program::new();
    std::fs::write(program.path("test-holiday.mkv"), [0; 100_000]).unwrap();
    let given = ["--segment", "1s", "--segment-video", "labelled", "--keep", "300KB"];
    let mut watch = Watch::start(&program, &["test://?size=320x240&rate=25"], &given);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(8));
    watch.stop("INT");
    let own: u64 = files(&program, "Z.mkv")
        .iter()
        .chain(&files(&program, "Z.timeline.jsonl"))
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert!(own < 900_000, "{own}");
    assert!(files(&program, "Z.mkv").len() < 7 && program.path("test-holiday.mkv").exists());
}

#[test]
fn only_intervals_and_the_seconds_around_them_are_recorded() {
    let program = Program::new();
    let seconds: Vec<&str> = [vec!["red"; 10], vec!["blue"; 3], vec!["red"; 9]].concat();
    let clip = colours(program.folder.path(), "clip.h264", &seconds, &["-c:v", "libx264", "-g", "25"]);
    let camera = Camera::start(&[text(&clip)]);
    let given =
        ["--segment", "1h", "--segment-video", "labelled", "--only-active", "--action", "blue", "--window", "3"];
    let mut watch = Watch::start(&program, &[&camera.url], &given);
    watch.until("blue", |status| status["label"] == "blue");
    watch.until("not blue", |status| status["label"].is_null());
    // Recording continues for five seconds, then the file is finalised.
    std::thread::sleep(Duration::from_secs(7));
    watch.stop("INT");
    let [video] = &files(&program, ".mkv")[..] else { panic!("not one video") };
    decodes_cleanly(video);
    let made = probe(video);
    assert!((11.0..14.5).contains(&made.seconds), "{made:?}");
    let frame = 3 * 160 * 120;
    let pixels = rgb(video);
    // The centre of the frame, which no label covers.
    let colour = |at: f64| {
        let start = (made.frames as f64 * at) as usize * frame + frame / 2 + 3 * 80;
        pixels[start..start + 3].to_vec()
    };
    let (first, middle, last) = (colour(0.0), colour(0.5), colour(0.99));
    assert!(first[0] > 200 && last[0] > 200 && middle[2] > 200, "{first:?} {middle:?} {last:?}");
}

#[test]
fn an_http_camera_with_jpegs_is_labelled() {
    let program = Program::new();
    let url = format!("http://ann:w0rd@127.0.0.1:{}/video?key=geheim", jpeg_camera(&program));
    let mut watch = Watch::start(&program, &[&url], &["--output", "door.mkv"]);
    watch.until("running", |status| running(status) && status["label"] == "blue");
    // The server closes the connection after three seconds.
    watch.until("back", |status| running(status) && status["reconnects"] == 1);
    let log = format!("{:?}", watch.log);
    let (finished, _) = watch.stop("INT");
    let kept = format!("{log}{}{}{}{:?}", finished.stdout, finished.stderr, summary(&program), records(&program));
    assert!(!kept.contains("w0rd") && !kept.contains("geheim"), "{kept}");
    let made = probe(&program.path("door.mkv"));
    assert!(made.frames > 30 && (made.width, made.height) == (160, 120), "{made:?}");
}

/// Starts a network camera that sends blue pictures. Returns its port.
pub fn jpeg_camera(program: &Program) -> u16 {
    let clip = colours(program.folder.path(), "clip.mp4", &["blue"], &["-c:v", "libx264"]);
    let picture = program.path("blue.jpg");
    assert!(ffmpeg(&["-i", text(&clip), "-frames:v", "1", text(&picture)]).status.success());
    let jpeg = std::fs::read(picture).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let jpeg = jpeg.clone();
            std::thread::spawn(move || mjpeg(stream, &jpeg));
        }
    });
    port
}

/// Responds like a network camera: ten pictures a second for three seconds.
fn mjpeg(mut stream: std::net::TcpStream, jpeg: &[u8]) {
    use std::io::{Read, Write};
    let mut request = [0; 4096];
    let _ = stream.read(&mut request);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n");
    for _ in 0..30 {
        let head = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
        let part = [head.as_bytes(), jpeg, b"\r\n"].concat();
        if stream.write_all(&part).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_full_disk_stops_the_recording_but_not_the_analysis() {
    let program = Program::new();
    std::fs::create_dir(program.path("disk")).unwrap();
    let script = "mount -t tmpfs -o size=14m tmpfs disk || exit 77\n\
                  exec timeout -s INT 20 \"$0\" --log-format json run 'test://?size=640x480&rate=100' --model \"$1\" \
                  --status-interval 1s --stride 4 --output disk/door.mkv --output-dir disk";
    let Some(full) = run_on_small_disk(&program, script, &[], 100) else { return };
    let report = full.report;
    assert!(full.finished.stdout.contains("1 failure,"), "{}", full.finished.stdout);
    assert!(report["fields"]["message"].as_str().unwrap().contains("the analysis of"), "{report}");
}

#[test]
fn a_camera_that_never_answered_is_in_the_journal() {
    let program = Program::new();
    // The listener is closed, so no server listens on its port.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("rtsp://127.0.0.1:{port}/live");
    let mut watch = Watch::start(&program, &[&address], &[]);
    watch.line("the loss", |fields| fields["message"].as_str().is_some_and(|line| line.contains("(refused)")));
    watch.until("connecting", |status| status["state"] == "connecting");
    let (finished, _) = watch.stop("TERM");
    assert_eq!(finished.code, 143, "{}", finished.stderr);
    let records = records(&program);
    let lost = of(&records, "lost");
    assert_eq!(lost.len(), 1, "{records:?}");
    assert_eq!(lost[0]["reason"], "refused");
    assert!(of(&records, "gap").is_empty(), "{records:?}");
}
