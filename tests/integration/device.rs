//! Devices: all of them give the same labels.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::footage::variant;
use crate::program::{Program, text};

/// Returns the timeline of a run on `device`, with a separate cache for compiled networks.
fn timeline(program: &Program, clip: &Path, device: &str, arguments: &[&str]) -> Value {
    let given = ["run", text(clip), "--only", "timeline", "--force", "--device", device];
    let mut command = program.command(&[&given[..], arguments].concat());
    command.env("LIVELABEL_CACHE", program.path("cache"));
    let output = command.output().expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program.json("clip.timeline.json")
}

/// Lists the files in the cache for compiled networks.
fn cached_files(program: &Program) -> Vec<PathBuf> {
    let mut folders = vec![program.path("cache")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

#[test]
fn openvino_gives_the_labels_of_the_cpu_and_caches_compiled_networks() {
    let program = Program::new();
    let clip = variant(program.folder.path(), "clip.mp4", 30, &["-c:v", "libx264", "-an"]);
    let cpu = timeline(&program, &clip, "cpu", &[]);
    let openvino = timeline(&program, &clip, "openvino", &[]);
    assert_eq!((&cpu["device"], &openvino["device"]), (&"cpu".into(), &"openvino".into()));
    let rows = |timeline: &Value| timeline["confidences"]["rows"].as_array().expect("rows").clone();
    assert_eq!(rows(&openvino).len(), 30);
    for (one, other) in rows(&cpu).iter().zip(&rows(&openvino)) {
        for (one, other) in one.as_array().unwrap().iter().zip(other.as_array().unwrap()) {
            // The int8 sums are equal; floating-point parts round differently.
            assert!((one.as_f64().unwrap() - other.as_f64().unwrap()).abs() < 0.05, "{one} {other}");
        }
    }
    assert_eq!(cpu["intervals"].as_array().unwrap().len(), openvino["intervals"].as_array().unwrap().len());

    // The cached network gives the same result. A truncated one is compiled again.
    assert_eq!(rows(&timeline(&program, &clip, "openvino", &[])), rows(&openvino));
    let large = |path: &&PathBuf| path.metadata().is_ok_and(|metadata| metadata.len() > 1_000_000);
    let files = cached_files(&program);
    let network = files.iter().find(large).expect("a compiled network");
    let whole = network.metadata().unwrap().len();
    std::fs::OpenOptions::new().write(true).open(network).unwrap().set_len(whole / 2).unwrap();
    assert_eq!(rows(&timeline(&program, &clip, "openvino", &[])), rows(&openvino));
    assert_eq!(network.metadata().unwrap().len(), whole);
}

#[test]
fn a_damaged_library_is_reported_and_only_auto_falls_back() {
    let program = Program::new();
    let clip = variant(program.folder.path(), "clip.mp4", 8, &["-c:v", "libx264", "-an"]);
    let library = program.path("home/.deps/openvino/libopenvino_c.so");
    std::fs::create_dir_all(library.parent().unwrap()).unwrap();
    std::fs::write(&library, "no library").unwrap();
    let run = |device: &str| {
        let given = ["run", text(&clip), "--only", "timeline", "--force", "--quiet", "--device", device];
        let output = program.command(&given).env("LIVELABEL_HOME", program.path("home")).output().expect("it starts");
        let message = String::from_utf8(output.stderr).expect("text");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(
            message.contains("OpenVINO cannot be loaded") && message.contains("run scripts/setup --openvino"),
            "{message}"
        );
        (output.status.code(), message)
    };
    let (code, message) = run("auto");
    assert_eq!((code, message.contains("trying the next one")), (Some(0), true), "{message}");
    assert_eq!(program.json("clip.timeline.json")["device"], "cpu");
    let (code, message) = run("openvino");
    assert_eq!((code, message.starts_with("livelabel: error: ")), (Some(1), true), "{message}");
}

#[test]
fn the_summary_names_the_requested_inference_precision() {
    let program = Program::new();
    let clip = variant(program.folder.path(), "clip.mp4", 8, &["-c:v", "libx264", "-an"]);
    let given = [
        "run",
        text(&clip),
        "--only",
        "timeline",
        "--verbose",
        "--device",
        "openvino",
        "--inference-precision",
        "fp32",
    ];
    let finished = program.start(&given).succeeded();
    assert!(finished.stdout.contains("openvino in int8 and fp32"), "{}", finished.stdout);
}

#[test]
fn bench_measures_a_clip_and_a_model() {
    let program = Program::new();
    let clip = variant(program.folder.path(), "clip.mp4", 20, &["-c:v", "libx264", "-an"]);
    let json = |arguments: &[&str]| -> Value {
        let finished = program.start(arguments).succeeded();
        serde_json::from_str(&finished.stdout).expect("JSON")
    };
    let report = json(&["bench", "clip", text(&clip), "--json"]);
    assert_eq!((&report["frames"], &report["width"], &report["height"]), (&20.into(), &640.into(), &272.into()));
    let stages = report["stages"].as_object().unwrap();
    let names: Vec<&str> = stages.keys().map(String::as_str).collect();
    assert_eq!(names, ["decode", "draw", "jpeg", "network", "scale"]);
    let sum: f64 = stages.values().map(|stage| stage["cpu_ms"].as_f64().unwrap()).sum();
    let (limit, cores) = (report["limit"].as_f64().unwrap(), report["cores"].as_f64().unwrap());
    assert!((limit * sum / (1000.0 * cores) - 1.0).abs() < 1e-9, "{report}");
    // Without a time this is a billion times the number of frames.
    assert!(report["together"]["frames_per_second"].as_f64().unwrap() < 1e6, "{report}");
    let network = json(&["bench", "model", "--batches", "1,2", "--time", "1s", "--json"]);
    let sizes: Vec<u64> =
        network["batches"].as_array().unwrap().iter().map(|batch| batch["size"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [1, 2]);
}
