//! Changes without a restart: settings, cameras and the model change while the run goes on, and nothing else is touched.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::admin::ADMIN;
use crate::broker::Broker;
use crate::camera::{Camera, Watch, files, running, signal};
use crate::http::{Response, Site};
use crate::https::Pair;
use crate::program::{Program, text};
use crate::tiny;

/// A run with cameras of a pipeline file, and its page.
pub struct Run {
    program: Program,
    watch: Watch,
    site: Site,
}

impl Run {
    pub fn start(pipeline: &str) -> Self {
        Self::started(Program::new(), pipeline, &[])
    }

    /// Starts a run in a folder with other files, and more flags.
    fn started(program: Program, pipeline: &str, flags: &[&str]) -> Self {
        write(&program, pipeline);
        std::fs::write(program.path("admin"), ADMIN).unwrap();
        let given = ["--pipeline", "cameras.toml", "--web", "127.0.0.1:0", "--web-admin-token-file", "admin"];
        let mut watch = Watch::command(&program, &[&given[..], flags].concat());
        let site = Site::of(&mut watch);
        Self { program, watch, site }
    }

    fn write(&self, pipeline: &str) {
        write(&self.program, pipeline);
    }

    fn reload(&self) -> Response {
        post(self.site, "/api/reload")
    }

    /// Reloads other settings. Returns what was changed.
    pub fn change(&self, pipeline: &str) -> String {
        self.write(pipeline);
        self.reload().json()["message"].as_str().unwrap().to_string()
    }

    /// Reloads what is wrong. Returns why it was refused.
    pub fn refused(&self, pipeline: &str) -> String {
        self.write(pipeline);
        let response = self.reload();
        assert_eq!(response.status, 422, "{response:?}");
        serde_json::from_slice::<Value>(&response.body).unwrap()["error"].as_str().unwrap().to_string()
    }

    pub fn is_running(&self, name: &str) -> Value {
        let decoding = |stream: &Value| stream["state"] == "running" && stream["frames"]["decoded"].as_u64() > Some(0);
        self.site.until(name, |site| site.stream(name), decoding)
    }

    /// Waits until the camera has labelled more frames than before.
    pub fn goes_on(&self, name: &str) {
        let labelled = |stream: &Value| {
            stream["frames"]["analysed"].as_u64().unwrap() + stream["frames"]["held"].as_u64().unwrap()
        };
        let before = labelled(&self.site.stream(name));
        self.site.until("it goes on", |site| site.stream(name), |stream| labelled(stream) > before + 10);
    }

    fn names(&self) -> Vec<String> {
        let all = self.site.json("/api/streams");
        all["streams"].as_array().unwrap().iter().map(|stream| stream["name"].as_str().unwrap().to_string()).collect()
    }

    /// Reads the records of a camera's journals.
    fn records(&self, stem: &str) -> Vec<Value> {
        let journals = self.journals(stem);
        let all: String = journals.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        all.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn journals(&self, stem: &str) -> Vec<PathBuf> {
        let mut all = files(&self.program, ".timeline.jsonl");
        all.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{stem}-2")));
        all
    }
}

/// Writes the pipeline file, with the tiny model unless it names another.
fn write(program: &Program, pipeline: &str) {
    let model = if pipeline.contains("model = ") { String::new() } else { format!("model = {:?}\n", tiny::model()) };
    std::fs::write(program.path("cameras.toml"), model + pipeline).unwrap();
}

fn post(site: Site, path: &str) -> Response {
    site.send(&format!(
        "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\nX-Admin-Token: {ADMIN}\r\n\r\n{{}}"
    ))
}

pub fn stream(name: &str, input: &str, more: &str) -> String {
    format!("[[stream]]\nname = \"{name}\"\ninput = \"{input}\"\n{more}\n")
}

pub fn test(name: &str, more: &str) -> String {
    stream(name, "test://?size=160x120&rate=10", more)
}

fn of<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter_map(|record| record.get(kind)).collect()
}

/// A camera that counts its clients.
struct Counted {
    camera: Camera,
    clients: PathBuf,
    _folder: tempfile::TempDir,
}

impl Counted {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clients = folder.path().join("clients");
        let camera = Camera::start(&["--size", "160x120", "--clients", text(&clients)]);
        Self { camera, clients, _folder: folder }
    }

    fn clients(&self) -> u64 {
        self.clients.metadata().map_or(0, |file| file.len())
    }
}

#[test]
fn changed_settings_take_effect_between_two_frames_and_touch_no_other_camera() {
    let (door, garden) = (Counted::start(), Counted::start());
    let pipeline = |more: &str| {
        format!("{}{}", stream("door", &door.camera.url, more), stream("garden", &garden.camera.url, "stride = 1"))
    };
    let mut run = Run::start(&pipeline("threshold = 0.2\nwindow = 4"));
    run.is_running("door");
    let before = run.is_running("garden");
    run.goes_on("door");
    assert_eq!(run.change(&pipeline("threshold = 0.2\nwindow = 4")), "nothing changed");
    let changed =
        run.change(&pipeline("threshold = 0.9\nwindow = \"0.5s\"\nhysteresis = 0.3\naction = \"blue\"\nstride = 2"));
    assert_eq!(changed, "changed door, 1 unchanged");
    run.site.until(
        "the settings",
        |site| site.stream("door"),
        |door| door["threshold"] == 0.9 && door["action"] == "blue",
    );
    run.goes_on("door");
    run.goes_on("garden");
    let after = run.site.stream("garden");
    assert_eq!((&after["since"], &after["reconnects"], &after["gaps"]), (&before["since"], &0.into(), &0.into()));
    let logged = |fields: &Value| {
        fields["message"].as_str().is_some_and(|line| line.ends_with(" 127.0.0.1: reload: changed door, 1 unchanged"))
    };
    run.watch.line("the change", logged);
    let dropped = run.site.stream("door")["reconnects"].clone();
    assert_eq!(dropped, 0);
    assert_eq!((door.clients(), garden.clients()), (1, 1));
    let Run { watch, .. } = run;
    let (finished, _) = watch.stop("INT");
    assert_eq!(finished.code, 130, "{}", finished.stderr);
    let run = Stopped(run.program);
    let records = run.records("door");
    let [settings] = of(&records, "settings")[..] else { panic!("{records:?}") };
    assert_eq!(settings["threshold"], 0.9);
    assert_eq!((&settings["window"], &settings["hysteresis"]), (&json!("0.5s"), &json!(0.3)));
    assert_eq!((&settings["action"], &settings["stride"]), (&json!("blue"), &json!(2)));
    assert_eq!(settings["model"]["labels"], json!(["red", "green", "blue"]));
    let at = settings["ms"].as_f64().unwrap();
    for interval in of(&records, "interval") {
        let [start, end] = ["start", "end"].map(|key| interval[key].as_f64().unwrap());
        assert!(end <= at || start >= at, "{interval} spans {at}");
    }
    let times: Vec<f64> = of(&records, "frame").iter().map(|frame| frame["ms"].as_f64().unwrap()).collect();
    // A frame may come before the one before it has lasted its 40 ms.
    let after = times.iter().any(|&ms| ms > at - 40.0);
    assert!(times.is_sorted() && times.len() > 1 && times[0] < at && after, "{times:?} {at}");
    assert!(of(&records, "gap").is_empty() && of(&records, "lost").is_empty(), "{records:?}");
    // Every frame is accounted for, and none was lost by the change.
    for name in ["door", "garden"] {
        assert_eq!(run.journals(name).len(), 1);
        let summary = run.summary(name);
        let count = |key: &str| summary["frames"][key].as_u64().unwrap();
        let dropped = summary["frames"]["dropped"].as_object().unwrap();
        let overrun = dropped.get("overrun").and_then(Value::as_u64).unwrap_or(0);
        let ended = dropped.get("failure").and_then(Value::as_u64).unwrap_or(0);
        assert_eq!(count("decoded"), count("analysed") + count("held") + overrun + ended, "{summary}");
        // Only what was on its way when the run was stopped.
        assert!(ended <= 12, "{summary}");
    }
}

/// The files of a run that has ended.
struct Stopped(Program);

impl Stopped {
    fn journals(&self, stem: &str) -> Vec<PathBuf> {
        let mut all = files(&self.0, ".timeline.jsonl");
        all.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{stem}-2")));
        all
    }

    fn records(&self, stem: &str) -> Vec<Value> {
        let all: String = self.journals(stem).iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        all.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn summary(&self, stem: &str) -> Value {
        let mut all = files(&self.0, ".summary.json");
        all.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{stem}-2")));
        let [path] = &all[..] else { panic!("not one summary: {all:?}") };
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }
}

#[test]
fn cameras_are_added_removed_and_restarted_without_the_others() {
    let (door, garden) = (Counted::start(), Counted::start());
    let (one, two) = (stream("door", &door.camera.url, ""), stream("garden", &garden.camera.url, ""));
    // The garden's port is none that cameras usually have.
    let run = Run::started(Program::new(), &format!("{one}{}", test("hall", "")), &["--no-sandbox"]);
    let since = run.is_running("door")["since"].clone();
    run.is_running("hall");
    let mut events = run.site.events();
    assert_eq!(run.change(&format!("{one}{two}")), "added garden, removed hall, 1 unchanged");
    assert_eq!(run.names(), ["door", "garden"]);
    run.is_running("garden");
    // Who watches the page hears of it.
    let has_garden = |data: &Value| data["streams"].as_array().unwrap().iter().any(|stream| stream["name"] == "garden");
    while !matches!(events.next(), (event, data) if event == "streams" && has_garden(&data)) {}
    let metrics = run.site.get("/metrics").text();
    assert!(!metrics.contains("stream=\"hall\"") && metrics.contains("stream=\"garden\""), "{metrics}");
    assert_eq!(run.site.get("/api/streams/hall/timeline").status, 404);
    assert_eq!(run.journals("hall").len(), 1);
    assert!(of(&run.records("hall"), "end").len() == 1);
    // A change of the source or of the recording restarts that camera only, and its counts go on.
    let analysed =
        |run: &Run| run.site.metrics().get("livelabel_frames_total", &[("stream", "garden"), ("outcome", "analysed")]);
    run.goes_on("garden");
    let before = analysed(&run);
    let changed =
        run.change(&format!("{one}{}", stream("garden", &garden.camera.url, "latency = 100\nsegment = \"1h\"")));
    assert_eq!(changed, "restarted garden, 1 unchanged");
    assert!(analysed(&run) >= before);
    run.is_running("garden");
    run.goes_on("garden");
    assert!(analysed(&run) > before);
    assert_eq!((door.clients(), garden.clients()), (1, 2));
    assert_eq!(run.site.stream("door")["since"], since);
    // Removed and added again.
    assert_eq!(run.change(&one), "removed garden, 1 unchanged");
    run.change(&format!("{two}{one}"));
    run.is_running("garden");
    assert_eq!(run.names(), ["garden", "door"]);
    assert!(analysed(&run) >= before);
    let Run { watch, program, .. } = run;
    let (finished, _) = watch.stop("INT");
    assert_eq!(finished.code, 130, "{}", finished.stderr);
    let stopped = Stopped(program);
    assert_eq!((stopped.journals("garden").len(), stopped.journals("door").len()), (3, 1));
    assert_eq!(stopped.summary("door")["reconnects"], 0);
    assert!(finished.stdout.contains("garden: ") && finished.stdout.contains("hall: "), "{}", finished.stdout);
}

#[test]
fn a_camera_is_paused_and_resumed() {
    let camera = Counted::start();
    let pipeline =
        |door: &str, hall: &str| format!("{}{}", stream("door", &camera.camera.url, door), test("hall", hall));
    let mut run = Run::start(&pipeline("", "paused = true"));
    run.is_running("door");
    let state = |run: &Run, name: &str, wanted: &str| {
        run.site.until(wanted, |site| site.stream(name), |stream| stream["state"] == wanted)
    };
    state(&run, "hall", "paused");
    let said = |response: Response| response.json()["message"].as_str().unwrap().to_string();
    assert_eq!(said(post(run.site, "/api/streams/door/pause")), "paused door");
    assert_eq!(said(post(run.site, "/api/streams/door/pause")), "door was paused before");
    let paused = state(&run, "door", "paused");
    assert_eq!((&paused["reason"], &paused["label"]), (&"paused".into(), &Value::Null));
    // Nobody is missing.
    assert_eq!(run.site.get("/healthz").text(), "ok\n");
    let metrics = run.site.metrics();
    let of_door = [("stream", "door")];
    assert_eq!((metrics.get("livelabel_paused", &of_door), metrics.get("livelabel_up", &of_door)), (1.0, 0.0));
    // A reload that does not speak of it leaves it paused.
    assert_eq!(run.change(&pipeline("threshold = 0.4", "paused = true")), "changed door, 1 unchanged");
    let frames = run.site.stream("door")["frames"]["decoded"].clone();
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(run.site.stream("door")["frames"]["decoded"], frames);
    assert_eq!(said(post(run.site, "/api/streams/door/resume")), "resumed door");
    state(&run, "door", "running");
    assert_eq!((camera.clients(), run.site.stream("door")["threshold"].as_f64()), (2, Some(0.4)));
    // The file pauses it, and starts the other one.
    let other = pipeline("threshold = 0.4\npaused = true", "threshold = 0.4");
    assert_eq!(run.change(&other), "changed hall, paused door, resumed hall");
    state(&run, "door", "paused");
    state(&run, "hall", "running");
    assert_eq!(post(run.site, "/api/streams/nobody/pause").status, 404);
    let closed =
        |fields: &Value| fields["message"].as_str().is_some_and(|line| line.ends_with(": resume door: resumed door"));
    run.watch.line("the log", closed);
    let Run { watch, program, .. } = run;
    let (finished, _) = watch.stop("TERM");
    assert_eq!(finished.code, 143, "{}", finished.stderr);
    let stopped = Stopped(program);
    let records = stopped.records("door");
    let reasons: Vec<&Value> = of(&records, "lost").iter().map(|lost| &lost["reason"]).collect();
    assert_eq!(reasons, ["paused", "paused"]);
    let [gap] = of(&records, "gap")[..] else { panic!("{records:?}") };
    assert_eq!(gap["reason"], "paused");
    assert_eq!(stopped.journals("door").len(), 1);
    let summary = stopped.summary("door");
    assert!(summary["frames"]["dropped"].get("failure").is_none(), "{summary}");
}

#[test]
fn what_is_wrong_in_one_of_twenty_cameras_is_refused_whole() {
    let twenty = |last: &str| -> String {
        (1..=20)
            .map(|number| {
                stream(&format!("c{number}"), "test://?size=64x48&rate=2", if number == 20 { last } else { "" })
            })
            .collect()
    };
    let run = Run::start(&twenty(""));
    for name in run.names() {
        run.is_running(&name);
    }
    let before: Vec<Value> = run.names().iter().map(|name| run.site.stream(name)["since"].clone()).collect();
    let others = twenty("").replace("test://?size=64x48&rate=2", "test://?size=80x48&rate=2");
    let unreadable = twenty("threshold = 2").replace("c3\"", "c33\"");
    for (pipeline, why) in [
        (unreadable, "threshold 2"),
        (twenty("action = \"purple\""), "c20: the model tiny.onnx has no label \"purple\""),
        (twenty("input = 3"), "line "),
        (twenty("widnow = 3"), "write window"),
        (twenty("password_file = \"nowhere\"\nuser_env = \"PATH\""), "nowhere"),
        (twenty("segment = \"1m\"\noutput_dir = \"admin/nowhere\""), "c20: nothing can be written to admin/nowhere"),
        (format!("model = \"nowhere.onnx\"\n{others}"), "nowhere.onnx"),
        (String::new(), "no input"),
    ] {
        let error = run.refused(&pipeline);
        assert!(error.contains(why) && !error.contains('\n'), "{error}");
    }
    std::fs::remove_file(run.program.path("cameras.toml")).unwrap();
    let absent = run.reload();
    assert!(absent.status == 422 && absent.text().contains("cannot be read"), "{absent:?}");
    let after: Vec<Value> = run.names().iter().map(|name| run.site.stream(name)["since"].clone()).collect();
    assert_eq!(before, after);
    // What is right after that is done, and what needs a restart is named.
    let message = run.change(&format!("status_interval = \"7s\"\ndevice = \"cpu\"\n{}", twenty("threshold = 0.7")));
    assert!(message.starts_with("changed c20, 19 unchanged; needs a restart, and stays as it was: "), "{message}");
    assert!(message.contains("device"), "{message}");
    run.watch.stop("INT");
}

/// Starts a run of `cameras.toml` without a terminal.
fn without_terminal(program: &Program) -> Watch {
    let given = ["--log-format", "json", "run", "--status-interval", "1s", "--pipeline", "cameras.toml"];
    let mut command = program.command(&given);
    command.args(["--model", text(&tiny::model())]);
    // SAFETY: between fork and exec only a system call is made.
    unsafe {
        command.pre_exec(|| if libc::setsid() < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) });
    }
    Watch::spawn(command)
}

/// Returns whether a process handles SIGHUP.
fn handles_hangup(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask of signals");
    u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (libc::SIGHUP - 1)) != 0
}

#[test]
fn a_signal_before_the_run_is_ready_reloads_it_then() {
    let program = Program::new();
    std::fs::write(program.path("cameras.toml"), test("door", "")).unwrap();
    let mut watch = without_terminal(&program);
    let begun = Instant::now();
    while !handles_hangup(watch.id()) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no handler within 60 s");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::fs::write(program.path("cameras.toml"), format!("{}{}", test("door", ""), test("hall", ""))).unwrap();
    signal(watch.id(), "HUP");
    watch.line("the reload", |fields| {
        let line = fields["message"].as_str();
        line.is_some_and(|line| line.ends_with("Z SIGHUP: reload: added hall, 1 unchanged"))
    });
    watch.until("hall", |status| status["stream"] == "hall" && running(status));
    let (finished, _) = watch.stop("TERM");
    assert_eq!(finished.code, 143, "{}", finished.stderr);
}

#[test]
fn a_signal_reloads_a_run_without_a_terminal() {
    let program = Program::new();
    std::fs::write(program.path("cameras.toml"), test("door", "")).unwrap();
    let mut watch = without_terminal(&program);
    watch.until("running", running);
    let says =
        |part: &'static str| move |fields: &Value| fields["message"].as_str().is_some_and(|line| line.contains(part));
    std::fs::write(program.path("cameras.toml"), format!("{}{}", test("door", ""), test("hall", ""))).unwrap();
    signal(watch.id(), "HUP");
    watch.line("the reload", says("Z SIGHUP: reload: added hall, 1 unchanged"));
    watch.until("hall", |status| status["stream"] == "hall" && running(status));
    std::fs::write(program.path("cameras.toml"), "nonsense = 1").unwrap();
    signal(watch.id(), "HUP");
    let refused = watch.line("the refusal", says("SIGHUP: reload: refused: "));
    assert!(refused["message"].as_str().unwrap().contains("line 1: there is no key"), "{refused}");
    watch.until("hall goes on", |status| status["stream"] == "hall" && running(status));
    let (finished, _) = watch.stop("TERM");
    assert_eq!(finished.code, 143, "{}", finished.stderr);
}

#[test]
fn a_model_is_replaced_while_the_cameras_stay_connected() {
    let camera = Counted::start();
    let program = Program::new();
    let model = program.path("mine.onnx");
    tiny::write(&model, &[]);
    let pipeline = format!("model = \"mine.onnx\"\n{}", stream("door", &camera.camera.url, ""));
    let run = Run::started(program, &pipeline, &[]);
    run.is_running("door");
    // The same labels, other settings in the file.
    tiny::write(&model, &[("threshold", "0.25"), ("trained_on", "something else")]);
    assert_eq!(run.change(&pipeline), "model mine.onnx, changed door");
    run.site.until("its threshold", |site| site.stream("door"), |door| door["threshold"] == 0.25);
    run.goes_on("door");
    assert_eq!(camera.clients(), 1);
    // Other labels need other journals.
    tiny::write(&model, &[("labels", "[\"rot\", \"green\", \"blue\"]")]);
    assert_eq!(run.change(&pipeline), "model mine.onnx, restarted door");
    let door = run.is_running("door");
    assert_eq!(door["labels"], json!(["rot", "green", "blue"]));
    run.goes_on("door");
    // What is no model is refused.
    std::fs::write(&model, "nonsense").unwrap();
    let refused = run.refused(&pipeline);
    assert!(refused.contains("mine.onnx"), "{refused}");
    run.goes_on("door");
    let Run { watch, program, .. } = run;
    let (finished, _) = watch.stop("INT");
    assert_eq!(finished.code, 130, "{}", finished.stderr);
    let stopped = Stopped(program);
    assert_eq!(stopped.journals("door").len(), 2);
    let records = stopped.records("door");
    let starts: Vec<&Value> = of(&records, "start").iter().map(|start| &start["model"]["sha256"]).collect();
    let [settings] = of(&records, "settings")[..] else { panic!("{records:?}") };
    let digest = &settings["model"]["sha256"];
    assert!(starts.len() == 2 && !starts.contains(&digest), "{starts:?} {settings}");
}

#[test]
fn the_program_reloads_a_run_over_the_page() {
    let program = Program::new();
    let pair = Pair::until(4096);
    pair.write(&program);
    std::fs::write(program.path("admin"), ADMIN).unwrap();
    std::fs::write(program.path("wrong"), "another-s3cret").unwrap();
    std::fs::write(program.path("cameras.toml"), test("door", "")).unwrap();
    let web =
        ["--web", "127.0.0.1:0", "--web-admin-token-file", "admin", "--web-cert", "page.pem", "--web-key", "page.key"];
    let mut watch = Watch::start(&program, &[], &[&["--pipeline", "cameras.toml"], &web[..]].concat());
    let site = Site::of(&mut watch);
    watch.until("running", running);
    let url = format!("https://127.0.0.1:{}/", site.port);
    let ask = |token: &str, more: &[&str]| {
        program.start(&[&["reload", "--web", &url, "--admin-token-file", token], more].concat())
    };
    let trusting = ["--trust", "page.pem"];
    std::fs::write(program.path("cameras.toml"), test("door", "threshold = 0.5")).unwrap();
    assert_eq!(ask("admin", &trusting).succeeded().stdout, "changed door\n");
    let untrusted = ask("admin", &[]).refusal(1).to_string();
    assert!(untrusted.contains("no run answers") && untrusted.contains("--trust FILE"), "{untrusted}");
    let wrong = ask("wrong", &trusting).refusal(2).to_string();
    assert!(wrong.contains("the admin token is missing or wrong") && !wrong.contains("s3cret"), "{wrong}");
    std::fs::write(program.path("cameras.toml"), "nonsense = 1").unwrap();
    let refused = ask("admin", &trusting).refusal(2).to_string();
    assert!(refused.contains("line 1: there is no key"), "{refused}");
    watch.stop("INT");
}

#[test]
fn what_cannot_be_reloaded_says_so() {
    let program = Program::new();
    std::fs::write(program.path("admin"), ADMIN).unwrap();
    let clip = crate::footage::small(program.folder.path(), "clip.mp4", 100);
    let start = |inputs: &[&str], more: &[&str]| {
        let web = ["--web", "127.0.0.1:0", "--web-admin-token-file", "admin", "--force"];
        let mut watch = Watch::start(&program, inputs, &[&web[..], more].concat());
        let site = Site::of(&mut watch);
        (watch, site)
    };
    let why = |site: Site| {
        let answer = post(site, "/api/reload");
        (answer.status, serde_json::from_slice::<Value>(&answer.body).unwrap()["error"].as_str().unwrap().to_string())
    };
    let (watch, site) = start(&["test://?rate=5"], &[]);
    let (status, text) = why(site);
    assert!(status == 422 && text.contains("no pipeline file"), "{text}");
    watch.stop("INT");
    std::fs::write(program.path("clips.toml"), "input = \"clip.mp4\"\nonly = \"timeline\"\n").unwrap();
    let (watch, site) = start(&[], &["--pipeline", "clips.toml", "--display=false"]);
    let (status, text) = why(site);
    // Which one depends on whether the clip is done.
    assert!(
        (status == 422 && text.contains("has no cameras")) || (status == 503 && text.contains("the run has ended")),
        "{text}"
    );
    site.until("ended", |site| site.stream("clip.mp4"), |stream| stream["state"] == "ended");
    site.until("the end", why, |(status, text)| *status == 503 && text.contains("the run has ended"));
    watch.stop("INT");
    drop(clip);
}

#[test]
fn in_a_run_with_clips_only_the_cameras_are_reloaded() {
    let program = Program::new();
    crate::footage::small(program.folder.path(), "clip.mp4", 100);
    let clip = |only: &str| format!("[[stream]]\ninput = \"clip.mp4\"\nonly = \"{only}\"\n");
    let run = Run::started(program, &format!("{}{}", test("door", ""), clip("timeline")), &[]);
    run.is_running("door");
    run.site.until("ended", |site| site.stream("clip.mp4"), |stream| stream["state"] == "ended");
    let changed = run.change(&format!("{}{}", test("door", "threshold = 0.3"), clip("plot")));
    assert_eq!(changed, "changed door; needs a restart, and stays as it was: clips");
    assert_eq!(run.names(), ["door", "clip.mp4"]);
    tiny::write(&run.program.path("other.onnx"), &[("trained_on", "else")]);
    let refused = run.refused(&format!("model = \"other.onnx\"\n{}{}", test("door", ""), clip("timeline")));
    assert!(refused.contains("cannot be replaced in a run with clips"), "{refused}");
    run.watch.stop("INT");
}

#[test]
fn home_assistant_follows_the_cameras() {
    let broker = Broker::start();
    let subscriber = broker.subscribe();
    let pipeline = |streams: &str| format!("mqtt = \"{}\"\n{streams}", broker.url());
    let run = Run::start(&pipeline(&test("door", "")));
    run.is_running("door");
    subscriber.until("livelabel/door/state", |message| message.payload.contains("running"));
    run.change(&pipeline(&test("hall", "")));
    subscriber.until("livelabel/hall/state", |message| message.payload.contains("running"));
    subscriber.until("livelabel/door/state", |message| message.payload.is_empty());
    let late = broker.subscribe();
    late.until("livelabel/hall/availability", |message| message.retained && message.payload == "online");
    let retained: Vec<String> =
        late.messages().into_iter().filter(|message| message.retained).map(|message| message.topic).collect();
    assert!(!retained.iter().any(|topic| topic.contains("door")), "{retained:?}");
    assert_eq!(retained.iter().filter(|topic| topic.starts_with("homeassistant/")).count(), 3, "{retained:?}");
    assert_eq!(post(run.site, "/api/streams/hall/pause").status, 200);
    late.until("livelabel/hall/availability", |message| message.payload == "offline");
    late.until("livelabel/hall/state", |message| message.payload.contains("\"paused\""));
    run.watch.stop("INT");
}

#[test]
fn a_lost_camera_that_is_restarted_is_reported_back_once() {
    let camera = Camera::start(&["--size", "160x120"]);
    let (url, port) = (camera.url.clone(), camera.port);
    let pipeline = |more: &str| format!("events = \"events.jsonl\"\n{}", stream("door", &url, more));
    let run = Run::start(&pipeline(""));
    run.is_running("door");
    drop(camera);
    run.site.until("lost", |site| site.stream("door"), |stream| stream["state"] == "reconnecting");
    assert_eq!(run.change(&pipeline("segment = \"1h\"")), "restarted door");
    let _camera = Camera::at(port, &["--size", "160x120"]);
    run.is_running("door");
    run.goes_on("door");
    let Run { watch, program, .. } = run;
    watch.stop("TERM");
    let events = std::fs::read_to_string(program.path("events.jsonl")).unwrap();
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let of_camera: Vec<&str> = kinds.into_iter().filter(|kind| ["lost", "back"].contains(kind)).collect();
    assert_eq!(of_camera, ["lost", "back"], "{events:#?}");
}
