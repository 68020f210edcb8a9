//! Measures what many cameras cost a NATS server: the real claims, events and states of simulated workers and cameras.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cluster::cameras::camera::{CameraName, CameraSettings};
use crate::cluster::cameras::held::HeldCamera;
use crate::cluster::cameras::publisher::Publisher;
use crate::cluster::cameras::submit;
use crate::cluster::claim::Claim;
use crate::cluster::connection::{Connection, listen};
use crate::cluster::names::{WATCH, WORKER};
use crate::cluster::presence::{ANNOUNCED, WorkerStatus};
use crate::cluster::test_server::TestServer;
use crate::cluster::{record, streams};
use crate::config::nats::NatsConfig;
use crate::config::options::StreamOptions;
use crate::events::event::Event;
use crate::events::event_bus::EventBus;
use crate::shutdown::Shutdown;
use crate::system::clock::SystemClock;
use crate::system::utc;
use crate::telemetry::status::StreamPhase;
use crate::telemetry::{LabelSettings, StreamInfo, StreamState};

const WORKERS: usize = 50;
const CAMERAS: usize = 1000;
/// How often a camera's label changes: an interval ends, and another begins.
const INTERVAL: Duration = Duration::from_secs(20);
const MEASURED: Duration = Duration::from_secs(60);

/// Holds a camera as a worker does, and sees an interval end every [`INTERVAL`].
async fn hold(connection: Connection, worker: String, claim: Claim) {
    let name: CameraName = claim.subject().strip_prefix(WATCH).unwrap().parse().unwrap();
    let clock = SystemClock::shared();
    let info = StreamInfo {
        name: name.to_string(),
        input: "test://".into(),
        live: true,
        labels: vec!["a".into(), "b".into()],
    };
    let stream = Arc::new(StreamState::new(info, LabelSettings::default(), false, &clock));
    stream.progress.status_mut().enter(StreamPhase::Running, utc::now());
    let (bus, events) = EventBus::to_one(name.as_str(), &clock);
    let claim = Arc::new(claim);
    let publisher = Publisher::new(&connection, &claim, &name, &worker, None, &stream);
    let see = async {
        sleep(INTERVAL.mul_f64(fastrand::f64())).await;
        loop {
            let time = || utc::milliseconds(utc::now());
            bus.publish(
                &Event::Start { stream: name.as_str(), label: "a", ms: 0.0, time: time(), confidence: 0.9 },
                None,
            );
            stream.progress.status_mut().label = Some("a".into());
            sleep(INTERVAL).await;
            let (mean, peak) = (0.9, 0.9);
            let end = Event::End {
                stream: name.as_str(),
                label: "a",
                ms: 1.0,
                time: time(),
                start_ms: 0.0,
                mean,
                peak,
                onset_ms: None,
                offset_ms: None,
            };
            bus.publish(&end, None);
        }
    };
    tokio::join!(publisher.run(events, Shutdown::default()), claim.extend(), see);
}

/// Takes its part of the cameras, and says every few seconds that it is there.
async fn work(nats: NatsConfig, name: String) {
    let connection = Connection::open(&nats, &name).await.unwrap();
    let consumer = streams::cameras(&connection.streams).await.unwrap();
    let mut holds = JoinSet::new();
    while holds.len() < CAMERAS / WORKERS {
        if let Some(claim) = Claim::next(&consumer).await.unwrap() {
            holds.spawn(hold(connection.clone(), name.clone(), claim));
        }
    }
    let camera = |number: usize| HeldCamera {
        camera: format!("camera{number:04}").parse().unwrap(),
        input: "rtsp://10.0.0.100/stream1".into(),
        state: StreamPhase::Running,
        reason: None,
        label: Some("other".into()),
        stride: 2,
        fixed: false,
        delay_ms: 40.0,
    };
    let status = WorkerStatus {
        name: name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        model: "drinking-cooking.int8.onnx".into(),
        device: "openvino".into(),
        capacity: 2,
        draining: false,
        clips: Vec::new(),
        camera_capacity: CAMERAS / WORKERS,
        cameras: (0..CAMERAS / WORKERS).map(camera).collect(),
        moves: 0,
        problem: None,
        done: 0,
        failed: 0,
    };
    let announce = async {
        loop {
            record::publish(&connection.jetstream, format!("{WORKER}{name}"), &status).await.unwrap();
            sleep(ANNOUNCED).await;
        }
    };
    tokio::join!(announce, listen(&connection, format!("{WORKER}*"), async |_| {}));
}

#[test]
#[ignore = "a measurement of two minutes; it needs nats-server"]
fn a_thousand_cameras() {
    let server = TestServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let nats = server.config();
        let connection = Connection::open(&nats, "load").await.unwrap();
        for number in 0..CAMERAS {
            let name = format!("camera{number:04}").parse().unwrap();
            let camera = CameraSettings::new(name, "rtsp://10.0.0.100/stream1", StreamOptions::default()).unwrap();
            submit::submit(&connection, &camera).await.unwrap();
        }
        let mut workers = JoinSet::new();
        for number in 0..WORKERS {
            workers.spawn(work(nats.clone(), format!("worker{number:02}")));
        }
        while record::subjects(&connection.streams.states, crate::cluster::names::STATE).await.unwrap().len() < CAMERAS
        {
            sleep(Duration::from_millis(500)).await;
        }
        sleep(Duration::from_secs(20)).await;
        let (before, begun) = (server.counts(), Instant::now());
        sleep(MEASURED).await;
        let (after, seconds) = (server.counts(), begun.elapsed().as_secs_f64());
        let rate = |key: &str| (after[key].as_f64().unwrap() - before[key].as_f64().unwrap()) / seconds;
        let events = connection.jetstream.get_stream("LIVELABEL_EVENTS").await.unwrap();
        let state = events.get_info().await.unwrap().state;
        let measured = json!({
            "in_messages_per_second": rate("in_msgs"), "out_messages_per_second": rate("out_msgs"),
            "in_bytes_per_second": rate("in_bytes"), "out_bytes_per_second": rate("out_bytes"),
            "server_cpu_percent": after["cpu"], "server_memory_bytes": after["mem"],
            "events": state.messages, "bytes_per_event": state.bytes as f64 / state.messages as f64,
        });
        println!("{measured:#}");
        // None was handed out again.
        let mut consumer = streams::cameras(&connection.streams).await.unwrap();
        let info = consumer.info().await.unwrap();
        assert_eq!((info.num_redelivered, info.num_ack_pending), (0, CAMERAS));
    });
}
