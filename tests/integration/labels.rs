//! Labels and confidences equal a plain implementation of their definition, frame by frame.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use livelabel::inference::device::{Device, DeviceSelection};
use livelabel::inference::model::{DEFAULT, Model};
use livelabel::inference::preprocess::Preprocessor;
use livelabel::inference::session::{Session, SessionOptions};
use livelabel::picture::{Colorimetry, Matrix, OwnedPicture, Range};
use serde_json::Value;

use crate::footage::{colours, project, small, variant};
use crate::program::{Program, ffmpeg, rgb, text};

/// Decodes the clip's frames with ffmpeg, to I420.
fn decoded(clip: &Path, width: usize, height: usize) -> Vec<OwnedPicture> {
    let output = ffmpeg(&["-i", text(clip), "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]);
    let size = width * height * 3 / 2;
    assert_eq!(output.stdout.len() % size, 0);
    let limited = Colorimetry { matrix: Matrix::Bt601, range: Range::Limited };
    let picture = |bytes: &[u8]| {
        let mut picture = OwnedPicture::new(width, height, limited);
        let mut rest = bytes;
        for plane in picture.view_mut().planes {
            let (this, others) = rest.split_at(plane.data.len());
            plane.data.copy_from_slice(this);
            rest = others;
        }
        picture
    };
    output.stdout.chunks_exact(size).map(picture).collect()
}

/// Returns the most probable label of a mean, the first of equal ones, and its probability.
fn most_probable(window: &[&Vec<f32>]) -> (usize, f64) {
    let mean = |class: usize| window.iter().map(|p| f64::from(p[class])).sum::<f64>() / window.len() as f64;
    let means: Vec<f64> = (0..window[0].len()).map(mean).collect();
    let best = (0..means.len()).rev().max_by(|&a, &b| means[a].total_cmp(&means[b])).unwrap();
    (best, means[best])
}

/// Smooths with half of the window before each frame and half after it.
fn centred(predictions: &[Vec<f32>], window: usize) -> Vec<(usize, f64)> {
    let last = predictions.len() - 1;
    let covered = |i: usize| i.saturating_sub(window / 2)..=(i + (window - 1) / 2).min(last);
    (0..=last).map(|i| most_probable(&predictions[covered(i)].iter().collect::<Vec<_>>())).collect()
}

/// Smooths as the original does: a queue, its mean, the maximum.
fn plain(predictions: &[Vec<f32>], window: usize) -> Vec<(usize, f64)> {
    let mut queue: VecDeque<&Vec<f32>> = VecDeque::new();
    predictions
        .iter()
        .map(|prediction| {
            queue.push_back(prediction);
            if queue.len() > window {
                queue.pop_front();
            }
            most_probable(queue.make_contiguous())
        })
        .collect()
}

fn rounded(confidence: f64) -> f64 {
    (confidence * 1e5).round() / 1e5
}

#[test]
fn a_window_of_a_second_is_one_of_25_predictions_at_25_frames_a_second() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 75);
    let frames = |window: &str| {
        program.run(&clip, &["--only", "timeline", "--force", "--window", window]).succeeded();
        let timeline = program.json("clip.timeline.json");
        (timeline["window"].clone(), timeline["confidences"]["rows"].clone(), timeline["intervals"].clone())
    };
    let (by_number, by_time) = (frames("25"), frames("1000ms"));
    assert_eq!((by_number.0, by_time.0), (25.into(), "1s".into()));
    assert!(by_number.1.as_array().is_some_and(|rows| rows.len() == 75));
    assert_eq!((by_number.1, by_number.2), (by_time.1, by_time.2));
    for wrong in ["0", "0s", "many", "2h"] {
        let finished = program.run(&clip, &["--window", wrong]);
        assert!(finished.code == 2 && finished.stderr.contains("a time up to 1h, like 1.2s"), "{}", finished.stderr);
    }
}

#[test]
fn every_frames_label_follows_the_definition() {
    let program = Program::new();
    // Traffic with an orange, which the shipped model labels as cooking, so that the label changes.
    let orange = crate::footage::fetched("footage/orange.jpg");
    let clip = program.path("clip.mp4");
    let bikes = crate::footage::bikes();
    let filter = "[0:v]trim=end_frame=14,scale=320:240,fps=25,setsar=1[a];\
                  [1:v]scale=320:240,fps=25,setsar=1[b];\
                  [2:v]trim=end_frame=14,scale=320:240,fps=25,setsar=1[c];[a][b][c]concat=n=3,format=yuv420p";
    let looped = ["-loop", "1", "-r", "25", "-t", "0.6", "-i", text(&orange)];
    let given = [&["-i", text(&bikes)], &looped[..], &["-i", text(&bikes), "-filter_complex", filter]].concat();
    let encoded = ["-c:v", "libx264", "-colorspace", "smpte170m", "-color_range", "tv", text(&clip)];
    let output = ffmpeg(&[&given[..], &encoded].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let model = Model::read(&project().join(DEFAULT)).unwrap();
    let mut session = Session::load(&model, SessionOptions::of(DeviceSelection::Exactly(Device::Cpu), 1)).unwrap();
    let mut preprocessor = Preprocessor::new(&model.input);
    let mut tensor = model.input.tensor();
    let predictions: Vec<Vec<f32>> = decoded(&clip, 320, 240)
        .iter()
        .map(|picture| {
            preprocessor.prepare(&picture.view(), tensor.view_mut()).unwrap();
            session.run_each(&[tensor.view()]).unwrap().into_iter().collect()
        })
        .collect();
    assert_eq!(predictions.len(), 43);

    let (trailing, centred) = (plain(&predictions, 10), centred(&predictions, 10));
    for (batch, tolerance, align, expected) in [
        ("1", 0.0, "trailing", &trailing),
        ("8", 1.001e-5, "trailing", &trailing),
        ("1", 0.0, "centred", &centred),
        ("8", 1.001e-5, "centred", &centred),
    ] {
        let arguments = [
            "run",
            text(&clip),
            "--window",
            "10",
            "--window-align",
            align,
            "--hysteresis",
            "0",
            "--stride",
            "1",
            "--batch",
            batch,
            "--only",
            "timeline",
            "--force",
            "--device",
            "cpu",
        ];
        program.start(&arguments).succeeded();
        let timeline = program.json("clip.timeline.json");
        let labels: Vec<usize> = expected.iter().map(|(label, _)| *label).collect();
        assert!(labels.contains(&0) && labels.contains(&2), "the clip must give both cooking and other");
        for (class, label) in model.labels.iter().enumerate() {
            let found: Vec<(f64, f64)> = pairs(&timeline[label]);
            let wanted: Vec<(f64, f64)> = (0..43)
                .filter(|&i| expected[i].0 == class)
                .map(|i| (40.0 * i as f64, rounded(expected[i].1)))
                .collect();
            assert_eq!(found.len(), wanted.len(), "batch {batch}, {label}");
            for (found, wanted) in found.iter().zip(&wanted) {
                assert_eq!(found.0, wanted.0);
                assert!((found.1 - wanted.1).abs() <= tolerance, "batch {batch}, {label}: {found:?} for {wanted:?}");
            }
        }
    }
}

fn pairs(list: &Value) -> Vec<(f64, f64)> {
    let numbers = |pair: &Value| (pair[0].as_f64().unwrap(), pair[1].as_f64().unwrap());
    list.as_array().unwrap().iter().map(numbers).collect()
}

/// Returns the share of pixels in the label's area that have its colour.
fn share(frame: &[u8], is_label: impl Fn(&[u8]) -> bool) -> f64 {
    let corner = frame.chunks_exact(160 * 3).take(32).flat_map(|row| row.chunks_exact(3));
    corner.filter(|pixel| is_label(pixel)).count() as f64 / (160.0 * 32.0)
}

#[test]
fn in_the_original_style_the_action_is_green_and_other_labels_are_red() {
    let program = Program::new();
    let encoded = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "10"];
    let clip = colours(program.folder.path(), "clip.mp4", &["0x802020", "0x202080"], &encoded);
    let arguments = ["--action", "red", "--window", "1", "--output", "out.avi", "--overlay", "original"];
    program.run(&clip, &arguments).succeeded();
    let frames = rgb(&program.path("out.avi"));
    for (i, frame) in frames.chunks_exact(160 * 120 * 3).enumerate() {
        let green = share(frame, |p| p[1] > 160 && p[0] < 110 && p[2] < 110);
        let red = share(frame, |p| p[0] > 180 && p[1] < 80 && p[2] < 90);
        let (shown, other) = if i < 25 { (green, red) } else { (red, green) };
        assert!(shown > 0.02 && other < 0.002, "frame {i}: green {green}, red {red}");
    }
    let timeline = program.json("clip.timeline.json");
    assert_eq!(timeline["red"].as_array().unwrap().len(), 25);
    assert_eq!(timeline.get("blue"), None, "only the action has a list");
}

#[test]
fn the_plate_has_the_labels_colour_and_its_ribbon_keeps_what_was_shown() {
    let program = Program::new();
    let encoded = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "10"];
    let clip = colours(program.folder.path(), "clip.mp4", &["0x802020", "0x202080"], &encoded);
    let run = |style: &str| {
        let output = format!("{style}.avi");
        program
            .run(&clip, &["--action", "red", "--window", "1", "--output", &output, "--overlay", style, "--force"])
            .succeeded();
        rgb(&program.path(&output))
    };
    let (plate, none) = (run("plate"), run("none"));
    let frame = 160 * 120 * 3;
    let of = |frames: &[u8], i: usize| frames[i * frame..][..frame].to_vec();
    // The first label's colour: its name, the bar and a second of the ribbon; then only that second.
    let sky = |i: usize| {
        share(&of(&plate, i), |p| p.iter().zip([86, 180, 233]).all(|(&is, should)| is.abs_diff(should) < 50))
    };
    let (shown, after) = (sky(24), sky(49));
    assert!(shown > 0.015 && (0.002..0.008).contains(&after), "{shown} {after}");
    // Only the upper rows are drawn on; and nothing without an overlay.
    for i in [0, 24, 25, 49] {
        let (drawn, bare) = (of(&plate, i), of(&none, i));
        assert_eq!(drawn[40 * 160 * 3..], bare[40 * 160 * 3..], "frame {i}");
        assert_ne!(drawn, bare, "frame {i}");
        let first: [u8; 3] = bare[..3].try_into().unwrap();
        assert!(bare.chunks_exact(3).all(|p| p.iter().zip(first).all(|(&a, b)| a.abs_diff(b) < 12)), "frame {i}");
    }
}

#[test]
fn below_the_threshold_no_label_is_shown() {
    let program = Program::new();
    let encoded = ["-pix_fmt", "yuv420p", "-c:v", "libx264"];
    let clip = colours(program.folder.path(), "clip.mp4", &["0x808080", "0xC00000"], &encoded);
    program.run(&clip, &["--threshold", "0.9", "--window", "1", "--only", "timeline"]).succeeded();
    let timeline = program.json("clip.timeline.json");
    let count = |label: &str| timeline[label].as_array().unwrap().len();
    assert_eq!((count("red"), count("green"), count("blue")), (25, 0, 0));
    let interval = &timeline["intervals"][0];
    assert_eq!((&interval["start"], &interval["end"]), (&1000.0.into(), &2000.0.into()));
}

#[test]
fn with_a_stride_the_label_is_held_between() {
    let program = Program::new();
    let clip = variant(program.folder.path(), "clip.mp4", 30, &["-vf", "scale=160:120", "-c:v", "libx264"]);
    let finished = program.run(&clip, &["--stride", "4", "--output", "out.avi", "--verbose"]).succeeded();
    assert!(finished.stdout.contains("30 frames decoded, 8 analysed, 22 held, 0 dropped"), "{}", finished.stdout);
    let timeline = program.json("clip.timeline.json");
    assert_eq!(timeline["frames"], serde_json::json!({"decoded": 30, "analysed": 8, "held": 22, "dropped": {}}));
    assert_eq!(timeline["confidences"]["rows"].as_array().unwrap().len(), 30);
}

#[test]
fn sampling_shows_the_labels_of_every_frame() {
    let program = Program::new();
    let encoded = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "10"];
    let scenes = ["red", "red", "green", "0x606060", "blue", "blue", "red", "green", "green", "green"];
    colours(program.folder.path(), "scenes.mp4", &scenes, &encoded);
    // Traffic with another scene in its middle. No label is sure of it, so it takes most frames.
    let cut = "scale=320:136,drawbox=enable='between(n,100,140)':color=red@0.9:t=fill";
    variant(program.folder.path(), "traffic.mp4", 250, &["-vf", cut, "-c:v", "libx264"]);
    for name in ["scenes", "traffic"] {
        for (window, most) in [("1", 60), ("16", 90), ("1.2s", 120), ("128", 250)] {
            let run = |stride: &str| {
                let given =
                    ["--stride", stride, "--window", window, "--only", "timeline", "--force", "--device", "cpu"];
                program.run(&program.path(&format!("{name}.mp4")), &given).succeeded();
                program.json(&format!("{name}.timeline.json"))
            };
            let (full, sampled) = (run("1"), run("auto"));
            let times = |timeline: &Value| -> Vec<f64> {
                let rows = timeline["confidences"]["rows"].as_array().unwrap();
                rows.iter().map(|row| row[0].as_f64().unwrap()).collect()
            };
            let times = (times(&full), times(&sampled));
            assert_eq!(times.0, times.1);
            // At an edge the label may change two frames earlier or later.
            let shown = |timeline: &Value| -> BTreeSet<(String, String)> {
                let frames = |label: &&str| timeline[*label].as_array().unwrap().clone();
                let of = |label: &str, frame: Value| (label.to_string(), frame[0].to_string());
                let labels = ["red", "green", "blue"].iter();
                labels.flat_map(|label| frames(label).into_iter().map(move |frame| of(label, frame))).collect()
            };
            let other = shown(&full).difference(&shown(&sampled)).count();
            let edges = full["intervals"].as_array().unwrap().len() - 1;
            assert!(other <= 2 * edges, "{name}, window {window}: {other} labels differ");
            let frames = &sampled["frames"];
            let (analysed, held) = (frames["analysed"].as_u64().unwrap(), frames["held"].as_u64().unwrap());
            assert_eq!(analysed + held, 250);
            assert!(analysed <= most || name == "traffic", "{name}, window {window}: {analysed} analysed");
            // The timeline says which frames were not analysed.
            assert_eq!(full["confidences"]["inferred"], serde_json::json!([]));
            let inferred = |time: f64| {
                let stretches = sampled["confidences"]["inferred"].as_array().unwrap();
                stretches
                    .iter()
                    .any(|stretch| (stretch[0].as_f64().unwrap()..=stretch[1].as_f64().unwrap()).contains(&time))
            };
            assert_eq!(times.1.iter().filter(|&&time| inferred(time)).count() as u64, held);
        }
    }
}

#[test]
fn a_short_activity_is_found_where_it_is() {
    let program = Program::new();
    let colour = |name| ["red", "green", "blue"][name];
    let seconds = [0, 0, 1, 2, 2].map(colour);
    let encoded = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "10"];
    let clip = colours(program.folder.path(), "clip.mp4", &seconds, &encoded);
    let run = |given: &[&str]| {
        let given = [&["--window", "1.2s", "--only", "timeline", "--force"], given].concat();
        let finished = program.run(&clip, &given).succeeded();
        (program.json("clip.timeline.json"), finished.stdout)
    };
    let (timeline, text) = run(&[]);
    let edges = |timeline: &Value, names: [&str; 2]| -> Vec<(f64, f64)> {
        let found = timeline["intervals"].as_array().unwrap();
        found
            .iter()
            .map(|found| (found[names[0]].as_f64().unwrap_or(-1.0), found[names[1]].as_f64().unwrap_or(-1.0)))
            .collect()
    };
    // The model is less sure of green than of blue.
    assert_eq!(edges(&timeline, ["start", "end"]), [(0.0, 2000.0), (2000.0, 2960.0), (2960.0, 5000.0)]);
    let found = &timeline["intervals"];
    assert_eq!((&found[1]["offset"], &found[2]["onset"]), (&3000.0.into(), &3000.0.into()));
    assert!(found[1].get("onset").is_none() && found[2].get("offset").is_none(), "{found}");
    assert_eq!((&timeline["window_align"], &timeline["shortest_ms"]), (&"centred".into(), &600.0.into()));
    assert!(text.contains("green 0:02–0:03") && text.contains("nothing shorter than 0.6 s is reported"), "{text}");

    // A trailing window shows the label late. The predictions tell when the activity began and ended.
    let (timeline, text) = run(&["--window-align", "trailing"]);
    let (start, end) = edges(&timeline, ["start", "end"])[1];
    assert!((2560.0..=2760.0).contains(&start) && (3480.0..=3640.0).contains(&end), "{start} {end}");
    assert_eq!(edges(&timeline, ["onset", "offset"])[1], (2000.0, 3000.0));
    assert!(text.contains("green 0:02–0:03"), "{text}");

    // The original's window is longer than the clip.
    let finished = program.run(&clip, &["--pipeline", "original", "--only", "timeline", "--force"]).succeeded();
    let timeline = program.json("clip.timeline.json");
    assert_eq!((&timeline["window"], &timeline["hysteresis"]), (&128.into(), &0.0.into()));
    assert_eq!(timeline["intervals"].as_array().unwrap().iter().filter(|found| found["label"] == "green").count(), 0);
    assert!(finished.stdout.contains("nothing shorter than 2.6 s is reported"), "{}", finished.stdout);
}

#[test]
fn a_cameras_window_is_trailing() {
    let program = Program::new();
    let finished = program.start(&["run", "rtsp://user:secret@camera/door", "--window-align", "centred"]);
    let line = finished.refusal(2);
    assert!(line.contains("a centred window needs the frames to come") && !line.contains("secret"), "{line}");
}
