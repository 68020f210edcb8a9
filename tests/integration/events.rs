//! Events: every event reaches every receiver once, and no receiver blocks a stream.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::broker::{Access, Broker, free_port};
use crate::camera::{Camera, Watch, check_went_on, files, records, running, summary};
use crate::footage::colours;
use crate::program::{PROMPT, Program, text};
use crate::receiver::Receiver;
use crate::tiny;

const COLOURS: [&str; 3] = ["red", "0x00C000", "blue"];

/// Creates a clip of red, green and blue, two seconds each.
fn clip(program: &Program, name: &str) -> PathBuf {
    let seconds: Vec<&str> = COLOURS.iter().flat_map(|&colour| [colour, colour]).collect();
    colours(program.folder.path(), name, &seconds, &["-c:v", "libx264", "-g", "25"])
}

fn lines(program: &Program, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(program.path(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|cause| panic!("{line}: {cause}"))).collect()
}

fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

/// Checks that start and end events match the intervals, one each and in order.
fn assert_match(events: &[Value], intervals: &[&Value]) {
    let (starts, ends) = (of(events, "start"), of(events, "end"));
    assert_eq!((starts.len(), ends.len()), (intervals.len(), intervals.len()), "{events:#?}\n{intervals:#?}");
    for ((start, end), interval) in starts.iter().zip(&ends).zip(intervals) {
        assert_eq!((&start["label"], &start["ms"]), (&interval["label"], &interval["start"]));
        let keys = [
            ("label", "label"),
            ("start_ms", "start"),
            ("ms", "end"),
            ("mean", "mean"),
            ("peak", "peak"),
            ("onset_ms", "onset"),
            ("offset_ms", "offset"),
        ];
        for (of_event, of_interval) in keys {
            assert_eq!(end.get(of_event), interval.get(of_interval), "{of_event}");
        }
    }
}

/// Returns the UTC of the stream's time 0, in milliseconds, according to an event.
fn zero(event: &Value) -> f64 {
    let time = OffsetDateTime::parse(event["time"].as_str().unwrap(), &Rfc3339).unwrap();
    (time.unix_timestamp_nanos() / 1_000_000) as f64 - event["ms"].as_f64().unwrap()
}

#[test]
fn every_receiver_gets_each_interval_once() {
    let program = Program::new();
    let (broker, receiver) = (Broker::start(), Receiver::start(|_| Some(200)));
    let subscriber = broker.subscribe();
    let camera = Camera::start(&[text(&clip(&program, "clip.h264"))]);
    let (mqtt, webhook) = (broker.url(), receiver.url());
    let given = ["--name", "door", "--window", "1", "--stride", "1", "--events", "events.jsonl", "--mqtt", &mqtt];
    let mut watch = Watch::start(&program, &[&camera.url], &[&given[..], &["--webhook", &webhook]].concat());
    for label in ["red", "green", "blue", "red"] {
        watch.until(label, |status| status["label"] == label);
    }
    // A late subscriber gets the retained state.
    let late = broker.subscribe();
    let state = late.until("livelabel/door/state", |message| message.retained);
    assert_eq!(state.json()["state"], "running");
    assert!(state.json()["label"].is_string() && state.json()["confidence"].is_number(), "{state:?}");
    for topic in ["livelabel/status", "livelabel/door/availability"] {
        assert_eq!(late.until(topic, |message| message.retained).payload, "online");
    }
    let configs: Vec<Value> = late
        .messages()
        .iter()
        .filter(|message| message.topic.starts_with("homeassistant/") && message.retained)
        .map(|message| message.json())
        .collect();
    assert_eq!(configs.len(), 3, "{configs:#?}");
    assert!(configs.iter().all(|config| config["device"]["name"] == "door"), "{configs:#?}");
    assert_eq!(configs.iter().map(|config| config["unique_id"].to_string()).collect::<HashSet<_>>().len(), 3);

    let (finished, took) = watch.stop("INT");
    assert!(finished.code == 130 && took < PROMPT, "{took:?} {}", finished.stderr);
    let events = lines(&program, "events.jsonl");
    let journal = records(&program);
    assert_match(&events, &journal.iter().filter_map(|record| record.get("interval")).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event["stream"] == "door"), "{events:#?}");
    let zeros: Vec<f64> = events.iter().map(zero).collect();
    assert!(zeros.iter().all(|zero| (zero - zeros[0]).abs() < 20.0), "{zeros:?}");

    let published: Vec<Value> = subscriber.on("livelabel/door/event").iter().map(|message| message.json()).collect();
    assert_eq!(published, events);
    assert!(subscriber.on("livelabel/door/event").iter().all(|message| !message.retained));
    let posted = receiver.posted();
    assert_eq!(posted.iter().map(|posted| posted.json()).collect::<Vec<_>>(), events);
    let version = concat!("livelabel/", env!("CARGO_PKG_VERSION"));
    for posted in &posted {
        let header = |name: &str| posted.headers[name].as_str();
        assert_eq!(
            (header("content-type"), header("user-agent"), posted.path.as_str()),
            ("application/json", version, "/hook")
        );
    }
    assert_eq!(
        posted.iter().map(|posted| &posted.headers["idempotency-key"]).collect::<HashSet<_>>().len(),
        events.len()
    );

    let after = broker.subscribe();
    assert_eq!(after.until("livelabel/door/state", |message| message.retained).json()["state"], "ended");
    for topic in ["livelabel/status", "livelabel/door/availability"] {
        assert_eq!(after.until(topic, |message| message.retained).payload, "offline");
    }
    assert!(finished.stdout.contains(&format!("{} delivered", events.len())), "{}", finished.stdout);
    assert!(!finished.stdout.contains(" not"), "{}", finished.stdout);
}

#[test]
fn a_clips_events_match_its_timeline() {
    let program = Program::new();
    let broker = Broker::start();
    let subscriber = broker.subscribe();
    let clip = clip(&program, "clip.mp4");
    let mqtt = format!("{}/a/b", broker.url());
    let given = ["--window", "5", "--events", "out/events.jsonl", "--mqtt", &mqtt];
    program.run(&clip, &given).succeeded();
    let events = lines(&program, "out/events.jsonl");
    let timeline = program.json("clip.timeline.json");
    assert_match(&events, &timeline["intervals"].as_array().unwrap().iter().collect::<Vec<_>>());
    let published: Vec<Value> = subscriber.on("a/b/clip.mp4/event").iter().map(|message| message.json()).collect();
    assert_eq!(published, events);
    // A finished clip leaves only the status as a retained message.
    let after = broker.subscribe();
    after.until("a/b/status", |message| message.retained && message.payload == "offline");
    assert_eq!(after.messages().iter().filter(|message| message.retained).count(), 1, "{:#?}", after.messages());
}

#[test]
fn with_events_on_stdout_only_events_are_written_there() {
    let program = Program::new();
    let clip = clip(&program, "clip.mp4");
    let finished = program.run(&clip, &["--window", "1", "--events", "-", "--verbose"]).succeeded();
    let events: Vec<Value> = finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((of(&events, "start").len(), of(&events, "end").len()), (3, 3));
    assert!(finished.stderr.contains("150 frames decoded"), "{}", finished.stderr);
}

#[test]
fn a_full_disk_or_a_closed_pipe_is_logged_once_and_does_not_stop_the_run() {
    let program = Program::new();
    let clip = clip(&program, "clip.mp4");
    let finished = program.run(&clip, &["--window", "1", "--events", "/dev/full"]).succeeded();
    assert_eq!(finished.stderr.matches("events cannot be written").count(), 1, "{}", finished.stderr);
    assert!(finished.stdout.contains("/dev/full: 0 delivered, 6 not"), "{}", finished.stdout);

    let model = tiny::model();
    let given = ["run", text(&clip), "--model", text(&model), "--window", "1", "--events", "-", "--force"];
    let mut child = program.command(&given).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let finished = crate::program::Finished::from(child.wait_with_output().unwrap()).succeeded();
    assert_eq!(finished.stderr.matches("events cannot be written").count(), 1, "{}", finished.stderr);
    assert_eq!(program.json("clip.timeline.json")["complete"], true);
}

#[test]
fn after_a_kill_the_broker_publishes_the_last_will() {
    let program = Program::new();
    let broker = Broker::start();
    let subscriber = broker.subscribe();
    let mqtt = broker.url();
    let mut watch = Watch::start(&program, &["test://?rate=5"], &["--mqtt", &mqtt]);
    watch.until("running", running);
    subscriber.until("livelabel/status", |message| message.payload == "online");
    watch.stop("KILL");
    subscriber.until("livelabel/status", |message| message.payload == "offline");
}

#[test]
fn events_survive_a_broker_that_starts_late_and_restarts() {
    let program = Program::new();
    let port = free_port();
    let mqtt = format!("mqtt://127.0.0.1:{port}");
    let camera = Camera::start(&[text(&clip(&program, "clip.h264"))]);
    let given = ["--name", "door", "--window", "1", "--stride", "1", "--events", "events.jsonl", "--mqtt", &mqtt];
    let mut watch = Watch::start(&program, &[&camera.url], &given);
    watch.until("green without a broker", |status| status["label"] == "green");
    let broker = Broker::at(port, Access::Open);
    let first = broker.subscribe();
    first.until("livelabel/door/state", |message| message.json()["state"] == "running");
    first.until("livelabel/door/event", |_| true);
    let reported: Vec<Value> = first.on("livelabel/door/event").iter().map(|message| message.json()).collect();
    drop(broker);
    watch.until("blue while the broker is down", |status| status["label"] == "blue");
    watch.until("red while the broker is down", |status| status["label"] == "red");
    let broker = Broker::at(port, Access::Open);
    let second = broker.subscribe();
    second.until("livelabel/door/state", |message| message.json()["state"] == "running");
    second.until("livelabel/status", |message| message.payload == "online");
    // A broker that lost its state gets everything again.
    second.until("livelabel/door/availability", |message| message.payload == "online");
    assert!(second.messages().iter().any(|message| message.topic.starts_with("homeassistant/")));
    second.until("livelabel/door/event", |_| true);
    let log = format!("{:?}", watch.log);
    let (finished, took) = watch.stop("TERM");
    assert!(finished.code == 143 && took < PROMPT, "{took:?} {}", finished.stderr);
    let log = format!("{log}{}", finished.stderr);
    assert!(log.matches("not connected to the broker").count() <= 3, "{log}");
    assert_eq!(log.matches("reconnected to the broker").count(), 2, "{log}");
    let events = lines(&program, "events.jsonl");
    // The second subscriber got all events after its start, in order. Events in transit when the broker died may arrive
    // twice.
    let second_events: Vec<Value> = second.on("livelabel/door/event").iter().map(|message| message.json()).collect();
    let last = second_events.len();
    assert_eq!(second_events[..], events[events.len() - last..], "{reported:#?}");
    assert!(finished.stdout.contains(&format!("{} delivered\n", events.len())), "{}", finished.stdout);
}

#[test]
fn a_frozen_broker_blocks_no_stream() {
    let program = Program::new();
    let broker = Broker::start();
    let subscriber = broker.subscribe();
    let mqtt = broker.url();
    let camera = Camera::start(&[text(&clip(&program, "clip.h264"))]);
    let given = ["--name", "door", "--window", "1", "--stride", "1", "--mqtt", &mqtt];
    let mut watch = Watch::start(&program, &[&camera.url], &given);
    subscriber.until("livelabel/door/event", |_| true);
    broker.signal("STOP");
    for label in ["blue", "red", "green"] {
        watch.until(label, |status| status["label"] == label);
    }
    let (finished, took) = watch.stop("TERM");
    broker.signal("CONT");
    assert!(finished.code == 143 && took < PROMPT, "{took:?} {}", finished.stderr);
    check_went_on(&summary(&program));
    let reported = finished.stdout.lines().find(|line| line.contains("mqtt://")).unwrap();
    assert!(reported.ends_with(" not"), "{reported}");
    // The broker publishes the last will, because the client did not disconnect.
    subscriber.until("livelabel/status", |message| message.payload == "offline");
}

#[test]
fn a_refused_password_is_logged_once_and_never_shown() {
    let broker = Broker::at(free_port(), Access::Credentials("ann", "s3cret-word"));
    let program = Program::new();
    let wrong = format!("mqtt://ann:w0ng-word@127.0.0.1:{}", broker.port);
    let mut watch = Watch::start(&program, &["test://?rate=5"], &["--mqtt", &wrong]);
    for _ in 0..6 {
        watch.until("running on", running);
    }
    let log = format!("{:?}", watch.log);
    assert_eq!(log.matches("not connected to the broker").count(), 1, "{log}");
    assert!(log.contains("unauthorised"), "{log}");
    let (finished, took) = watch.stop("INT");
    assert!(finished.code == 130 && took < PROMPT, "{took:?} {}", finished.stderr);
    let kept = format!("{log}{}{}", finished.stdout, finished.stderr);
    assert!(!kept.contains("w0ng-word") && !kept.contains("ann"), "{kept}");

    std::fs::write(program.path("password"), "s3cret-word\n").unwrap();
    let subscriber = broker.subscribe();
    let (mqtt, model) = (broker.url(), tiny::model());
    let given = ["--mqtt", &mqtt, "--mqtt-user-env", "LIVELABEL_TEST_USER", "--mqtt-password-file", "password"];
    let arguments = [&["run", "test://?rate=5", "--model", text(&model)], &given[..]].concat();
    let mut command = program.command(&arguments);
    command.env("LIVELABEL_TEST_USER", "ann");
    let watch = Watch::spawn(command);
    subscriber.until("livelabel/test/state", |message| message.json()["state"] == "running");
    let (finished, _) = watch.stop("INT");
    assert!(!format!("{}{}", finished.stdout, finished.stderr).contains("s3cret-word"));
}

#[test]
fn tls_uses_the_systems_trust_store() {
    let program = Program::new();
    let broker = Broker::at(free_port(), Access::Tls);
    let mqtt = broker.url().replace("mqtt://", "mqtts://");
    let mut untrusting = Watch::start(&program, &["test://?rate=5"], &["--mqtt", &mqtt]);
    let message = |wanted: &'static str| {
        move |fields: &Value| fields["message"].as_str().is_some_and(|text| text.contains(wanted))
    };
    let reported = untrusting.line("a refusal", message("not connected to the broker"));
    assert!(reported["message"].as_str().unwrap().contains("certificate"), "{reported}");
    untrusting.stop("INT");

    let given = ["--model", text(&tiny::model()), "--mqtt", &mqtt].map(String::from);
    let mut command = program.command(&["--log-format", "json", "run", "test://?rate=5"]);
    command.args(given).env("SSL_CERT_FILE", broker.authority());
    let subscriber = broker.subscribe();
    let watch = Watch::spawn(command);
    subscriber.until("livelabel/test/state", |message| message.json()["state"] == "running");
    let (finished, _) = watch.stop("INT");
    assert!(!finished.stderr.contains("not connected to the broker"), "{}", finished.stderr);
    let reported = finished.stdout.lines().find(|line| line.contains("mqtts://")).unwrap();
    assert!(reported.ends_with(" delivered") && !reported.contains(" 0 "), "{reported}");
}

#[test]
fn a_failing_webhook_is_retried() {
    let program = Program::new();
    let receiver = Receiver::start(|count| Some(if count == 0 { 500 } else { 200 }));
    let clip = clip(&program, "clip.mp4");
    let url = receiver.url().replace("http://", "http://ann:s3cret@");
    // With a camera there is time for the retry. At a clip's end there is only one second.
    let mut watch = Watch::start(&program, &["test://?rate=5"], &["--webhook", &url]);
    let posted = receiver.until(2);
    assert_eq!(posted[0].body, posted[1].body);
    assert_eq!(posted[0].headers["idempotency-key"], posted[1].headers["idempotency-key"]);
    assert_eq!(posted[0].headers["authorization"], "Basic YW5uOnMzY3JldA==");
    watch.line("it is back", |fields| {
        fields["message"].as_str().is_some_and(|text| text.contains("accepts events again"))
    });
    let log = format!("{:?}", watch.log);
    let (finished, _) = watch.stop("INT");
    let kept = format!("{log}{}{}", finished.stdout, finished.stderr);
    assert!(kept.contains("HTTP 500") && !kept.contains("s3cret") && !kept.contains("/hook"), "{kept}");

    let receiver = Receiver::start(|_| Some(404));
    let finished = program.run(&clip, &["--window", "1", "--webhook", &receiver.url()]).succeeded();
    assert_eq!(receiver.posted().len(), 6);
    assert_eq!(finished.stderr.matches("refused an event (HTTP 404)").count(), 1, "{}", finished.stderr);
    assert!(finished.stdout.contains("0 delivered, 6 not"), "{}", finished.stdout);
}

#[test]
fn an_unresponsive_webhook_blocks_no_stream() {
    let program = Program::new();
    let receiver = Receiver::start(|_| None);
    let url = receiver.url();
    let camera = Camera::start(&[text(&clip(&program, "clip.h264"))]);
    let given = ["--window", "1", "--stride", "1", "--webhook", &url, "--events", "events.jsonl"];
    let mut watch = Watch::start(&program, &[&camera.url], &given);
    for label in ["red", "green", "blue", "red"] {
        watch.until(label, |status| status["label"] == label);
    }
    let (finished, took) = watch.stop("INT");
    assert!(finished.code == 130 && took < PROMPT, "{took:?} {}", finished.stderr);
    check_went_on(&summary(&program));
    assert!(finished.stdout.contains(": 0 delivered"), "{}", finished.stdout);
    assert!(lines(&program, "events.jsonl").len() >= 6);
}

#[test]
fn the_loss_and_return_of_a_camera_are_one_event_each() {
    let program = Program::new();
    let camera = Camera::start(&[]);
    let mut watch = Watch::start(&program, &[&camera.url], &["--name", "door", "--events", "events.jsonl"]);
    watch.until("running", running);
    let port = camera.port;
    drop(camera);
    for _ in 0..5 {
        watch.until("lost", |status| status["state"] == "reconnecting");
    }
    let _camera = Camera::at(port, &[]);
    watch.until("back", |status| running(status) && status["reconnects"] == 1);
    watch.stop("INT");
    let events = lines(&program, "events.jsonl");
    let journal = records(&program);
    assert_match(&events, &journal.iter().filter_map(|record| record.get("interval")).collect::<Vec<_>>());
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let lost = kinds.iter().position(|&kind| kind == "lost").unwrap();
    assert_eq!(kinds[lost - 1..=lost + 2], ["end", "lost", "back", "start"], "{events:#?}");
    assert_eq!(kinds.iter().filter(|&&kind| kind == "lost" || kind == "back").count(), 2);
    let reported = journal.iter().find_map(|record| record.get("lost")).unwrap();
    assert_eq!((&events[lost]["ms"], &events[lost]["reason"]), (&reported["ms"], &reported["reason"]));
    assert_eq!(events[lost + 1]["ms"], events[lost + 2]["ms"]);
}

#[test]
fn streams_with_special_characters_stay_distinct_in_every_output() {
    let program = Program::new();
    let broker = Broker::start();
    let subscriber = broker.subscribe();
    let names = ["front door", "a/b", "a+b", "a#b", "a%2Bb", "\"tea\" ☕", "it's"];
    let streams: Vec<String> = names
        .iter()
        .map(|name| format!("[[stream]]\nname = {}\ninput = [\"test://?size=64x48&rate=5\"]\n", json!(name)))
        .collect();
    let settings = format!("mqtt = \"{}\"\nevents = \"events.jsonl\"\nwindow = 1\n{}", broker.url(), streams.concat());
    std::fs::write(program.path("many.toml"), settings).unwrap();
    let watch = Watch::start(&program, &[], &["--pipeline", "many.toml"]);
    let levels = ["front door", "a%2Fb", "a%2Bb", "a%23b", "a%252Bb", "\"tea\" ☕", "it's"];
    for (name, level) in names.iter().zip(levels) {
        let event = subscriber.until(&format!("livelabel/{level}/event"), |_| true);
        assert_eq!(event.json()["stream"], *name);
        subscriber.until(&format!("livelabel/{level}/state"), |message| message.json()["state"] == "running");
    }
    watch.stop("INT");
    let configs: Vec<String> = subscriber
        .messages()
        .into_iter()
        .filter(|message| message.topic.starts_with("homeassistant/"))
        .map(|message| message.topic)
        .collect();
    assert_eq!(configs.iter().collect::<HashSet<_>>().len(), 3 * names.len());
    let reported: HashSet<String> =
        lines(&program, "events.jsonl").iter().map(|event| event["stream"].to_string()).collect();
    assert_eq!(reported.len(), names.len());
    assert_eq!(files(&program, ".summary.json").len(), names.len());
}

#[test]
fn invalid_addresses_are_refused_without_repeating_them() {
    let program = Program::new();
    let clip = clip(&program, "clip.mp4");
    for (arguments, why) in [
        (&["--mqtt", "http://ann:s3cret@host"][..], "the broker's address"),
        (&["--mqtt", "mqtt://ann:s3#cret@host"], "the broker's address"),
        (&["--mqtt", "mqtt://host/a/+/b"], "topics cannot begin"),
        (&["--webhook", "s3cret"], "a webhook's address"),
        (&["--webhook", "ftp://host/s3cret"], "a webhook's address"),
        (&["--mqtt", "mqtt://host", "--mqtt-password-file", "missing"], "cannot be read"),
        (&["--mqtt-user-env", "HOME"], "no broker"),
        (&["--events", "."], "cannot be written"),
        (&["--events", "clip.mp4"], "another file of this run"),
        (&["--events", "clip.vtt"], "another file of this run"),
    ] {
        let finished = program.start(&[&["run", text(&clip)], arguments].concat());
        let line = finished.refusal(2);
        assert!(line.contains(why) && !line.contains("s3"), "{line}");
    }
    std::fs::write(program.path("p.toml"), "[[stream]]\ninput = [\"test://\"]\nwebhook = [\"http://h\"]\n").unwrap();
    let finished = program.start(&["run", "--pipeline", "p.toml"]);
    assert!(finished.refusal(2).contains("webhook is in a [[stream]]"));
}
