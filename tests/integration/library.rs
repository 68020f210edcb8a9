//! The library finds what the program finds, and writes nothing unless it is told to.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use livelabel::{
    Analyzer, Config, Error, ErrorKind, LabeledInterval, Observer, Outcome, RunOptions, RunReport, Settings, Shutdown,
    StreamInfo, StreamOptions, StreamState,
};

use crate::footage::small;
use crate::program::Program;
use crate::tiny;

/// Writes down everything that it receives.
#[derive(Default)]
struct Recorder {
    started: Mutex<Vec<String>>,
    intervals: Mutex<Vec<(String, Duration, Duration)>>,
    labelled: Mutex<Vec<u64>>,
    errors: Mutex<Vec<(ErrorKind, String)>>,
}

impl Observer for Recorder {
    fn started(&self, stream: &Arc<StreamState>) {
        self.started.lock().unwrap().push(stream.info.name.clone());
    }

    fn interval(&self, _stream: &StreamInfo, LabeledInterval { label, start, end, mean, peak, .. }: LabeledInterval) {
        assert!(0.0 < mean && mean <= peak && peak <= 1.0);
        self.intervals.lock().unwrap().push((label.into(), start, end));
    }

    fn ended(&self, _stream: &Arc<StreamState>, result: Result<&Outcome, &Error>) {
        match result {
            Ok(outcome) => self.labelled.lock().unwrap().push(outcome.frames.analysed + outcome.frames.held),
            Err(error) => self.errors.lock().unwrap().push((error.kind(), error.to_string())),
        }
    }
}

fn config(input: &[&Path]) -> Config {
    let input = input.iter().map(|path| path.to_path_buf()).collect();
    let streams = StreamOptions { input, only: Some(Vec::new()), ..StreamOptions::default() };
    let run = RunOptions { model: Some(tiny::model()), ..RunOptions::default() };
    Config::resolve(Settings { run, streams, ..Settings::default() }).unwrap()
}

#[test]
fn the_observer_receives_the_intervals_of_the_timeline() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 50);
    program.run(&clip, &["--only", "timeline", "--quiet"]).succeeded();
    let timeline = program.json("clip.timeline.json");
    let intervals = timeline["intervals"].as_array().unwrap();
    assert!(!intervals.is_empty());

    let recorder = Recorder::default();
    let report = Analyzer::new(config(&[&clip])).unwrap().run(&Shutdown::default(), &recorder).unwrap();
    assert_eq!(report, RunReport::default());
    assert_eq!(*recorder.started.lock().unwrap(), ["clip.mp4"]);
    assert_eq!(*recorder.labelled.lock().unwrap(), [50]);
    let found = recorder.intervals.into_inner().unwrap();
    assert_eq!(found.len(), intervals.len());
    for ((label, start, end), interval) in found.iter().zip(intervals) {
        assert_eq!(label.as_str(), interval["label"]);
        assert_eq!(start.as_secs_f64() * 1000.0, interval["start"].as_f64().unwrap());
        assert_eq!(end.as_secs_f64() * 1000.0, interval["end"].as_f64().unwrap());
    }
    let mut files: Vec<_> =
        std::fs::read_dir(program.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["clip.mp4", "clip.timeline.json"]);
}

#[test]
fn an_input_that_cannot_be_opened_does_not_stop_the_others() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 10);
    let missing = program.path("missing.mp4");
    let recorder = Recorder::default();
    Analyzer::new(config(&[&missing, &clip])).unwrap().run(&Shutdown::default(), &recorder).unwrap();
    assert_eq!(*recorder.labelled.lock().unwrap(), [10]);
    let errors = recorder.errors.into_inner().unwrap();
    assert_eq!((errors.len(), errors[0].0), (1, ErrorKind::Input));
    assert!(errors[0].1.contains("missing.mp4"), "{}", errors[0].1);
}

#[test]
fn a_run_that_is_stopped_before_it_starts_starts_nothing() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 10);
    let shutdown = Shutdown::default();
    shutdown.request();
    let recorder = Recorder::default();
    let report = Analyzer::new(config(&[&clip])).unwrap().run(&shutdown, &recorder).unwrap();
    assert_eq!(report.not_started, 1);
    assert!(recorder.started.into_inner().unwrap().is_empty());
}
