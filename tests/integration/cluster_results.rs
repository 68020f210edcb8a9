//! Workers without shared storage: clips come from web servers, and results go to the object store.

use std::fs;
use std::path::Path;

use crate::camera::Watch;
use crate::cluster::{Cluster, names, says, stem, timeless, until};
use crate::file_server::FileServer;
use crate::footage::small;
use crate::https::Pair;
use crate::nats::NatsServer;
use crate::program::{Program, text};
use crate::tiny;

/// The files of a clip.
const ENDS: [&str; 4] = [".labelled.avi", ".plot.png", ".timeline.json", ".vtt"];

/// Checks that the files in a folder are those of `livelabel run` with the clip of this name, times of day and its place aside.
fn assert_as_by_run(program: &Program, folder: &Path, clip: &str) {
    let alone = program.path(&format!("alone-{clip}"));
    if !alone.exists() {
        let model = tiny::model();
        let given = ["run", clip, "--output-dir", text(&alone), "--model", text(&model)];
        program.start(&given).succeeded();
    }
    let stem = clip.trim_end_matches(".mp4");
    assert_eq!(names(folder), ENDS.map(|end| format!("{stem}{end}")));
    let timeline = |folder: &Path| {
        let file = fs::read(folder.join(format!("{stem}.timeline.json"))).unwrap();
        let mut timeline = timeless(serde_json::from_slice(&file).unwrap());
        timeline.as_object_mut().unwrap().remove("input");
        timeline["file"].as_object_mut().unwrap().remove("modified");
        timeline
    };
    assert_eq!(timeline(folder), timeline(&alone));
    for end in [".labelled.avi", ".plot.png", ".vtt"] {
        let bytes = |folder: &Path| fs::read(folder.join(format!("{stem}{end}"))).unwrap();
        assert!(bytes(folder) == bytes(&alone), "{stem}{end}");
    }
}

#[test]
fn a_clip_is_copied_over_tls_from_a_server_that_the_worker_trusts() {
    let cluster = Cluster::start();
    let folder = cluster.program.folder.path();
    ["a.mp4", "b.mp4"].iter().for_each(|clip| drop(small(folder, clip, 20)));
    let [trusted, other] = [4096, 4096].map(Pair::until);
    fs::write(cluster.program.path("trusted.pem"), &trusted.certificate).unwrap();
    let [server, stranger] = [&trusted, &other].map(|pair| FileServer::with(folder, pair));
    let mut command = cluster.worker_command(&cluster.server.url(), "worker", &[]);
    command.env("SSL_CERT_FILE", cluster.program.path("trusted.pem"));
    let _worker = Watch::spawn(command);
    let (a, b) = (server.url("ranges/a.mp4"), stranger.url("ranges/b.mp4"));
    assert!(a.starts_with("https://"), "{a}");
    let submitted = cluster.submit(&[&a, &b, "--wait"]);
    assert!(submitted.code == 1 && submitted.stderr.ends_with("1 done, 1 failed\n"), "{}", submitted.stderr);
    assert!(submitted.stderr.contains(&format!("{b}: cannot be read from the server")), "{}", submitted.stderr);
    assert!(stranger.requests("").is_empty());
    let id = submitted.stdout.lines().next().unwrap();
    assert_as_by_run(&cluster.program, &cluster.out().join(id), "a.mp4");
}

#[test]
fn clips_on_web_servers_are_labelled_as_local_ones() {
    let cluster = Cluster::start();
    let folder = cluster.program.folder.path();
    let clips = ["a.mp4", "b.mp4", "c.mp4"];
    clips.iter().for_each(|clip| drop(small(folder, clip, 20)));
    let server = FileServer::of(folder);
    let entry = "[inside]\nhosts = [\"127.0.0.1\"]\nuser = \"ann\"\npassword = \"s3cret\"\n";
    fs::write(cluster.program.path("credentials.toml"), entry).unwrap();
    let worker = cluster.worker("worker", &["--camera-credentials", "credentials.toml"]);
    let [a, b, c, d] =
        ["ranges/a.mp4?signature=s1gned", "plain/b.mp4", "private/c.mp4", "ranges/d.mp4"].map(|path| server.url(path));
    let submitted = cluster.submit(&[&a, &b, &c, &d, "--wait"]);
    assert!(submitted.code == 1 && submitted.stderr.ends_with("3 done, 1 failed\n"), "{}", submitted.stderr);
    assert!(submitted.stderr.contains(&format!("{d}: cannot be read from the server (it answers 404 Not Found)")));
    assert!(submitted.stderr.contains("tried by worker"), "{}", submitted.stderr);
    assert_eq!(names(&cluster.out()).len(), 3);
    for (id, clip) in submitted.stdout.lines().zip(clips) {
        assert_eq!(format!("{}.mp4", stem(id)), clip);
        assert_as_by_run(&cluster.program, &cluster.out().join(id), clip);
    }
    let id = submitted.stdout.lines().next().unwrap();
    let timeline = cluster.program.json(&format!("out/{id}/a.timeline.json"));
    assert_eq!(timeline["input"], server.url("ranges/a.mp4"));
    // The server says so.
    assert_eq!(timeline["file"]["modified"], "2026-01-02T14:03:05.000000000Z");
    // The second request goes on where the first one broke off.
    let requests = server.requests("ranges/a.mp4");
    let half = fs::metadata(cluster.program.path("a.mp4")).unwrap().len() / 2;
    assert!(
        requests[0].contains("bytes=0-16777215") && requests[1].contains(&format!("bytes={half}-")),
        "{requests:?}"
    );
    assert!(requests[1].to_ascii_lowercase().contains("if-range: \"v1\""), "{requests:?}");
    let (stopped, _) = worker.stop("TERM");
    for text in [&submitted.stderr, &stopped.stderr] {
        assert!(!text.contains("s1gned") && !text.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_worker_reads_only_from_the_addresses_that_it_may() {
    let cluster = Cluster::start();
    small(cluster.program.folder.path(), "a.mp4", 20);
    let server = FileServer::of(cluster.program.folder.path());
    let mut worker =
        cluster.worker("worker", &["--inputs", &server.url("ranges"), "--inputs", &server.url("elsewhere")]);
    let given = ["plain/a.mp4", "elsewhere/a.mp4", "ranges/a.mp4"].map(|path| server.url(path));
    let submitted = cluster.submit(&[&given[0], &given[1], &given[2], "a.mp4", "--wait"]);
    assert!(submitted.code == 1 && submitted.stderr.ends_with("1 done, 3 failed\n"), "{}", submitted.stderr);
    for why in [
        format!("{}: is below none of this worker's addresses", given[0]),
        format!("{}: cannot be read from the server (it answers 302 Found, a redirection)", given[1]),
        "a.mp4: is in none of this worker's folders".to_string(),
    ] {
        assert!(submitted.stderr.contains(&why), "{}", submitted.stderr);
    }
    assert_eq!(server.requests("plain").len(), 0);
    worker.line("the clip", says("ranges/a.mp4: done"));
    let secret = cluster.submit(&[&server.url("a.mp4").replace("//", "//ann:s3cret@")]);
    assert!(secret.refusal(2).contains("with a user or password is not sent"), "{}", secret.stderr);
    assert!(!secret.stderr.contains("s3cret"));
}

#[test]
fn results_in_the_object_store_are_those_of_a_single_run() {
    let cluster = Cluster::guarded();
    let run = |user: &str, arguments: &[&str]| cluster.command_by(user, arguments);
    let clips = ["a.mp4", "b.mp4", "c.mp4"];
    clips.iter().for_each(|clip| drop(small(cluster.program.folder.path(), clip, 20)));
    // Who may make the streams makes the store.
    let maker = cluster.worker_at(&cluster.url_of("admin"), "maker", &["--results", "nats"]);
    run("submitter", &["submit", "a.mp4", "--wait", "--stride", "2"]).succeeded();
    maker.stop("TERM");
    // Each has a folder of its own.
    let _workers = ["first", "second"].map(|name| {
        let (model, url) = (tiny::model(), cluster.url_of("worker"));
        let given = ["--log-format", "json", "worker", "--nats", &url, "--name", name, "--output-dir", name];
        let mut command = cluster.program.command(&given);
        command.args(["--model", text(&model), "--results", "nats", "--capacity", "1"]);
        let mut worker = Watch::spawn(command);
        worker.line("the worker", says("takes up to"));
        worker
    });
    let submitted = run("submitter", &["submit", "a.mp4", "b.mp4", "c.mp4", "--wait"]).succeeded();
    assert!(submitted.stderr.contains("a.mp4: done; livelabel cluster fetch a-"), "{}", submitted.stderr);
    let ids: Vec<&str> = submitted.stdout.lines().collect();
    let fetch = |more: &[&str]| run("viewer", &[&["cluster", "fetch", "--output-dir", "fetched"], more].concat());
    let fetched = fetch(&ids).succeeded();
    assert_eq!(fetched.stdout.lines().count(), 3);
    for (id, clip) in ids.iter().zip(clips) {
        assert_as_by_run(&cluster.program, &cluster.program.path("fetched").join(id), clip);
    }
    assert_eq!(names(&cluster.program.path("fetched")).len(), 3);
    // A worker deletes its copy after it has recorded the end.
    until("empty folders", || ["first", "second"].iter().all(|name| names(&cluster.program.path(name)).is_empty()));
    let again = fetch(&ids[..1]).succeeded();
    assert!(again.stdout.ends_with(", as before\n"), "{}", again.stdout);
    let unknown = fetch(&["nothing-1"]);
    assert!(unknown.code == 1 && unknown.stdout.contains("has not ended"), "{}", unknown.stdout);
    // What is labelled again takes the place of what was there.
    run("submitter", &["submit", "a.mp4", "--wait", "--again"]).succeeded();
    until("the last object", || objects(&cluster.server) == 4 * ENDS.len());
    fs::remove_dir_all(cluster.program.path("fetched").join(ids[0])).unwrap();
    fetch(&ids[..1]).succeeded();
    assert_as_by_run(&cluster.program, &cluster.program.path("fetched").join(ids[0]), "a.mp4");
    // A viewer changes nothing.
    let refused = run("viewer", &["submit", "a.mp4", "--again"]);
    assert!(refused.refusal(1).contains("a request to NATS failed"), "{}", refused.stderr);
    assert_eq!(objects(&cluster.server), 4 * ENDS.len());
}

/// Returns how many files the object store has.
fn objects(server: &NatsServer) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let admin = async_nats::ConnectOptions::with_user_and_password("admin".into(), "p".into());
        let jetstream = async_nats::jetstream::new(admin.connect(server.url()).await.unwrap());
        let store = jetstream.get_object_store("LIVELABEL_RESULTS").await.unwrap();
        let mut listed = store.list().await.unwrap();
        let mut number = 0;
        while let Some(object) = futures_util::StreamExt::next(&mut listed).await {
            number += usize::from(!object.unwrap().deleted);
        }
        number
    })
}
