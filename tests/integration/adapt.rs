//! Learning from corrections: `livelabel-train adapt`, on frames of real clips.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use livelabel::inference::device::{Device, DeviceSelection};
use livelabel::inference::model::Model;
use livelabel::inference::preprocess::Preprocessor;
use livelabel::inference::session::{Session, SessionOptions};
use livelabel::onnx::cut::Cut;
use livelabel::picture::file::read_picture;
use livelabel::train::kept_features::KeptFeatures;

use crate::footage::{bikes, fetched, project};
use crate::program::{Finished, Program, ffmpeg, run_with_mounts, text};
use crate::{time_limit, tiny};

/// Frames of each visit.
const FRAMES: usize = 4;

fn command(program: &Program, arguments: &[&str]) -> Command {
    time_limit::watch();
    let mut command = Command::new(env!("CARGO_BIN_EXE_livelabel-train"));
    command.current_dir(program.folder.path()).env("XDG_CACHE_HOME", program.path("cache")).args(arguments);
    command
}

fn adapt(program: &Program, arguments: &[&str]) -> Finished {
    let given = ["adapt", "--model", "model.onnx", "--data", "learn", "--output", "new.onnx", "--report", "new.json"];
    command(program, &[&given[..], arguments].concat()).output().expect("the trainer starts").into()
}

/// Writes the shipped model, a few of its kept features, and frames of three visits to a street and a square.
fn prepare(street: &str, square: &str) -> Program {
    let program = Program::new();
    let models = project().join("models");
    fs::copy(models.join("drinking-cooking.int8.onnx"), program.path("model.onnx")).unwrap();
    let mut kept = KeptFeatures::read(&models.join("drinking-cooking.features.safetensors")).unwrap();
    kept.rows = kept.rows.into_iter().step_by(40).collect();
    kept.write(&program.path("model.features.safetensors")).unwrap();
    let mut rows = Vec::new();
    for (visit, starts) in [(1, ["0", "0"]), (2, ["3", "20"]), (3, ["6", "40"])] {
        for (class, name, clip, start) in
            [(street, "street", bikes(), starts[0]), (square, "square", fetched("footage/vtest.avi"), starts[1])]
        {
            let folder = program.path("learn/frames").join(name);
            fs::create_dir_all(&folder).unwrap();
            let names = folder.join(format!("{visit}-%d.jpg"));
            let taken = ["-ss", start, "-i", text(&clip), "-vf", "fps=2", "-frames:v", "4", "-q:v", "2", text(&names)];
            assert!(ffmpeg(&taken).status.success());
            for number in 1..=FRAMES {
                let minute = number + if name == "square" { 10 } else { 0 };
                rows.push(format!(
                    "frames/{name}/{visit}-{number}.jpg\t{class}\tdoor/{visit}\tdoor\t2026-11-0{visit}T14:{minute:02}:00.000Z"
                ));
            }
        }
    }
    write_table(&program, &rows);
    program
}

fn write_table(program: &Program, rows: &[String]) {
    let table = format!("path\tclass\tsplit_group\tstream\ttime\n{}\n", rows.join("\n"));
    fs::write(program.path("learn/corrections.tsv"), table).unwrap();
}

fn table(program: &Program) -> Vec<String> {
    fs::read_to_string(program.path("learn/corrections.tsv")).unwrap().lines().skip(1).map(String::from).collect()
}

/// Returns a model's probabilities for a picture.
fn said(model: &Path, picture: &Path) -> Vec<f32> {
    let model = Model::read(model).unwrap();
    let mut session = Session::load(&model, SessionOptions::of(DeviceSelection::Exactly(Device::Cpu), 1)).unwrap();
    let mut tensor = model.input.tensor();
    Preprocessor::new(&model.input).prepare(&read_picture(picture).unwrap().view(), tensor.view_mut()).unwrap();
    session.run_each(&[tensor.view()]).unwrap().into_iter().collect()
}

/// Returns the adapter's weights.
fn adapter(model: &Path) -> Vec<f32> {
    let labels = Model::read(model).unwrap().labels;
    let cut = Cut::of(fs::read(model).unwrap().into(), &labels, "model").unwrap();
    cut.adapter.unwrap().weight.values
}

#[test]
fn corrections_are_learned_and_later_frames_are_labelled_right() {
    let program = prepare("other", "drinking");
    let finished = adapt(&program, &[]).succeeded();
    assert!(finished.stdout.contains("24 corrections in 3 visits\nkept features: 97 rows of "), "{}", finished.stdout);
    assert!(finished.stdout.contains("better: 24 of 24 instead of 12 (12 more"), "{}", finished.stdout);
    assert!(finished.stdout.ends_with("new.onnx: written\n"), "{}", finished.stdout);
    let report = program.json("new.json");
    assert_eq!((&report["verdict"], &report["new_labels"]), (&"better".into(), &serde_json::json!([])));
    assert_eq!(report["corrections"]["old"]["recall"], serde_json::json!({"drinking": [0, 12], "other": [12, 12]}));
    assert_eq!(report["corrections"]["new"]["recall"], serde_json::json!({"drinking": [12, 12], "other": [12, 12]}));
    assert_eq!(report["corrections"]["difference"], serde_json::json!({"low": 12, "high": 12}));
    // In each visit of 13 minutes the street becomes the square once.
    let old = report["corrections"]["old"]["changes_per_hour"].as_f64();
    assert_eq!(old, Some(0.0), "{report}");
    let new = report["corrections"]["new"]["changes_per_hour"].as_f64().unwrap();
    assert!((new - 60.0 / 13.0).abs() < 1e-9, "{report}");
    let shipped = Model::read(&program.path("model.onnx")).unwrap();
    let model = Model::read(&program.path("new.onnx")).unwrap();
    let adaptation = model.adaptation.unwrap();
    assert_eq!((&adaptation.base, &adaptation.adapted_from), (&shipped.sha256, &shipped.sha256));
    assert_eq!((adaptation.corrections, model.labels, model.window), (24, shipped.labels, shipped.window));
    let shown = program.start(&["model", "show", "new.onnx"]).succeeded().stdout;
    assert!(shown.contains("adapted    to 24 corrections; the accuracy is that of "), "{shown}");

    // Frames that nobody corrected, in the analyzer.
    for (clip, start, label) in [(bikes(), "8", "other"), (fetched("footage/vtest.avi"), "60", "drinking")] {
        let later = program.path("later.mp4");
        assert!(ffmpeg(&["-ss", start, "-i", text(&clip), "-t", "1", text(&later)]).status.success());
        let run = ["run", "later.mp4", "--model", "new.onnx", "--only", "timeline", "--window", "1"];
        program.start(&run).succeeded();
        let timeline = program.json("later.timeline.json");
        assert_eq!(timeline["intervals"][0]["label"], label, "{timeline}");
        fs::remove_file(program.path("later.timeline.json")).unwrap();
    }

    // The same again gives the same file.
    let first = fs::read(program.path("new.onnx")).unwrap();
    adapt(&program, &[]).succeeded();
    assert!(first == fs::read(program.path("new.onnx")).unwrap(), "it is not made the same way twice");

    // Adapting the result starts from the same head: nothing piles up. It has seen all frames, so nothing can be known.
    fs::rename(program.path("new.onnx"), program.path("model.onnx")).unwrap();
    let again = adapt(&program, &["--anyway"]).succeeded();
    assert!(again.stdout.contains("cannot be known: the model in use learned from all of these"), "{}", again.stdout);
    assert_eq!(adapter(&program.path("new.onnx")), adapter(&program.path("model.onnx")));
    let second = Model::read(&program.path("new.onnx")).unwrap().adaptation.unwrap();
    assert_eq!(second.base, shipped.sha256);
    assert_eq!(second.adapted_from, Model::read(&program.path("model.onnx")).unwrap().sha256);
}

#[test]
fn without_corrections_that_differ_it_says_what_it_said() {
    let program = prepare("other", "other");
    let finished = adapt(&program, &[]).succeeded();
    assert!(finished.stdout.contains("not shown to be better: 24 of 24 instead of 24 (no difference)"));
    assert!(finished.stdout.ends_with("new.onnx: not written; --anyway writes it\n"), "{}", finished.stdout);
    assert_eq!(
        (program.json("new.json")["verdict"].as_str(), program.path("new.onnx").exists()),
        (Some("unproven"), false)
    );
    adapt(&program, &["--anyway"]).succeeded();
    for picture in ["learn/frames/street/1-1.jpg", "learn/frames/square/3-2.jpg"] {
        let [before, after] =
            ["model.onnx", "new.onnx"].map(|model| said(&program.path(model), &program.path(picture)));
        assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-5), "{before:?} {after:?}");
    }
}

#[test]
fn new_labels_widen_the_model_and_are_no_paths() {
    let program = prepare("other", "../../washing\\..");
    let finished = adapt(&program, &[]).succeeded();
    assert!(finished.stdout.contains("3 visits; new: ../../washing\\..\n"), "{}", finished.stdout);
    let labels = Model::read(&program.path("new.onnx")).unwrap().labels;
    assert_eq!(labels, ["cooking", "drinking", "other", "../../washing\\.."]);
    let probabilities = said(&program.path("new.onnx"), &program.path("learn/frames/square/2-1.jpg"));
    assert!(probabilities[3] > 0.5 && (probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{probabilities:?}");
    let mut files: Vec<PathBuf> =
        fs::read_dir(program.folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let expected = ["cache", "learn", "model.features.safetensors", "model.onnx", "new.json", "new.onnx"];
    assert!(files.iter().map(|path| path.file_name().unwrap()).eq(expected), "{files:?}");
}

#[test]
fn what_cannot_be_learned_from_is_left_out() {
    let program = prepare("other", "drinking");
    fs::write(program.path("learn/frames/square/1-1.jpg"), b"no picture").unwrap();
    fs::remove_file(program.path("learn/frames/square/1-2.jpg")).unwrap();
    fs::copy(program.path("learn/frames/square/1-3.jpg"), program.path("learn/copy.jpg")).unwrap();
    let mut rows = table(&program);
    rows.push("copy.jpg\tcooking\tdoor/3\tdoor\t2026-11-03T15:00:00.000Z".into());
    write_table(&program, &rows);
    let finished = adapt(&program, &[]).succeeded();
    for name in ["frames/square/1-1.jpg", "frames/square/1-2.jpg"] {
        assert!(finished.stderr.contains(&format!("{name} is skipped")), "{}", finished.stderr);
    }
    let twice =
        "copy.jpg is labelled \"cooking\", and the same picture frames/square/1-3.jpg \"drinking\"; it is left out";
    assert!(finished.stderr.contains(twice), "{}", finished.stderr);
    assert!(finished.stdout.contains("21 corrections in 3 visits"), "{}", finished.stdout);
    assert!(finished.stdout.contains("better: 21 of 21 instead of 12"), "{}", finished.stdout);

    // One visit says nothing about the next.
    let first: Vec<String> = table(&program).into_iter().filter(|row| row.contains("door/2")).collect();
    write_table(&program, &first);
    let finished = adapt(&program, &[]).succeeded();
    let text = "cannot be known: drinking was corrected in 1 visit only; two are needed";
    assert!(finished.stdout.contains(text), "{}", finished.stdout);
    assert_eq!(program.json("new.json")["verdict"], "unknown");

    write_table(&program, &[]);
    assert!(adapt(&program, &[]).refusal(2).contains("no pictures or clips"));
}

#[test]
fn other_models_and_features_are_refused() {
    let program = prepare("other", "drinking");
    let refused = adapt(&program, &["--features", "learn/corrections.tsv"]);
    assert!(refused.refusal(2).contains("corrections.tsv: not a file of kept features"), "{}", refused.stderr);
    let features = program.path("model.features.safetensors");
    let kept = KeptFeatures::read(&features).unwrap();
    KeptFeatures { backbone: "0".repeat(64), ..kept }.write(&features).unwrap();
    let refused = adapt(&program, &[]);
    let line = refused.refusal(2);
    assert!(
        line.contains("not of the network of model.onnx (they were computed by other layers); name its own"),
        "{line}"
    );

    // Without any it works, with a warning. The installed models are elsewhere.
    fs::remove_file(&features).unwrap();
    fs::create_dir(program.path("models")).unwrap();
    let arguments = ["adapt", "--model", "model.onnx", "--data", "learn", "--output", "new.onnx"];
    let alone = command(&program, &arguments).env("LIVELABEL_HOME", program.folder.path()).output().unwrap();
    let alone = Finished::from(alone).succeeded();
    assert!(alone.stderr.contains("so the new model may forget"), "{}", alone.stderr);
    assert!(
        alone.stdout.contains("kept features: none") && alone.stdout.contains("better: 24 of 24"),
        "{}",
        alone.stdout
    );

    // Another input size, and no features to cut it at.
    fs::copy(tiny::model(), program.path("model.onnx")).unwrap();
    let refused = adapt(&program, &[]);
    let line = refused.refusal(2);
    let expected = "model model.onnx: cannot be adapted (it has no tensor \"features\" to cut it at); give a model with ResNet50's";
    assert!(line.contains(expected), "{line}");
    fs::write(program.path("model.onnx"), b"no model").unwrap();
    assert!(adapt(&program, &[]).refusal(2).contains("not an ONNX model"));
}

#[test]
fn a_kill_leaves_the_old_model_or_the_new_one() {
    let program = prepare("other", "drinking");
    for moment in ["new.json", "new.onnx.part", "new.onnx"] {
        fs::write(program.path("new.onnx"), b"old").unwrap();
        let _ = fs::remove_file(program.path("new.json"));
        let arguments = [
            "adapt",
            "--model",
            "model.onnx",
            "--data",
            "learn",
            "--output",
            "new.onnx",
            "--report",
            "new.json",
            "--anyway",
        ];
        let mut child = command(&program, &arguments).spawn().unwrap();
        let reached = || match moment {
            "new.onnx" => fs::metadata(program.path(moment)).is_ok_and(|file| file.len() > 3),
            _ => program.path(moment).exists(),
        };
        while !reached() && child.try_wait().unwrap().is_none() {}
        let _ = child.kill();
        child.wait().unwrap();
        let old = fs::read(program.path("new.onnx")).unwrap() == b"old";
        assert!(old || Model::read(&program.path("new.onnx")).is_ok(), "killed at {moment}");
    }
    let finished = adapt(&program, &["--anyway"]).succeeded();
    assert!(finished.stdout.ends_with("new.onnx: written\n") && !program.path("new.onnx.part").exists());
}

#[test]
fn a_full_disk_keeps_the_old_model() {
    let program = prepare("other", "drinking");
    fs::create_dir(program.path("disk")).unwrap();
    let script = "mount -t tmpfs -o size=20m tmpfs disk || exit 77\n\
                  echo old >disk/new.onnx\n\
                  \"$1\" adapt --model model.onnx --data learn --output disk/new.onnx --anyway\n\
                  code=$?; cp -r disk kept; exit $code";
    let trainer = [env!("CARGO_BIN_EXE_livelabel-train")];
    let Some(finished) = run_with_mounts(&program, script, &trainer) else { return };
    let line = finished.refusal(1);
    assert!(line.contains("disk/new.onnx: cannot be written") && line.contains("free some space"), "{line}");
    assert_eq!(fs::read_to_string(program.path("kept/new.onnx")).unwrap(), "old\n");
    assert_eq!(fs::read_dir(program.path("kept")).unwrap().count(), 1);
}

#[test]
fn features_of_a_model_are_kept_without_pictures_or_names() {
    let program = prepare("other", "drinking");
    let mut rows = table(&program);
    rows[0] = rows[0].replace("other", "cooking");
    write_table(&program, &rows);
    let keep = ["features", "--model", "model.onnx", "--data", "learn", "--output", "kept.safetensors"];
    let kept = Finished::from(command(&program, &[&keep[..], &["--max-bytes", "40KB"]].concat()).output().unwrap());
    let kept = kept.succeeded();
    assert!(kept.stdout.contains("kept.safetensors: 17 of 24 rows, "), "{}", kept.stdout);
    let file = fs::read(program.path("kept.safetensors")).unwrap();
    assert!(file.len() <= 40_000, "{}", file.len());
    for name in ["door", "street", "frames", "jpg"] {
        assert!(!file.windows(name.len()).any(|part| part == name.as_bytes()), "{name}");
    }
    let found = KeptFeatures::read(&program.path("kept.safetensors")).unwrap();
    let shipped = KeptFeatures::read(&project().join("models/drinking-cooking.features.safetensors")).unwrap();
    assert_eq!(found.backbone, shipped.backbone);
    // What it keeps the model said, the model file says too.
    let picture = said(&program.path("model.onnx"), &program.path("learn/frames/street/1-1.jpg"));
    let same =
        found.rows.iter().any(|row| row.label == 0 && row.said.iter().zip(&picture).all(|(a, b)| (a - b).abs() < 0.02));
    assert!(same, "{picture:?}");
}
