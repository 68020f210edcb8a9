//! The page in a headless Chromium, light and dark, on a desktop and on a phone.

use std::process::Command;

use crate::camera::{Camera, Watch, running};
use crate::footage::{colours, project};
use crate::http::Site;
use crate::program::{Program, text};

/// Checks the page with `tests/page/page.mjs`: the picture moves, no error, no request to another server, every control
/// has a name, every text has enough contrast, nothing overflows. `--intervals` also opens intervals, `--says NAME=TEXT`
/// also expects what a tile says.
fn check_page(site: &Site, arguments: &[&str]) {
    let script = project().join("tests/page/page.mjs");
    let looked = Command::new("node")
        .args([text(&script), &format!("http://127.0.0.1:{}/", site.port)])
        .args(arguments)
        .output()
        .expect("node starts");
    let (found, complaint) = (String::from_utf8_lossy(&looked.stdout), String::from_utf8_lossy(&looked.stderr));
    assert!(looked.status.success(), "{found}{complaint}");
}

#[test]
fn a_single_camera_is_shown_large_with_its_label() {
    let program = Program::new();
    let web = ["--web", "127.0.0.1:0", "--name", "door <b>&amp;</b> 🍳", "--action", "red"];
    let mut watch = Watch::start(&program, &["test://?size=640x360&rate=15"], &web);
    let site = Site::of(&mut watch);
    watch.until("running", running);
    check_page(&site, &[]);
    watch.stop("INT");
}

#[test]
fn several_cameras_form_a_wall() {
    let program = Program::new();
    let given = ["--web", "127.0.0.1:0", "--threshold", "1"];
    let mut watch = Watch::start(&program, &["test://?size=320x180&rate=10"; 4], &given);
    let site = Site::of(&mut watch);
    watch.until("running", running);
    // No label reaches the threshold.
    check_page(&site, &["--says", "test-2=not sure"]);
    watch.stop("INT");
}

#[test]
fn intervals_of_two_cameras_are_opened_while_live() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.h264", &["red", "green", "blue"], &["-c:v", "libx264", "-g", "25"]);
    let camera = Camera::start(&[text(&clip)]);
    let inputs = [camera.url.as_str(), "test://?size=320x180&rate=10"];
    let mut watch = Watch::start(&program, &inputs, &["--web", "127.0.0.1:0", "--window", "0.4s"]);
    let site = Site::of(&mut watch);
    let of_camera = |site: Site| site.json("/api/intervals")["streams"][0]["intervals"].as_array().unwrap().len();
    site.until("four intervals", of_camera, |&number| number > 3);
    check_page(&site, &["--intervals"]);
    watch.stop("INT");
}

#[test]
fn ended_clips_say_what_was_found() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.mp4", &["red", "green", "blue", "red"], &[]);
    std::fs::write(program.path("bad.mp4"), "no video").unwrap();
    let given = ["--web", "127.0.0.1:0", "--window", "1", "--only", "timeline"];
    let mut watch = Watch::start(&program, &[text(&clip), "bad.mp4"], &given);
    let site = Site::of(&mut watch);
    let stays = |fields: &serde_json::Value| fields["message"].to_string().contains("the page stays at");
    watch.line("the page stays", stays);
    let found = "clip.mp4=red 0:00–0:01, 0:03–0:04; green 0:01–0:02; blue 0:02–0:03";
    check_page(&site, &["--says", found, "--says", "bad.mp4=failed"]);
    assert_eq!(watch.stop("INT").0.code, 2);
}

#[test]
fn a_finished_run_is_played() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.mp4", &["red", "green", "blue", "red", "green", "blue"], &[]);
    program.run(&clip, &["--window", "3"]).succeeded();
    let given = ["--log-format", "json", "view", "clip.timeline.json", "--web", "127.0.0.1:0"];
    let mut watch = Watch::spawn(program.command(&given));
    let site = Site::of(&mut watch);
    check_page(&site, &[]);
    watch.stop("INT");
}
