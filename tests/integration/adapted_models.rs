//! Models that were made of corrections: listed, chosen on the page, used from one frame to the next and by the next run.

use std::fs;

use serde_json::{Value, json};

use crate::admin::{ADMIN, post_json as post};
use crate::camera::{Camera, Watch, records, running};
use crate::http::{Response, Site};
use crate::program::{Program, text};
use crate::tiny;

const OLD: &str = "tiny-20260102T030405Z.onnx";
const NEW: &str = "tiny-20261128T140305Z.onnx";

/// A folder with two models that were made of corrections: an older one that is better, with another threshold, and a newer
/// one that is worse.
fn with_models() -> Program {
    let program = Program::new();
    let folder = program.path("learned/models");
    fs::create_dir_all(&folder).unwrap();
    for (name, threshold, verdict) in [(OLD, "0.25", "better"), (NEW, "0.125", "worse")] {
        tiny::write(&folder.join(name), &[("threshold", threshold)]);
        let report =
            json!({ "verdict": verdict, "text": format!("{verdict}: 1 of 2"), "labels": ["red", "green", "blue"] });
        fs::write(folder.join(name).with_extension("json"), report.to_string()).unwrap();
    }
    fs::write(program.path("admin"), format!("{ADMIN}\n")).unwrap();
    program
}

/// Runs the tiny model on a camera, with a page that takes the admin token.
fn start(program: &Program, input: &str) -> (Watch, Site) {
    let mut watch = watch(program, input);
    let site = Site::of(&mut watch);
    (watch, site)
}

fn watch(program: &Program, input: &str) -> Watch {
    let given = ["--learn", "learned", "--web", "127.0.0.1:0", "--web-admin-token-file", "admin", "--name", "door"];
    Watch::start(program, &[input], &given)
}

fn choose(site: Site, name: Option<&str>, anyway: bool) -> Response {
    post(site, "/api/teach/models/use", &json!({ "name": name, "anyway": anyway }).to_string())
}

/// Waits until the stream decides with this threshold.
fn decides_with(site: Site, threshold: f64) {
    site.until("the threshold", |site| site.stream("door")["threshold"].clone(), |found| *found == threshold);
}

#[test]
fn a_model_is_chosen_while_the_camera_stays_connected_and_kept_for_the_next_run() {
    let program = with_models();
    let camera = Camera::start(&["--size", "160x120"]);
    let (mut watch, site) = start(&program, &camera.url);
    watch.until("frames", running);
    let listed = site.json("/api/teach/models");
    let names = |listed: &Value| -> Vec<Value> {
        listed["models"].as_array().unwrap().iter().map(|model| model["name"].clone()).collect()
    };
    assert_eq!(names(&listed), [json!(NEW), json!(OLD), Value::Null]);
    assert_eq!((&listed["in_use"], &listed["models"][2]["title"]), (&Value::Null, &json!("tiny.onnx")));
    assert_eq!(listed["models"][1]["made"], "2026-01-02T03:04:05.000Z");
    assert_eq!(
        (&listed["models"][1]["verdict"], &listed["models"][1]["text"]),
        (&json!("better"), &json!("better: 1 of 2"))
    );

    // One that is not better is not used by chance.
    let refused = choose(site, Some(NEW), false);
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("was not found better than the model before it"), "{}", refused.text());
    for name in ["../../admin", "absent.onnx", "/etc/passwd", ""] {
        assert_eq!(choose(site, Some(name), true).status, 422, "{name}");
    }
    assert_eq!(site.json("/api/teach/models")["in_use"], Value::Null);

    assert_eq!(choose(site, Some(OLD), false).json()["message"], format!("model {OLD}, 1 changed"));
    decides_with(site, 0.25);
    assert_eq!(site.json("/api/teach/models")["in_use"], OLD);
    site.until("the model before to be free", |site| choose(site, Some(NEW), true), |answer| answer.status == 200);
    decides_with(site, 0.125);
    site.until("the model before to be free", |site| choose(site, Some(OLD), false), |answer| answer.status == 200);
    decides_with(site, 0.25);
    assert_eq!(site.stream("door")["reconnects"], 0);
    let (finished, _) = watch.stop("INT");
    assert_eq!(finished.code, 130, "{}", finished.stderr);
    let models: Vec<Value> = records(&program)
        .iter()
        .filter_map(|record| record.get("settings").or(record.get("start")))
        .map(|settings| settings["model"]["name"].clone())
        .collect();
    assert_eq!(models, ["tiny.onnx", OLD, NEW, OLD]);

    // The next run goes on with it, until the model that the run names is chosen.
    let mut watch = self::watch(&program, &camera.url);
    let uses = format!("uses {OLD}, which was made of corrections to tiny.onnx");
    watch.line("the model", |fields| fields["message"] == uses.as_str());
    let site = Site::of(&mut watch);
    watch.until("frames", running);
    decides_with(site, 0.25);
    assert_eq!(choose(site, None, false).json()["message"], "model tiny.onnx, 1 changed");
    decides_with(site, 0.0);
    watch.stop("INT");

    let (_watch, site) = start(&program, &camera.url);
    assert_eq!(site.json("/api/teach/models")["in_use"], Value::Null);
}

#[test]
fn a_kill_while_another_model_is_chosen_leaves_the_old_one_or_the_new_one() {
    let program = with_models();
    let mut chosen = None;
    for (kill, name) in [(0, Some(OLD)), (5, None), (20, Some(OLD)), (60, None), (200, Some(OLD))] {
        let (mut watch, site) = start(&program, "test://?size=160x120&rate=5");
        watch.until("frames", running);
        let before = chosen;
        // Its answer may never come.
        let asking = std::thread::spawn(move || std::panic::catch_unwind(|| choose(site, name, false)).is_ok());
        std::thread::sleep(std::time::Duration::from_millis(kill));
        watch.stop("KILL");
        let _ = asking.join();
        let file = fs::read(program.path("learned/models/in-use.json"));
        chosen = match file {
            Ok(bytes) => {
                let kept: Value = serde_json::from_slice(&bytes).unwrap();
                kept["model"].as_str().map(|kept| if kept == OLD { OLD } else { panic!("{kept}") })
            }
            Err(_) => None,
        };
        assert!(chosen == before || chosen == name, "{chosen:?} of {before:?} and {name:?}");
    }
    let (mut watch, site) = start(&program, "test://?size=160x120&rate=5");
    watch.until("frames", running);
    assert_eq!(site.json("/api/teach/models")["in_use"], json!(chosen));
    watch.stop("INT");
}

#[test]
fn after_the_clips_a_model_is_chosen_for_the_next_run() {
    let program = with_models();
    let clip = crate::footage::colours(program.folder.path(), "clip.mp4", &["red"], &[]);
    let given = [
        "--learn",
        "learned",
        "--web",
        "127.0.0.1:0",
        "--web-admin-token-file",
        "admin",
        "--only",
        "timeline",
        "--force",
    ];
    let mut watch = Watch::start(&program, &[text(&clip)], &given);
    let site = Site::of(&mut watch);
    site.until("the end", |site| site.stream("clip.mp4")["state"] == "ended", |&ended| ended);
    let chosen = format!("{OLD} is used from the next run on");
    site.until("the end", |site| choose(site, Some(OLD), false), |answer| answer.text().contains(&chosen));
    watch.stop("INT");
    let timeline = |name: &str| -> Value { serde_json::from_slice(&fs::read(program.path(name)).unwrap()).unwrap() };
    assert_eq!(timeline("clip.timeline.json")["model"]["name"], "tiny.onnx");
    program
        .start(&[
            "run",
            "clip.mp4",
            "--model",
            text(&tiny::model()),
            "--learn",
            "learned",
            "--only",
            "timeline",
            "--force",
        ])
        .succeeded();
    assert_eq!(timeline("clip.timeline.json")["model"]["name"], OLD);
    // Whoever names another model gets it.
    tiny::write(&program.path("mine.onnx"), &[("trained_on", "something else")]);
    program
        .start(&["run", "clip.mp4", "--model", "mine.onnx", "--learn", "learned", "--only", "timeline", "--force"])
        .succeeded();
    assert_eq!(timeline("clip.timeline.json")["model"]["name"], "mine.onnx");
}

#[test]
fn without_the_chosen_model_the_named_one_is_used() {
    let program = with_models();
    crate::footage::colours(program.folder.path(), "clip.mp4", &["red"], &[]);
    let run = || {
        let model = tiny::model();
        let given = ["run", "clip.mp4", "--model", text(&model), "--learn", "learned", "--only", "timeline", "--force"];
        let finished = program.start(&given).succeeded();
        let timeline: Value = serde_json::from_slice(&fs::read(program.path("clip.timeline.json")).unwrap()).unwrap();
        assert_eq!(timeline["model"]["name"], "tiny.onnx");
        finished.stderr
    };
    let in_use = program.path("learned/models/in-use.json");
    fs::write(&in_use, "{\"mod").unwrap();
    let told = run();
    assert!(
        told.contains("in-use.json: does not say which model is in use") && told.contains("; uses tiny.onnx"),
        "{told}"
    );
    let sha256 = serde_json::to_value(livelabel::Model::read(&tiny::model()).unwrap()).unwrap()["sha256"].clone();
    fs::write(&in_use, json!({ "model": OLD, "base": sha256 }).to_string()).unwrap();
    fs::write(program.path("learned/models").join(OLD), "cut").unwrap();
    let told = run();
    assert!(told.contains(&format!("{OLD}: not an ONNX model")) && told.contains("; uses tiny.onnx"), "{told}");
    fs::remove_file(program.path("learned/models").join(OLD)).unwrap();
    let told = run();
    assert!(told.contains(&format!("{OLD}: there is no such model in")), "{told}");
}

#[test]
fn a_training_without_corrections_says_why_it_ends() {
    let program = with_models();
    let (mut watch, site) = start(&program, "test://?size=160x120&rate=5");
    watch.until("frames", running);
    let before = site.json("/api/teach/training");
    assert_eq!(
        (&before["state"], &before["available"], &before["model"]),
        (&json!("idle"), &json!(true), &Value::Null)
    );
    let command = before["command"].as_str().unwrap();
    assert!(command.starts_with("livelabel-train adapt --model ") && command.contains("--data learned "), "{command}");
    assert_eq!(post(site, "/api/teach/training", "{}").status, 200);
    let ended = site.until("the end", |site| site.json("/api/teach/training"), |status| status["state"] != "running");
    assert_eq!((&ended["state"], &ended["model"]), (&json!("failed"), &Value::Null));
    let lines = ended["lines"].as_array().unwrap();
    assert!(lines.iter().any(|line| line.as_str().unwrap().starts_with("livelabel: error: ")), "{lines:?}");
    watch.stop("INT");
}
