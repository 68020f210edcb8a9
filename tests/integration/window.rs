//! The live window, on a virtual screen with key presses.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::camera::{Camera, Watch, files, running, signal};
use crate::footage::colours;
use crate::program::{Finished, Program, rgb, text};
use crate::tiny;

const SIZE: (usize, usize) = (640, 480);
/// The first display number. Lower ones are for real screens.
const FIRST: u32 = 100;

/// A virtual screen.
pub struct Screen {
    child: Child,
    pub name: String,
}

impl Screen {
    /// Starts a screen with its own number, so that tests and other programs do not conflict.
    pub fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = FIRST + std::process::id() % 1000 * 10 + NUMBER.fetch_add(1, Relaxed);
        let (width, height) = SIZE;
        let mut child = Command::new("Xvfb")
            .args([&format!(":{number}"), "-displayfd", "1", "-nolisten", "tcp"])
            .args(["-screen", "0", &format!("{width}x{height}x24")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a number");
        Self { child, name: format!(":{}", line.trim()) }
    }

    /// Presses a key. Without a window manager, keys go to the window under the pointer.
    fn press(&self, key: &str) {
        let given = ["mousemove", "60", "60", "key", key];
        assert!(Command::new("xdotool").env("DISPLAY", &self.name).args(given).status().unwrap().success());
    }

    /// Captures the whole screen as packed RGB.
    fn shot(&self, path: PathBuf) -> Vec<u8> {
        let taken = Command::new("import").env("DISPLAY", &self.name).args(["-window", "root", text(&path)]).status();
        assert!(taken.unwrap().success());
        rgb(&path)
    }

    /// Captures the screen until a capture satisfies `wanted`.
    fn until(&self, what: &str, program: &Program, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let began = Instant::now();
        loop {
            let shot = self.shot(program.path("shot.png"));
            if wanted(&shot) {
                return shot;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "never seen: {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        signal(self.child.id(), "TERM");
        let _ = self.child.wait();
    }
}

/// Counts the pixels of about this colour.
fn count(shot: &[u8], colour: [u8; 3]) -> usize {
    shot.chunks_exact(3).filter(|pixel| pixel.iter().zip(colour).all(|(&is, should)| is.abs_diff(should) < 40)).count()
}

const GREEN: [u8; 3] = [0, 255, 0];
const RED: [u8; 3] = [255, 0, 0];
const BLUE: [u8; 3] = [0, 0, 255];

fn in_window(program: &Program, screen: &Screen, arguments: &[&str]) -> Command {
    let mut command = program.command(&[&["run", "--model", text(&tiny::model())], arguments].concat());
    command.env("DISPLAY", &screen.name).env_remove("WAYLAND_DISPLAY");
    command
}

#[test]
fn a_clip_plays_in_real_time_until_q() {
    let (program, screen) = (Program::new(), Screen::start());
    let clip = colours(program.folder.path(), "clip.mp4", &["blue"; 30], &["-c:v", "libx264"]);
    let child =
        in_window(&program, &screen, &[text(&clip), "--display", "--only", "timeline", "--overlay", "original"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    // The clip's 160x120 pixels are shown unscaled, with a label.
    let shot = screen.until("the picture", &program, |shot| count(shot, BLUE) > 10_000 && count(shot, GREEN) > 100);
    assert!(count(&shot, BLUE) <= 160 * 120, "{}", count(&shot, BLUE));
    std::thread::sleep(Duration::from_secs(2));
    screen.press("q");
    let finished = Finished::from(child.wait_with_output().unwrap()).succeeded();
    assert!(finished.stdout.contains("stopped"), "{}", finished.stdout);
    let timeline = program.json("clip.timeline.json");
    let decoded = timeline["frames"]["decoded"].as_u64().unwrap();
    assert!(timeline["complete"] == false && (50..600).contains(&decoded), "{decoded}");
}

#[test]
fn keys_pause_save_and_quit_and_a_lost_camera_shows_computing() {
    let (program, screen) = (Program::new(), Screen::start());
    let camera = Camera::start(&[]);
    let mut command = program.command(&["--log-format", "json", "run", "--status-interval", "1s", "--name", "door"]);
    command.args([&camera.url, "--model", text(&tiny::model()), "--display", "--overlay", "original"]);
    command.env("DISPLAY", &screen.name);
    let mut watch = Watch::spawn(command);
    watch.until("running", running);
    screen.until("a label", &program, |shot| count(shot, GREEN) > 100);
    screen.press("s");
    watch.line("saved", |fields| fields["message"].as_str().is_some_and(|text| text.starts_with("saved door-")));
    let [saved] = &files(&program, ".jpg")[..] else { panic!("not one picture") };
    assert_eq!(rgb(saved).len(), 3 * 320 * 240);
    // JPEG colours are less exact than the screen's.
    let greenish = |p: &&[u8]| p[1] > 100 && p[1] > p[0].saturating_add(60) && p[1] > p[2].saturating_add(60);
    assert!(rgb(saved).chunks_exact(3).filter(greenish).count() > 100);

    screen.press("space");
    std::thread::sleep(Duration::from_millis(500));
    let paused = screen.shot(program.path("shot.png"));
    std::thread::sleep(Duration::from_millis(500));
    assert!(screen.shot(program.path("shot.png")) == paused, "the picture moves while paused");
    screen.press("space");
    screen.until("movement", &program, |shot| shot != paused);

    drop(camera);
    screen.until("computing...", &program, |shot| count(shot, RED) > 100 && count(shot, GREEN) == 0);
    let (finished, _) = {
        screen.press("Escape");
        watch.finish()
    };
    assert_eq!(finished.code, 0, "{}", finished.stderr);
}

#[test]
fn the_plate_of_a_lost_camera_says_that_there_is_no_picture() {
    let (program, screen) = (Program::new(), Screen::start());
    let camera = Camera::start(&[]);
    let mut command = program.command(&["--log-format", "json", "run", "--status-interval", "1s"]);
    command.args([&camera.url, "--model", text(&tiny::model()), "--display"]).env("DISPLAY", &screen.name);
    let mut watch = Watch::spawn(command);
    watch.until("running", running);
    // Where the words stand, the plate dims the picture; only the words are bright and reddish.
    let words = |shot: &[u8]| {
        let rows = shot.chunks_exact(3 * SIZE.0).take(30).skip(10);
        let reddish = |p: &&[u8]| p[0] > 120 && p[0] > p[1].saturating_add(40) && p[0] > p[2].saturating_add(40);
        rows.flat_map(|row| row[3 * 16..3 * 100].chunks_exact(3)).filter(reddish).count()
    };
    screen.until("a plate without them", &program, |shot| shot.iter().any(|&value| value > 0) && words(shot) == 0);
    drop(camera);
    screen.until("no picture", &program, |shot| words(shot) > 80);
    let (finished, _) = {
        screen.press("Escape");
        watch.finish()
    };
    assert_eq!(finished.code, 0, "{}", finished.stderr);
}

#[test]
fn without_a_display_a_run_continues_only_with_another_output() {
    for display in [None, Some(":4095")] {
        let program = Program::new();
        let clip = colours(program.folder.path(), "clip.mp4", &["red"], &["-c:v", "libx264"]);
        let run = |arguments: &[&str]| -> Finished {
            let mut command =
                program.command(&[&["run", "--model", text(&tiny::model()), "--display"], arguments].concat());
            command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
            display.map(|display| command.env("DISPLAY", display));
            command.output().unwrap().into()
        };
        let finished = run(&[text(&clip), "--only", "timeline"]).succeeded();
        assert!(finished.stderr.contains("warning: no window can be opened"), "{}", finished.stderr);
        assert_eq!(program.json("clip.timeline.json")["complete"], true);
        assert!(run(&["test://"]).refusal(1).contains("no display"));
    }
}
