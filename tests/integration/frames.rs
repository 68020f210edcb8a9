//! `livelabel frames`: extracts pictures at the requested times, and never overwrites one.

use std::path::Path;

use crate::camera::Camera;
use crate::footage::{colours, small};
use crate::program::{Program, probe, rgb, text};

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn three_colours(folder: &Path, name: &str) -> std::path::PathBuf {
    let encoded = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "4"];
    colours(folder, name, &["0xC02040", "0x30A050", "0x2050D0"], &encoded)
}

#[test]
fn by_default_one_picture_a_second_goes_to_one_folder() {
    let program = Program::new();
    std::fs::create_dir(program.path("videos")).unwrap();
    three_colours(&program.path("videos"), "a.mp4");
    three_colours(&program.path("videos"), "b.mkv");
    std::fs::write(program.path("videos/notes.txt"), "not a video").unwrap();
    let finished = program.start(&["frames", "videos", "out"]).succeeded();
    assert!(finished.stdout.contains("6 pictures from 2 of 2 videos"), "{}", finished.stdout);
    let expected: Vec<String> =
        ["a.mp4", "b.mkv"].iter().flat_map(|name| [0, 1000, 2000].map(|ms| format!("{name}_{ms:09}.jpg"))).collect();
    assert_eq!(files(&program.path("out")), expected);
    // The second picture has the second colour.
    let pixels = rgb(&program.path("out/a.mp4_000001000.jpg"));
    let middle = &pixels[(60 * 160 + 80) * 3..][..3];
    assert!(
        middle.iter().zip([0x30, 0xA0, 0x50]).all(|(&made, wanted): (&u8, u8)| made.abs_diff(wanted) <= 5),
        "{middle:?}"
    );
}

#[test]
fn a_folder_for_each_video_at_any_rate() {
    let program = Program::new();
    let clip = three_colours(program.folder.path(), "a.mp4");
    program.start(&["frames", text(&clip), "out", "--every", "250ms", "--layout", "per-video"]).succeeded();
    let names = files(&program.path("out/a.mp4"));
    let times: Vec<&str> = names.iter().map(|name| &name[6..15]).collect();
    // Frames are 40 ms apart: the first one at or after each quarter of a second.
    let expected = ["000000000", "000000280", "000000520", "000000760", "000001000", "000001280"];
    assert_eq!(times[..6], expected);
    assert_eq!(times.len(), 12);
    program.start(&["frames", text(&clip), "all", "--every", "frame"]).succeeded();
    assert_eq!(files(&program.path("all")).len(), 75);
}

#[test]
fn odd_sizes_are_kept() {
    let program = Program::new();
    let encoded = ["-vf", "scale=99:51", "-c:v", "mpeg4"];
    let clip = crate::footage::variant(program.folder.path(), "odd.avi", 1, &encoded);
    program.start(&["frames", text(&clip), "out"]).succeeded();
    let made = probe(&program.path("out/odd.avi_000000000.jpg"));
    assert_eq!((made.width, made.height), (99, 51));
}

#[test]
fn an_unreadable_video_is_reported_and_skipped() {
    let program = Program::new();
    std::fs::write(program.path("bad.mp4"), "no video").unwrap();
    let clip = small(program.folder.path(), "good.mp4", 30);
    let finished = program.start(&["frames", "bad.mp4", text(&clip), "out"]);
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    assert!(finished.stderr.contains("bad.mp4: is not a video"), "{}", finished.stderr);
    assert!(finished.stderr.contains("1 of 2 videos could not be read to the end"), "{}", finished.stderr);
    assert_eq!(files(&program.path("out")), ["good.mp4_000000000.jpg", "good.mp4_000001000.jpg"]);
}

#[test]
fn existing_pictures_are_kept() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 30);
    program.start(&["frames", text(&clip), "out"]).succeeded();
    std::fs::write(program.path("out/clip.mp4_000001000.jpg"), "mine").unwrap();
    let again = program.start(&["frames", text(&clip), "out"]).succeeded();
    assert!(again.stdout.contains("0 pictures") && again.stdout.contains("2 existed already"), "{}", again.stdout);
    assert_eq!(std::fs::read(program.path("out/clip.mp4_000001000.jpg")).unwrap(), b"mine");
}

#[test]
fn videos_with_the_same_name_get_different_pictures() {
    let program = Program::new();
    for folder in ["a", "b"] {
        std::fs::create_dir(program.path(folder)).unwrap();
        small(&program.path(folder), "clip.mp4", 1);
    }
    program.start(&["frames", "a", "b", "out"]).succeeded();
    assert_eq!(files(&program.path("out")), ["clip.mp4-2_000000000.jpg", "clip.mp4_000000000.jpg"]);
}

#[test]
fn cameras_give_as_many_pictures_as_asked_for() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 30);
    // The example camera plays any clip.
    let camera = Camera::start(&[text(&clip)]);
    let inputs = ["test://?size=64x48&rate=20", "test://?size=64x48&rate=20", &camera.url, text(&clip)];
    let given = [&["frames"], &inputs[..], &["out", "--every", "100ms", "--count", "3"]].concat();
    let finished = program.start(&given).succeeded();
    assert!(finished.stdout.contains("12 pictures from 4 of 4 inputs in out"), "{}", finished.stdout);
    let names = files(&program.path("out"));
    let count =
        |prefix: &str, end: &str| names.iter().filter(|name| name.starts_with(prefix) && name.contains(end)).count();
    assert_eq!(
        [count("test-", "Z_"), count("test-", "Z-2_"), count("127.0.0.1-", "-live-"), count("clip.mp4_", "")],
        [3; 4]
    );
    let from_camera = names.iter().find(|name| name.starts_with("127.0.0.1-")).unwrap();
    let made = probe(&program.path("out").join(from_camera));
    assert_eq!((made.width, made.height), (320, 136));
}

#[test]
fn a_camera_is_stopped_by_ctrl_c() {
    let program = Program::new();
    let mut command = program.command(&["frames", "test://?size=64x48&rate=20", "out", "--every", "50ms"]);
    let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let began = std::time::Instant::now();
    while !program.path("out").is_dir() || files(&program.path("out")).len() < 3 {
        assert!(began.elapsed() < std::time::Duration::from_secs(120), "no picture is written");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    crate::camera::signal(child.id(), "INT");
    let output = child.wait_with_output().unwrap();
    let pictures = files(&program.path("out"));
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&format!("{} pictures from 1 of 1 input in out\n", pictures.len())), "{said}");
}
