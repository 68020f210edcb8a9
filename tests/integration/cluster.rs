//! Clips over several workers: each is labelled once, whichever worker or server fails.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::camera::{Watch, signal};
use crate::footage::{colours, fetched, project, small};
use crate::nats::NatsServer;
use crate::program::{Finished, Program, ffmpeg, text};
use crate::tiny;

/// Longer than a job stays with a worker that is not heard of, and than any of this takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A NATS server, and a folder in which clips and results are.
pub struct Cluster {
    pub program: Program,
    pub server: NatsServer,
}

impl Cluster {
    pub fn start() -> Self {
        Self { program: Program::new(), server: NatsServer::start() }
    }

    /// A cluster whose users have the documented permissions, besides `admin`, who has all.
    pub fn guarded() -> Self {
        let users = ["worker", "submitter", "viewer"].map(documented).join(", ");
        let config = format!(
            "jetstream {{ store_dir: \"STORE\" }}\nauthorization {{ users: [{{ user: admin, password: p }}, {users}] }}"
        );
        Self { program: Program::new(), server: NatsServer::with(&config) }
    }

    /// Returns the address of the server for a user of a guarded cluster.
    pub fn url_of(&self, user: &str) -> String {
        format!("nats://{user}:p@127.0.0.1:{}", self.server.port)
    }

    pub fn command_by(&self, user: &str, arguments: &[&str]) -> Finished {
        self.program.start(&[arguments, &["--nats", &self.url_of(user)]].concat())
    }

    pub fn out(&self) -> PathBuf {
        self.program.path("out")
    }

    /// Starts a worker, and waits until it takes jobs.
    pub fn worker(&self, name: &str, flags: &[&str]) -> Watch {
        self.worker_at(&self.server.url(), name, flags)
    }

    pub fn worker_at(&self, url: &str, name: &str, flags: &[&str]) -> Watch {
        let mut worker = Watch::spawn(self.worker_command(url, name, flags));
        worker.line("the worker", says("takes up to"));
        worker
    }

    pub fn worker_command(&self, url: &str, name: &str, flags: &[&str]) -> std::process::Command {
        let (model, given) = (tiny::model(), ["--log-format", "json", "worker", "--nats", url, "--name", name]);
        let mut command = self.program.command(&given);
        command.args(["--output-dir", "out", "--model", text(&model)]).args(flags);
        command
    }

    pub fn command(&self, arguments: &[&str]) -> Finished {
        let url = self.server.url();
        self.program.start(&[arguments, &["--nats", &url]].concat())
    }

    pub fn submit(&self, clips: &[&str]) -> Finished {
        self.command(&[&["submit"], clips].concat())
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.command(&["cluster", "status", "--json"]).succeeded().stdout).unwrap()
    }

    pub fn list(&self) -> Value {
        serde_json::from_str(&self.command(&["cluster", "list", "--json"]).succeeded().stdout).unwrap()
    }

    /// Waits until so many jobs have ended.
    fn until_ended(&self, number: u64) {
        until("the end", || self.status()["ended"] == number);
    }

    /// Returns the folders of results of `long.mp4` that are not complete.
    fn parts(&self) -> Vec<PathBuf> {
        let parts = self.out().join(".part");
        let jobs = names(&parts).into_iter().filter(|name| name.starts_with("long-"));
        jobs.flat_map(|job| names(&parts.join(&job)).into_iter().map(move |name| Path::new(&job).join(name)))
            .map(|path| parts.join(path))
            .collect()
    }

    /// Waits until a worker labels `long.mp4`.
    fn until_labelling(&self) {
        until("a clip being labelled", || !self.parts().is_empty());
    }

    /// Checks that the first worker labels the next clip, after the second one has labelled `long.mp4`.
    fn goes_on(&self, first: &mut Watch, second: Watch) {
        small(self.program.folder.path(), "small.mp4", 20);
        second.stop("TERM");
        self.submit(&["small.mp4"]).succeeded();
        first.line("the next clip", says("small.mp4: done"));
        self.until_ended(2);
        self.has_results(&["long.mp4", "small.mp4"]);
    }

    /// Checks that the results are complete, those of these clips, and nothing else.
    fn has_results(&self, clips: &[&str]) {
        let stems: BTreeSet<String> = names(&self.out()).iter().map(|name| stem(name)).collect();
        let expected: BTreeSet<String> = clips.iter().map(|clip| clip.trim_end_matches(".mp4").into()).collect();
        assert_eq!((names(&self.out()).len(), stems), (clips.len(), expected));
        for folder in names(&self.out()) {
            let stem = stem(&folder);
            let timeline = self.program.json(&format!("out/{folder}/{stem}.timeline.json"));
            assert_eq!(timeline["complete"], true, "{folder}");
            let files = [".labelled.avi", ".plot.png", ".timeline.json", ".vtt"].map(|end| format!("{stem}{end}"));
            assert_eq!(names(&self.out().join(&folder)), files);
        }
    }
}

/// Creates a clip that takes seconds to label.
fn long(program: &Program, name: &str) {
    let path = program.path(name);
    let source = "testsrc2=size=640x480:rate=25:duration=160";
    let output = ffmpeg(&["-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", text(&path)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub fn says(part: &'static str) -> impl Fn(&Value) -> bool {
    move |fields| fields["message"].as_str().is_some_and(|line| line.contains(part))
}

pub fn until(what: &str, wanted: impl Fn() -> bool) {
    let began = Instant::now();
    while !wanted() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Returns the clip's name in the identifier of a job.
pub fn stem(id: &str) -> String {
    id.rsplit_once('-').map_or(id, |(stem, _)| stem).into()
}

/// Returns a timeline without what differs between two runs: times of day, and how long it took.
pub fn timeless(mut timeline: Value) -> Value {
    for key in ["started", "speed"] {
        timeline.as_object_mut().unwrap().remove(key);
    }
    timeline
}

#[test]
fn clips_are_labelled_once_as_by_a_single_run() {
    let cluster = Cluster::start();
    let folder = cluster.program.folder.path();
    let clips = ["a.mp4", "b.mp4", "c.mp4", "d.mp4"];
    for (clip, colour) in clips.iter().zip(["red", "blue", "green", "white"]) {
        colours(folder, clip, &[colour, "blue"], &["-c:v", "libx264"]);
    }
    let (_first, _second) = (cluster.worker("first", &[]), cluster.worker("second", &["--capacity", "1"]));
    let flags = ["--threshold", "0.3", "--window", "4", "--wait"];
    let submitted = cluster.submit(&[&clips[..], &flags[..]].concat()).succeeded();
    assert_eq!(submitted.stdout.lines().map(stem).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert!(submitted.stderr.ends_with("4 clips submitted: 4 done, 0 failed\n"), "{}", submitted.stderr);
    cluster.has_results(&clips);
    let given: Vec<String> = clips.iter().map(|clip| text(&cluster.program.path(clip)).to_string()).collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let model = tiny::model();
    let alone = ["--output-dir", "alone", "--model", text(&model), "--threshold", "0.3", "--window", "4"];
    cluster.program.start(&[&["run"], &given[..], &alone[..]].concat()).succeeded();
    for id in submitted.stdout.lines() {
        let stem = stem(id);
        let timeline = |folder: &str| cluster.program.json(&format!("{folder}/{stem}.timeline.json"));
        assert_eq!(timeless(timeline(&format!("out/{id}"))), timeless(timeline("alone")));
        for end in [".labelled.avi", ".plot.png", ".vtt"] {
            let bytes = |folder: &str| fs::read(cluster.program.path(&format!("{folder}/{stem}{end}"))).unwrap();
            assert!(bytes(&format!("out/{id}")) == bytes("alone"), "{stem}{end}");
        }
    }
    // Again, they are done; with other settings they are other jobs.
    let again = cluster.submit(&[&clips[..], &flags[..]].concat()).succeeded();
    assert!(again.stderr.ends_with("0 clips submitted, 4 labelled before: 4 done, 0 failed\n"), "{}", again.stderr);
    assert_eq!(again.stdout, submitted.stdout);
    let other = cluster.submit(&["a.mp4", "--wait"]).succeeded();
    assert!(!submitted.stdout.contains(other.stdout.trim()));
    let written = || fs::metadata(cluster.out().join(other.stdout.trim()).join("a.vtt")).unwrap().modified().unwrap();
    let before = written();
    cluster.submit(&["a.mp4", "--wait", "--again"]).succeeded();
    assert!(written() > before);
    // The record of a job is written before its message is deleted.
    until("the last message", || cluster.status()["claimed"] == 0);
    let status = cluster.status();
    assert_eq!((&status["waiting"], &status["ended"]), (&0.into(), &5.into()));
}

#[test]
fn a_killed_workers_clip_is_done_by_another() {
    let cluster = Cluster::start();
    long(&cluster.program, "long.mp4");
    small(cluster.program.folder.path(), "small.mp4", 20);
    let first = cluster.worker("first", &[]);
    cluster.submit(&["long.mp4", "small.mp4"]).succeeded();
    cluster.until_labelling();
    signal(first.id(), "KILL");
    assert_eq!(first.finish().0.code, -1);
    assert_eq!(cluster.parts().len(), 1);
    let mut second = cluster.worker("second", &[]);
    second.line("the clip", says("long.mp4: done"));
    cluster.until_ended(2);
    cluster.has_results(&["long.mp4", "small.mp4"]);
    assert_eq!(second.stop("TERM").0.code, 143);
}

#[test]
fn a_frozen_worker_changes_nothing_when_it_comes_back() {
    let cluster = Cluster::start();
    long(&cluster.program, "long.mp4");
    let mut first = cluster.worker("first", &[]);
    cluster.submit(&["long.mp4"]).succeeded();
    cluster.until_labelling();
    signal(first.id(), "STOP");
    let mut second = cluster.worker("second", &[]);
    second.line("the clip", says("long.mp4: done"));
    cluster.until_ended(1);
    signal(first.id(), "CONT");
    // It has lost its claim, and goes on with the next clip.
    cluster.goes_on(&mut first, second);
    assert!(first.log.iter().all(|line| !says("long.mp4: done")(line)), "{:#?}", first.log);
}

#[test]
fn a_stopped_worker_gives_its_clip_back_and_a_drained_one_completes_it() {
    let cluster = Cluster::start();
    long(&cluster.program, "long.mp4");
    let first = cluster.worker("first", &[]);
    cluster.submit(&["long.mp4"]).succeeded();
    cluster.until_labelling();
    let (stopped, _) = first.stop("TERM");
    assert_eq!(stopped.code, 143, "{}", stopped.stderr);
    assert_eq!(names(&cluster.out()), [""; 0]);
    let second = cluster.worker("second", &[]);
    cluster.until_labelling();
    until("the worker", || cluster.command(&["cluster", "drain", "second"]).code == 0);
    let draining = || cluster.status()["workers"].as_array().unwrap().iter().any(|worker| worker["draining"] == true);
    until("its answer", || draining() || cluster.status()["ended"] == 1);
    small(cluster.program.folder.path(), "small.mp4", 20);
    cluster.submit(&["small.mp4"]).succeeded();
    let (drained, _) = second.finish();
    assert_eq!(drained.code, 0, "{}", drained.stderr);
    cluster.has_results(&["long.mp4"]);
    let status = cluster.status();
    assert_eq!(
        (&status["waiting"], &status["ended"], status["workers"].as_array().unwrap().len()),
        (&1.into(), &1.into(), 0)
    );
    assert!(cluster.command(&["cluster", "drain", "second"]).refusal(2).contains("there is no worker second"));
}

#[test]
fn cancelled_clips_are_not_labelled() {
    let cluster = Cluster::start();
    long(&cluster.program, "long.mp4");
    small(cluster.program.folder.path(), "small.mp4", 20);
    let waiting = cluster.submit(&["small.mp4"]).succeeded();
    let cancel = |id: &str| cluster.command(&["cluster", "cancel", id.trim()]);
    assert!(cancel(&waiting.stdout).succeeded().stdout.ends_with(": cancelled\n"));
    let again = cancel(&waiting.stdout);
    assert!(again.code == 1 && again.stdout.contains("does not wait"), "{}", again.stdout);
    let mut worker = cluster.worker("worker", &[]);
    let running = cluster.submit(&["long.mp4"]).succeeded();
    cluster.until_labelling();
    assert!(cancel(&running.stdout).succeeded().stdout.ends_with(": cancelled\n"));
    until("no result", || names(&cluster.out()).is_empty());
    // Submitting them again does them.
    cluster.submit(&["small.mp4"]).succeeded();
    worker.line("the clip", says("small.mp4: done"));
    cluster.until_ended(2);
    cluster.has_results(&["small.mp4"]);
}

#[test]
fn cancelling_a_clip_leaves_the_others() {
    let cluster = Cluster::start();
    let clips = ["a.mp4", "b.mp4", "c.mp4"];
    clips.iter().for_each(|clip| drop(small(cluster.program.folder.path(), clip, 20)));
    let submitted = cluster.submit(&clips).succeeded();
    let second = submitted.stdout.lines().nth(1).unwrap();
    cluster.command(&["cluster", "cancel", second]).succeeded();
    assert_eq!(cluster.status()["waiting"], 2);
    let _worker = cluster.worker("worker", &[]);
    cluster.until_ended(3);
    cluster.has_results(&["a.mp4", "c.mp4"]);
}

#[test]
fn a_worker_stops_without_a_server() {
    let mut cluster = Cluster::start();
    long(&cluster.program, "long.mp4");
    let worker = cluster.worker("worker", &[]);
    cluster.submit(&["long.mp4"]).succeeded();
    cluster.until_labelling();
    cluster.server.kill();
    let (stopped, _) = worker.stop("TERM");
    assert_eq!(stopped.code, 143, "{}", stopped.stderr);
}

#[test]
fn a_worker_whose_folder_cannot_be_written_does_not_begin() {
    let cluster = Cluster::start();
    fs::write(cluster.program.path("out"), "a file").unwrap();
    let (model, url) = (tiny::model(), cluster.server.url());
    let given = ["worker", "--nats", &url, "--output-dir", "out", "--model", text(&model)];
    let refused = cluster.program.start(&given);
    assert!(refused.refusal(2).contains("no results can be written there"), "{}", refused.stderr);
}

#[test]
fn a_clip_that_crashes_the_program_is_listed() {
    let cluster = Cluster::start();
    let (program, plugins) = (&cluster.program, crate::sandbox::plugin(cluster.program.folder.path()));
    colours(program.folder.path(), "crash.avi", &["red"], &["-c:v", "mjpeg"]);
    small(program.folder.path(), "small.mp4", 20);
    cluster.submit(&["crash.avi"]).succeeded();
    let start = |name: &str| {
        let mut command = cluster.worker_command(&cluster.server.url(), name, &[]);
        crate::sandbox::load(&mut command, &plugins, program);
        command.env("ATTACK_CRASH", "1");
        Watch::spawn(command)
    };
    // It takes two workers with it, and then only a process of its own.
    for name in ["first", "second"] {
        assert_eq!(start(name).finish().0.code, -1);
    }
    let mut third = start("third");
    third.line("the failure", says("crash.avi: ends the program with signal 6"));
    cluster.submit(&["small.mp4"]).succeeded();
    third.line("the next clip", says("small.mp4: done"));
    cluster.until_ended(2);
    let failed = &cluster.list()["failed"];
    assert_eq!(failed.as_array().unwrap().len(), 1);
    assert!(failed[0]["error"].as_str().unwrap().contains("signal 6"), "{failed}");
}

#[test]
fn a_clip_that_only_some_workers_can_read_is_done_by_one_of_them() {
    let cluster = Cluster::start();
    let folder = |name: &str| {
        let path = cluster.program.path(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let [clips, elsewhere] = ["clips", "elsewhere"].map(folder);
    small(&clips, "small.mp4", 20);
    small(cluster.program.folder.path(), "outside.mp4", 20);
    fs::write(clips.join("damaged.mp4"), "no clip").unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(clips.join("pipe.mp4")).status().unwrap();
    assert!(pipe.success());
    let _other = cluster.worker("other", &["--inputs", text(&elsewhere)]);
    until("its presence", || cluster.status()["workers"].as_array().unwrap().len() == 1);
    let _first = cluster.worker("first", &["--inputs", text(&clips)]);
    until("their presence", || cluster.status()["workers"].as_array().unwrap().len() == 2);
    let clips = ["clips/small.mp4", "clips/damaged.mp4", "clips/pipe.mp4", "outside.mp4"];
    let submitted = cluster.submit(&[&clips[..], &["--wait"]].concat());
    assert_eq!(submitted.code, 1, "{}", submitted.stderr);
    let list = cluster.list();
    let errors = list["failed"].as_array().unwrap().iter().map(|record| record["error"].as_str().unwrap());
    let errors: Vec<&str> = errors.collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors.iter().any(|error| error.contains("damaged.mp4: is not a video")), "{errors:?}");
    let tried = |clip: &str| errors.iter().find(|error| error.contains(clip)).is_some_and(|e| e.contains("tried by "));
    assert!(tried("pipe.mp4: ") && tried("outside.mp4: is in none of this worker's folders"), "{errors:?}");
    cluster.has_results(&["small.mp4"]);
}

#[test]
fn what_is_no_job_ends_with_its_reason() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker("worker", &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (url, clip) = (cluster.server.url(), small(cluster.program.folder.path(), "small.mp4", 20));
    let newer = serde_json::json!({"version": 1, "id": "newer-1", "input": text(&clip), "settings": {"later": 3}});
    let messages = [
        ("livelabel.clip.v1.garbage-1", "nonsense".to_string()),
        ("livelabel.clip.v1.newer-1", newer.to_string()),
        // Another version of the message is left to workers that know it.
        ("livelabel.clip.v2.later-1", "{}".to_string()),
    ];
    runtime.block_on(async {
        let jetstream = async_nats::jetstream::new(async_nats::connect(url).await.unwrap());
        for (subject, payload) in messages {
            jetstream.publish(subject, payload.into()).await.unwrap().await.unwrap();
        }
    });
    worker.line("garbage", says("the message livelabel.clip.v1.garbage-1 is refused (it is no job"));
    until("the failures", || cluster.list()["failed"].as_array().unwrap().len() == 2);
    let list = cluster.list();
    let errors: Vec<&str> =
        list["failed"].as_array().unwrap().iter().map(|record| record["error"].as_str().unwrap()).collect();
    assert!(errors.iter().any(|error| error.contains("unknown field `later`")), "{errors:?}");
    cluster.submit(&["small.mp4", "--wait"]).succeeded();
    cluster.has_results(&["small.mp4"]);
}

#[test]
fn what_is_wrong_with_the_server_is_said_in_one_line() {
    let program = Program::new();
    small(program.folder.path(), "small.mp4", 20);
    let submit = |url: &str, flags: &[&str]| program.start(&[&["submit", "small.mp4", "--nats", url], flags].concat());
    let nobody = format!("nats://127.0.0.1:{}", crate::broker::free_port());
    assert!(submit(&nobody, &[]).refusal(1).contains("no NATS server can be reached"));
    let plain = NatsServer::with("");
    assert!(submit(&plain.url(), &[]).refusal(1).contains("nats-server -js"));
    let users = "jetstream { store_dir: \"STORE\" }\nauthorization { users: [{ user: ann, password: s3cret }] }";
    let guarded = NatsServer::with(users);
    assert!(submit(&guarded.url(), &[]).refusal(2).contains("refuses this user"));
    fs::write(program.path("password"), "s3cret\n").unwrap();
    let mut right = program.command(&["submit", "small.mp4", "--nats", &guarded.url(), "--nats-user-env", "NATS_USER"]);
    right.args(["--nats-password-file", "password"]).env("NATS_USER", "ann");
    Finished::from(right.output().unwrap()).succeeded();
    let other = NatsServer::start();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let jetstream = async_nats::jetstream::new(async_nats::connect(other.url()).await.unwrap());
        let subjects = vec!["mine.>".to_string()];
        let config =
            async_nats::jetstream::stream::Config { name: "LIVELABEL_CLIPS".into(), subjects, ..Default::default() };
        jetstream.create_stream(config).await.unwrap();
    });
    let foreign = submit(&other.url(), &[]);
    assert!(foreign.refusal(2).contains("LIVELABEL_CLIPS has other subjects (mine.>)"), "{}", foreign.stderr);
    let url = NatsServer::start();
    for (flags, why) in [
        (&["--timeline", "x.json"][..], "--timeline is not for the jobs of a cluster"),
        (&["--threshold", "2"], "threshold 2"),
        (&[text(&fetched("footage/orange.jpg"))], "is a picture"),
        (&["--nats-replicas", "9"], "from 1 to 5"),
    ] {
        let refused = submit(&url.url(), flags);
        assert!(refused.refusal(2).contains(why), "{}", refused.stderr);
    }
}

/// Returns a user for a server's configuration, with the permissions that docs/cluster.md gives to its kind.
fn documented(kind: &str) -> String {
    let page = fs::read_to_string(project().join("docs/cluster.md")).unwrap();
    let row = page.lines().find(|line| line.starts_with(&format!("| {kind}"))).expect("a row");
    let columns: Vec<&str> = row.split('|').collect();
    let subjects = |column: &str| {
        let quoted = column.split('`').skip(1).step_by(2).filter(|text| !text.starts_with('-'));
        quoted.map(|subject| format!("\"{subject}\"")).collect::<Vec<_>>().join(", ")
    };
    let (publish, subscribe) = (subjects(columns[2]), subjects(columns[3]));
    format!("{{ user: {kind}, password: p, permissions: {{ publish: [{publish}], subscribe: [{subscribe}] }} }}")
}

#[test]
fn the_documented_permissions_suffice_and_a_viewer_cannot_submit() {
    let cluster = Cluster::guarded();
    let clips = ["a.mp4", "b.mp4"];
    clips.iter().for_each(|clip| drop(small(cluster.program.folder.path(), clip, 20)));
    fs::write(cluster.program.path("damaged.mp4"), "no clip").unwrap();
    let run = |user: &str, arguments: &[&str]| cluster.command_by(user, arguments);
    // Who may make them makes the streams.
    run("admin", &["cluster", "status"]).succeeded();
    let worker = cluster.worker_at(&cluster.url_of("worker"), "worker", &[]);
    let refused = run("viewer", &["submit", "a.mp4"]);
    assert!(refused.refusal(1).contains("a request to NATS failed"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("viewer:p"), "{}", refused.stderr);
    run("submitter", &["submit", "a.mp4", "--wait"]).succeeded();
    let damaged = run("submitter", &["submit", "b.mp4", "damaged.mp4", "--wait"]);
    assert!(damaged.refusal(1).contains("damaged.mp4: is not a video"), "{}", damaged.stderr);
    let status = run("viewer", &["cluster", "status"]).succeeded();
    assert!(status.stdout.starts_with("3 clips: 0 waiting"), "{}", status.stdout);
    let list = run("viewer", &["cluster", "list"]).succeeded();
    assert!(list.stdout.contains("failed: ") && list.stdout.contains("damaged.mp4"), "{}", list.stdout);
    // What failed is tried again.
    fs::rename(cluster.program.path("a.mp4"), cluster.program.path("damaged.mp4")).unwrap();
    run("submitter", &["submit", "damaged.mp4", "--wait"]).succeeded();
    cluster.has_results(&["a.mp4", "b.mp4", "damaged.mp4"]);
    worker.stop("TERM");
    let status = run("viewer", &["cluster", "status"]).succeeded();
    assert!(status.stdout.contains("no workers"), "{}", status.stdout);
}

#[test]
fn the_loss_of_one_of_three_servers_costs_nothing() {
    let program = Program::new();
    let [mut first, second, third] = NatsServer::three();
    let urls = [&first, &second, &third].map(NatsServer::url).join(",");
    until("the servers", || program.start(&["cluster", "status", "--nats", &urls, "--nats-replicas", "3"]).code == 0);
    let clips: Vec<String> = (0..8).map(|number| format!("{number}.mp4")).collect();
    clips.iter().for_each(|clip| drop(small(program.folder.path(), clip, 40)));
    let cluster = Cluster { program, server: second };
    let mut worker = cluster.worker_at(&urls, "worker", &["--capacity", "1"]);
    let names: Vec<&str> = clips.iter().map(String::as_str).collect();
    cluster.program.start(&[&["submit", "--nats", &urls], &names[..]].concat()).succeeded();
    worker.line("a clip", says(": done"));
    first.kill();
    until("all clips", || {
        let status = cluster.program.start(&["cluster", "status", "--json", "--nats", &cluster.server.url()]);
        serde_json::from_str::<Value>(&status.stdout).is_ok_and(|status| status["ended"] == 8)
    });
    cluster.has_results(&names);
    drop(third);
}

#[test]
fn a_server_without_its_disk_gets_the_streams_again() {
    let mut cluster = Cluster::start();
    small(cluster.program.folder.path(), "small.mp4", 20);
    let mut worker = cluster.worker("worker", &[]);
    cluster.server.kill();
    cluster.server.forget();
    // It says so, and goes on by itself.
    worker.line("the loss", says("the connection to NATS is lost"));
    cluster.server.restart();
    worker.line("the return", says("reconnected to NATS"));
    until("its presence", || cluster.status()["workers"].as_array().unwrap().len() == 1);
    cluster.submit(&["small.mp4", "--wait"]).succeeded();
    cluster.has_results(&["small.mp4"]);
    let (stopped, _) = worker.stop("TERM");
    assert_eq!(stopped.code, 143, "{}", stopped.stderr);
}

/// A proxy between workers and a server that can be cut: bytes are held back, and no connection is closed.
struct Proxy {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, cut) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let shared = Arc::clone(&cut);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let reversed = (server.try_clone().unwrap(), client.try_clone().unwrap());
                for (from, to) in [(client, server), reversed] {
                    let cut = Arc::clone(&shared);
                    std::thread::spawn(move || copy(from, to, &cut));
                }
            }
        });
        Self { port, cut }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, cut: &AtomicBool) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count) = from.read(&mut bytes) {
        while cut.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
        if count == 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_worker_that_is_cut_off_stops_before_another_begins() {
    let cluster = Cluster::start();
    long(&cluster.program, "long.mp4");
    let proxy = Proxy::to(cluster.server.port);
    let url = format!("nats://127.0.0.1:{}", proxy.port);
    let mut first = cluster.worker_at(&url, "first", &[]);
    cluster.submit(&["long.mp4"]).succeeded();
    cluster.until_labelling();
    // It is also kept from completing the clip, as a slow one would be.
    signal(first.id(), "STOP");
    proxy.cut.store(true, Ordering::SeqCst);
    std::thread::sleep(Duration::from_secs(9));
    signal(first.id(), "CONT");
    first.line("the end of its claim", says("given up"));
    until("its end", || cluster.parts().is_empty());
    let mut second = cluster.worker("second", &[]);
    second.line("the clip", says("long.mp4: done"));
    proxy.cut.store(false, Ordering::SeqCst);
    cluster.until_ended(1);
    cluster.has_results(&["long.mp4"]);
    cluster.goes_on(&mut first, second);
}
