//! Recordings of a camera's own video: the packets as they came, in segments that are cut at key frames.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::camera::{Camera, Watch, files, records, running, signal, summary};
use crate::footage::{colours, variant};
use crate::program::{Program, decodes_cleanly, ffmpeg, probe, run_on_small_disk, text, times};
use crate::tiny;

/// The coded pictures of a file, in decoding order, without the parameter sets around them.
pub fn pictures(path: &Path, codec: &str) -> Vec<Vec<u8>> {
    let stream = path.with_extension("annexb");
    let filter = format!("{codec}_mp4toannexb");
    let format = if codec == "h264" { "h264" } else { "hevc" };
    let output =
        ffmpeg(&["-i", text(path), "-map", "0:v", "-c", "copy", "-bsf:v", &filter, "-f", format, text(&stream)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = std::fs::read(&stream).unwrap();
    std::fs::remove_file(&stream).unwrap();
    let starts: Vec<usize> =
        (0..bytes.len().saturating_sub(3)).filter(|&at| bytes[at..].starts_with(&[0, 0, 1])).collect();
    let units = starts.iter().enumerate().map(|(index, &at)| {
        let end = starts.get(index + 1).copied().unwrap_or(bytes.len());
        let unit = &bytes[at + 3..end];
        // A start code may have a zero before it.
        unit.strip_suffix(&[0]).filter(|_| end < bytes.len()).unwrap_or(unit).to_vec()
    });
    let is_picture = |unit: &Vec<u8>| match codec {
        "h264" => (1..=5).contains(&(unit[0] & 0x1f)),
        _ => (unit[0] >> 1) & 0x3f < 32,
    };
    units.filter(is_picture).collect()
}

/// The packets of a file: their time in milliseconds, and whether they are key frames.
pub fn packets(path: &Path) -> Vec<(f64, bool)> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let packet = |line: &str| {
        let (time, flags) = line.split_once(',').unwrap();
        (1000.0 * time.parse::<f64>().unwrap(), flags.starts_with('K'))
    };
    lines.lines().map(packet).collect()
}

/// The records of complete segments.
pub fn segments(records: &[Value]) -> Vec<&Value> {
    records.iter().filter_map(|record| record.get("segment")).filter(|segment| segment.get("end").is_some()).collect()
}

fn ended(fields: &Value) -> bool {
    fields["message"].as_str().is_some_and(|text| text.contains("end of stream"))
}

/// Records a clip that a camera sends once, in segments of two seconds. Returns the files.
pub fn recorded(program: &Program, clip: &Path, codec: &str, arguments: &[&str]) -> Vec<PathBuf> {
    let model = tiny::model();
    watched(program, clip, codec, &[&["--model", text(&model), "--segment", "2s"], arguments].concat());
    files(program, if arguments.contains(&"mp4") { ".mp4" } else { ".mkv" })
}

/// Has a run watch a clip that a camera sends once, as the stream `door`. Checks that every picture of it arrives.
pub fn watched(program: &Program, clip: &Path, codec: &str, arguments: &[&str]) {
    watched_from(program, clip, codec, &[], arguments, |_| {});
}

/// The same, with more options of the camera, and what `disturb` does to the run meanwhile.
pub fn watched_from(
    program: &Program,
    clip: &Path,
    codec: &str,
    camera: &[&str],
    arguments: &[&str],
    disturb: impl FnOnce(&mut Watch),
) {
    let sent = pictures(clip, if codec == "h265" { "hevc" } else { codec }).len() as u64;
    let camera = Camera::start(&[&[text(clip), "--as-is", codec], camera].concat());
    // Frames that refer to later ones are sent before these: with less, the receiver would find some of them too late.
    let given = [&[&camera.url, "--name", "door", "--latency", "5000"], arguments].concat();
    let mut watch = Watch::command(program, &given);
    disturb(&mut watch);
    watch.line("the end", ended);
    drop(camera);
    let (finished, _) = watch.stop("INT");
    assert_eq!(finished.code, 130, "{}", finished.stderr);
    assert_eq!(summary(program)["frames"]["decoded"], sent, "{}", finished.stderr);
}

/// Checks that the files hold the packets of the clip: each one, once, cut at key frames, at the times of the journal.
pub fn check_same_packets(program: &Program, clip: &Path, codec: &str, videos: &[PathBuf]) {
    assert!(videos.len() >= 3, "{videos:?}");
    let parts: Vec<Vec<Vec<u8>>> = videos.iter().map(|video| pictures(video, codec)).collect();
    assert!(parts.iter().all(|part| !part.is_empty()));
    let (sent, kept) = (pictures(clip, codec), parts.concat());
    assert_eq!(kept.len(), sent.len());
    assert!(kept == sent, "packets differ from those of the camera");

    let records = records(program);
    let segments = segments(&records);
    assert_eq!(segments.len(), videos.len());
    let mut shown = Vec::new();
    for (video, segment) in videos.iter().zip(&segments) {
        decodes_cleanly(video);
        assert_eq!(segment["file"], video.file_name().unwrap().to_str().unwrap());
        assert_eq!(
            (segment["video"].as_str(), segment["bytes"].as_u64()),
            (Some("original"), Some(video.metadata().unwrap().len()))
        );
        let packets = packets(video);
        assert!(packets[0].1, "{} does not begin with a key frame", video.display());
        let (start, end) = (segment["start"].as_f64().unwrap(), segment["end"].as_f64().unwrap());
        let mut times: Vec<f64> = packets.iter().map(|(time, _)| start + time).collect();
        times.sort_by(f64::total_cmp);
        assert!((times[0] - start).abs() < 1.0 && times.last().is_some_and(|&last| last < end), "{segment} {times:?}");
        shown.extend(times);
    }
    assert!(shown.is_sorted(), "{shown:?}");
    // A frame of the journal is the frame of a file at its time.
    let frames: Vec<f64> = records.iter().filter_map(|record| record["frame"]["ms"].as_f64()).collect();
    assert!(frames.len() > 5);
    for frame in frames {
        assert!(shown.iter().any(|time| (time - frame).abs() < 1.0), "no frame at {frame} in {shown:?}");
    }
}

#[test]
fn frames_that_were_sent_out_of_order_outlast_pauses_of_the_program() {
    let program = Program::new();
    let out_of_order = ["-vf", "noise=alls=20:allf=t", "-c:v", "libx264", "-g", "50", "-bf", "2", "-qp", "26"];
    let clip = variant(program.folder.path(), "clip.mp4", 225, &out_of_order);
    let model = tiny::model();
    let given = ["--model", text(&model), "--segment", "2s"];
    // After each pause a few frames arrive at once, and wait for the decoder.
    watched_from(&program, &clip, "h264", &[], &given, |watch| {
        watch.until("frames", running);
        for _ in 0..35 {
            signal(watch.id(), "STOP");
            std::thread::sleep(Duration::from_millis(110));
            signal(watch.id(), "CONT");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    check_same_packets(&program, &clip, "h264", &files(&program, ".mkv"));
}

#[test]
fn a_cameras_packets_are_recorded_as_they_are() {
    let program = Program::new();
    // Frames that refer to later ones, and a key frame each second.
    let clip = variant(program.folder.path(), "clip.mp4", 250, &["-c:v", "libx264", "-g", "25", "-bf", "3", "-an"]);
    let videos = recorded(&program, &clip, "h264", &[]);
    check_same_packets(&program, &clip, "h264", &videos);
    let summary = summary(&program);
    assert_eq!(
        (summary["videos"].as_u64(), summary["pictures_skipped"].as_u64()),
        (Some(videos.len() as u64), Some(0))
    );
}

#[test]
fn frames_that_refer_over_a_key_frame_are_neither_lost_nor_doubled() {
    let program = Program::new();
    let open = [
        "-c:v",
        "libx265",
        "-x265-params",
        "log-level=none:keyint=25:min-keyint=25:open-gop=1:bframes=3",
        "-tag:v",
        "hvc1",
        "-an",
    ];
    let clip = variant(program.folder.path(), "clip.mp4", 250, &[&["-vf", "scale=320:136"], &open[..]].concat());
    let videos = recorded(&program, &clip, "h265", &[]);
    let sent = pictures(&clip, "hevc");
    // Where each picture of each file is in the clip.
    let places = |video: &PathBuf| {
        let place = |picture: Vec<u8>| sent.iter().position(|other| *other == picture);
        pictures(video, "hevc").into_iter().map(place).collect::<Vec<_>>()
    };
    let parts: Vec<_> = videos.iter().map(places).collect();
    assert!(videos.len() >= 3, "{videos:?}");
    assert_eq!(parts.concat(), (0..sent.len()).map(Some).collect::<Vec<_>>(), "{videos:?} {parts:?}");
}

#[test]
fn a_file_that_is_cut_off_by_a_kill_is_playable() {
    let program = Program::new();
    let mut watch = Watch::start(&program, &["test://?size=320x240&rate=25"], &["--segment", "1h"]);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(4));
    let status = watch.until("a status", |_| true);
    signal(watch.id(), "KILL");
    std::thread::sleep(Duration::from_millis(300));
    // Two files, if the hour ended meanwhile.
    let videos = files(&program, ".mkv");
    let labelled = status["analysed"].as_u64().unwrap() + status["held"].as_u64().unwrap();
    let kept: u64 = videos.iter().map(|video| probe(video).frames).sum();
    assert!(kept + 25 >= labelled, "{kept} of {labelled}");
    videos.iter().for_each(|video| assert!(packets(video)[0].1));
    // The journal says when the file begins.
    let records = records(&program);
    let begun: Vec<&Value> = records.iter().filter_map(|record| record.get("segment")).collect();
    assert_eq!(begun.len(), videos.len(), "{records:?}");
    assert!(
        begun[0]["start"].as_f64().is_some()
            && begun[0]["start_utc"].as_str().is_some()
            && begun[0].get("end").is_none()
    );
}

#[test]
fn raw_video_is_encoded_and_every_frame_is_recorded() {
    let program = Program::new();
    let mut watch =
        Watch::start(&program, &["test://?size=320x240&rate=25"], &["--segment", "2s", "--segment-video", "both"]);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(5));
    watch.stop("INT");
    let (original, labelled) = (files(&program, "Z.mkv"), files(&program, ".labelled.mkv"));
    assert!(original.len() >= 2 && labelled.len() >= 2, "{original:?} {labelled:?}");
    let mut frames = 0;
    for video in &original {
        decodes_cleanly(video);
        let made = probe(video);
        assert_eq!((made.codec.as_str(), made.width, made.height), ("h264", 320, 240));
        frames += made.frames;
    }
    assert_eq!(probe(&labelled[0]).codec, "mjpeg");
    let (summary, records) = (summary(&program), records(&program));
    let count = |name: &str| summary["frames"][name].as_u64().unwrap();
    assert!(frames + summary["pictures_skipped"].as_u64().unwrap() >= count("analysed") + count("held"));
    assert_eq!(summary["videos"].as_u64(), Some((original.len() + labelled.len()) as u64));
    let shows = |video: &str| segments(&records).iter().filter(|segment| segment["video"] == video).count();
    assert_eq!((shows("original"), shows("labelled")), (original.len(), labelled.len()));
    let bytes = |videos: &[PathBuf]| -> u64 { videos.iter().map(|video| video.metadata().unwrap().len()).sum() };
    assert!(bytes(&original) * 3 < bytes(&labelled), "{} and {} bytes", bytes(&original), bytes(&labelled));
}

#[test]
fn the_pictures_of_a_jpeg_camera_are_encoded() {
    let program = Program::new();
    let camera = Camera::start(&["--jpeg"]);
    let mut watch = Watch::start(&program, &[&camera.url], &["--segment", "1h"]);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(2));
    watch.stop("INT");
    let videos = files(&program, ".mkv");
    assert!(!videos.is_empty());
    for video in videos {
        decodes_cleanly(&video);
        assert_eq!(probe(&video).codec, "h264");
    }
}

#[test]
fn an_mp4_is_playable_even_after_a_kill() {
    let program = Program::new();
    let clip = variant(program.folder.path(), "clip.mp4", 250, &["-c:v", "libx264", "-g", "25", "-bf", "3", "-an"]);
    std::fs::create_dir(program.path("sent")).unwrap();
    let sent = program.path("sent/clip.mp4");
    std::fs::rename(clip, &sent).unwrap();
    let videos = recorded(&program, &sent, "h264", &["--format", "mp4"]);
    check_same_packets(&program, &sent, "h264", &videos);

    let program = Program::new();
    let given = ["--segment", "1h", "--format", "mp4"];
    let mut watch = Watch::start(&program, &["test://?size=320x240&rate=25"], &given);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(4));
    let status = watch.until("a status", |_| true);
    signal(watch.id(), "KILL");
    std::thread::sleep(Duration::from_millis(300));
    let kept: u64 = files(&program, ".mp4").iter().map(|video| probe(video).frames).sum();
    // Up to a key frame interval is lost: a fragment ends at a key frame.
    let labelled = status["analysed"].as_u64().unwrap() + status["held"].as_u64().unwrap();
    assert!(kept + 80 >= labelled && kept > 0, "{kept} of {labelled}");
}

#[test]
fn a_change_of_size_begins_a_segment() {
    let program = Program::new();
    let camera = Camera::start(&["--resize-after", "4"]);
    // On a busy machine the receiver would drop packets with less.
    let mut watch = Watch::start(&program, &[&camera.url], &["--segment", "1h", "--latency", "5000"]);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(6));
    let slower =
        |status: &Value| running(status) && status["frames_per_second"].as_f64().is_some_and(|rate| rate < 15.0);
    watch.until("running on at another rate", slower);
    watch.stop("INT");
    let sizes: Vec<(u64, u64)> = files(&program, ".mkv")
        .iter()
        .map(|video| {
            decodes_cleanly(video);
            let made = probe(video);
            (made.width, made.height)
        })
        .collect();
    assert!(sizes.starts_with(&[(320, 240)]) && sizes.ends_with(&[(480, 360)]), "{sizes:?}");
}

#[test]
fn a_segment_ends_with_the_camera_and_the_next_begins_when_it_is_back() {
    let program = Program::new();
    let camera = Camera::start(&[]);
    let mut watch = Watch::start(&program, &[&camera.url], &["--segment", "1h", "--name", "door", "--latency", "5000"]);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(2));
    let port = camera.port;
    drop(camera);
    watch.until("lost", |status| status["state"] == "reconnecting");
    let _camera = Camera::at(port, &[]);
    watch.until("back", |status| running(status) && status["reconnects"] == 1);
    std::thread::sleep(Duration::from_secs(2));
    watch.stop("TERM");
    let (videos, records) = (files(&program, ".mkv"), records(&program));
    let segments = segments(&records);
    assert_eq!(segments.len(), videos.len());
    // A camera may be killed before it has sent all slices of a frame.
    let (cut, last) = (program.path("cut.mkv"), (packets(&videos[0]).len() - 1).to_string());
    let copied = ffmpeg(&["-i", text(&videos[0]), "-c", "copy", "-frames:v", &last, text(&cut)]);
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    decodes_cleanly(&cut);
    videos[1..].iter().for_each(|video| decodes_cleanly(video));
    let gap = records.iter().find_map(|record| record.get("gap")).unwrap();
    let inside = |time: &Value| gap["start"].as_f64() < time.as_f64() && time.as_f64() < gap["end"].as_f64();
    assert!(segments.len() >= 2, "{segments:?}");
    // A packet or two of a killed camera may never be decoded.
    for segment in &segments {
        assert!(!inside(&segment["start"]), "{segment} in {gap}");
    }
}

#[test]
fn a_jump_of_the_cameras_clock_leaves_the_files_in_order() {
    let program = Program::new();
    let camera = Camera::start(&["--jump-after", "4"]);
    let mut watch = Watch::start(&program, &[&camera.url], &["--segment", "1h", "--latency", "2000"]);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(6));
    watch.until("running on", running);
    watch.stop("INT");
    let wall = 1000.0 * summary(&program)["wall_s"].as_f64().unwrap();
    let records = records(&program);
    let mut last = 0.0;
    for (video, segment) in files(&program, ".mkv").iter().zip(segments(&records)) {
        decodes_cleanly(video);
        let start = segment["start"].as_f64().unwrap();
        let times = times(video);
        assert!(start >= last && times.is_sorted(), "{segment} {times:?}");
        last = start + times.last().unwrap();
    }
    assert!(0.0 < last && last <= wall, "{last} in {wall}");
}

#[test]
fn labels_stand_beside_the_segments() {
    let program = Program::new();
    let seconds: Vec<&str> = [vec!["red"; 3], vec!["blue"; 3], vec!["red"; 3]].concat();
    let clip = colours(program.folder.path(), "clip.mp4", &seconds, &["-c:v", "libx264", "-g", "25"]);
    recorded(&program, &clip, "h264", &["--action", "blue", "--window", "3"]);
    let records = records(&program);
    let segments = segments(&records);
    let intervals: Vec<&Value> = records.iter().filter_map(|record| record.get("interval")).collect();
    let [interval] = &intervals[..] else { panic!("not one interval: {intervals:?}") };
    let number = |value: &Value| value.as_f64().unwrap();
    let mut shown = 0.0;
    for segment in &segments {
        let name = segment["file"].as_str().unwrap().replace(".mkv", ".vtt");
        let overlap = number(&interval["end"]).min(number(&segment["end"]))
            - number(&interval["start"]).max(number(&segment["start"]));
        let Ok(text) = std::fs::read_to_string(program.path(&name)) else {
            assert!(overlap <= 0.0, "{name} is missing: {interval} in {segment}");
            continue;
        };
        let cue = text.lines().find(|line| line.contains(" --> ")).unwrap();
        let (start, end) = cue.split_once(" --> ").unwrap();
        let length = milliseconds(end) - milliseconds(start);
        assert!((length - overlap).abs() <= 1.0, "{text} for {interval} in {segment}");
        assert!(text.contains("activity: blue"), "{text}");
        shown += length;
    }
    let length = number(&interval["end"]) - number(&interval["start"]);
    assert!((shown - length).abs() < 50.0, "{shown} of {length}");
}

/// Parses a time like `00:00:01.234`.
fn milliseconds(time: &str) -> f64 {
    let parts = time.trim().split(':').map(|part| part.parse::<f64>().unwrap());
    1000.0 * parts.fold(0.0, |seconds, part| 60.0 * seconds + part)
}

#[test]
fn only_the_groups_of_pictures_around_an_interval_are_recorded() {
    let program = Program::new();
    let seconds: Vec<&str> = [vec!["red"; 11], vec!["blue"; 3], vec!["red"; 10]].concat();
    let clip =
        colours(program.folder.path(), "clip.mp4", &seconds, &["-c:v", "libx264", "-g", "50", "-sc_threshold", "0"]);
    let given = ["--only-active", "--action", "blue", "--window", "3", "--segment", "1h", "--latency", "5000"];
    let camera = Camera::start(&[text(&clip), "--as-is", "h264"]);
    let mut watch = Watch::start(&program, &[&camera.url], &given);
    watch.line("the end", ended);
    drop(camera);
    watch.stop("INT");
    let [video] = &files(&program, ".mkv")[..] else { panic!("not one video") };
    decodes_cleanly(video);
    let records = records(&program);
    let interval = records.iter().find_map(|record| record.get("interval")).unwrap();
    let segments = segments(&records);
    let number = |value: &Value| value.as_f64().unwrap();
    let before = number(&interval["start"]) - number(&segments[0]["start"]);
    let after = number(&segments[0]["end"]) - number(&interval["end"]);
    // Five seconds, and the rest of a group of two.
    assert!((4900.0..7100.0).contains(&before) && (4900.0..7100.0).contains(&after), "{before} {after}");
    let packets = packets(video);
    // Whole groups, except for what was lost on the way.
    let lost = 24 * 25 - summary(&program)["frames"]["decoded"].as_u64().unwrap() as usize;
    let missing = packets.len().next_multiple_of(50) - packets.len();
    assert!(packets[0].1 && missing <= lost, "{} packets", packets.len());
}

#[test]
fn rare_key_frames_are_reported_once_and_the_recording_goes_on() {
    let program = Program::new();
    let seconds = ["red"; 15];
    let clip =
        colours(program.folder.path(), "clip.mp4", &seconds, &["-c:v", "libx264", "-g", "1000", "-sc_threshold", "0"]);
    let camera = Camera::start(&[text(&clip), "--as-is", "h264"]);
    let mut watch = Watch::start(&program, &[&camera.url], &["--segment", "2s", "--latency", "5000"]);
    watch.line("the end", ended);
    drop(camera);
    let warned =
        |fields: &&Value| fields["message"].as_str().is_some_and(|text| text.contains("no key frame for 10 s"));
    assert_eq!(watch.log.iter().filter(warned).count(), 1, "{:#?}", watch.log);
    watch.stop("INT");
    let videos = files(&program, ".mkv");
    let decoded = summary(&program)["frames"]["decoded"].as_u64().unwrap();
    assert!(decoded > 14 * 25, "{decoded}");
    assert_eq!(videos.iter().map(|video| packets(video).len() as u64).sum::<u64>(), decoded);
}

#[test]
fn a_full_disk_ends_the_recording_of_a_cameras_own_video_but_not_the_analysis() {
    let program = Program::new();
    std::fs::create_dir(program.path("disk")).unwrap();
    let script = "mount -t tmpfs -o size=8m tmpfs disk || exit 77\n\
                  exec timeout -s INT 20 \"$0\" --log-format json run \"$2\" --model \"$1\" \
                  --status-interval 1s --segment 1h --output-dir disk";
    // Noise: about a megabyte a second.
    let noise = program.path("noise.mp4");
    let source = "nullsrc=s=640x480:r=25:d=20,geq=random(1)*255:128:128";
    let encode = ["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "8M", "-g", "25"];
    let made = ffmpeg(&[&["-f", "lavfi", "-i", source], &encode[..], &[text(&noise)]].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let camera = Camera::start(&[text(&noise), "--as-is", "h264"]);
    let Some(full) = run_on_small_disk(&program, script, &[&camera.url], 25) else { return };
    assert!(full.finished.stdout.contains("1 failure,"), "{}", full.finished.stdout);
}

#[test]
fn garbage_in_the_video_ends_neither_the_run_nor_the_recording_before_it() {
    let program = Program::new();
    let options = ["-vf", "scale=320:136", "-c:v", "libx264", "-g", "25", "-bf", "0", "-an"];
    let clip = variant(program.folder.path(), "clip.mp4", 250, &options);
    // The second half has random bytes behind the head of each slice.
    let stream = program.path("stream.h264");
    let copy = ["-c", "copy", "-bsf:v", "h264_mp4toannexb", "-f", "h264"];
    assert!(ffmpeg(&[&["-i", text(&clip)], &copy[..], &[text(&stream)]].concat()).status.success());
    let mut bytes = std::fs::read(&stream).unwrap();
    let mut state = 1_u32;
    let mut at = bytes.len() / 2;
    while at + 16 < bytes.len() {
        if bytes[at..].starts_with(&[0, 0, 1]) {
            // Parameter sets remain.
            let slice = matches!(bytes[at + 3] & 0x1f, 1 | 5);
            at += 12;
            while slice && at < bytes.len() && !bytes[at..].starts_with(&[0, 0, 1]) {
                if bytes[at..].starts_with(&[0, 0, 0, 1]) {
                    break;
                }
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                bytes[at] = (state >> 24) as u8 | 1;
                at += 1;
            }
        } else {
            at += 1;
        }
    }
    std::fs::write(&stream, bytes).unwrap();
    let broken = program.path("broken.mp4");
    let made = ffmpeg(&["-f", "h264", "-framerate", "25", "-i", text(&stream), "-c", "copy", text(&broken)]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let camera = Camera::start(&[text(&broken), "--as-is", "h264"]);
    let mut watch = Watch::start(&program, &[&camera.url], &["--segment", "1h", "--latency", "5000"]);
    watch.until("running", running);
    let lost = |fields: &Value| fields["message"].as_str().is_some_and(|text| text.contains("no camera"));
    watch.line("the loss", lost);
    drop(camera);
    let (finished, _) = watch.stop("INT");
    assert_eq!(finished.code, 130, "{}", finished.stderr);
    let videos = files(&program, ".mkv");
    let sent = pictures(&broken, "h264");
    let kept = videos.iter().map(|video| pictures(video, "h264")).collect::<Vec<_>>().concat();
    assert!(kept.len() > 100 && kept[..100] == sent[..100], "{} of {}", kept.len(), sent.len());
}
