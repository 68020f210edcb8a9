//! Results of a whole run: the table of intervals, the overview, what is skipped when a run is resumed, and pictures.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::footage::{colours, project};
use crate::program::{Finished, Program, ffmpeg, probe, text};
use crate::tiny;

/// A program with three clips in `clips`: red; green and blue; blue.
fn with_clips() -> Program {
    let program = Program::new();
    let folder = program.path("clips");
    std::fs::create_dir(&folder).unwrap();
    for (name, shown) in [("=a,\"1\".mp4", &["red"][..]), ("b.mp4", &["green", "blue"]), ("c.mp4", &["blue"])] {
        colours(&folder, name, shown, &[]);
    }
    program
}

fn run(program: &Program, arguments: &[&str]) -> Finished {
    let model = tiny::model();
    let given = ["run", "clips", "--model", text(&model), "--window", "1", "--output-dir", "out"];
    program.start(&[&given[..], arguments].concat())
}

/// Returns the rows of a table without confidences, sorted.
fn rows(program: &Program, name: &str) -> Vec<String> {
    let mut table = csv::Reader::from_path(program.path(name)).unwrap();
    assert_eq!(
        table.headers().unwrap(),
        &["input", "label", "start", "end", "duration", "mean", "peak", "onset", "offset", "time"][..]
    );
    let row = |row: csv::StringRecord| [0, 1, 2, 3, 4, 9].map(|column| row[column].to_string()).join(" ");
    let mut rows: Vec<String> = table.records().map(|record| row(record.unwrap())).collect();
    rows.sort();
    rows
}

const ROWS: [&str; 4] = [
    "clips/=a,\"1\".mp4 red 0.000 1.000 1.000 ",
    "clips/b.mp4 blue 1.000 2.000 1.000 ",
    "clips/b.mp4 green 0.000 1.000 1.000 ",
    "clips/c.mp4 blue 0.000 1.000 1.000 ",
];

#[test]
fn shards_share_the_inputs_and_no_file() {
    let program = with_clips();
    // Of the same name as another clip, so it is numbered, in every shard alike.
    std::fs::create_dir(program.path("clips/again")).unwrap();
    std::fs::copy(program.path("clips/c.mp4"), program.path("clips/again/c.mp4")).unwrap();
    let mut all = Vec::new();
    for index in 0..5 {
        let shard = format!("{index}/5");
        let ran = run(&program, &["--only", "timeline,overview", "--csv", "all.csv", "--shard", &shard]).succeeded();
        let table = format!("all.{index}-of-5.csv");
        let named = ran.stderr.contains(&format!("shard {shard} has none of the inputs"));
        assert_eq!(program.path(&table).exists(), !named, "{}", ran.stderr);
        all.extend(if named { Vec::new() } else { rows(&program, &table) });
    }
    all.sort();
    let mut expected = Vec::from(ROWS.map(String::from));
    expected.push("clips/again/c.mp4 blue 0.000 1.000 1.000 ".into());
    expected.sort();
    assert_eq!(all, expected);
    let timelines = ["=a,\"1\"", "b", "c", "c-2"].map(|name| format!("out/{name}.timeline.json"));
    assert!(timelines.iter().all(|name| program.path(name).exists()));
    let refused = run(&program, &["--shard", "5/5"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("shards are counted from 0: the last one is 4/5"), "{}", refused.stderr);
}

#[test]
fn the_table_has_a_row_for_each_interval_of_all_inputs() {
    let program = with_clips();
    run(&program, &["--only", "timeline", "--csv", "all.csv"]).succeeded();
    assert_eq!(rows(&program, "all.csv"), ROWS);
    let again = run(&program, &["--only", "video", "--csv", "all.csv"]);
    assert!(
        again.refusal(2).contains("all.csv: exists already; overwrite it with --force, skip what is complete with")
    );
    for csv in ["clips/b.csv", "out/x.csv"] {
        let refused = run(&program, &["--csv", csv, "--events", csv]);
        assert!(refused.refusal(2).contains("is another file of this run"), "{}", refused.stderr);
    }
    assert!(run(&program, &["--csv", "a.txt"]).refusal(2).contains("csv a.txt: unknown format; end its name in .csv"));
}

#[test]
fn several_clips_in_a_folder_of_results_have_an_overview() {
    let program = with_clips();
    std::fs::write(program.path("clips/broken.mp4"), "no video").unwrap();
    let finished = run(&program, &[]);
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    assert!(finished.stdout.ends_with("wrote out/overview.html\n"), "{}", finished.stdout);
    let page = std::fs::read_to_string(program.path("out/overview.html")).unwrap();
    for part in [
        "<p>3 done, <button data-find=failed aria-pressed=false>1 failed</button></p>",
        "<a href=\"../clips/%3Da%2C%221%22.mp4\">=a,&quot;1&quot;.mp4</a>",
        "<p>0:02 · <a href=\"b.labelled.avi\">labelled video</a> · <a href=\"b.plot.png\">plot</a>",
        "style=\"left:50.00%;width:50.00%\" title=\"blue 0:01–0:02\"",
        "<b>blue</b><span>2 intervals in 2 clips</span><span>0:02 in all</span>",
        "<p class=failed>clips/broken.mp4: ",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert_eq!((page.matches("<article").count(), page.matches("<img").count()), (4, 4));

    // The next run into the folder does not stop for a page that nobody asked for.
    std::fs::create_dir(program.path("more")).unwrap();
    let more = [
        colours(&program.path("more"), "d.mp4", &["red"], &[]),
        colours(&program.path("more"), "e.mp4", &["red"], &[]),
    ];
    program.run(&more[0], &[text(&more[1]), "--output-dir", "out"]).succeeded();
    assert!(program.path("out/overview-2.html").exists());
    program.run(&more[0], &["--output-dir", "single"]).succeeded();
    assert!(!program.path("single/overview.html").exists());
    run(&program, &["--only", "video", "--force", "--overview", "page.html"]);
    assert!(program.path("page.html").exists() && !program.path("out/overview-3.html").exists());
}

#[test]
fn the_overview_works_in_a_browser() {
    let program = with_clips();
    run(&program, &["--only", "timeline,overview"]).succeeded();
    let script = project().join("tests/page/overview.mjs");
    let looked = Command::new("node")
        .args([text(&script), text(&program.path("out/overview.html")), "--filter", "green", "--expect", "1"])
        .output()
        .expect("node starts");
    let (found, complaint) = (String::from_utf8_lossy(&looked.stdout), String::from_utf8_lossy(&looked.stderr));
    assert!(looked.status.success(), "{found}{complaint}");
}

const RESUMED: [&str; 4] = ["--only", "timeline,overview,plot", "--csv", "all.csv"];

fn resume(program: &Program, arguments: &[&str]) -> Finished {
    run(program, &[&RESUMED[..], &["--resume"], arguments].concat())
}

#[test]
fn a_resumed_run_does_the_rest_and_answers_for_all() {
    let program = with_clips();
    run(&program, &RESUMED).succeeded();
    let whole = std::fs::read_to_string(program.path("out/overview.html")).unwrap();
    // As after Ctrl-C in the second clip: it is incomplete, and the third was not started.
    let stopped = std::fs::read_to_string(program.path("out/b.timeline.json")).unwrap();
    std::fs::write(program.path("out/b.timeline.json"), stopped.replace("\"complete\": true", "\"complete\": false"))
        .unwrap();
    for name in ["c.timeline.json", "c.plot.png"] {
        std::fs::remove_file(program.path("out").join(name)).unwrap();
    }
    let kept = std::fs::read(program.path("out/=a,\"1\".timeline.json")).unwrap();
    let finished = resume(&program, &[]).succeeded();
    assert!(finished.stdout.contains("3 clips: 2 done, 1 skipped\n"), "{}", finished.stdout);
    assert!(
        finished
            .stdout
            .lines()
            .any(|line| line.starts_with("=a,\"1\".mp4: red 0:00–0:01 (") && line.ends_with("(done before)"))
    );
    assert!(finished.stdout.contains("  blue   2 intervals in 2 clips, 0:02 in all"), "{}", finished.stdout);
    assert_eq!(std::fs::read(program.path("out/=a,\"1\".timeline.json")).unwrap(), kept);
    assert_eq!(program.json("out/b.timeline.json")["complete"], true);
    assert_eq!(rows(&program, "all.csv"), ROWS);
    let resumed = std::fs::read_to_string(program.path("out/overview.html")).unwrap();
    let row = |page: &str, name: &str| {
        page.lines().find(|line| line.contains("<article") && line.contains(name)).map(String::from)
    };
    // The row of the skipped clip has its pictures.
    assert!(row(&whole, "1&quot;.mp4").unwrap().contains("<img"));
    assert_eq!(row(&whole, "1&quot;.mp4"), row(&resumed, "1&quot;.mp4"));
    assert_eq!(resumed.matches("<article").count(), 3);
    // A wanted file that is missing is made.
    std::fs::remove_file(program.path("out/c.plot.png")).unwrap();
    let finished = resume(&program, &[]).succeeded();
    assert!(finished.stdout.contains("3 clips: 1 done, 2 skipped\n"), "{}", finished.stdout);
}

#[test]
fn what_is_of_something_else_is_not_resumed() {
    let program = with_clips();
    run(&program, &RESUMED).succeeded();
    let refused = resume(&program, &["--threshold", "0.5"]);
    let expected =
        "timeline.json: is of a run with threshold 0.0, not 0.5; label the clip again with --force, or write";
    assert!(refused.refusal(2).contains(expected), "{}", refused.stderr);
    resume(&program, &["--threshold", "0.5", "--force"]).succeeded();
    assert_eq!(program.json("out/b.timeline.json")["threshold"], json!(0.5));

    colours(&program.path("clips"), "c.mp4", &["red", "green"], &[]);
    let refused = resume(&program, &["--threshold", "0.5"]);
    let expected = "out/c.timeline.json: is of another clip, or of this one before it changed";
    assert!(refused.refusal(2).contains(expected), "{}", refused.stderr);

    std::fs::write(program.path("out/b.timeline.json"), "{}").unwrap();
    let refused = resume(&program, &["--threshold", "0.5"]);
    assert!(refused.refusal(2).contains("out/b.timeline.json: is not a timeline"), "{}", refused.stderr);
    resume(&program, &["--threshold", "0.5", "--force"]).succeeded();
    std::fs::write(program.path("all.csv"), "mine").unwrap();
    let refused = resume(&program, &["--threshold", "0.5"]);
    assert!(refused.refusal(2).contains("all.csv: exists already"), "{}", refused.stderr);
    let refused = run(&program, &["--only", "video", "--resume"]);
    assert!(refused.refusal(2).contains("--resume needs its timeline"), "{}", refused.stderr);
}

/// Creates a picture of one colour.
fn picture(path: &Path, colour: &str) {
    let source = format!("color={colour}:size=64x48");
    assert!(ffmpeg(&["-f", "lavfi", "-i", &source, "-frames:v", "1", text(path)]).status.success());
}

#[test]
fn a_picture_is_labelled_with_every_label() {
    let program = Program::new();
    let red = program.path("red.png");
    picture(&red, "red");
    let finished = program.run(&red, &[]).succeeded();
    assert_eq!(finished.stdout, "red.png: red 100 %, blue 0 %, green 0 %\n");
    assert_eq!(std::fs::read_dir(program.folder.path()).unwrap().count(), 1);

    program.run(&red, &["--output", "labelled.jpg", "--timeline", "red.json", "--csv", "a.csv"]).succeeded();
    let labelled = probe(&program.path("labelled.jpg"));
    assert_eq!((labelled.codec.as_str(), labelled.width, labelled.height), ("mjpeg", 64, 48));
    let result = program.json("red.json");
    assert_eq!((&result["schema"], &result["label"]), (&json!("livelabel.picture"), &json!("red")));
    let sum: f64 = ["red", "green", "blue"].map(|label| result["confidences"][label].as_f64().unwrap()).iter().sum();
    assert!((sum - 1.0).abs() < 1e-4, "{result}");
    assert_eq!(rows(&program, "a.csv"), [format!("{} red    ", text(&red))]);
    assert!(program.run(&red, &["--plot", "a.svg"]).refusal(2).contains("a picture has no plot"));
    assert!(program.run(&red, &["--output", "a.avi"]).refusal(2).contains("end its name in .jpg or .jpeg or .png"));
}

#[test]
fn pictures_are_labelled_beside_clips_and_skipped_in_folders() {
    let program = with_clips();
    picture(&program.path("clips/blue.jpg"), "blue");
    std::fs::write(program.path("bad.png"), "no picture").unwrap();
    let finished = run(&program, &["clips/blue.jpg", "bad.png", "--only", "timeline"]);
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    assert!(finished.stderr.contains("clips: clips/blue.jpg is no video and is skipped"), "{}", finished.stderr);
    assert!(finished.stderr.contains("bad.png: not a picture that can be decoded"), "{}", finished.stderr);
    assert_eq!(finished.stdout.lines().filter(|line| line.starts_with("blue.jpg: blue 100 %, ")).count(), 1);
    assert!(finished.stdout.contains("5 inputs: 4 done, 1 failed (bad.png)\n"), "{}", finished.stdout);
    assert_eq!(program.json("out/blue.picture.json")["label"], "blue");
}
