//! Limits on inputs, models and the machine, and the errors beyond them.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use livelabel::onnx::proto::{
    AttributeProto, DimensionProto, EXTERNAL, GraphProto, NodeProto, TensorProto, TensorShapeProto, TensorTypeProto,
    TypeProto, ValueInfoProto,
};
use nix::sys::resource::{Resource, setrlimit};
use prost::Message;

use crate::camera::{Watch, signal};
use crate::footage::{bikes, small, variant};
use crate::program::{Finished, Program, ffmpeg, probe, text};
use crate::receiver::Receiver;
use crate::tiny;

/// Runs `command` with a resource limit.
fn limited(mut command: Command, resource: Resource, limit: u64) -> Finished {
    // SAFETY: between fork and exec only a system call is made.
    unsafe {
        command.pre_exec(move || {
            setrlimit(resource, limit, limit)?;
            Ok(())
        });
    }
    command.output().unwrap().into()
}

/// Overwrites the file with `bytes`, `offset` after the start of each occurrence of `pattern`.
fn patch(path: &Path, pattern: &[u8], offset: usize, bytes: &[u8]) {
    let mut file = fs::read(path).unwrap();
    let places: Vec<usize> = (0..file.len()).filter(|&at| file[at..].starts_with(pattern)).collect();
    assert!(!places.is_empty(), "{} does not hold {pattern:?}", path.display());
    for place in places {
        file[place + offset..place + offset + bytes.len()].copy_from_slice(bytes);
    }
    fs::write(path, file).unwrap();
}

/// Creates a clip whose stream claims frames of 16000x16000 pixels, unlike its container.
fn huge(folder: &Path, name: &str, codec: &str) -> PathBuf {
    let path = variant(folder, name, 3, &["-vf", "scale=64:32", "-c:v", codec, "-an"]);
    let side = 16_000_u16.to_be_bytes();
    match codec {
        "png" => {
            let sides = [0, 0, side[0], side[1], 0, 0, side[0], side[1]];
            patch(&path, b"IHDR", 4, &sides);
        }
        "mjpeg" => patch(&path, &[0xff, 0xc0, 0, 17, 8], 5, &[side, side].concat()),
        "libvpx" => {
            patch(&path, &[0x9d, 0x01, 0x2a], 3, &[16_000_u16.to_le_bytes(), 16_000_u16.to_le_bytes()].concat())
        }
        other => panic!("{other}"),
    }
    path
}

#[test]
fn a_small_file_of_huge_frames_is_refused_before_decoding() {
    let program = Program::new();
    for (name, codec) in [("a.mkv", "png"), ("b.mkv", "mjpeg"), ("c.avi", "mjpeg"), ("d.mkv", "libvpx")] {
        let clip = huge(program.folder.path(), name, codec);
        let refused = program.run(&clip, &["--only", "timeline"]);
        let line = refused.refusal(2);
        assert!(line.contains(name) && line.contains("16000x16000") && line.contains("--max-pixels"), "{line}");
        assert!(!program.path(name).with_extension("timeline.json").exists());
    }
}

#[test]
fn frames_above_the_users_pixel_limit_are_refused() {
    let program = Program::new();
    let clip = small(program.folder.path(), "in.mp4", 5);
    let raw = variant(program.folder.path(), "raw.avi", 5, &["-vf", "scale=320:136", "-c:v", "rawvideo", "-an"]);
    for clip in [&clip, &raw] {
        let refused = program.run(clip, &["--only", "timeline", "--max-pixels", "43519"]);
        let line = refused.refusal(2);
        assert!(line.contains("320x136 pixels, exceeding the limit of 43519"), "{line}");
        program.run(clip, &["--only", "timeline", "--max-pixels", "43520"]).succeeded();
    }
    fs::write(program.path("few.toml"), "max_pixels = 100\nonly = [\"plot\"]\n").unwrap();
    let line = program.run(&clip, &["--pipeline", "few.toml"]).refusal(2).to_string();
    assert!(line.contains("exceeding the limit of 100"), "{line}");
    let refused = program.start(&["view", "in.timeline.json", "--web", "127.0.0.1:0", "--max-pixels", "100"]);
    assert!(refused.refusal(2).contains("exceeding the limit of 100"), "{}", refused.stderr);
}

#[test]
fn a_pixel_limit_must_be_positive() {
    let program = Program::new();
    for wrong in ["0", "-1", "many", "1e9", "99999999999999999999"] {
        let refused = program.start(&["run", "in.mp4", &format!("--max-pixels={wrong}")]);
        assert!(refused.code == 2 && refused.stderr.contains("--max-pixels"), "{}", refused.stderr);
        fs::write(program.path("wrong.toml"), format!("max_pixels = {wrong}\ninput = [\"in.mp4\"]\n")).unwrap();
        let refused = program.start(&["run", "--pipeline", "wrong.toml"]);
        assert!(refused.code == 2 && refused.stderr.contains("wrong.toml") || refused.stderr.contains("max_pixels"));
    }
}

#[test]
fn a_camera_with_huge_frames_is_reported_and_not_decoded() {
    let program = Program::new();
    let clip = huge(program.folder.path(), "a.avi", "mjpeg");
    // ffmpeg copies the encoded pictures unchanged.
    let one = program.path("one.jpg");
    ffmpeg(&["-i", text(&clip), "-frames:v", "1", "-c", "copy", "-f", "image2", text(&one)]);
    let jpeg = fs::read(one).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/mjpeg", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut request = BufReader::new(&stream).lines().map_while(Result::ok);
            request.by_ref().find(String::is_empty);
            let mut stream = &stream;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n";
            let part = format!("--b\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
            let mut sent = stream.write_all(head.as_bytes());
            while sent.is_ok() {
                sent = stream.write_all(&[part.as_bytes(), &jpeg, b"\r\n"].concat());
                std::thread::sleep(Duration::from_millis(40));
            }
        }
    });
    let mut watch = Watch::start(&program, &[&address], &[]);
    watch.line("the size is reported", |fields| {
        fields["message"]
            .as_str()
            .is_some_and(|line| line.contains("frames too large") && line.contains("--max-pixels"))
    });
    watch.stop("TERM");
}

#[test]
fn control_characters_of_a_name_do_not_reach_the_terminal() {
    let program = Program::new();
    let name = "a\u{1b}[31m\u{9b}2J\u{7}.mp4";
    // clap removes escape sequences itself.
    let refused = program.start(&["run", "a.mp4", "--window", name]);
    assert!(refused.code == 2 && refused.stderr.contains("\\u{9b}2J"), "{:?}", refused.stderr);
    assert!(!refused.stderr.contains(['\u{1b}', '\u{9b}', '\u{7}']), "{:?}", refused.stderr);
    for arguments in [&["run", name][..], &["model", "show", name]] {
        let refused = program.start(arguments);
        assert!(
            refused.code == 2 && refused.stderr.contains("a\\u{1b}[31m\\u{9b}2J\\u{7}.mp4"),
            "{:?}",
            refused.stderr
        );
        assert!(!refused.stderr.contains(['\u{1b}', '\u{9b}', '\u{7}']), "{:?}", refused.stderr);
    }
    let mut proto = tiny::proto();
    proto.metadata_props.iter_mut().find(|entry| entry.key == "trained_on").unwrap().value = name.into();
    fs::write(program.path(name), proto.encode_to_vec()).unwrap();
    let shown = program.start(&["model", "show", name]).succeeded();
    assert!(!shown.stdout.contains(['\u{1b}', '\u{9b}', '\u{7}']), "{:?}", shown.stdout);
    fs::remove_file(program.path(name)).unwrap();
    let clip = small(program.folder.path(), "in.mp4", 3);
    fs::rename(clip, program.path(name)).unwrap();
    let finished = program.run(&program.path(name), &[]).succeeded();
    assert!(!(finished.stdout + &finished.stderr).contains(['\u{1b}', '\u{9b}', '\u{7}']));
}

#[test]
fn a_key_of_a_megabyte_is_not_repeated_to_the_user() {
    let program = Program::new();
    let long = "k".repeat(1_000_000);
    fs::write(program.path("long.toml"), format!("{long} = 1\n")).unwrap();
    let refused = program.start(&["run", "--pipeline", "long.toml"]);
    let line = refused.refusal(2);
    assert!(line.len() < 5000 && line.contains("kkk") && line.contains('…'), "{}", line.len());
    assert!(line.contains("see `livelabel run --help`"), "{line}");
    let refused = program.start(&["run", "in.mp4", "--jobs", &long[..100_000]]);
    assert!(refused.code == 2 && refused.stderr.len() < 5000 && refused.stderr.contains("--jobs"));
}

#[test]
fn too_little_address_space_is_reported_as_too_little_memory() {
    let program = Program::new();
    let model = tiny::model();
    for limit in [250 << 20, 480 << 20, 800 << 20, 1200 << 20] {
        let command = program.command(&["model", "verify", text(&model), "--device", "cpu"]);
        let finished = limited(command, Resource::RLIMIT_AS, limit);
        // With the trainer's libraries, the dynamic loader fails first.
        if finished.code == 0 || finished.stderr.contains("error while loading shared libraries") {
            continue;
        }
        let line = finished.refusal(1);
        assert!(line.contains("ulimit -v") && !line.contains("build it again"), "{line}");
    }
}

#[test]
fn too_few_file_descriptors_are_reported_once() {
    let program = Program::new();
    let clip = small(program.folder.path(), "in.mp4", 3);
    let command = program.command(&["run", text(&clip), "--model", text(&tiny::model())]);
    let finished = limited(command, Resource::RLIMIT_NOFILE, 12);
    let line = finished.refusal(1);
    assert!(line.contains("limit on open files is 12") && line.contains("ulimit -n"), "{line}");
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
}

#[test]
fn a_clip_with_an_empty_stem_gets_visible_files() {
    let program = Program::new();
    fs::rename(small(program.folder.path(), "in.mp4", 3), program.path("..mp4")).unwrap();
    program.run(&program.path("..mp4"), &["--output-dir", "out"]).succeeded();
    for name in ["clip.labelled.avi", "clip.timeline.json", "clip.plot.png", "clip.vtt"] {
        assert!(program.path("out").join(name).exists(), "{name}");
    }
}

#[test]
fn clips_whose_names_differ_in_non_utf8_bytes_are_distinct() {
    let program = Program::new();
    let clip = small(program.folder.path(), "in.mp4", 3);
    let names = [&b"a\xff.mp4"[..], b"a\xfe.mp4"].map(OsStr::from_bytes);
    let mut command = program.command(&["run", "--model", text(&tiny::model()), "--only", "timeline"]);
    for name in names {
        fs::copy(&clip, program.folder.path().join(name)).unwrap();
        command.arg(name);
    }
    Finished::from(command.output().unwrap()).succeeded();
    let ended = |name: &OsStr| name.to_string_lossy().ends_with(".timeline.json");
    let entries = fs::read_dir(program.folder.path()).unwrap().flatten().filter(|entry| ended(&entry.file_name()));
    let read = |path: PathBuf| serde_json::from_slice::<serde_json::Value>(&fs::read(path).unwrap()).unwrap();
    let mut inputs: Vec<String> =
        entries.map(|entry| read(entry.path())["input"].as_str().unwrap().to_string()).collect();
    inputs.sort();
    assert_eq!(inputs, ["a\\xFE.mp4", "a\\xFF.mp4"]);
}

#[test]
fn a_webhook_that_fails_in_several_ways_is_logged_once() {
    let program = Program::new();
    let receiver = Receiver::start(|count| Some([500, 503, 502, 200][count.min(3)]));
    let mut watch = Watch::start(&program, &["test://?rate=5"], &["--window", "1", "--webhook", &receiver.url()]);
    watch.line("it is back", |fields| {
        fields["message"].as_str().is_some_and(|line| line.contains("the webhook accepts events again"))
    });
    let reported =
        |fields: &&serde_json::Value| fields["message"].to_string().contains("the webhook accepts no events");
    assert_eq!(watch.log.iter().filter(reported).count(), 1, "{:#?}", watch.log);
    watch.stop("TERM");
}

#[test]
fn a_stop_before_the_first_frame_leaves_no_unplayable_video() {
    let program = Program::new();
    let clip = bikes();
    let mut child = program.command(&["run", text(&clip), "--output", "out.mkv", "--quiet"]).spawn().unwrap();
    let (video, began) = (program.path("out.mkv"), Instant::now());
    while !video.exists() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!video.exists() || probe(&video).frames > 0);
}

#[test]
fn external_weights_in_a_branch_are_refused() {
    let program = Program::new();
    let outside = TensorProto { name: "hidden.weight".into(), data_location: EXTERNAL, ..Default::default() };
    let inner = GraphProto { initializer: vec![outside.clone()], ..Default::default() };
    let branch = |graph: GraphProto| {
        let attribute = AttributeProto { name: "then_branch".into(), g: Some(graph), r#type: 5, ..Default::default() };
        NodeProto { op_type: "If".into(), attribute: vec![attribute], ..Default::default() }
    };
    let constant = AttributeProto { name: "value".into(), t: Some(outside), r#type: 4, ..Default::default() };
    let constant = NodeProto { op_type: "Constant".into(), attribute: vec![constant], ..Default::default() };
    let nested = GraphProto { node: vec![branch(inner.clone())], ..Default::default() };
    let of_node = GraphProto { node: vec![constant], ..Default::default() };
    for graph in [inner, nested, of_node] {
        let mut proto = tiny::proto();
        proto.graph.as_mut().unwrap().node.push(branch(graph));
        fs::write(program.path("branch.onnx"), proto.encode_to_vec()).unwrap();
        let refused = program.start(&["model", "show", "branch.onnx"]);
        let line = refused.refusal(2);
        assert!(line.contains("its tensor hidden.weight is in another file"), "{line}");
    }
}

#[test]
fn two_runs_that_share_only_a_plot_or_subtitles_are_refused() {
    let program = Program::new();
    let clip = bikes();
    let start = |output: &str, folder: &str| -> Vec<String> {
        let flag = if output.ends_with("png") { "--plot" } else { "--subtitles" };
        let run =
            ["run", text(&clip), "--only", "timeline", "--output-dir", folder, flag, output, "--force", "--quiet"];
        run.map(String::from).into()
    };
    for output in ["one.png", "one.vtt"] {
        let first: Vec<String> = start(output, "a");
        let first: Vec<&str> = first.iter().map(String::as_str).collect();
        let mut first = program.command(&first).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while !program.path(output).exists() && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
        // Keeps the first run active until the second has started.
        signal(first.id(), "STOP");
        let second = start(output, "b");
        let refused = program.start(&second.iter().map(String::as_str).collect::<Vec<_>>());
        let line = refused.refusal(2).to_string();
        signal(first.id(), "CONT");
        signal(first.id(), "TERM");
        assert!(line.contains(&format!("{output}: is being written by process {}", first.id())), "{line}");
        assert!(!program.path("b/bikes.timeline.jsonl").exists());
        assert_eq!(first.wait().unwrap().code(), Some(143));
        assert!(fs::metadata(program.path(output)).unwrap().len() > 0, "the first one's file is complete");
        fs::remove_file(program.path(output)).unwrap();
    }
}

/// Creates the tiny model after an endless loop.
fn endless() -> Vec<u8> {
    let value = |name: &str, kind: i32, sides: &[i64]| {
        let dim = sides.iter().map(|&side| DimensionProto { dim_value: Some(side), dim_param: None }).collect();
        let tensor = TensorTypeProto { elem_type: kind, shape: Some(TensorShapeProto { dim }) };
        ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
    };
    let copy = |from: &str, to: &str| NodeProto {
        op_type: "Identity".into(),
        input: vec![from.into()],
        output: vec![to.into()],
        ..Default::default()
    };
    let (float, integer, boolean) = (1, 7, 9);
    let pixels = |name: &str| value(name, float, &[1, 3, 32, 32]);
    let body = GraphProto {
        name: "body".into(),
        node: vec![copy("go", "on"), copy("before", "after")],
        input: vec![value("step", integer, &[]), value("go", boolean, &[]), pixels("before")],
        output: vec![value("on", boolean, &[]), pixels("after")],
        ..Default::default()
    };
    let mut proto = tiny::proto();
    let graph = proto.graph.as_mut().unwrap();
    let input = graph.input[0].name.clone();
    for name in graph.node.iter_mut().flat_map(|node| &mut node.input).filter(|name| **name == input) {
        *name = "looped".into();
    }
    let attribute = AttributeProto { name: "body".into(), g: Some(body), r#type: 5, ..Default::default() };
    let forever = NodeProto {
        op_type: "Loop".into(),
        input: vec![String::new(), String::new(), input],
        output: vec!["looped".into()],
        attribute: vec![attribute],
        ..Default::default()
    };
    graph.node.insert(0, forever);
    proto.encode_to_vec()
}

/// Waits until the process has installed its SIGTERM handler.
fn handles_signals(process: u32) {
    let began = Instant::now();
    let handled = || {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> 14 & 1 == 1)
    };
    while !handled() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_model_with_an_endless_loop_is_stopped_by_one_signal() {
    let program = Program::new();
    fs::write(program.path("endless.onnx"), endless()).unwrap();
    let run = ["run", "test://", "--model", "endless.onnx"];
    let mut child = program.command(&run).stderr(Stdio::piped()).spawn().unwrap();
    handles_signals(child.id());
    signal(child.id(), "TERM");
    let stderr = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{stderr}");
    assert!(stderr.contains("the model did not finish its batch before the run was stopped"), "{stderr}");
    let refused = program.start(&[&run[..], &["--device", "openvino"]].concat());
    assert!(refused.refusal(1).contains("it holds a loop, which cannot be interrupted there"), "{}", refused.stderr);
}

/// Compiles a preload library that fixes the clock at `seconds` after 1970.
fn clock(folder: &Path, seconds: i64) -> PathBuf {
    let (source, library) = (folder.join("clock.c"), folder.join(format!("clock{seconds}.so")));
    let code = format!(
        "#define _GNU_SOURCE\n#include <time.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n\
         int clock_gettime(clockid_t id, struct timespec *t) {{\n\
         int r = syscall(SYS_clock_gettime, id, t);\n\
         if (id == CLOCK_REALTIME) {{ static long first; if (!first) first = t->tv_sec; t->tv_sec += {seconds}L - first; }}\n\
         return r; }}\n"
    );
    fs::write(&source, code).unwrap();
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().unwrap();
    assert!(made.success());
    library
}

#[test]
fn times_are_valid_for_any_year_of_the_clock() {
    let program = Program::new();
    let clip = small(program.folder.path(), "in.mp4", 10);
    // The years 12345 and 1965, and the last year that the `time` crate supports.
    for (seconds, begins, stamp) in [
        (327_403_382_400, "+012345-01-01T", "123450101T"),
        (-149_990_000, "1965-04-01T", "19650401T"),
        (4_000_000_000_000_000_000, "+999999-12-31T", "9999991231T"),
    ] {
        let library = clock(program.folder.path(), seconds);
        let run =
            ["run", text(&clip), "--model", text(&tiny::model()), "--only", "timeline", "--events", "-", "--force"]
                .map(String::from);
        let run: Vec<&str> = run.iter().map(String::as_str).collect();
        let finished = Finished::from(program.command(&run).env("LD_PRELOAD", &library).output().unwrap()).succeeded();
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
        let timeline = program.json("in.timeline.json");
        assert!(timeline["started"].as_str().unwrap().starts_with(begins), "{}", timeline["started"]);
        let event: serde_json::Value = serde_json::from_str(finished.stdout.lines().next().unwrap()).unwrap();
        assert!(event["time"].as_str().unwrap().starts_with(begins), "{event}");
        // The web server and a camera's files.
        let mut watched = program.command(&[
            "--log-format",
            "json",
            "run",
            "test://?rate=20",
            "--model",
            text(&tiny::model()),
            "--segment",
            "24h",
            "--keep",
            "7d",
            "--web",
            "127.0.0.1:0",
            "--status-interval",
            "1s",
        ]);
        watched.env("LD_PRELOAD", &library);
        let mut watch = Watch::spawn(watched);
        let served = watch.line("the page's address", |fields| fields["message"].to_string().contains("http://127"));
        let message = served["message"].to_string();
        let at = message.find("http://").unwrap() + "http://".len();
        let address = message[at..].split(['/', '"', ' ']).next().unwrap();
        watch.until("pictures are labelled", crate::camera::running);
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream
            .write_all(format!("GET /api/streams HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let answer = std::io::read_to_string(stream).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 503") && answer.ends_with("the clock's year does not fit into an HTTP date\n"),
            "{answer}"
        );
        let (finished, _) = watch.stop("TERM");
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
        for ending in [".mkv", ".timeline.jsonl", ".summary.json"] {
            let files = crate::camera::files(&program, ending);
            assert!(files.iter().any(|path| text(path).contains(&format!("test-{stamp}"))), "{files:?}");
        }
        let recorded = crate::camera::files(&program, ".timeline.jsonl");
        let journal = recorded.iter().find(|path| text(path).contains(&format!("test-{stamp}"))).unwrap();
        assert!(fs::read_to_string(journal).unwrap().contains(&format!("\"started\":\"{begins}")));
    }
}

/// Starts a server that answers each request by its path. Returns its URL and the requested paths.
fn files_over_http(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requested: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&requested);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let Some(line) = lines.next() else { continue };
            lines.find(String::is_empty);
            let path = line.split(' ').nth(1).unwrap_or_default().to_string();
            kept.lock().unwrap().push(path.clone());
            let (status, body) = answer(&path).map_or((404, Vec::new()), |body| (200, body));
            let kind = if path.ends_with("m3u8") { "application/x-mpegurl" } else { "video/mp2t" };
            let head = format!(
                "HTTP/1.1 {status} So\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    (address, requested)
}

fn playlist(addresses: &[&str]) -> String {
    let segments: String = addresses.iter().map(|address| format!("#EXTINF:1,\n{address}\n")).collect();
    format!("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n{segments}#EXT-X-ENDLIST\n")
}

fn segment(folder: &Path) -> Vec<u8> {
    let file = variant(folder, "segment.ts", 25, &["-vf", "scale=320:136", "-c:v", "libx264", "-g", "25", "-an"]);
    fs::read(file).unwrap()
}

#[test]
fn a_cameras_playlist_with_another_host_or_a_file_is_not_followed() {
    let program = Program::new();
    let bytes = segment(program.folder.path());
    let local = format!("file://{}", program.path("segment.ts").display());
    let (elsewhere, requested) = files_over_http(move |_| None);
    let other = elsewhere.clone();
    let (own, own_asked) = files_over_http(move |path| match path {
        "/own.m3u8" => Some(playlist(&["1.ts", "2.ts", "3.ts"]).into()),
        "/foreign.m3u8" => Some(playlist(&[&format!("{other}/1.ts")]).into()),
        "/local.m3u8" => Some(playlist(&[&local]).into()),
        "/key.m3u8" => {
            let key = format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{other}/key\"\n#EXTINF");
            Some(playlist(&["1.ts"]).replacen("#EXTINF", &key, 1).into())
        }
        "/variant.m3u8" => Some(format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{other}/own.m3u8\n").into()),
        path if path.ends_with(".ts") => Some(bytes.clone()),
        _ => None,
    });
    for name in ["own", "foreign", "local", "key", "variant"] {
        let address = format!("{own}/{name}.m3u8");
        let mut watch = Watch::start(&program, &[&address], &["--stride", "1"]);
        if name == "own" {
            watch.until("its pictures are labelled", |status| status["decoded"].as_u64() > Some(10));
        } else {
            let reported = watch.line("it is reported", |fields| fields["message"].to_string().contains("no camera"));
            let reported = reported["message"].to_string();
            let named = ["foreign", "local"].contains(&name);
            assert!(!named || reported.contains("foreign playlist"), "{name}: {reported}");
        }
        let (finished, _) = watch.stop("TERM");
        assert!(name == "own" || !finished.stdout.contains("analysed, 0 held, 0 dropped 1"), "{}", finished.stdout);
    }
    assert!(own_asked.lock().unwrap().iter().any(|path| path == "/1.ts"));
    assert_eq!(*requested.lock().unwrap(), Vec::<String>::new(), "another host was contacted");
}

#[test]
fn a_playlist_clip_is_followed_only_if_the_user_allows_it() {
    let program = Program::new();
    let bytes = segment(program.folder.path());
    let (server, _) = files_over_http(move |path| path.ends_with(".ts").then(|| bytes.clone()));
    let there = format!("{server}/1.ts");
    for (name, address) in [("near.m3u8", "segment.ts"), ("far.m3u8", there.as_str())] {
        fs::write(program.path(name), playlist(&[address])).unwrap();
        let refused = program.run(&program.path(name), &["--only", "timeline"]);
        assert!(refused.refusal(2).contains("--allow-playlists"), "{}", refused.stderr);
        program.run(&program.path(name), &["--only", "timeline", "--allow-playlists"]).succeeded();
        let timeline = program.json(&name.replace("m3u8", "timeline.json"));
        assert_eq!(timeline["frames"]["decoded"], 25, "{name}");
    }
    // A playlist without segments of one video is never followed.
    fs::write(program.path("list.mp4"), "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nm=video 5004 RTP/AVP 96\r\n")
        .unwrap();
    program.run(&program.path("list.mp4"), &["--only", "timeline", "--allow-playlists"]).refusal(2);
}
