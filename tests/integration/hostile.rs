//! Attacks that once lost data or leaked secrets: one test for each.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use prost::Message;

use crate::camera::signal;
use crate::footage::{bikes, small};
use crate::program::{Program, decodes_cleanly, probe, text, wait_for_size};
use crate::tiny;

/// Checks that a command is refused in one line that contains `expected`, and leaves `file` unchanged.
fn is_refused(program: &Program, arguments: &[&str], file: &Path, expected: &str) {
    let before = fs::read(file).unwrap();
    let refused = program.start(arguments);
    let line = refused.refusal(2);
    assert!(line.contains(expected), "{line}");
    assert!(fs::read(file).unwrap() == before, "{} was changed by {arguments:?}", file.display());
}

#[test]
fn an_output_that_is_a_link_to_the_input_is_refused() {
    let program = Program::new();
    let clip = small(program.folder.path(), "in.avi", 25);
    fs::hard_link(&clip, program.path("out.avi")).unwrap();
    fs::hard_link(&clip, program.path("out.json")).unwrap();
    let model = tiny::model();
    let run = ["run", "in.avi", "--model", text(&model), "--force"];
    for output in [["--output", "out.avi"], ["--timeline", "out.json"], ["--events", "out.avi"]] {
        is_refused(&program, &[&run[..], &output].concat(), &clip, "is the same file as the input in.avi");
    }
    is_refused(&program, &[&run[..], &["--events", "in.avi"]].concat(), &clip, "is another file of this run");
    // Two outputs that are the same file.
    fs::write(program.path("one.png"), "x").unwrap();
    fs::hard_link(program.path("one.png"), program.path("one.vtt")).unwrap();
    let twice = [&run[..], &["--plot", "one.png", "--subtitles", "one.vtt"]].concat();
    is_refused(&program, &twice, &program.path("one.png"), "another output, one.png");
}

#[test]
fn no_model_pipeline_or_token_file_is_overwritten() {
    let program = Program::new();
    let clip = small(program.folder.path(), "in.mp4", 10);
    fs::copy(tiny::model(), program.path("own.onnx")).unwrap();
    fs::write(program.path("own.toml"), "window = 4\n").unwrap();
    fs::write(program.path("token"), "0123456789abcdef\n").unwrap();
    let run = ["run", text(&clip), "--model", "own.onnx", "--pipeline", "own.toml", "--web", "127.0.0.1:0"];
    let run = [&run[..], &["--web-token-file", "token", "--only", "timeline", "--force"]].concat();
    for read in ["own.onnx", "own.toml", "token"] {
        let events = [&run[..], &["--events", read]].concat();
        is_refused(&program, &events, &program.path(read), &format!("{read}: is the same file as"));
        fs::hard_link(program.path(read), program.path("linked.vtt")).unwrap();
        let subtitles = [&run[..], &["--subtitles", "linked.vtt"]].concat();
        is_refused(&program, &subtitles, &program.path(read), "linked.vtt: is the same file as");
        fs::remove_file(program.path("linked.vtt")).unwrap();
    }
}

#[test]
fn a_file_named_like_a_temporary_file_is_kept() {
    let program = Program::new();
    let clip = small(program.folder.path(), "in.mp4", 10);
    for part in ["in.timeline.part.json", "in.plot.part.png", "in.part.vtt"] {
        fs::write(program.path(part), "mine").unwrap();
    }
    program.run(&clip, &[]).succeeded();
    for part in ["in.timeline.part.json", "in.plot.part.png", "in.part.vtt"] {
        assert_eq!(fs::read_to_string(program.path(part)).unwrap(), "mine", "{part}");
    }
    let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
    let left: Vec<_> = fs::read_dir(program.folder.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| hidden(name)), "{left:?}");
}

#[test]
fn a_link_or_a_pipe_as_output_is_refused_at_once() {
    let program = Program::new();
    let clip = small(program.folder.path(), "in.mp4", 10);
    fs::write(program.path("target"), "kept").unwrap();
    for (link, target) in [("there.avi", "target"), ("dangling.avi", "nowhere"), ("link.json", "target")] {
        std::os::unix::fs::symlink(target, program.path(link)).unwrap();
    }
    nix::unistd::mkfifo(&program.path("pipe.avi"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let run = ["run", text(&clip), "--model", text(&tiny::model()), "--force"].map(String::from);
    for (flag, output, expected) in [
        ("--output", "there.avi", "a link"),
        ("--output", "dangling.avi", "a link"),
        ("--timeline", "link.json", "a link"),
        ("--output", "pipe.avi", "a pipe"),
    ] {
        let mut arguments: Vec<&str> = run.iter().map(String::as_str).collect();
        arguments.extend([flag, output]);
        is_refused(&program, &arguments, &program.path("target"), expected);
        assert!(!program.path("nowhere").exists(), "the link's target was created");
    }
}

#[test]
fn a_model_whose_output_does_not_match_its_labels_is_refused() {
    let program = Program::new();
    let clip = bikes();
    // The model declares three labels and returns four numbers.
    let mut wide = tiny::proto();
    let graph = wide.graph.as_mut().unwrap();
    for (name, dims, values) in [("dense.weight", vec![4, 3], 12), ("dense.bias", vec![4], 4)] {
        let weight = graph.initializer.iter_mut().find(|weight| weight.name == name).unwrap();
        weight.dims = dims;
        weight.raw_data = vec![0; 4 * values].into();
    }
    fs::write(program.path("wide.onnx"), wide.encode_to_vec()).unwrap();
    for device in ["cpu", "auto"] {
        let run = ["run", text(&clip), "--model", "wide.onnx", "--only", "timeline", "--device", device];
        let line = program.start(&run).refusal(2).to_string();
        assert!(line.contains("wide.onnx") || line.contains("3 labels"), "{line}");
        assert!(!program.path("bikes.timeline.json").exists());
    }
    // NaN weights.
    let mut broken = tiny::proto();
    let weight = broken.graph.as_mut().unwrap().initializer.iter_mut().find(|weight| weight.name == "dense.weight");
    weight.unwrap().raw_data = f32::NAN.to_le_bytes().repeat(9).into();
    fs::write(program.path("nan.onnx"), broken.encode_to_vec()).unwrap();
    for device in ["cpu", "auto"] {
        let run = ["run", text(&clip), "--model", "nan.onnx", "--only", "timeline", "--device", device];
        let finished = program.start(&run);
        assert!(finished.code != 0 && finished.stderr.contains("is not a probability"), "{}", finished.stderr);
    }
}

#[test]
fn a_model_with_a_huge_input_size_is_refused() {
    let program = Program::new();
    let clip = bikes();
    for size in ["40000", "0", "99999999999999999999"] {
        let mut proto = tiny::proto();
        proto.metadata_props.iter_mut().find(|entry| entry.key == "input.size").unwrap().value = size.into();
        fs::write(program.path("large.onnx"), proto.encode_to_vec()).unwrap();
        let line = program.start(&["run", text(&clip), "--model", "large.onnx"]).refusal(2).to_string();
        assert!(line.contains("input.size"), "{line}");
    }
}

#[test]
fn a_closed_terminal_finalises_the_files() {
    let program = Program::new();
    let model = tiny::model();
    let run = ["run", "test://?rate=20", "--model", text(&model), "--output", "out.mkv", "--window", "1"];
    let mut child = program.command(&run).spawn().unwrap();
    let video = program.path("out.mkv");
    wait_for_size(&video, 100_000);
    signal(child.id(), "HUP");
    assert_eq!(child.wait().unwrap().code(), Some(129));
    decodes_cleanly(&video);
    let files: Vec<_> = fs::read_dir(program.folder.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(files.iter().any(|name| name.to_string_lossy().ends_with(".summary.json")), "{files:?}");
}

#[test]
fn a_file_size_limit_is_reported_like_a_full_disk() {
    let program = Program::new();
    let clip = bikes();
    let mut command = program.command(&["run", text(&clip), "--model", text(&tiny::model()), "--output", "out.avi"]);
    // SAFETY: between fork and exec only a system call is made.
    unsafe {
        command.pre_exec(|| {
            let limit = 300_000;
            nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE, limit, limit)?;
            Ok(())
        });
    }
    let finished: crate::program::Finished = command.output().unwrap().into();
    let line = finished.refusal(1);
    assert!(line.contains("out.avi"), "{line}");
}

#[test]
fn a_pause_before_a_run_does_not_age_recordings() {
    let program = Program::new();
    let old = |name: &str, days: u64| {
        let path = program.path(name);
        fs::write(&path, "x").unwrap();
        let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        fs::File::options().append(true).open(&path).unwrap().set_modified(then).unwrap();
        path
    };
    // As after weeks without a recording: ages count from the newest file.
    let expired = old("test-20260101T000000Z.mkv", 40);
    let kept = [old("test-20260120T000000Z.mkv", 21), old("test-20260121T000000Z.mkv", 20)];
    let model = tiny::model();
    let run = ["run", "test://?rate=20", "--model", text(&model), "--segment", "1s", "--keep", "7d"];
    let mut child = program.command(&run).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while expired.exists() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(child.id(), "TERM");
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    child.wait().unwrap();
    assert!(!expired.exists(), "{stderr}");
    assert!(kept.iter().all(|path| path.exists()), "{stderr}");
    assert!(stderr.contains("does not count as age"), "{stderr}");
}

#[test]
fn a_hundred_thousand_inputs_of_one_name_are_numbered_quickly() {
    let program = Program::new();
    let inputs = vec!["\"absent/clip.mp4\""; 100_000].join(",");
    fs::write(program.path("many.toml"), format!("input = [{inputs}]\nonly = [\"timeline\"]\n")).unwrap();
    let labels: Vec<String> = (0..1_000_000).map(|number| format!("\"l{number}\"")).collect();
    let mut proto = tiny::proto();
    let entry = proto.metadata_props.iter_mut().find(|entry| entry.key == "labels").unwrap();
    entry.value = format!("[{},\"l7\"]", labels.join(","));
    fs::write(program.path("million.onnx"), proto.encode_to_vec()).unwrap();
    // With quadratic comparison of names, neither command ended within the test's time.
    let line = program.start(&["model", "show", "million.onnx"]).refusal(2).to_string();
    assert!(line.contains("million.onnx"), "{line}");
    let line = program.start(&["run", "--pipeline", "many.toml", "--model", "million.onnx"]).refusal(2).to_string();
    assert!(line.contains("million.onnx"), "{line}");
}

#[test]
fn a_webhooks_secret_is_not_in_the_trace_log() {
    let program = Program::new();
    let clip = small(program.folder.path(), "in.mp4", 25);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://user:hunter2@{}/hook/sesame?key=topsecret", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        // Accepts any request.
        for stream in listener.incoming().take(1) {
            let mut stream: TcpStream = stream.unwrap();
            let mut buffer = [0; 8192];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let arguments = ["run", text(&clip), "--model", text(&tiny::model()), "--only", "timeline", "--webhook", &address]
        .map(String::from);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = program.command(&arguments).env("LIVELABEL_LOG", "trace").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    server.join().unwrap();
    for secret in ["hunter2", "sesame", "topsecret", "dXNlcjpodW50ZXIy"] {
        assert!(!stderr.contains(secret), "{}", stderr.lines().find(|line| line.contains(secret)).unwrap_or_default());
    }
    assert_eq!(probe(&clip).frames, 25);
}

#[test]
fn two_runs_with_the_same_outputs_do_not_mix() {
    let program = Program::new();
    let clip = bikes();
    let model = tiny::model();
    // A camera never ends, so the first run is still active when the second starts.
    let live = ["run", "test://?rate=20", "--model", text(&model), "--output", "out.mkv", "--name", "door"];
    let mut first = program.command(&live).stderr(Stdio::null()).spawn().unwrap();
    wait_for_size(&program.path("out.mkv"), 20_000);
    // The camera's file as the output of a clip.
    let second = ["run", text(&clip), "--model", text(&model), "--output", "out.mkv", "--force"];
    let refused = program.start(&second);
    let line = refused.refusal(2);
    assert!(line.contains(&format!("out.mkv: is being written by process {}", first.id())), "{line}");
    assert!(!program.path("bikes.timeline.json").exists() && !program.path("bikes.timeline.jsonl").exists());
    signal(first.id(), "TERM");
    assert_eq!(first.wait().unwrap().code(), Some(143));
    decodes_cleanly(&program.path("out.mkv"));
    // The lock is released with the process.
    program.start(&second).succeeded();
}

#[test]
fn runs_that_start_in_the_same_second_have_separate_files() {
    let program = Program::new();
    let model = tiny::model();
    let run = ["run", "test://?rate=20", "--model", text(&model), "--segment", "24h"];
    let runs = [(); 3].map(|()| program.command(&run).stderr(Stdio::null()).spawn().unwrap());
    let named = |ending: &str| {
        let names = fs::read_dir(program.folder.path()).unwrap().flatten().map(|entry| entry.file_name());
        names.filter(|name| name.to_string_lossy().ends_with(ending)).count()
    };
    let began = Instant::now();
    while named(".mkv") < 3 && began.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(500));
    for mut run in runs {
        signal(run.id(), "TERM");
        assert_eq!(run.wait().unwrap().code(), Some(143));
    }
    assert_eq!([".mkv", ".timeline.jsonl", ".summary.json"].map(named), [3, 3, 3]);
}

#[test]
fn a_clip_that_is_a_playlist_fetches_nothing() {
    let program = Program::new();
    let secret = small(program.folder.path(), "secret.mp4", 25);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let there = format!("http://{}/clip.ts", listener.local_addr().unwrap());
    let local = format!("file://{}", secret.display());
    let hls = |address: &str| format!("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{address}\n#EXT-X-ENDLIST\n");
    let dash = format!(
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" mediaPresentationDuration=\"PT10S\" \
         profiles=\"urn:mpeg:dash:profile:isoff-main:2011\"><BaseURL>{there}</BaseURL><Period><AdaptationSet mimeType=\
         \"video/mp4\"><Representation id=\"1\" bandwidth=\"1\"/></AdaptationSet></Period></MPD>"
    );
    let sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 5004 RTP/AVP 96\r\n\
               a=rtpmap:96 H264/90000\r\n";
    for (kind, text) in [("hls", hls(&there)), ("local", hls(&local)), ("dash", dash), ("sdp", sdp.to_string())] {
        let name = format!("{kind}.mp4");
        fs::write(program.path(&name), text).unwrap();
        let refused = program.run(&program.path(&name), &["--only", "timeline"]);
        let line = refused.refusal(2);
        assert!(line.contains("is not a clip") || line.contains("is not a video"), "{line}");
        let timeline = program.path(&format!("{kind}.timeline.json"));
        assert!(!timeline.exists(), "{kind} was followed");
    }
    assert!(listener.accept().is_err(), "a network address was contacted");
}

#[test]
fn a_library_beside_a_copied_program_is_not_loaded() {
    let program = Program::new();
    let own = Path::new(env!("CARGO_BIN_EXE_livelabel"));
    let copy = program.path("bin/livelabel");
    fs::create_dir_all(program.path("bin")).unwrap();
    // By another process: a program cannot start while a child of this one still has the copy open for writing.
    assert!(Command::new("cp").args([own, &copy]).status().unwrap().success());
    for name in ["onnxruntime/libonnxruntime.so", "openvino/libopenvino_c.so"] {
        let library = program.path(".deps").join(name);
        fs::create_dir_all(library.parent().unwrap()).unwrap();
        fs::write(library, "not a library").unwrap();
    }
    let devices = |program: &Path| Command::new(program).arg("devices").output().unwrap();
    let (copied, built) = (devices(&copy), devices(own));
    assert_eq!(String::from_utf8_lossy(&copied.stdout), String::from_utf8_lossy(&built.stdout));
    assert!(!String::from_utf8_lossy(&copied.stdout).contains(text(program.folder.path())));
}
