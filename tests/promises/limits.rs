//! What an input, a model or a machine may ask of the program, and what is told where it is more.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use livelabel::onnx::proto::{AttributeProto, EXTERNAL, GraphProto, NodeProto, TensorProto};
use nix::sys::resource::{Resource, setrlimit};
use prost::Message;

use crate::camera::{Watch, signal};
use crate::footage::{bikes, small, variant};
use crate::program::{Finished, Program, ffmpeg, probe, text};
use crate::receiver::Receiver;
use crate::tiny;

/// Runs `command` with a limit of the system.
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

/// Writes `bytes` over each place in the file that holds `pattern`, `offset` behind its begin.
fn patch(path: &Path, pattern: &[u8], offset: usize, bytes: &[u8]) {
    let mut file = fs::read(path).unwrap();
    let places: Vec<usize> = (0..file.len()).filter(|&at| file[at..].starts_with(pattern)).collect();
    assert!(!places.is_empty(), "{} does not hold {pattern:?}", path.display());
    for place in places {
        file[place + offset..place + offset + bytes.len()].copy_from_slice(bytes);
    }
    fs::write(path, file).unwrap();
}

/// A clip of small pictures that say of themselves, behind the container's back, that they have 16000x16000 pixels.
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
fn a_small_file_of_huge_pictures_is_refused_before_they_are_decoded() {
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
fn more_pixels_than_the_user_allows_are_refused() {
    let program = Program::new();
    let clip = small(program.folder.path(), "in.mp4", 5);
    let raw = variant(program.folder.path(), "raw.avi", 5, &["-vf", "scale=320:136", "-c:v", "rawvideo", "-an"]);
    for clip in [&clip, &raw] {
        let refused = program.run(clip, &["--only", "timeline", "--max-pixels", "43519"]);
        let line = refused.refusal(2);
        assert!(line.contains("320x136 pixels, where 43519 are the most"), "{line}");
        program.run(clip, &["--only", "timeline", "--max-pixels", "43520"]).succeeded();
    }
    fs::write(program.path("few.toml"), "max_pixels = 100\nonly = [\"plot\"]\n").unwrap();
    let line = program.run(&clip, &["--pipeline", "few.toml"]).refusal(2).to_string();
    assert!(line.contains("where 100 are the most"), "{line}");
    let refused = program.start(&["view", "in.timeline.json", "--web", "127.0.0.1:0", "--max-pixels", "100"]);
    assert!(refused.refusal(2).contains("where 100 are the most"), "{}", refused.stderr);
}

#[test]
fn a_bound_of_pixels_that_is_not_positive_is_bad_usage() {
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
fn a_camera_of_huge_pictures_is_told_and_its_pictures_are_not_decoded() {
    let program = Program::new();
    let clip = huge(program.folder.path(), "a.avi", "mjpeg");
    // The pictures as they stand in the file, which ffmpeg copies out.
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
    watch.line("the size is told", |fields| {
        fields["message"]
            .as_str()
            .is_some_and(|line| line.contains("pictures too large") && line.contains("--max-pixels"))
    });
    watch.stop("TERM");
}

#[test]
fn control_characters_of_a_name_do_not_reach_the_terminal() {
    let program = Program::new();
    let name = "a\u{1b}[31m\u{9b}2J\u{7}.mp4";
    for arguments in [&["run", name][..], &["run", "a.mp4", "--window", name], &["model", "show", name]] {
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
fn a_key_of_megabytes_is_not_repeated_to_the_user() {
    let program = Program::new();
    let long = "k".repeat(10_000_000);
    fs::write(program.path("long.toml"), format!("{long} = 1\n")).unwrap();
    let refused = program.start(&["run", "--pipeline", "long.toml"]);
    let line = refused.refusal(2);
    assert!(line.len() < 5000 && line.contains("unknown field `kkk") && line.contains('…'), "{}", line.len());
    assert!(line.contains("see `livelabel run --help`"), "{line}");
    let refused = program.start(&["run", "in.mp4", "--jobs", &long[..100_000]]);
    assert!(refused.code == 2 && refused.stderr.len() < 5000 && refused.stderr.contains("--jobs"));
}

#[test]
fn too_little_address_space_is_told_as_too_little_memory() {
    let program = Program::new();
    let model = tiny::model();
    for limit in [250 << 20, 400 << 20] {
        let command = program.command(&["model", "verify", text(&model), "--device", "cpu"]);
        let finished = limited(command, Resource::RLIMIT_AS, limit);
        if finished.code == 0 {
            continue;
        }
        let line = finished.refusal(1);
        assert!(line.contains("ulimit -v") && !line.contains("build it again"), "{line}");
    }
}

#[test]
fn too_few_open_files_are_told_once() {
    let program = Program::new();
    let clip = small(program.folder.path(), "in.mp4", 3);
    let command = program.command(&["run", text(&clip), "--model", text(&tiny::model())]);
    let finished = limited(command, Resource::RLIMIT_NOFILE, 12);
    let line = finished.refusal(1);
    assert!(line.contains("only 12 files") && line.contains("ulimit -n"), "{line}");
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
}

#[test]
fn a_clip_without_a_name_gets_files_that_are_seen() {
    let program = Program::new();
    fs::rename(small(program.folder.path(), "in.mp4", 3), program.path("..mp4")).unwrap();
    program.run(&program.path("..mp4"), &["--output-dir", "out"]).succeeded();
    for name in ["clip.labelled.avi", "clip.timeline.json", "clip.plot.png", "clip.vtt"] {
        assert!(program.path("out").join(name).exists(), "{name}");
    }
}

#[test]
fn clips_whose_names_differ_in_bytes_that_are_no_text_are_told_apart() {
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
fn a_webhook_that_fails_in_many_ways_is_told_once() {
    let program = Program::new();
    let receiver = Receiver::start(|count| Some([500, 503, 502, 200][count.min(3)]));
    let mut watch = Watch::start(&program, &["test://?rate=5"], &["--window", "1", "--webhook", &receiver.url()]);
    watch.line("it is back", |fields| {
        fields["message"].as_str().is_some_and(|line| line.contains("the webhook takes events again"))
    });
    let told = |fields: &&serde_json::Value| fields["message"].to_string().contains("the webhook takes no events");
    assert_eq!(watch.log.iter().filter(told).count(), 1, "{:#?}", watch.log);
    watch.stop("TERM");
}

#[test]
fn a_stop_before_the_first_picture_leaves_no_video_that_nobody_can_play() {
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
fn weights_beside_the_model_are_refused_inside_a_branch_too() {
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
fn two_runs_that_share_only_a_plot_or_subtitles_are_told_apart() {
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
        // So that it does not end before the second has looked.
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
