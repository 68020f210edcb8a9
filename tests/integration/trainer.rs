//! The trainer: its models run in the analyzer, and its errors name the cause.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use livelabel::inference::device::{Device, DeviceSelection};
use livelabel::inference::model::Model;
use livelabel::inference::preprocess::Preprocessor;
use livelabel::inference::session::{Session, SessionOptions};
use livelabel::onnx::weights::safetensors;
use livelabel::picture::file::read_picture;
use serde_json::Value;

use crate::footage::{bikes, fetched};
use crate::program::{Finished, Program, ffmpeg, text};
use crate::time_limit;

/// Runs the trainer, with the feature cache in the program's folder.
fn train(program: &Program, arguments: &[&str]) -> Finished {
    command(program, arguments).output().expect("the trainer starts").into()
}

fn command(program: &Program, arguments: &[&str]) -> Command {
    time_limit::watch();
    let mut command = Command::new(env!("CARGO_BIN_EXE_livelabel-train"));
    command.current_dir(program.folder.path()).env("XDG_CACHE_HOME", program.path("cache")).args(arguments);
    command
}

/// Creates pictures of two classes, `street` and `square`: four from each of three places of a real clip.
fn pictures(program: &Program) -> PathBuf {
    let data = program.path("data");
    for (class, clip) in [("street", bikes()), ("square", fetched("footage/vtest.avi"))] {
        std::fs::create_dir_all(data.join(class)).unwrap();
        for place in ["left", "middle", "right"] {
            let x = ["left", "middle", "right"].iter().position(|name| *name == place).unwrap() * 150;
            let filter = format!("crop=240:240:{x}:0,fps=2");
            let names = data.join(class).join(format!("{class}-{place}_%03d.jpg"));
            let output = ffmpeg(&["-i", text(&clip), "-vf", &filter, "-frames:v", "4", text(&names)]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    data
}

fn tensors(path: &Path) -> std::collections::HashMap<String, Vec<f32>> {
    let (_, tensors) = safetensors(&std::fs::read(path).unwrap(), "head").unwrap();
    tensors.into_iter().map(|(name, weight)| (name, weight.values)).collect()
}

#[test]
fn a_model_trained_on_two_folders_labels_other_clips() {
    let program = Program::new();
    for (class, clip, starts) in [("street", bikes(), [0, 3, 6]), ("square", fetched("footage/vtest.avi"), [0, 20, 40])]
    {
        std::fs::create_dir_all(program.path("data").join(class)).unwrap();
        for start in starts {
            let path = program.path("data").join(class).join(format!("{start}.mp4"));
            let start = start.to_string();
            let output = ffmpeg(&["-ss", &start, "-i", text(&clip), "-t", "2", "-vf", "scale=320:240", text(&path)]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let fitted =
        train(&program, &["fit", "--data", "data", "--model", "out/own.onnx", "--views", "2", "--every", "500"])
            .succeeded();
    assert!(fitted.stdout.contains("street") && fitted.stdout.contains("accuracy"), "{}", fitted.stdout);
    // A group without a mistake is no reason to raise every confidence.
    assert!(fitted.stdout.contains("temperature 1: too few groups to say (1, at least 10"), "{}", fitted.stdout);
    assert_eq!(program.json("out/own.run/report.json")["temperature"], 1.0);
    let model = Model::read(&program.path("out/own.onnx")).unwrap();
    assert!(model.metrics.ends_with("; confidences are not calibrated"), "{}", model.metrics);
    // The time of the other epochs is not estimated from the first.
    let epochs: Vec<&str> = fitted.stdout.lines().filter(|line| line.starts_with("epoch ")).collect();
    assert!(epochs[0].ends_with(" pictures/s") && epochs[1].contains(" pictures/s  at most "), "{epochs:?}");
    for file in ["config.json", "split.json", "history.csv", "history.json", "checkpoint.safetensors", "report.txt"] {
        assert!(program.path("out/own.run").join(file).exists(), "{file}");
    }
    for picture in ["loss-accuracy.png", "confusion.png"] {
        let bytes = std::fs::read(program.path("out/own.run").join(picture)).unwrap();
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 5000, "{picture}");
    }
    let read = crate::footage::project().join("scripts/python/scalars.py");
    let read = Command::new("python3").arg(read).arg(program.path("out/own.run/tensorboard")).output().unwrap();
    let scalars: Value = serde_json::from_slice(&read.stdout)
        .unwrap_or_else(|cause| panic!("{cause}: {}", String::from_utf8_lossy(&read.stderr)));
    let epochs: Value =
        serde_json::from_slice(&std::fs::read(program.path("out/own.run/history.json")).unwrap()).unwrap();
    for name in ["loss", "val_accuracy"] {
        let written =
            epochs.as_array().unwrap().iter().map(|epoch| (&epoch["epoch"], epoch[name].as_f64().unwrap() as f32));
        let shown = scalars[name].as_array().unwrap().iter().map(|pair| (&pair[0], pair[1].as_f64().unwrap() as f32));
        assert!(written.eq(shown), "{scalars}");
    }
    let history = std::fs::read_to_string(program.path("out/own.run/history.csv")).unwrap();
    assert!(history.starts_with("epoch,loss,accuracy,val_loss,val_accuracy,"), "{history}");

    // A part of each clip without training pictures.
    for (class, clip, start) in [("street", bikes(), "8"), ("square", fetched("footage/vtest.avi"), "60")] {
        let path = program.path(&format!("{class}.mp4"));
        let cut = ["-ss", start, "-i", text(&clip), "-t", "1", "-vf", "scale=320:240", text(&path)];
        assert!(ffmpeg(&cut).status.success());
        program
            .start(&["run", text(&path), "--model", "out/own.onnx", "--only", "timeline", "--window", "1"])
            .succeeded();
        let timeline = program.json(&format!("{class}.timeline.json"));
        let longest = timeline["intervals"].as_array().unwrap().iter().max_by_key(|interval| {
            let time = |key: &str| interval[key].as_f64().unwrap_or(0.0);
            (time("end_ms") - time("start_ms")) as i64
        });
        assert_eq!(longest.unwrap()["label"], class, "{timeline}");
    }
    let report = train(&program, &["evaluate", "--model", "out/own.onnx", "--clips", "data"]).succeeded().stdout;
    assert_eq!(report.lines().count(), 1 + 6 + 2 + 1, "{report}");

    // The same clips frame by frame: four of them were for training.
    let evaluate = ["evaluate", "--model", "out/own.onnx", "--data", "data", "--every", "500"];
    let evaluated = train(&program, &evaluate).succeeded();
    assert!(evaluated.stdout.contains("24 pictures in 5 groups"), "{}", evaluated.stdout);
    assert!(evaluated.stdout.contains("calibration err. too few groups to say (5,"), "{}", evaluated.stdout);
    let warning = "warning: own.onnx: learned from 4 of these 6 files, so the figures flatter";
    assert!(evaluated.stderr.contains(warning), "{}", evaluated.stderr);
    let held_out = train(&program, &[&evaluate[..], &["--held-out-by", "out/own.run"]].concat()).succeeded();
    assert!(held_out.stdout.contains("8 pictures in 1 group;"), "{}", held_out.stdout);
    assert!(!held_out.stderr.contains("learned from"), "{}", held_out.stderr);
}

#[test]
fn successive_recordings_of_a_camera_are_on_one_side() {
    let program = Program::new();
    let recordings = [
        ("street", "door-20260102T080000Z.mkv"),
        ("square", "door-20260102T081000Z.mkv"),
        ("square", "door-20260102T082000Z.mkv"),
        ("street", "door-20260103T080000Z.mkv"),
        ("square", "hall-20260102T081000Z.mkv"),
    ];
    for (class, name) in recordings {
        let path = program.path("data").join(class).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let made = ffmpeg(&["-i", text(&bikes()), "-t", "1", "-vf", "scale=160:120", text(&path)]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let summary = train(&program, &["data", "data", "--output", "all.tsv"]).succeeded().stdout;
    assert!(summary.contains("1 camera visit of several recordings: one group each"), "{summary}");
    let table = std::fs::read_to_string(program.path("all.tsv")).unwrap();
    let group = |name: &str| {
        let row = table.lines().find(|line| line.contains(&format!("{name}\t"))).unwrap();
        row.split('\t').nth(2).unwrap().to_string()
    };
    let groups = recordings.map(|(_, name)| group(name));
    let visit = "door-20260102T080000Z.mkv";
    assert_eq!(groups, [visit, visit, visit, "door-20260103T080000Z.mkv", "hall-20260102T081000Z.mkv"]);
    let fit = ["fit", "--data", "data", "--run", "own.run", "--views", "1", "--epochs", "1", "--folds", "2"];
    let fitted = train(&program, &fit).succeeded();
    assert!(fitted.stdout.contains("successive recordings of one camera visit are one group"), "{}", fitted.stdout);
    let split = program.json("own.run/split.json");
    let side = |name: &str| split[name].as_array().unwrap().iter().filter(|group| **group == visit).count();
    assert_eq!(side("train") + side("validation"), 1, "{split}");
}

#[test]
fn a_killed_and_resumed_training_ends_with_identical_weights() {
    let program = Program::new();
    pictures(&program);
    let options = ["--views", "3", "--epochs", "80", "--early-stopping", "80", "--reduce-after", "7"];
    let fit = |model: &'static str| [&["fit", "--data", "data", "--model", model][..], &options].concat();
    train(&program, &fit("whole.onnx")).succeeded();

    let mut child = command(&program, &fit("killed.onnx")).spawn().unwrap();
    let (checkpoint, began) = (program.path("killed.run/checkpoint.safetensors"), Instant::now());
    while !checkpoint.exists() && began.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!program.path("killed.onnx").exists(), "it was killed too late");
    let resumed = train(&program, &["fit", "--resume", "killed.run"]).succeeded();
    assert!(resumed.stdout.contains("resuming after epoch"), "{}", resumed.stdout);
    let head = |run: &str| std::fs::read(program.path(run).join("head.safetensors")).unwrap();
    assert!(
        tensors(&program.path("whole.run/head.safetensors")) == tensors(&program.path("killed.run/head.safetensors"))
    );
    assert_eq!(head("whole.run").len(), head("killed.run").len());

    let refused = train(&program, &["fit", "--resume", "killed.run", "--dropout", "0.2"]);
    let line = refused.refusal(2);
    assert!(line.contains("--dropout 0.2, the run has 0.5"), "{line}");
    assert!(train(&program, &fit("whole.onnx")).refusal(2).contains("whole.onnx: exists already"));
    std::fs::remove_file(program.path("whole.onnx")).unwrap();
    assert!(train(&program, &fit("whole.onnx")).refusal(2).contains("contains a run already"));
}

#[test]
fn cached_and_computed_features_give_the_same_training() {
    let program = Program::new();
    pictures(&program);
    let fit = |model: &'static str, more: &[&'static str]| {
        let given = [
            "fit",
            "--data",
            "data",
            "--model",
            model,
            "--views",
            "2",
            "--epochs",
            "2",
            "--inference-precision",
            "fp32",
        ];
        train(&program, &[&given[..], more].concat()).succeeded();
        tensors(&program.path(model).with_extension("run").join("head.safetensors"))
    };
    let (cached, computed) = (fit("cached.onnx", &[]), fit("computed.onnx", &["--no-cache"]));
    for (name, values) in &cached {
        let furthest = values.iter().zip(&computed[name]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest < 1e-4, "{name}: {furthest}");
    }
}

/// Returns the largest difference between the predictions of the trainer and of the model file.
fn largest_difference(program: &Program, run: &str, model: &str) -> f64 {
    let model = Model::read(&program.path(model)).unwrap();
    let mut session = Session::load(&model, SessionOptions::of(DeviceSelection::Exactly(Device::Cpu), 1)).unwrap();
    let mut preprocessor = Preprocessor::new(&model.input);
    let predictions: Value = program.json(&format!("{run}/predictions.json"));
    let mut furthest = 0.0f64;
    for prediction in predictions[1].as_array().unwrap() {
        let picture = read_picture(&program.path("data").join(prediction["name"].as_str().unwrap())).unwrap();
        let mut tensor = model.input.tensor();
        preprocessor.prepare(&picture.view(), tensor.view_mut()).unwrap();
        let found = session.run_each(&[tensor.view()]).unwrap();
        for (found, expected) in found.iter().zip(prediction["probabilities"].as_array().unwrap()) {
            furthest = furthest.max((f64::from(*found) - expected.as_f64().unwrap()).abs());
        }
    }
    furthest
}

#[test]
fn the_model_file_equals_the_trained_network() {
    let program = Program::new();
    pictures(&program);
    let fit = ["fit", "--data", "data", "--epochs", "3", "--views", "2"];
    train(&program, &[&fit[..], &["--inference-precision", "fp32", "--model", "head.onnx"]].concat()).succeeded();
    let furthest = largest_difference(&program, "head.run", "head.onnx");
    assert!(furthest < 1e-4, "{furthest}");
    train(&program, &["export", "--run", "head.run", "--model", "half.onnx", "--precision", "fp16"]).succeeded();
    let furthest = largest_difference(&program, "head.run", "half.onnx");
    assert!(furthest < 0.02, "{furthest}");

    let exported =
        train(&program, &["export", "--run", "head.run", "--model", "int8.onnx", "--precision", "int8"]).succeeded();
    assert!(exported.stdout.contains("on 8 validation pictures: accuracy"), "{}", exported.stdout);
    assert!(largest_difference(&program, "head.run", "int8.onnx") < 0.25);
    let first = std::fs::read(program.path("int8.onnx")).unwrap();
    train(&program, &["export", "--run", "head.run", "--model", "int8.onnx", "--precision", "int8"]).succeeded();
    assert!(first == std::fs::read(program.path("int8.onnx")).unwrap(), "it is not made the same way twice");
    assert_eq!(Model::read(&program.path("int8.onnx")).unwrap().precision, "int8");

    // The last stage is trained too; its input is cached in half precision.
    let unfrozen = ["--unfreeze", "stage4", "--optimizer", "adam", "--pooling", "max", "--model", "stage.onnx"];
    train(&program, &[&fit[..], &unfrozen].concat()).succeeded();
    let furthest = largest_difference(&program, "stage.run", "stage.onnx");
    assert!(furthest < 0.02, "{furthest}");
    let learned = tensors(&program.path("stage.run/head.safetensors"));
    assert!(learned.contains_key("res5c_branch2c.weight") && !learned.contains_key("res4a_branch2a.weight"));

    // The last two stages, in full precision on both sides.
    let unfrozen =
        ["--unfreeze", "stage3", "--inference-precision", "fp32", "--optimizer", "adam", "--model", "two.onnx"];
    train(&program, &[&fit[..], &unfrozen].concat()).succeeded();
    let furthest = largest_difference(&program, "two.run", "two.onnx");
    assert!(furthest < 0.01, "{furthest}");
    assert!(tensors(&program.path("two.run/head.safetensors")).contains_key("res4a_branch2a.weight"));
}

#[test]
fn a_label_with_subclasses_has_the_sum_of_their_probabilities() {
    let program = Program::new();
    pictures(&program);
    let rules = "street\tleft side\tstreet-left\t\nstreet\telsewhere\t\t\nsquare\tright side\tsquare-right\t\n";
    std::fs::write(program.path("rules.tsv"), rules).unwrap();
    let data = ["data", "data", "--output", "all.tsv", "--subclasses", "rules.tsv"];
    let summary = train(&program, &data).succeeded().stdout;
    for expected in ["left side 0 4", "elsewhere 0 8", "right side 4 0"] {
        let found = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ") == expected;
        assert!(summary.lines().any(found), "{expected}: {summary}");
    }
    let fit = ["fit", "--data", "all.tsv", "--epochs", "3", "--views", "2", "--inference-precision", "fp32"];
    let options = ["--label-smoothing", "0.1", "--model", "units.onnx"];
    train(&program, &[&fit[..], &options].concat()).succeeded();
    // Square: without subclass, right side. Street: elsewhere, left side.
    let head = tensors(&program.path("units.run/head.safetensors"));
    assert_eq!((head["dense2.weight"].len(), head["dense2.bias"].len()), (4 * 512, 4));
    assert_eq!(Model::read(&program.path("units.onnx")).unwrap().labels, ["square", "street"]);
    let furthest = largest_difference(&program, "units.run", "units.onnx");
    assert!(furthest < 1e-4, "{furthest}");
    for (precision, most) in [("fp16", 0.02), ("int8", 0.25)] {
        train(&program, &["export", "--run", "units.run", "--model", "small.onnx", "--precision", precision])
            .succeeded();
        let furthest = largest_difference(&program, "units.run", "small.onnx");
        assert!(furthest < most, "{precision}: {furthest}");
    }
    std::fs::write(program.path("rules.tsv"), "street\tleft side\n").unwrap();
    assert!(train(&program, &data).refusal(2).contains("rules.tsv: \"street\\tleft side\" does not have four fields"));
}

#[test]
fn data_joins_two_folders_and_evaluate_counts_events() {
    let program = Program::new();
    let data = pictures(&program);
    let more = program.path("more");
    for class in ["street", "square"] {
        std::fs::create_dir_all(more.join(class)).unwrap();
        let from = data.join(class).join(format!("{class}-left_001.jpg"));
        // A resized copy under another name.
        let smaller = more.join(class).join(format!("again-{class}.png"));
        assert!(ffmpeg(&["-i", text(&from), "-vf", "scale=150:150", text(&smaller)]).status.success());
    }
    let summary = train(&program, &["data", "data", "more", "--output", "all.tsv"]).succeeded().stdout;
    assert!(summary.lines().any(|line| line.split_whitespace().eq(["all", "13", "13"])), "{summary}");
    assert!(
        summary.contains("street-left_001.jpg and street/again-street.png are near-duplicates: one group"),
        "{summary}"
    );
    let fitted = train(&program, &["fit", "--data", "all.tsv", "--model", "own.onnx", "--views", "2"]).succeeded();
    assert!(fitted.stdout.contains("features by "), "{}", fitted.stdout);
    let shown = program.start(&["model", "show", "own.onnx"]).succeeded().stdout;
    assert!(shown.lines().any(|line| line.starts_with("slice ") && line.contains("street")), "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("all ")), "{shown}");

    // Four seconds of the square, then two of the street, then the square.
    let (street, square) = (bikes(), fetched("footage/vtest.avi"));
    let clip = program.path("clips/square/both.mp4");
    std::fs::create_dir_all(clip.parent().unwrap()).unwrap();
    std::fs::create_dir_all(program.path("clips/street")).unwrap();
    std::fs::copy(&street, program.path("clips/street/bikes.mp4")).unwrap();
    let graph = "[0:v]trim=0:4,fps=10,scale=240:240,setsar=1[a];[1:v]trim=0:2,fps=10,scale=240:240,setsar=1,setpts=PTS-STARTPTS[b];\
                 [0:v]trim=4:6,setpts=PTS-STARTPTS,fps=10,scale=240:240,setsar=1[c];[a][b][c]concat=n=3";
    let made = ffmpeg(&["-i", text(&square), "-i", text(&street), "-filter_complex", graph, text(&clip)]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::write(program.path("events.tsv"), "path\tlabel\tstart\tend\nboth.mp4\tstreet\t4\t6\n").unwrap();
    let report =
        ["evaluate", "--model", "own.onnx", "--clips", "clips", "--events", "events.tsv", "--json", "found.json"];
    let report = train(&program, &report).succeeded().stdout;
    assert!(report.contains("events of street") && report.contains("2 of 2"), "{report}");
    let found = &program.json("found.json")["events"]["street"][0];
    assert_eq!((&found["events"], &found["found"]), (&2.into(), &2.into()), "{found}");
    let refused = train(&program, &["evaluate", "--model", "own.onnx", "--clips", "clips", "--events", "all.tsv"]);
    assert!(refused.refusal(2).contains("all.tsv: not a table of events"));
}

#[test]
fn a_remote_monitor_gets_each_epoch_in_keras_format() {
    let program = Program::new();
    pictures(&program);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            request.extend(&buffer[..count]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        String::from_utf8(request).unwrap()
    });
    // The second epoch gets no response, which only logs a warning.
    let fitted = train(
        &program,
        &["fit", "--data", "data", "--model", "m.onnx", "--views", "1", "--epochs", "2", "--remote-monitor", &url],
    )
    .succeeded();
    assert!(fitted.stderr.contains("warning: the remote monitor did not accept the epoch"), "{}", fitted.stderr);
    let request = server.join().unwrap();
    assert!(request.starts_with("POST /publish/epoch/end/ HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains("content-type: application/x-www-form-urlencoded"), "{request}");
    let form = request.split("\r\n\r\n").nth(1).unwrap().strip_prefix("data=").unwrap();
    let mut json = Vec::new();
    let mut bytes = form.bytes();
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next().unwrap()).to_digit(16).unwrap() as u8;
        json.push(if byte == b'%' { 16 * digit() + digit() } else { byte });
    }
    let data: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(data["epoch"], 0);
    assert!(data["val_loss"].is_number() && data["accuracy"].is_number(), "{data}");
    let address = train(&program, &["fit", "--data", "data", "--model", "x.onnx", "--remote-monitor", "localhost"]);
    assert!(address.refusal(2).contains("--remote-monitor is not an http:// URL"));
}

#[test]
fn a_sweep_ranks_all_settings() {
    let program = Program::new();
    pictures(&program);
    let swept = train(&program, &["sweep", "--data", "data", "--views", "1", "--csv", "sweep.csv"]).succeeded();
    let table = std::fs::read_to_string(program.path("sweep.csv")).unwrap();
    let scores: Vec<f64> =
        table.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(scores.len(), 3 * 5 * 5);
    assert!(scores.is_sorted_by(|a, b| a >= b), "{table}");
    assert!(swept.stdout.contains("batch  dropout  epochs"), "{}", swept.stdout);
    train(&program, &["preview", "--data", "data", "--augment", "strong", "--output", "sheet.png"]).succeeded();
    let finished = train(&program, &["preview", "--data", "data", "--output", "sheet"]);
    assert!(finished.refusal(2).contains("ends in .png or .jpg"), "{}", finished.stderr);
    let size = read_picture(&program.path("sheet.png")).unwrap();
    assert_eq!((size.view().planes[0].width, size.view().planes[0].height), (6 * 228 - 4, 6 * 228 - 4));
}

#[test]
fn unsuitable_data_is_refused_in_one_line() {
    let program = Program::new();
    let data = pictures(&program);
    let fit = |arguments: &[&str]| train(&program, &[&["fit", "--model", "m.onnx", "--force"][..], arguments].concat());
    std::fs::create_dir(program.path("empty")).unwrap();
    let refused = [
        (vec!["--data", "nowhere"], "nowhere: not found"),
        (vec!["--data", "empty"], "no pictures or clips in class folders"),
        (vec!["--data", "data", "--classes", "street"], "only the class street"),
        (vec!["--data", "data", "--classes", "street,beach"], "no pictures or clips of class \"beach\""),
        (vec!["--data", "data", "--dropout", "1"], "--dropout is 1"),
        (vec!["--data", "data", "--folds", "1"], "--folds 1"),
        (vec!["--data", "data", "--backbone", "empty"], "model.json: cannot be read"),
    ];
    for (arguments, expected) in refused {
        let finished = fit(&arguments);
        let line = finished.refusal(2);
        assert!(line.contains(expected), "{line}");
    }
    assert_eq!(fit(&["--data", "data", "--optimizer", "magic"]).code, 2);
    assert!(train(&program, &["fit", "--resume", "empty"]).refusal(2).contains("not the folder of a run"));
    assert!(fit(&["--data", "data", "--cache-limit", "0.000001"]).refusal(1).contains("raise --cache-limit"));

    let finished = fit(&["--data", "data", "--views", "1", "--optimizer", "sgd", "--lr", "1e30"]);
    let line = finished.refusal(1);
    assert!(line.contains("the loss is") && line.contains("of epoch") && line.contains("lower --lr"), "{line}");

    // A broken picture is logged and skipped.
    std::fs::write(data.join("street/street-left_002.jpg"), b"no picture").unwrap();
    let fitted = fit(&["--data", "data", "--views", "1", "--epochs", "1"]).succeeded();
    assert!(fitted.stderr.contains("street/street-left_002.jpg is skipped"), "{}", fitted.stderr);
    assert!(fitted.stdout.contains("1 of 24 files could not be read"), "{}", fitted.stdout);

    // A class with a single group cannot be validated.
    for place in ["left", "middle"] {
        for number in 1..=4 {
            std::fs::remove_file(data.join(format!("square/square-{place}_{number:03}.jpg"))).unwrap();
        }
    }
    assert!(fit(&["--data", "data"]).refusal(2).contains("class square has only one group, square-right"));
}

#[test]
fn without_libtorch_the_error_says_how_to_install_it() {
    let program = Program::new();
    // The loader searches here first, and finds an invalid library.
    std::fs::write(program.path("libc10.so"), "").unwrap();
    let output = command(&program, &["fit"]).env("LD_LIBRARY_PATH", program.folder.path()).output().unwrap();
    let finished = Finished::from(output);
    assert!(finished.refusal(2).contains("libtorch 2.11.0 cannot be loaded"), "{}", finished.stderr);
    assert!(finished.stderr.contains("run scripts/setup"), "{}", finished.stderr);
}

#[test]
fn a_run_without_validation_has_the_metrics_of_the_cross_validation() {
    let program = Program::new();
    let data = pictures(&program);
    let common = ["fit", "--data", text(&data), "--views", "1", "--epochs", "4", "--schedule", "cosine"];
    let recipe = ["--balance", "root", "--label-smoothing", "0.1", "--weight-decay", "0.01", "--folds", "3"];
    for fold in ["0", "1", "2"] {
        let run = format!("fold{fold}.run");
        let own = ["--fold", fold, "--run", &run, "--quiet"];
        train(&program, &[&common[..], &recipe, &own].concat()).succeeded();
    }
    let own = ["--split", "none", "--validated-by", "fold0.run", "fold1.run", "fold2.run", "--model", "all.onnx"];
    let finished = train(&program, &[&common[..], &recipe, &own].concat()).succeeded();
    assert!(finished.stdout.contains("24 pictures in 6 groups"), "{}", finished.stdout);
    let report = |run: &str| program.json(&format!("{run}/report.json"));
    let mean = ["fold0.run", "fold1.run", "fold2.run"].map(|run| report(run)["temperature"].as_f64().unwrap().ln());
    let found = report("all.run")["temperature"].as_f64().unwrap().ln();
    assert!((found - mean.iter().sum::<f64>() / 3.0).abs() < 1e-9);
    let model = Model::read(&program.path("all.onnx")).unwrap();
    assert!(model.metrics.contains("24 pictures of 6 groups each held out once"), "{}", model.metrics);

    // The same pictures, evaluated by the runs and by a model on one run's validation groups.
    let finished = train(&program, &["evaluate", "--run", "fold0.run", "fold1.run", "--json", "two.json"]).succeeded();
    assert!(finished.stdout.contains("16 pictures in 4 groups"), "{}", finished.stdout);
    assert_eq!(program.json("two.json")["predictions"].as_array().unwrap().len(), 16);
    let model = ["evaluate", "--model", "all.onnx", "--data", text(&data)];
    let finished = train(&program, &[&model[..], &["--held-out-by", "fold2.run"]].concat()).succeeded();
    assert!(finished.stdout.contains("8 pictures in 2 groups"), "{}", finished.stdout);
    let finished = train(&program, &[&model[..], &["--groups", "!square"]].concat()).succeeded();
    assert!(finished.stdout.contains("12 pictures in 3 groups"), "{}", finished.stdout);
    let finished = train(&program, &[&model[..], &["--groups", "nobody"]].concat());
    assert!(finished.refusal(2).contains("no picture"), "{}", finished.stderr);

    let finished = train(&program, &[&common[..], &["--validated-by", "fold0.run", "--run", "x.run"]].concat());
    assert!(
        finished.refusal(2).contains("--validated-by needs a run without validation pictures"),
        "{}",
        finished.stderr
    );
}
