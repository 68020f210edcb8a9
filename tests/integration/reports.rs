//! Timeline, subtitles and plot contain the results, in formats that other programs read.

use serde_json::{Value, json};

use crate::footage::colours;
use crate::program::{Program, probe, text};

fn analysed(arguments: &[&str]) -> Program {
    let program = Program::new();
    let encoded = ["-pix_fmt", "yuv420p", "-c:v", "libx264"];
    let clip = colours(program.folder.path(), "clip.mp4", &["0xC00000", "0x0000C0", "0xC00000"], &encoded);
    program.run(&clip, &[&["--window", "1"], arguments].concat()).succeeded();
    program
}

#[test]
fn by_default_four_files_are_written_and_the_journal_is_removed() {
    let program = analysed(&[]);
    let mut files: Vec<String> = std::fs::read_dir(program.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["clip.labelled.avi", "clip.mp4", "clip.plot.png", "clip.timeline.json", "clip.vtt"]);
}

#[test]
fn a_run_that_writes_only_the_video_tells_its_speed_and_no_limit() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.mp4", &["0xC00000", "0x0000C0"], &["-pix_fmt", "yuv420p"]);
    let given = ["--only", "video", "--verbose", "--window", "1.2s", "--window-align", "centred", "--stride", "auto"];
    let told = program.run(&clip, &given).succeeded().stdout;
    let line = told.lines().find_map(|line| line.trim().strip_prefix("speed")).unwrap_or_else(|| panic!("{told}"));
    let speed: f64 = line.trim().split(' ').next().and_then(|number| number.parse().ok()).unwrap();
    // Without a time this is a billion times the number of frames.
    assert!(0.0 < speed && speed < 1e6, "{told}");
    // The window of 1.2 s fits into memory.
    assert!(!told.contains("looks at most"), "{told}");
}

#[test]
fn the_timeline_is_complete() {
    let program = analysed(&["--device", "cpu"]);
    let timeline = program.json("clip.timeline.json");
    assert_eq!((&timeline["schema"], &timeline["version"]), (&json!("livelabel.timeline"), &json!(2)));
    assert!(timeline["input"].as_str().unwrap().ends_with("clip.mp4"));
    let started = timeline["started"].as_str().unwrap();
    let parsed = time::OffsetDateTime::parse(started, &time::format_description::well_known::Rfc3339).unwrap();
    assert!(parsed.offset().is_utc(), "{started}");
    assert_eq!(timeline["model"]["name"], "tiny.onnx");
    assert_eq!(timeline["model"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(timeline["model"]["labels"], json!(["red", "green", "blue"]));
    assert_eq!((&timeline["window"], &timeline["threshold"]), (&json!(1), &json!(0.0)));
    assert_eq!(
        (&timeline["stride"], &timeline["device"], &timeline["action"]),
        (&json!(1), &json!("cpu"), &Value::Null)
    );
    assert_eq!(timeline["frames"], json!({"decoded": 75, "analysed": 75, "held": 0, "dropped": {}}));
    assert!(timeline["speed"]["wall_s"].as_f64().unwrap() > 0.0);
    assert!(timeline["speed"]["frames_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!((&timeline["reconnects"], &timeline["gaps"]), (&json!(0), &json!([])));
    assert_eq!(timeline["complete"], true);

    let times = |label: &str| -> Vec<f64> {
        timeline[label].as_array().unwrap().iter().map(|pair| pair[0].as_f64().unwrap()).collect()
    };
    let every_40 = |range: std::ops::Range<u32>| range.map(|i| f64::from(40 * i));
    assert_eq!(times("red"), every_40(0..25).chain(every_40(50..75)).collect::<Vec<_>>());
    assert_eq!(times("blue"), every_40(25..50).collect::<Vec<_>>());
    let edges: Vec<(&str, f64, f64)> = timeline["intervals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| (i["label"].as_str().unwrap(), i["start"].as_f64().unwrap(), i["end"].as_f64().unwrap()))
        .collect();
    assert_eq!(edges, [("red", 0.0, 1000.0), ("blue", 1000.0, 2000.0), ("red", 2000.0, 3000.0)]);
    for interval in timeline["intervals"].as_array().unwrap() {
        let (mean, peak) = (interval["mean"].as_f64().unwrap(), interval["peak"].as_f64().unwrap());
        assert!(0.9 < mean && mean <= peak && peak <= 1.0, "{interval}");
    }
}

#[test]
fn subtitles_are_read_by_ffmpeg() {
    let program = analysed(&[]);
    let output = crate::program::ffmpeg(&["-i", text(&program.path("clip.vtt")), "-f", "srt", "-"]);
    assert!(output.status.success() && output.stderr.is_empty());
    let srt = String::from_utf8(output.stdout).unwrap().replace('\r', "");
    let cues: Vec<Vec<&str>> = srt.trim().split("\n\n").map(|cue| cue.lines().skip(1).collect()).collect();
    assert_eq!(cues.len(), 3, "{srt}");
    assert_eq!(cues[1][0], "00:00:01,000 --> 00:00:02,000");
    assert!(cues[1][1].starts_with("activity: blue ("), "{srt}");
}

#[test]
fn the_plot_has_the_documented_size() {
    let program = analysed(&["--plot", "plot.svg", "--threshold", "0.5"]);
    let svg = std::fs::read_to_string(program.path("plot.svg")).unwrap();
    for word in ["clip.mp4", "red", "green", "blue", "threshold 0.5", "m:ss", "confidence", "single predictions"] {
        assert!(svg.contains(word), "{word}");
    }
    let program = analysed(&["--plot", "plot.png"]);
    let plot = probe(&program.path("plot.png"));
    assert_eq!((plot.width, plot.height, plot.frames), (1200, 500, 1));
    // The middle third is shaded in the colour of "blue", the third label.
    let pixels = crate::program::rgb(&program.path("plot.png"));
    let at = |x: usize, y: usize| &pixels[(y * 1200 + x) * 3..][..3];
    let (left, middle) = (at(250, 300), at(620, 300));
    assert_ne!(left, middle);
    assert!(left != [255, 255, 255] && middle != [255, 255, 255], "{left:?} {middle:?}");
}

#[test]
fn nothing_is_overwritten_without_force() {
    let program = analysed(&[]);
    let before = std::fs::read(program.path("clip.timeline.json")).unwrap();
    let clip = program.path("clip.mp4");
    let again = program.run(&clip, &[]);
    assert!(again.refusal(2).contains("exists already; overwrite it with --force"), "{}", again.stderr);
    assert_eq!(std::fs::read(program.path("clip.timeline.json")).unwrap(), before);
    program.run(&clip, &["--force"]).succeeded();
    assert_ne!(std::fs::read(program.path("clip.timeline.json")).unwrap(), before);
}

#[test]
fn flags_override_a_pipeline_file() {
    let program = Program::new();
    let encoded = ["-pix_fmt", "yuv420p", "-c:v", "libx264"];
    let clip = colours(program.folder.path(), "clip.mp4", &["0xC00000"], &encoded);
    std::fs::write(program.path("p.toml"), "window = 7\nthreshold = 0.25\nonly = [\"timeline\"]\n").unwrap();
    program.run(&clip, &["--pipeline", "p.toml", "--window", "9"]).succeeded();
    let timeline = program.json("clip.timeline.json");
    assert_eq!((&timeline["window"], &timeline["threshold"]), (&json!(9), &json!(0.25)));
    assert!(!program.path("clip.labelled.avi").exists());
    program.run(&clip, &["--pipeline", "timeline", "--force"]).succeeded();
    assert!(program.path("clip.vtt").exists() && !program.path("clip.labelled.avi").exists());
}
