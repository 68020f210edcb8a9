//! Regression tests: one for each reported fault.

use std::fs;
use std::path::{Path, PathBuf};

use crate::footage::{small, variant};
use crate::program::{Program, decodes_cleanly, ffmpeg, probe, text, times};

fn made(path: PathBuf, arguments: &[&str]) -> PathBuf {
    let output = ffmpeg(&[arguments, &[text(&path)]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// Creates the small clip with its second half `seconds` later.
fn with_jump(program: &Program, seconds: u32) -> PathBuf {
    let filter = format!("scale=160:120,setpts='PTS+gte(N,20)*{seconds}/TB'");
    let encoded = ["-vf", &filter, "-fps_mode", "passthrough", "-c:v", "libx264", "-bf", "0"];
    variant(program.folder.path(), "jump.mkv", 40, &encoded)
}

#[test]
fn a_clip_that_starts_late_gets_no_extra_frames() {
    let program = Program::new();
    let plain = small(program.folder.path(), "plain.mp4", 50);
    let stream = made(program.path("stream.ts"), &["-i", text(&plain), "-c", "copy"]);
    let late = ["-itsoffset", "1", "-i", text(&plain), "-f", "lavfi", "-i", "sine=duration=3", "-c:v", "copy"];
    let late = made(program.path("late.mkv"), &[&late[..], &["-c:a", "aac", "-map", "0:v", "-map", "1:a"]].concat());
    for clip in [stream, late] {
        let finished = program.run(&clip, &["--output", "out.avi", "--timeline", "out.json", "--force"]).succeeded();
        let video = probe(&program.path("out.avi"));
        assert_eq!((video.frames, video.seconds), (50, 2.0), "{}", clip.display());
        assert!(!finished.stdout.contains("repeated"), "{}", finished.stdout);
        assert_eq!(program.json("out.json")["confidences"]["rows"][0][0], 0.0);
    }
}

#[test]
fn a_jump_in_time_is_a_gap_and_does_not_fill_the_disk() {
    let program = Program::new();
    let clip = with_jump(&program, 3600);
    let finished = program.run(&clip, &["--output", "out.avi", "--window", "1"]).succeeded();
    assert!(finished.stdout.contains("1 gap of over 10 s closed"), "{}", finished.stdout);
    let video = probe(&program.path("out.avi"));
    assert!((39..42).contains(&video.frames), "{}", video.frames);
    let timeline = program.json("jump.timeline.json");
    let gap = &timeline["gaps"][0];
    assert!((gap["start"].as_f64().unwrap() - 800.0).abs() < 2.0, "{gap}");
    assert!((gap["end"].as_f64().unwrap() - 3_600_800.0).abs() < 2.0, "{gap}");
    for interval in timeline["intervals"].as_array().unwrap() {
        let (start, end) = (interval["start"].as_f64().unwrap(), interval["end"].as_f64().unwrap());
        assert!(end <= 802.0 || start >= 3_600_798.0, "{interval} claims a label for the gap");
    }
}

#[test]
fn a_gap_is_told_once_however_many_frames_wait_for_their_label() {
    let program = Program::new();
    let clip = with_jump(&program, 3);
    for window in ["1", "1.2s", "128"] {
        for stride in ["1", "auto"] {
            let options = ["--only", "timeline", "--force", "--window", window, "--window-align", "centred"];
            program.run(&clip, &[&options[..], &["--stride", stride]].concat()).succeeded();
            let timeline = program.json("jump.timeline.json");
            assert_eq!(timeline["gaps"].as_array().unwrap().len(), 1, "{window}, {stride}: {}", timeline["gaps"]);
        }
    }
}

#[test]
fn a_short_gap_is_filled_to_keep_the_duration() {
    let program = Program::new();
    let clip = with_jump(&program, 3);
    program.run(&clip, &["--output", "out.avi"]).succeeded();
    let video = probe(&program.path("out.avi"));
    assert!((video.seconds - 4.6).abs() < 0.05, "{}", video.seconds);
}

#[test]
fn sound_that_is_longer_than_the_video_is_not_damage() {
    let program = Program::new();
    let plain = small(program.folder.path(), "plain.mp4", 25);
    let sound = ["-f", "lavfi", "-i", "sine=duration=4", "-c:v", "copy", "-c:a", "aac"];
    let clip = made(program.path("long.mp4"), &[&["-i", text(&plain)], &sound[..]].concat());
    program.run(&clip, &["--output", "out.avi"]).succeeded();
    assert_eq!(program.json("long.timeline.json")["complete"], true);
}

#[test]
fn a_wrong_frame_rate_is_corrected() {
    let program = Program::new();
    let fast = ["-vf", "scale=160:120,setpts=PTS/2", "-r", "50", "-c:v", "libx264", "-bf", "0"];
    let plain = variant(program.folder.path(), "plain.ts", 50, &fast);
    // The stream declares 50 frames a second; the container has 25.
    let clip = made(program.path("stated.ts"), &["-i", text(&plain), "-c", "copy", "-bsf:v", "setts=ts=2*TS"]);
    assert_eq!(times(&clip).len(), 50);
    program.run(&clip, &["--output", "out.avi"]).succeeded();
    let video = probe(&program.path("out.avi"));
    assert_eq!((video.frames, video.seconds), (50, 2.0));
}

#[test]
fn motion_jpeg_is_a_valid_input() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 20);
    program.run(&clip, &["--output", "first.avi", "--only", "video"]).succeeded();
    program.run(&program.path("first.avi"), &["--output", "second.avi", "--only", "video"]).succeeded();
    assert_eq!(probe(&program.path("second.avi")).frames, 20);
    decodes_cleanly(&program.path("second.avi"));
}

#[test]
fn frames_reports_a_truncated_clip() {
    let program = Program::new();
    let clip = small(program.folder.path(), "cut.mkv", 50);
    let whole = fs::read(&clip).unwrap();
    fs::write(&clip, &whole[..whole.len() * 7 / 10]).unwrap();
    let finished = program.start(&["frames", text(&clip), "out"]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("cut.mkv: is cut short at"), "{}", finished.stderr);
    assert!(program.path("out/cut.mkv_000000000.jpg").exists());
}

#[test]
fn a_missing_decoder_is_not_reported_as_a_missing_track() {
    let program = Program::new();
    let plain = small(program.folder.path(), "plain.mp4", 5);
    let sound = ["-f", "lavfi", "-i", "sine=duration=1", "-c:v", "copy", "-c:a", "aac"];
    let clip = made(program.path("both.mp4"), &[&["-i", text(&plain)], &sound[..]].concat());
    let model = crate::tiny::model();
    let output = program
        .command(&["run", text(&clip), "--model", text(&model)])
        .env(
            "GST_PLUGIN_FEATURE_RANK",
            "avdec_h264:NONE,openh264dec:NONE,vaapih264dec:NONE,vah264dec:NONE,v4l2h264dec:NONE",
        )
        .output()
        .unwrap();
    let finished = crate::program::Finished::from(output);
    assert!(finished.refusal(2).contains("needs a decoder that is not installed"), "{}", finished.stderr);
}

#[test]
fn a_cause_is_printed_once() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 3);
    let finished = program.start(&["run", text(&clip), "--model", "none.onnx"]);
    assert_eq!(finished.refusal(2).matches("No such file").count(), 1, "{}", finished.stderr);
}

#[test]
fn a_closed_terminal_does_not_change_the_exit_code() {
    let program = Program::new();
    let script = "\"$0\" frames missing.mp4 out 2>&1 | true; echo ${PIPESTATUS[0]}";
    let output = std::process::Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_livelabel")])
        .current_dir(program.folder.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "2");
}

#[test]
fn several_inputs_cannot_share_a_file() {
    let program = Program::new();
    let clips = [small(program.folder.path(), "a.mp4", 3), small(program.folder.path(), "b.mp4", 3)];
    let model = crate::tiny::model();
    let run = |more: &[&str]| {
        let given = ["run", text(&clips[0]), text(&clips[1]), "--model", text(&model)];
        program.start(&[&given[..], more].concat())
    };
    assert!(run(&["--output", "one.mkv"]).refusal(2).contains("one file cannot hold several"));
    run(&["--output-dir", "out", "--format", "mkv"]).succeeded();
    assert!(Path::new(&program.path("out/b.labelled.mkv")).exists());
}

#[test]
fn b_frames_in_avi_keep_their_times() {
    let program = Program::new();
    let clip = variant(program.folder.path(), "b.avi", 60, &["-vf", "scale=160:120", "-c:v", "mpeg4", "-bf", "2"]);
    program.run(&clip, &["--output", "out.avi"]).succeeded();
    let video = probe(&program.path("out.avi"));
    assert_eq!((video.frames, video.seconds), (60, 2.4));
    let timeline = program.json("b.timeline.json");
    let rows = timeline["confidences"]["rows"].as_array().unwrap();
    assert!(rows.iter().zip(0..).all(|(row, i)| (row[0].as_f64().unwrap() - 40.0 * f64::from(i)).abs() < 0.01));
}

#[test]
fn non_square_pixels_are_kept() {
    let program = Program::new();
    let encoded = ["-vf", "scale=352:288,setsar=12/11", "-c:v", "libx264"];
    let clip = variant(program.folder.path(), "wide.mp4", 5, &encoded);
    for output in ["out.avi", "out.mkv"] {
        program.run(&clip, &["--output", output, "--only", "video"]).succeeded();
        let probed = std::process::Command::new("ffprobe")
            .args(["-v", "error", "-show_entries", "stream=sample_aspect_ratio", "-of", "csv=p=0"])
            .arg(program.path(output))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&probed.stdout).trim(), "12:11", "{output}");
    }
}

#[test]
fn a_gif_is_refused_instead_of_hanging() {
    let program = Program::new();
    let clip = variant(program.folder.path(), "clip.gif", 5, &["-vf", "scale=160:120"]);
    let finished = program.run(&clip, &[]);
    assert!(finished.refusal(2).contains("is a GIF, which cannot be read; convert it"), "{}", finished.stderr);
}

#[test]
fn frames_too_small_for_a_video_are_refused_at_the_start() {
    let program = Program::new();
    let tiny = variant(program.folder.path(), "tiny.mkv", 5, &["-vf", "scale=2:2", "-c:v", "ffv1"]);
    assert!(program.run(&tiny, &[]).refusal(2).contains("frames of 2x2 are too small"));
    let small = variant(program.folder.path(), "small.mkv", 5, &["-vf", "scale=10:10", "-c:v", "ffv1"]);
    let finished = program.run(&small, &[]);
    assert!(finished.refusal(2).contains("an AVI cannot hold frames of 10x10"), "{}", finished.stderr);
    let left: Vec<_> = fs::read_dir(program.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "only the clips: {left:?}");
    program.run(&small, &["--format", "mkv"]).succeeded();
    assert_eq!(probe(&program.path("small.labelled.mkv")).frames, 5);
}

#[test]
fn a_name_that_is_too_long_fails_at_the_start() {
    let program = Program::new();
    let clip = small(program.folder.path(), &format!("{}.mp4", "x".repeat(245)), 3);
    let finished = program.run(&clip, &["--only", "timeline"]);
    assert!(finished.refusal(2).contains("File name too long"), "{}", finished.stderr);
    program.run(&clip, &["--timeline", "short.json", "--only", "timeline"]).succeeded();
}
