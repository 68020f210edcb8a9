//! Cameras over several workers: each is watched by one, goes from one to another, and what it sees is told once.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::camera::{Camera, Watch, signal};
use crate::cluster::{Cluster, names, says, until};
use crate::http::Site;
use crate::live::jpeg_camera;
use crate::program::Finished;

const CAMERA: &str = "test://?size=160x120&rate=10";

impl Cluster {
    fn camera(&self, name: &str, flags: &[&str]) -> Finished {
        // A worker whose strides grow takes no more, and the machine may be busy.
        self.submit(&[&[CAMERA, "--name", name, "--stride", "1"], flags].concat()).succeeded()
    }

    /// Returns who watches a camera, and sees it.
    fn watcher(&self, camera: &str) -> Option<String> {
        let status = self.status();
        let holder = status["workers"].as_array().unwrap().iter().find(|worker| {
            let cameras = worker["cameras"].as_array().unwrap();
            cameras.iter().any(|held| held["camera"] == camera && held["state"] == "running")
        });
        holder.map(|worker| worker["name"].as_str().unwrap().to_string())
    }

    fn until_watched_by(&self, camera: &str, worker: &str) {
        until("the camera", || self.watcher(camera).as_deref() == Some(worker));
    }

    /// Returns the events of a camera: kind, label, worker and identifier.
    fn events(&self, camera: &str) -> Vec<Value> {
        let all = self.server.messages("LIVELABEL_EVENTS");
        let of = |subject: &str| subject.split('.').nth(2) == Some(camera);
        all.into_iter().filter(|(subject, _)| of(subject)).map(|(_, event)| event).collect()
    }

    fn state(&self, camera: &str) -> Value {
        let states = self.server.messages("LIVELABEL_STATES");
        let subject = format!("livelabel.state.{camera}");
        states.into_iter().find(|(found, _)| *found == subject).map(|(_, state)| state).unwrap_or_default()
    }

    /// Returns the records of each journal of a camera, the oldest first.
    fn journals(&self, camera: &str) -> Vec<Vec<Value>> {
        let folder = self.out().join("cameras").join(camera);
        let journals = names(&folder).into_iter().filter(|name| name.ends_with(".jsonl"));
        let read = |name: String| {
            let text = fs::read_to_string(folder.join(name)).unwrap();
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
        };
        journals.map(read).collect()
    }
}

/// Checks that each interval that began has ended once, and that each event was told once.
fn check_told_once(events: &[Value]) {
    let ids: BTreeSet<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len(), "{events:#?}");
    let of = |kind: &str, end: &str| -> BTreeSet<String> {
        let all = events.iter().filter(|event| event["event"] == kind);
        all.map(|event| event["id"].as_str().unwrap().strip_suffix(end).unwrap().to_string()).collect()
    };
    assert_eq!(of("start", "-start"), of("end", "-end"), "{events:#?}");
}

/// Returns who told each event of a kind.
fn told_by(events: &[Value], kind: &str) -> Vec<String> {
    let all = events.iter().filter(|event| event["event"] == kind);
    all.map(|event| event["worker"].as_str().unwrap().to_string()).collect()
}

/// Returns when a journal's first frame and its end were, in milliseconds of its camera's day.
fn first_and_last(journal: &[Value]) -> (f64, f64) {
    let started = journal[0]["start"]["started"].as_str().unwrap();
    let began = time::OffsetDateTime::parse(started, &time::format_description::well_known::Rfc3339).unwrap();
    let began = began.unix_timestamp_nanos() as f64 / 1e6;
    let first = journal.iter().find_map(|record| record["frame"]["ms"].as_f64()).unwrap();
    let ends = journal.iter().filter_map(|record| record["interval"]["end"].as_f64());
    let frames = journal.iter().filter_map(|record| record["frame"]["ms"].as_f64());
    (began + first, began + ends.chain(frames).fold(0.0, f64::max))
}

#[test]
fn a_camera_is_moved_to_another_worker_which_sees_it_before_the_first_one_leaves_it() {
    let cluster = Cluster::start();
    let (first, second) = (cluster.worker("first", &[]), cluster.worker("second", &[]));
    let submitted = cluster.camera("door", &[]);
    assert_eq!((submitted.stdout.as_str(), submitted.stderr.lines().count()), ("door\n", 1));
    assert!(submitted.stderr.ends_with("1 camera added, 0 changed, 0 there before\n"), "{}", submitted.stderr);
    until("the camera", || cluster.watcher("door").is_some());
    let from = cluster.watcher("door").unwrap();
    let (worker, other) = if from == "first" { (first, second) } else { (second, first) };
    let to = if from == "first" { "second" } else { "first" };
    until("the move", || cluster.command(&["cluster", "move", "door", to]).code == 0);
    let moved = cluster.command(&["cluster", "move", "door", to]).succeeded();
    assert_eq!(moved.stdout, format!("{to} watches door\n"));
    cluster.until_watched_by("door", to);
    let list = cluster.command(&["cluster", "list"]).succeeded();
    assert_eq!(list.stdout, format!("door  watched by {to}\n"));
    let removed = cluster.command(&["cluster", "cancel", "door"]).succeeded();
    assert_eq!(removed.stdout, "door: removed\n");
    assert_eq!(cluster.command(&["cluster", "cancel", "door"]).code, 1);
    assert_eq!(cluster.status()["cameras"], serde_json::json!({ "waiting": 0, "watched": 0, "redelivered": 0 }));
    // Both have closed their files, and neither wrote while the other did.
    let journals = cluster.journals("door");
    assert_eq!(journals.len(), 2);
    assert!(journals.iter().all(|journal| journal.last().unwrap()["end"]["complete"] == true), "{journals:#?}");
    let [(_, left), (taken, _)] = [first_and_last(&journals[0]), first_and_last(&journals[1])];
    assert!(left <= taken, "{left} {taken}");
    // The new worker saw the camera before it was its own.
    let dropped = &journals[1].last().unwrap()["end"]["frames"]["dropped"];
    assert!(dropped["standby"].as_u64().unwrap() >= 1, "{dropped}");
    let events = cluster.events("door");
    check_told_once(&events);
    assert_eq!(told_by(&events, "end").first(), Some(&from));
    assert_eq!(told_by(&events, "end").last().map(String::as_str), Some(to));
    assert_eq!((&cluster.state("door")["released"], &cluster.state("door")["worker"]), (&true.into(), &to.into()));
    for watch in [worker, other] {
        assert_eq!(watch.stop("TERM").0.code, 143);
    }
}

#[test]
fn a_killed_workers_camera_is_watched_by_another_which_ends_what_was_open() {
    let cluster = Cluster::start();
    let first = cluster.worker("first", &[]);
    cluster.camera("door", &[]);
    until("its first interval", || cluster.state("door")["open"].is_object() && !cluster.events("door").is_empty());
    let open = cluster.state("door")["open"].clone();
    signal(first.id(), "KILL");
    assert_eq!(first.finish().0.code, -1);
    let second = cluster.worker("second", &[]);
    cluster.until_watched_by("door", "second");
    until("its end", || cluster.events("door").iter().any(|event| event["incomplete"] == true));
    let events = cluster.events("door");
    let ended = events.iter().find(|event| event["incomplete"] == true).unwrap();
    assert_eq!((&ended["id"], &ended["event"], &ended["worker"]), (&open["end_id"], &"end".into(), &"first".into()));
    assert_eq!((&ended["start_ms"], &ended["label"]), (&open["start_ms"], &open["label"]));
    assert_eq!(second.stop("TERM").0.code, 143);
    check_told_once(&cluster.events("door"));
    // It waits for the next worker.
    assert_eq!(cluster.status()["cameras"]["waiting"], 1);
}

#[test]
fn cameras_are_spread_and_a_worker_that_drains_hands_its_own_over() {
    let cluster = Cluster::start();
    let first = cluster.worker("first", &["--cameras", "4"]);
    let cameras = ["door", "garden", "hall", "yard"];
    cameras.iter().for_each(|name| drop(cluster.camera(name, &[])));
    let all_watched = || cameras.iter().all(|name| cluster.watcher(name).is_some());
    until("all cameras", all_watched);
    let second = cluster.worker("second", &["--cameras", "4"]);
    let number = |worker: &str| cameras.iter().filter(|name| cluster.watcher(name).as_deref() == Some(worker)).count();
    until("the balance", || number("first") == 2 && number("second") == 2);
    let drained = cluster.command(&["cluster", "drain", "first"]).succeeded();
    assert!(drained.stdout.contains("hands its cameras over"), "{}", drained.stdout);
    let (drained, _) = first.finish();
    assert_eq!(drained.code, 0, "{}", drained.stderr);
    until("all cameras", || number("second") == 4);
    assert_eq!(second.stop("TERM").0.code, 143);
    cameras.iter().for_each(|name| check_told_once(&cluster.events(name)));
}

#[test]
fn the_settings_of_a_camera_change_while_it_is_watched_and_outlive_its_worker() {
    let cluster = Cluster::start();
    let pipeline = format!(
        "web = \"127.0.0.1:0\"\nthreshold = 0.25\nstride = 1\n[[stream]]\nname = \"door\"\ninput = \"{CAMERA}\"\n\
         [[stream]]\nname = \"garden\"\ninput = \"{CAMERA}\"\nhysteresis = 0.1\n"
    );
    fs::write(cluster.program.path("cameras.toml"), pipeline).unwrap();
    let first = cluster.worker("first", &[]);
    let submitted = cluster.submit(&["--pipeline", "cameras.toml"]).succeeded();
    assert_eq!(submitted.stdout, "door\ngarden\n");
    assert!(submitted.stderr.contains("the pipeline's web are of a run, and left out"), "{}", submitted.stderr);
    cluster.until_watched_by("door", "first");
    let again = cluster.submit(&["--pipeline", "cameras.toml"]).succeeded();
    assert!(again.stderr.ends_with("0 cameras added, 0 changed, 2 there before\n"), "{}", again.stderr);
    let changed = cluster.camera("door", &["--threshold", "0.75"]);
    assert!(changed.stderr.ends_with("0 cameras added, 1 changed, 0 there before\n"), "{}", changed.stderr);
    let thresholds = || -> Vec<Value> {
        cluster
            .journals("door")
            .iter()
            .filter_map(|journal| journal.first())
            .map(|first| first["start"]["threshold"].clone())
            .collect()
    };
    // A busy machine may lose its claim, and have the camera again.
    let different = || {
        let mut all = thresholds();
        all.dedup();
        all
    };
    until("the change", || different() == [0.25, 0.75]);
    let (stopped, _) = first.stop("TERM");
    assert_eq!(stopped.code, 143, "{}", stopped.stderr);
    let before = thresholds().len();
    let _second = cluster.worker("second", &[]);
    cluster.until_watched_by("door", "second");
    until("its journal", || thresholds().len() > before);
    assert_eq!(different(), [0.25, 0.75]);
}

#[test]
fn a_worker_shows_its_cameras_on_a_page_of_its_own() {
    let cluster = Cluster::start();
    let mut worker = Watch::spawn(cluster.worker_command(&cluster.server.url(), "first", &["--web", "127.0.0.1:0"]));
    let page = Site::of(&mut worker);
    let streams = || page.json("/api/streams")["streams"].clone();
    assert_eq!(streams(), serde_json::json!([]));
    cluster.camera("door", &[]);
    until("the camera", || streams()[0]["state"] == "running");
    assert_eq!((&streams()[0]["name"], &streams()[0]["live"]), (&"door".into(), &true.into()));
    cluster.command(&["cluster", "cancel", "door"]).succeeded();
    until("its end", || streams() == serde_json::json!([]));
    assert_eq!(worker.stop("TERM").0.code, 143);
}

#[test]
fn what_cannot_be_a_clusters_camera_is_refused_before_it_is_sent() {
    let cluster = Cluster::start();
    let refused = |arguments: &[&str]| cluster.submit(arguments).refusal(2).to_string();
    let secret = refused(&["rtsp://ann:s3cret@10.0.0.7/live"]);
    assert!(secret.contains("must not be in a message") && !secret.contains("s3cret"), "{secret}");
    assert!(refused(&["/dev/video0"]).contains("is a device of one machine"));
    assert!(refused(&[CAMERA, "--name", "Küche"]).contains("use up to 64 letters, digits, - and _"));
    assert!(refused(&[CAMERA, CAMERA]).contains("two cameras are named test"));
    assert!(refused(&[CAMERA, "--output", "door.mkv"]).contains("a camera of a cluster cannot have --output"));
    assert!(refused(&[CAMERA, "--password-file", "/etc/shadow"]).contains("credentials are theirs"));
    assert!(cluster.command(&["cluster", "move", "door", "first"]).refusal(2).contains("there is no worker first"));
    let worker = cluster.worker("first", &[]);
    assert!(cluster.command(&["cluster", "move", "door", "first"]).refusal(2).contains("no worker watches door"));
    assert_eq!(worker.stop("TERM").0.code, 143);
}

#[test]
fn the_documented_permissions_suffice_for_cameras() {
    let cluster = Cluster::guarded();
    let run = |user: &str, arguments: &[&str]| cluster.command_by(user, arguments);
    run("admin", &["cluster", "status"]).succeeded();
    let [first, second] = ["first", "second"].map(|name| cluster.worker_at(&cluster.url_of("worker"), name, &[]));
    let refused = run("viewer", &["submit", CAMERA, "--name", "door"]);
    assert!(refused.refusal(1).contains("a request to NATS failed"), "{}", refused.stderr);
    run("submitter", &["submit", CAMERA, "--name", "door"]).succeeded();
    let watcher = || {
        let list = run("viewer", &["cluster", "list"]).succeeded().stdout;
        list.trim_end().strip_prefix("door  watched by ").map(String::from)
    };
    until("the camera", || watcher().is_some());
    let other = if watcher().as_deref() == Some("first") { "second" } else { "first" };
    until("the move", || run("admin", &["cluster", "move", "door", other]).code == 0);
    until("the watcher", || watcher().as_deref() == Some(other));
    run("admin", &["cluster", "cancel", "door"]).succeeded();
    for worker in [first, second] {
        let (stopped, _) = worker.stop("TERM");
        assert!(!stopped.stderr.contains("Permissions Violation"), "{}", stopped.stderr);
    }
}

#[test]
fn a_camera_with_a_password_is_watched_by_the_worker_that_has_it() {
    let cluster = Cluster::start();
    let camera = Camera::start(&["--login", "ann:s3cret-word"]);
    let first = cluster.worker("first", &[]);
    let refused = cluster.submit(&[&camera.url.replace("//", "//ann:s3cret-word@"), "--name", "door"]);
    assert!(!refused.refusal(2).contains("s3cret"), "{}", refused.stderr);
    cluster.submit(&[&camera.url, "--name", "door", "--stride", "1"]).succeeded();
    let listed = || cluster.command(&["cluster", "list"]).stdout;
    until("its failure", || listed() == "door  with first, no frames: unauthorised\n");
    let entry = "[inside]\nhosts = [\"127.0.0.*\"]\nuser = \"ann\"\npassword_file = \"password\"\n";
    fs::write(cluster.program.path("credentials.toml"), entry).unwrap();
    fs::write(cluster.program.path("password"), "s3cret-word\n").unwrap();
    // The first one asks the others after a while.
    let second = cluster.worker("second", &["--camera-credentials", "credentials.toml"]);
    cluster.until_watched_by("door", "second");
    // What the first one said last may still count.
    until("the list", || listed() == "door  watched by second\n");
    let told =
        format!("{:?}{:?}", cluster.server.messages("LIVELABEL_CAMERAS"), cluster.server.messages("LIVELABEL_STATES"));
    assert!(told.contains(&camera.url) && !told.contains("s3cret-word"), "{told}");
    for worker in [first, second] {
        let log = format!("{:?}", worker.log);
        assert!(!format!("{log}{}", worker.stop("TERM").0.stderr).contains("s3cret-word"));
    }
}

#[test]
fn one_page_shows_the_cameras_of_all_workers() {
    let cluster = Cluster::start();
    let [first, second] = ["first", "second"].map(|name| cluster.worker(name, &["--cameras", "4"]));
    let url = cluster.server.url();
    let given = ["--log-format", "json", "web", "--nats", &url, "--web", "127.0.0.1:0", "--output-dir", "out"];
    let mut web = Watch::spawn(cluster.program.command(&given));
    let page = Site::of(&mut web);
    let streams = || page.json("/api/streams")["streams"].as_array().unwrap().clone();
    assert_eq!((streams().len(), &page.json("/api/streams")["workers"]), (0, &true.into()));
    let cameras = ["door", "garden", "hall"];
    cameras.iter().for_each(|name| drop(cluster.camera(name, &[])));
    let running = || streams().iter().filter(|stream| stream["state"] == "running").count();
    until("the cameras", || running() == 3);
    let names: Vec<Value> = streams().iter().map(|stream| stream["name"].clone()).collect();
    assert_eq!(names, cameras);
    let workers = || -> Vec<Value> {
        let all = page.json("/api/workers")["workers"].as_array().unwrap().clone();
        all.into_iter().map(|worker| worker["name"].clone()).collect()
    };
    until("the workers", || workers() == ["first", "second"]);
    // Labels, intervals and pictures are those of the workers.
    let timeline = || page.json("/api/streams/door/timeline");
    until("its rows", || timeline()["rows"].as_array().unwrap().len() > 5);
    assert_eq!(timeline()["labels"], streams()[0]["labels"]);
    until("its interval", || timeline()["intervals"][0]["open"] == true);
    // A busy machine may have none within the time that the page waits.
    let picture =
        page.until("a picture", |page| page.get("/streams/door/snapshot.jpg"), |picture| picture.status == 200);
    assert_eq!(picture.header("content-type"), Some("image/jpeg"));
    assert!(picture.body.starts_with(&[0xff, 0xd8]), "{} bytes", picture.body.len());
    // The history is that of the folder which the workers share.
    let past = "/api/history/intervals?from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&stream=door";
    let has_intervals = |page: &Value| !page["intervals"].as_array().unwrap().is_empty();
    let past = page.until("the history", |page| page.json(past), has_intervals);
    assert_eq!(past["intervals"][0]["stream"], "door", "{past}");
    // It shows a camera wherever it is.
    let from = cluster.watcher("door").unwrap();
    let to = if from == "first" { "second" } else { "first" };
    let before = timeline()["start_time"].clone();
    until("the move", || cluster.command(&["cluster", "move", "door", to]).code == 0);
    until("its rows", || timeline()["start_time"] != before && streams()[0]["state"] == "running");
    for name in &cameras[1..] {
        cluster.command(&["cluster", "cancel", name]).succeeded();
    }
    until("their end", || streams().len() == 1);
    // Without workers it says so.
    for worker in [first, second] {
        assert_eq!(worker.stop("TERM").0.code, 143);
    }
    until("the loss", || page.get("/healthz").text().contains("door: reconnecting"));
    assert_eq!(web.stop("TERM").0.code, 143);
}

#[test]
fn a_camera_that_crashes_the_program_gets_a_process_of_its_own() {
    let cluster = Cluster::start();
    let (program, plugins) = (&cluster.program, crate::sandbox::plugin(cluster.program.folder.path()));
    let url = format!("http://127.0.0.1:{}/live", jpeg_camera(program));
    cluster.camera("hall", &[]);
    cluster.submit(&[&url, "--name", "door"]).succeeded();
    // What the worker may read is enough for the process.
    fs::write(program.path("password"), "p\n").unwrap();
    fs::write(program.path("cameras.toml"), "").unwrap();
    fs::create_dir(program.path("clips")).unwrap();
    let command = |name: &str| {
        let flags = ["--camera-credentials", "cameras.toml", "--inputs", "clips"];
        let mut command = cluster.worker_command(&cluster.server.url(), name, &flags);
        command.args(["--nats-user-env", "NATS_USER", "--nats-password-file", "password"]).env("NATS_USER", "ann");
        command
    };
    let start = |name: &str| {
        let mut command = command(name);
        crate::sandbox::load(&mut command, &plugins, program);
        command.env("ATTACK_CRASH", "1");
        Watch::spawn(command)
    };
    for name in ["first", "second"] {
        assert_eq!(start(name).finish().0.code, -1);
    }
    let mut third = start("third");
    third.line("its crash", says("door: ends the program with signal 6; tried again after 10 s"));
    let list = || cluster.command(&["cluster", "list"]).succeeded().stdout;
    assert!(list().contains("door  waits: ends the program with signal 6; tried again after 10 s\n"), "{}", list());
    third.line("the next crash", says("door: ends the program with signal 6; tried again after 20 s"));
    // The other camera has one too: both workers ended with it.
    let watcher = |camera: &str| cluster.watcher(camera).unwrap_or_default();
    assert!(watcher("hall").starts_with("third-own-"), "{}", watcher("hall"));
    let lost = |camera: &str| cluster.state(camera)["lost"]["workers"].clone();
    assert_eq!((lost("door"), lost("hall")), (4.into(), 2.into()));
    assert_eq!(third.stop("TERM").0.code, 143);
    // Without the fault the process watches the camera, and ends with its worker.
    let mut fourth = Watch::spawn(command("fourth"));
    fourth.line("the process", says("door: gets a process of its own, because 4 workers ended with it"));
    until("the camera", || watcher("door").starts_with("fourth-own-"));
    assert_eq!(lost("door"), 4);
    assert_eq!(fourth.stop("TERM").0.code, 143);
    until("its end", || cluster.state("door")["released"] == true);
    assert_eq!(cluster.status()["workers"], serde_json::json!([]));
    check_told_once(&cluster.events("door"));
}
