//! Measures how many clips a second more workers do, where the network takes a fixed time: the workers' machines have no part in it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::cameras::isolation::Isolation;
use crate::cluster::clip::{AllowedClips, Labelling, ResultsPlace};
use crate::cluster::connection::{Connection, block_on};
use crate::cluster::job::ClipJob;
use crate::cluster::names::RESULT;
use crate::cluster::record::subjects;
use crate::cluster::submit::{Progress, Submission, Submitted, Totals};
use crate::cluster::test_server::TestServer;
use crate::cluster::worker::Worker;
use crate::cluster::worker_state::{Room, WorkerState};
use crate::cluster::{cameras, record::JobRecord};
use crate::config::camera_credentials::CameraCredentials;
use crate::config::options::{FileKind, StreamOptions};
use crate::inference::engine::Engine;
use crate::inference::inference_precision::InferencePrecision;
use crate::inference::model::Model;
use crate::labels::stride::Stride;
use crate::shutdown::Shutdown;
use crate::system::clock::SystemClock;

/// Time of the network for a picture, pictures of a clip, and clips for each worker: three seconds a clip.
const COST: Duration = Duration::from_millis(50);
const FRAMES: usize = 60;
const CLIPS: usize = 10;
const WORKERS: [usize; 5] = [1, 2, 4, 8, 16];

struct Silent;

impl Progress for Silent {
    fn camera(&mut self, _: &cameras::camera::CameraSettings, _: cameras::submit::Submitted) {}
    fn submitted(&mut self, _: &ClipJob, _: &Submitted) {}
    fn ended(&mut self, _: &JobRecord) {}
}

/// Makes a worker that labels one clip at a time.
fn worker(number: usize, model: &Arc<Model>, output: &Path, shutdown: &Shutdown) -> Worker {
    let labelling = Labelling {
        model: Arc::clone(model),
        engine: Arc::new(Engine::of_fixed_cost(model, COST).unwrap()),
        precision: InferencePrecision::default(),
        clock: SystemClock::shared(),
        output: output.into(),
        results: ResultsPlace::Folder,
        allowed: AllowedClips::default(),
        credentials: CameraCredentials::default(),
        secrets: Vec::new(),
    };
    let room = Room { clips: 1, cameras: 0 };
    let credentials = CameraCredentials::default();
    Worker::new(WorkerState::new(
        format!("worker{number:02}"),
        room,
        labelling,
        credentials,
        Isolation::None,
        None,
        shutdown,
    ))
}

/// Returns how many clips a second so many workers label.
fn measure(workers: usize, clips: &[ClipJob], model: &Arc<Model>) -> f64 {
    let (server, output) = (TestServer::start(), tempfile::tempdir().unwrap());
    let (nats, shutdown) = (server.config(), Shutdown::default());
    let threads: Vec<_> = (0..workers)
        .map(|number| {
            let (worker, nats) = (worker(number, model, output.path(), &shutdown), nats.clone());
            std::thread::spawn(move || worker.run(&nats).unwrap())
        })
        .collect();
    // All are there, and ask for clips.
    std::thread::sleep(Duration::from_secs(2));
    let begun = Instant::now();
    let submission = Submission { clips: clips.to_vec(), cameras: Vec::new(), wait: true };
    let totals = submission.run(&nats, &Shutdown::default(), &mut Silent).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    shutdown.request();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(totals, Totals { done: clips.len() as u64, ..Totals::default() });
    let recorded = block_on(async {
        let connection = Connection::open(&nats, "count").await?;
        subjects(&connection.streams.records, RESULT).await
    });
    assert_eq!(recorded.unwrap().len(), clips.len());
    clips.len() as f64 / seconds
}

#[test]
#[ignore = "a measurement of three minutes; it needs nats-server and ffmpeg"]
fn more_workers_label_more_clips() {
    crate::media::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.mp4");
    let source = format!("testsrc=size=64x48:rate=20:duration={}", FRAMES / 20);
    let made = Command::new("ffmpeg").args(["-v", "error", "-f", "lavfi", "-i", &source]).arg(&clip).status();
    assert!(made.unwrap().success());
    let model = Arc::new(Model::open(None).unwrap());
    let only = Some(vec![FileKind::Timeline]);
    let settings = StreamOptions { only, stride: Some(Stride::Every(1)), ..StreamOptions::default() };
    let mut one = 0.0;
    for workers in WORKERS {
        let jobs: Vec<ClipJob> = (0..CLIPS * workers)
            .map(|number| {
                let copy = folder.path().join(format!("{number}.mp4"));
                if !copy.exists() {
                    std::fs::hard_link(&clip, &copy).unwrap();
                }
                ClipJob::new(&copy, settings.clone()).unwrap()
            })
            .collect();
        let rate = measure(workers, &jobs, &model);
        if workers == 1 {
            one = rate;
        }
        println!("{workers} workers: {rate:.3} clips/s, {:.3} of linear", rate / (one * workers as f64));
    }
}
