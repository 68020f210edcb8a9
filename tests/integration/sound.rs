//! The sound in recordings of a camera's own video: its packets as they came, in step with the pictures.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::camera::{Camera, Watch, files, records, running, signal, summary};
use crate::footage::variant;
use crate::program::{Program, decodes_cleanly, ffmpeg, probe, text};
use crate::recording::{check_same_packets, packets, segments, watched_from};
use crate::tiny;

/// Longest difference between sound and picture, in milliseconds: a frame.
const FRAME: f64 = 40.0;

/// When the camera has reported for sure how the clocks of its streams differ, in milliseconds.
const REPORTED: f64 = 6000.0;

/// The packets of sound in a file: their time in milliseconds, and the hash of their bytes.
fn sounds(path: &Path) -> Vec<(f64, String)> {
    let entries = ["-show_data_hash", "md5", "-show_entries", "packet=pts_time,data_hash", "-of", "json"];
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "a"])
        .args(entries)
        .arg(path)
        .output()
        .expect("ffprobe starts");
    let probed: Value = serde_json::from_slice(&output.stdout).expect("ffprobe writes JSON");
    let packet = |packet: &Value| {
        let field = |name: &str| packet[name].as_str().expect("a field").to_string();
        (1000.0 * field("pts_time").parse::<f64>().expect("a time"), field("data_hash"))
    };
    probed["packets"].as_array().into_iter().flatten().map(packet).collect()
}

/// Creates a clip of ten seconds with nine seconds of noise, with a key frame each second.
fn clip(folder: &Path, name: &str, encode: &[&str]) -> PathBuf {
    let video = ["-vf", "scale=320:136", "-c:v", "libx264", "-g", "25", "-bf", "3", "-an"];
    let silent = variant(folder, "silent.mp4", 250, &video);
    let path = folder.join(name);
    let noise = "anoisesrc=duration=9:color=pink:amplitude=0.3:sample_rate=48000:seed=1";
    let given = ["-i", text(&silent), "-f", "lavfi", "-i", noise, "-map", "0:v", "-map", "1:a", "-c:v", "copy"];
    let made = ffmpeg(&[&given[..], encode, &[text(&path)]].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::remove_file(silent).expect("it is there");
    path
}

/// Records a clip that a camera sends once with its sound, in segments of two seconds. Returns the files, and the clip.
fn recorded(program: &Program, codec: &str, encode: &[&str], arguments: &[&str]) -> (Vec<PathBuf>, PathBuf) {
    std::fs::create_dir(program.path("sent")).expect("a folder");
    let clip = clip(&program.path("sent"), "clip.mov", encode);
    let model = tiny::model();
    let given = [&["--model", text(&model), "--segment", "2s"], arguments].concat();
    watched_from(program, &clip, "h264", &["--sound", codec], &given, |_| {});
    (files(program, if arguments.contains(&"mp4") { ".mp4" } else { ".mkv" }), clip)
}

/// Checks that the files hold the clip's sound from the first key frame on: each packet, once, with the pictures of its time.
fn check_same_sound(program: &Program, clip: &Path, videos: &[PathBuf]) {
    check_same_packets(program, clip, "h264", videos);
    let (sent, mut kept, mut recorded) = (sounds(clip), Vec::new(), Vec::new());
    let records = records(program);
    let starts: Vec<f64> =
        segments(&records).iter().map(|segment| segment["start"].as_f64().expect("a time")).collect();
    for (index, (video, start)) in videos.iter().zip(&starts).enumerate() {
        let sounds = sounds(video);
        let end = starts.get(index + 1).unwrap_or(&f64::MAX) - start;
        assert!(sounds.iter().all(|(time, _)| (-1.0..end + 1.0).contains(time)), "{end} {sounds:?}");
        let pictures = packets(video);
        if video != videos.last().expect("a file") {
            assert!((sounds[0].0 - pictures[0].0).abs() < FRAME, "{} {}", sounds[0].0, pictures[0].0);
        }
        recorded.extend(pictures.iter().map(|(time, _)| start + time));
        kept.extend(sounds.into_iter().map(|(time, hash)| (start + time, hash)));
    }
    recorded.sort_by(f64::total_cmp);
    let hashes = |packets: &[(f64, String)]| packets.iter().map(|(_, hash)| hash.clone()).collect::<Vec<_>>();
    // What begins before the first picture is not in the recording. The camera says only later how its clocks differ.
    let before = sent.len() - kept.len();
    assert!(before <= 25, "{before} packets are missing");
    assert!(hashes(&kept) == hashes(&sent[before..]), "packets differ from those of the camera");
    // Each has the time of the picture beside it, once the camera has said so.
    let mut shown: Vec<f64> = packets(clip).into_iter().map(|(time, _)| time).collect();
    shown.sort_by(f64::total_cmp);
    let pictures: Vec<(f64, f64)> = shown.into_iter().zip(recorded).collect();
    let known = kept.iter().zip(&sent[before..]).filter(|(_, (sent, _))| *sent > REPORTED);
    for ((time, _), (sent, _)) in known {
        let beside = pictures.iter().rfind(|(shown, _)| shown <= sent).unwrap_or(&pictures[0]);
        let expected = beside.1 + sent - beside.0;
        assert!((time - expected).abs() < FRAME, "sound of {sent} ms at {time} ms instead of {expected}");
    }
}

#[test]
fn a_cameras_sound_is_recorded_as_it_comes_and_in_step_with_its_pictures() {
    let program = Program::new();
    let (videos, clip) = recorded(&program, "aac", &["-c:a", "aac"], &["--segment-audio"]);
    check_same_sound(&program, &clip, &videos);
}

#[test]
fn an_mp4_holds_aac_and_opus() {
    let program = Program::new();
    let (videos, clip) = recorded(&program, "aac", &["-c:a", "aac"], &["--segment-audio", "--format", "mp4"]);
    check_same_sound(&program, &clip, &videos);
    let program = Program::new();
    let opus = ["-c:a", "libopus", "-strict", "-2", "-f", "mp4"];
    let (videos, clip) = recorded(&program, "opus", &opus, &["--segment-audio", "--format", "mp4"]);
    check_same_sound(&program, &clip, &videos);
}

#[test]
fn telephone_sound_is_recorded_in_matroska() {
    let program = Program::new();
    let encode = ["-c:a", "pcm_alaw", "-ar", "8000", "-ac", "1"];
    let (videos, clip) = recorded(&program, "alaw", &encode, &["--segment-audio"]);
    check_same_packets(&program, &clip, "h264", &videos);
    // Its packets have another length than in the clip.
    let bytes = |path: &PathBuf| {
        let raw = path.with_extension("alaw");
        let output = ffmpeg(&["-i", text(path), "-map", "0:a?", "-c", "copy", "-f", "alaw", text(&raw)]);
        // The last file may show a second without sound.
        if output.status.success() { std::fs::read(raw).expect("a file") } else { Vec::new() }
    };
    let (sent, kept) = (bytes(&clip), videos.iter().map(bytes).collect::<Vec<_>>().concat());
    let before = sent.len() - kept.len();
    // Half a second.
    assert!(kept == sent[before..] && before <= 4000, "{} of {} bytes", kept.len(), sent.len());
}

#[test]
fn other_codecs_of_cameras_are_recorded() {
    let codecs = [("opus", "opus"), ("ulaw", "pcm_mulaw"), ("g722", "adpcm_g722"), ("l16", "pcm_s16be")];
    for (codec, name) in codecs {
        let program = Program::new();
        let camera = Camera::start(&["--sound", codec]);
        let given = ["--segment", "1h", "--segment-audio", "--latency", "2000"];
        let mut watch = Watch::start(&program, &[&camera.url], &given);
        watch.until("running", running);
        std::thread::sleep(Duration::from_secs(4));
        watch.stop("INT");
        let video = &files(&program, ".mkv")[0];
        all_decodes_cleanly(video);
        assert_eq!(audio_codec(video), name);
        let (sounds, pictures) = (sounds(video), packets(video));
        assert!(sounds.len() > 20 && sounds.is_sorted_by(|one, next| one.0 <= next.0), "{codec}: {sounds:?}");
        let last = |pictures: &[(f64, bool)]| pictures.last().expect("a picture").0;
        assert!((sounds.last().expect("sound").0 - last(&pictures)).abs() < 500.0, "{codec}");
    }
}

/// Decodes pictures and sound of a file, and expects no error.
fn all_decodes_cleanly(path: &Path) {
    decodes_cleanly(path);
    // Times are checked elsewhere: rounded, those of two packets could coincide.
    let times = ["-af", "asetpts=N/SR/TB"];
    let output = ffmpeg(&[&["-xerror", "-i", text(path), "-map", "0:a"], &times[..], &["-f", "null", "-"]].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The name of a file's codec of sound; empty if it has none.
fn audio_codec(path: &Path) -> String {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "a", "-show_entries", "stream=codec_name", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .expect("ffprobe starts");
    String::from_utf8(output.stdout).expect("text").trim().into()
}

/// Has a run record a camera for a few seconds. Returns its log up to the end, and the files, which decode cleanly.
fn watched(program: &Program, input: &str, arguments: &[&str]) -> (Vec<Value>, Vec<PathBuf>) {
    let given = [&["--segment", "1h", "--latency", "2000"], arguments].concat();
    let mut watch = Watch::start(program, &[input], &given);
    watch.until("running", running);
    watch.until("still running", running);
    let log = std::mem::take(&mut watch.log);
    let (finished, _) = watch.stop("INT");
    assert_eq!(finished.code, 130, "{}", finished.stderr);
    let videos = files(program, if arguments.contains(&"mp4") { ".mp4" } else { ".mkv" });
    assert!(!videos.is_empty());
    videos.iter().for_each(|video| decodes_cleanly(video));
    (log, videos)
}

/// How many lines of a log contain a text.
fn lines(log: &[Value], wanted: &str) -> usize {
    log.iter().filter(|fields| fields["message"].as_str().is_some_and(|text| text.contains(wanted))).count()
}

#[test]
fn sound_is_not_recorded_without_being_asked_for() {
    let program = Program::new();
    let camera = Camera::start(&["--sound", "aac"]);
    let (log, videos) = watched(&program, &camera.url, &[]);
    assert_eq!((audio_codec(&videos[0]).as_str(), lines(&log, "sound")), ("", 0), "{log:#?}");
}

#[test]
fn a_camera_without_sound_is_recorded_without_it() {
    let program = Program::new();
    let camera = Camera::start(&[]);
    let (log, videos) = watched(&program, &camera.url, &["--segment-audio"]);
    assert_eq!(audio_codec(&videos[0]), "");
    assert_eq!((lines(&log, "sends no sound"), lines(&log, "sound")), (1, 1), "{log:#?}");
    let program = Program::new();
    let (log, videos) = watched(&program, "test://?size=320x240&rate=25", &["--segment-audio"]);
    assert_eq!(audio_codec(&videos[0]), "");
    assert_eq!((lines(&log, "over RTSP only"), lines(&log, "sound")), (1, 1), "{log:#?}");
}

#[test]
fn a_codec_that_the_file_cannot_hold_is_left_out_and_said() {
    for (codec, format, wanted) in [
        (
            "alaw",
            "mp4",
            "the camera's sound is G.711 A-law, which an MP4 cannot hold, so the recording has none; record with --format mkv",
        ),
        (
            "speex",
            "mkv",
            "the camera's sound is SPEEX, which a recording cannot hold, so the recording has none; set AAC on the camera",
        ),
    ] {
        let program = Program::new();
        let camera = Camera::start(&["--sound", codec]);
        let (log, videos) = watched(&program, &camera.url, &["--segment-audio", "--format", format]);
        assert_eq!(audio_codec(&videos[0]), "");
        assert_eq!((lines(&log, wanted), lines(&log, "sound")), (1, 1), "{log:#?}");
    }
}

#[test]
fn sound_that_stops_does_not_hold_up_the_video_and_comes_back_with_a_segment() {
    let program = Program::new();
    // From the start of the camera on, which is a little before the run's.
    let camera = Camera::start(&["--sound", "aac", "--mute", "6-14"]);
    let given = ["--segment", "1h", "--segment-audio", "--latency", "2000"];
    let mut watch = Watch::start(&program, &[&camera.url], &given);
    let stopped =
        |fields: &Value| fields["message"].as_str().is_some_and(|text| text.contains("the camera's sound stops"));
    watch.line("silence", stopped);
    let two = || files(&program, ".mkv").len() >= 2;
    watch.until("a segment with sound", |_| two());
    watch.until("running", running);
    watch.until("running on", running);
    watch.stop("INT");
    let videos = files(&program, ".mkv");
    // Every picture that was decoded is in a file.
    let pictures: usize = videos.iter().map(|video| packets(video).len()).sum();
    assert_eq!(pictures as u64, summary(&program)["frames"]["decoded"].as_u64().expect("a number"));
    let last = |path: &Path| sounds(path).last().expect("sound").0;
    assert!(last(&videos[0]) + 3000.0 < packets(&videos[0]).last().expect("a picture").0);
    assert!(sounds(&videos[1])[0].0 < FRAME, "{:?}", sounds(&videos[1])[0]);
    videos.iter().for_each(|video| all_decodes_cleanly(video));
}

#[test]
fn a_file_with_sound_that_is_cut_off_by_a_kill_is_playable() {
    for format in ["mkv", "mp4"] {
        let program = Program::new();
        let camera = Camera::start(&["--sound", "aac"]);
        let given = ["--segment", "1h", "--segment-audio", "--format", format];
        let mut watch = Watch::start(&program, &[&camera.url], &given);
        watch.until("running", running);
        std::thread::sleep(Duration::from_secs(5));
        let status = watch.until("a status", |_| true);
        signal(watch.id(), "KILL");
        std::thread::sleep(Duration::from_millis(300));
        let video = &files(&program, format)[0];
        let labelled = status["analysed"].as_u64().expect("a number") + status["held"].as_u64().expect("a number");
        // A second waits for its sound. An MP4's fragment is another, and ends at a key frame.
        let kept = probe(video).frames;
        assert!(kept + 100 >= labelled && kept > 25, "{format}: {kept} of {labelled}");
        let (sound, picture) = (sounds(video), packets(video));
        let last = picture.last().expect("a picture").0;
        assert!(sound[0].0 < 200.0 && (sound.last().expect("sound").0 - last).abs() < 1500.0, "{format}: {sound:?}");
    }
}
