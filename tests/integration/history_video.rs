//! The history's videos: single frames, playing over the files of a recording, and exports.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::camera::{Watch, files, running};
use crate::http::{Response, Site};
use crate::program::{Program, decodes_cleanly, ffmpeg, probe, text, times};
use crate::recording::{packets, pictures, recorded};

/// Frames between two key frames of the clip.
const GROUP: usize = 25;

const H264: [&str; 10] = ["-c:v", "libx264", "-g", "25", "-keyint_min", "25", "-sc_threshold", "0", "-bf", "3"];
const H265: [&str; 6] = [
    "-c:v",
    "libx265",
    "-x265-params",
    "log-level=none:keyint=25:min-keyint=25:scenecut=0:open-gop=0:bframes=3",
    "-tag:v",
    "hvc1",
];

/// Creates a clip of 250 frames whose pictures have their number in eight bars, with frames that refer to later ones.
fn numbered(folder: &Path, encoder: &[&str]) -> PathBuf {
    let path = folder.join("clip.mp4");
    let bars = "color=gray:size=160x120:rate=25:duration=10,format=yuv420p,\
                geq=lum='if(bitand(N,pow(2,floor(X/20))),235,16)':cb=128:cr=128";
    let output = ffmpeg(&[&["-f", "lavfi", "-i", bars], encoder, &[text(&path)]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// The number in a picture.
fn number(jpeg: &[u8]) -> usize {
    let picture = turbojpeg::decompress(jpeg, turbojpeg::PixelFormat::GRAY).unwrap();
    assert_eq!((picture.width, picture.height), (160, 120));
    number_of(|column| picture.pixels[60 * picture.pitch + column])
}

fn number_of(luma: impl Fn(usize) -> u8) -> usize {
    (0..8).filter(|bit| luma(20 * bit + 10) > 125).map(|bit| 1 << bit).sum()
}

/// The numbers in the frames of a video.
fn numbers(video: &Path) -> Vec<usize> {
    crate::program::rgb(video)
        .chunks(160 * 120 * 3)
        .map(|frame| number_of(|column| frame[3 * (60 * 160 + column)]))
        .collect()
}

fn moment(ms: i64) -> String {
    livelabel_time(OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap())
}

/// RFC 3339 with milliseconds.
fn livelabel_time(time: OffsetDateTime) -> String {
    let text = time.replace_millisecond(0).unwrap().format(&Rfc3339).unwrap();
    format!("{}.{:03}Z", text.trim_end_matches('Z'), time.millisecond())
}

/// The recorded files in the index, with start and end.
pub fn segments(folder: &Path) -> Vec<(PathBuf, i64, i64)> {
    let db = Connection::open(folder.join(".livelabel/index.sqlite")).unwrap();
    let mut rows = db.prepare("SELECT file, start, end FROM segments ORDER BY start").unwrap();
    let row = |row: &rusqlite::Row| Ok((folder.join(row.get::<_, String>(0)?), row.get(1)?, row.get(2)?));
    rows.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// The moment of each frame, in milliseconds.
pub fn moments(segments: &[(PathBuf, i64, i64)]) -> Vec<i64> {
    let frames = |(file, start, _): &(PathBuf, i64, i64)| {
        let mut times: Vec<i64> = packets(file).into_iter().map(|(time, _)| start + time.round() as i64).collect();
        times.sort_unstable();
        times
    };
    segments.iter().flat_map(frames).collect()
}

fn view(program: &Program) -> (Watch, Site) {
    let mut watch = Watch::spawn(program.command(&["--log-format", "json", "view", ".", "--web", "127.0.0.1:0"]));
    let site = Site::of(&mut watch);
    (watch, site)
}

/// Plays to the end. Returns time and number of each frame.
fn played(site: Site, query: &str) -> Vec<(String, usize)> {
    let answer = site.get(&format!("/api/history/frames?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (mut rest, mut frames) = (&answer.body[..], Vec::new());
    while let Some(end) = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_string();
        let length: usize = value("Content-Length:").parse().unwrap();
        assert_eq!((value("X-Stream:"), value("Content-Type:")), ("door".into(), "image/jpeg".into()));
        assert_eq!(value("X-Labelled:"), "false");
        frames.push((value("X-Time:"), number(&rest[end + 4..][..length])));
        rest = &rest[end + 4 + length..];
    }
    assert_eq!(String::from_utf8_lossy(rest).trim(), "--picture");
    frames
}

fn saved(program: &Program, name: &str, answer: &Response) -> PathBuf {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let path = program.path(name);
    std::fs::write(&path, &answer.body).unwrap();
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    decodes_cleanly(&path);
    path
}

#[test]
fn the_files_of_a_recording_are_one_video() {
    let program = Program::new();
    let clip = numbered(program.folder.path(), &H264);
    let videos = recorded(&program, &clip, "h264", &[]);
    let segments = segments(program.folder.path());
    assert!(segments.len() >= 4 && segments.len() == videos.len(), "{segments:?}");
    let moments = moments(&segments);
    assert!(moments.len() == 250 && moments.is_sorted(), "{moments:?}");
    let (watch, site) = view(&program);

    // Any frame, at its time and until the next one; also backwards and over the end of a file.
    for wanted in [0, 1, 99, 49, 50, 51, 124, 249, 3] {
        let next = moments.get(wanted + 1).map_or(moments[wanted], |next| next - 1);
        if next < moments[wanted] {
            // Two frames share a millisecond.
            continue;
        }
        for at in [moments[wanted], next] {
            let answer = site.get(&format!("/api/history/picture.jpg?stream=door&at={}", moment(at)));
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/jpeg")), "{}", answer.text());
            assert_eq!(number(&answer.body), wanted, "at {at}, {} after the start", at - moments[0]);
            assert_eq!(answer.header("x-time"), Some(moment(moments[wanted]).as_str()));
            assert_eq!(answer.header("x-labelled"), Some("false"));
        }
    }

    // Every frame once over the ends of files, and to the end.
    let first = 250 - 110;
    let frames = played(site, &format!("stream=door&from={}&speed=0.5", moment(moments[first])));
    let expected: Vec<(String, usize)> = (first..250).map(|frame| (moment(moments[frame]), frame)).collect();
    assert_eq!(frames, expected);

    let (frames, sent) = ([(60, 190), (0, 250), (75, 76), (99, 100)], pictures(&clip, "h264"));
    exports(&program, site, ("h264", &sent), &moments, &frames);

    for (path, status) in [
        ("picture.jpg?stream=door", 400),
        ("picture.jpg?at=2026-01-02T00:00:00Z", 400),
        ("picture.jpg?stream=door&at=yesterday", 400),
        ("picture.jpg?stream=..%2f..%2fetc%2fpasswd&at=2026-01-02T00:00:00Z", 404),
        ("picture.jpg?stream=door&at=2020-01-02T00:00:00Z", 404),
        ("picture.jpg?stream=door&at=2100-01-02T00:00:00Z", 404),
        ("frames?stream=door", 400),
        ("frames?stream=door&from=2020-01-02T00:00:00Z&speed=9", 400),
        ("frames?stream=door&from=2020-01-02T00:00:00Z&speed=NaN", 400),
        ("frames?stream=window&from=2020-01-02T00:00:00Z", 404),
        ("frames?stream=door&from=2100-01-02T00:00:00Z", 404),
        ("export.mkv?stream=door", 400),
        ("export.mkv?stream=door&from=2026-01-02T00:00:00Z&to=2026-01-02T00:00:00Z", 400),
        ("export.mp4?stream=door&from=2026-01-02T00:00:00Z&to=2026-01-02T04:00:00.001Z", 400),
        ("export.mp4?from=2026-01-02T00:00:00Z&to=2026-01-02T04:00:00Z", 400),
        ("export.mp4?stream=door&from=2020-01-02T00:00:00Z&to=2020-01-02T04:00:00Z", 404),
        ("export.mkv?stream=window&from=2020-01-02T00:00:00Z&to=2020-01-02T04:00:00Z", 404),
        ("export.avi?stream=door&from=2020-01-02T00:00:00Z&to=2020-01-02T04:00:00Z", 404),
    ] {
        assert_eq!(site.get(&format!("/api/history/{path}")).status, status, "{path}");
    }
    watch.stop("INT");
}

#[test]
fn h265_is_exported_as_it_was_recorded() {
    let program = Program::new();
    let clip = numbered(program.folder.path(), &H265);
    recorded(&program, &clip, "h265", &[]);
    let moments = moments(&segments(program.folder.path()));
    let (watch, site) = view(&program);
    exports(&program, site, ("hevc", &pictures(&clip, "hevc")), &moments, &[(60, 190), (0, 250)]);
    watch.stop("INT");
}

/// Exports frames from one up to another. The packets are those that the camera sent, from a key frame on.
fn exports(
    program: &Program,
    site: Site,
    (codec, sent): (&str, &[Vec<u8>]),
    moments: &[i64],
    frames: &[(usize, usize)],
) {
    assert_eq!((sent.len(), moments.len()), (250, 250));
    let wanted = frames.iter().flat_map(|&frames| ["mkv", "mp4"].map(|suffix| (frames, suffix)));
    for ((from, to), suffix) in wanted {
        let end = moments.get(to).copied().unwrap_or(moments[249] + 1);
        let query = format!("stream=door&from={}&to={}", moment(moments[from]), moment(end));
        let answer = site.get(&format!("/api/history/export.{suffix}?{query}"));
        let export = saved(program, &format!("export.{suffix}"), &answer);
        let stamp: String = moment(moments[from])[..19].replace(['-', ':'], "");
        let named = format!("attachment; filename=\"door-{stamp}Z.{suffix}\"");
        assert_eq!(answer.header("content-disposition"), Some(named.as_str()));
        let first = from / GROUP * GROUP;
        let kept = pictures(&export, codec);
        assert!(kept[..] == sent[first..first + kept.len()], "{suffix} of {from} to {to}: packets differ");
        // Those that are shown, and at most three that they refer to.
        let numbers = numbers(&export);
        assert!(kept.len() == numbers.len() && numbers[..to - first] == (first..to).collect::<Vec<_>>(), "{numbers:?}");
        assert!(numbers.len() <= to - first + 3, "{numbers:?}");
        for (time, number) in times(&export).into_iter().zip(numbers) {
            let expected = (moments[number] - moments[first]) as f64;
            assert!((time - expected).abs() < 1.0, "frame {number} is at {time} instead of {expected}");
        }
    }
}

#[test]
fn what_is_not_recorded_is_skipped() {
    let program = Program::new();
    let clip = numbered(program.folder.path(), &H264);
    recorded(&program, &clip, "h264", &[]);
    let all = segments(program.folder.path());
    let before = moments(&all[..1]);
    let after = 250 - moments(&all[2..]).len();
    // A link is no recording, wherever it leads.
    let (gone, end) = (&all[1].0, all[1].2);
    std::fs::rename(gone, program.path("elsewhere.bin")).unwrap();
    std::os::unix::fs::symlink("elsewhere.bin", gone).unwrap();
    let (watch, site) = view(&program);
    let at = moment(end - 200);
    assert_eq!(site.get(&format!("/api/history/picture.jpg?stream=door&at={at}")).status, 404);
    let frames = played(site, &format!("stream=door&from={}&speed=1", moment(before[before.len() - 10])));
    let numbers_played: Vec<usize> = frames.into_iter().map(|(_, number)| number).collect();
    // The first one may be that of the same millisecond.
    assert_eq!(numbers_played[1..], (before.len() - 9..before.len()).chain(after..250).collect::<Vec<_>>());
    let query = format!("stream=door&from={}&to={}", moment(before[0]), moment(all[2].2));
    for suffix in ["mkv", "mp4"] {
        let answer = site.get(&format!("/api/history/export.{suffix}?{query}"));
        let export = saved(&program, &format!("export.{suffix}"), &answer);
        let count = after + moments(&all[2..3]).len();
        assert_eq!(numbers(&export), (0..before.len()).chain(after..count).collect::<Vec<_>>());
        let times = times(&export);
        assert!(times.windows(2).all(|pair| pair[0] < pair[1] && pair[1] < pair[0] + 1000.0), "{times:?}");
    }
    watch.stop("INT");
}

#[test]
fn a_video_that_changes_is_played_but_not_joined() {
    let program = Program::new();
    for (size, video) in [("160x120", "original"), ("176x144", "original"), ("160x120", "labelled")] {
        let input = format!("test://?size={size}&rate=25");
        let given = ["--segment", "1h", "--segment-video", video, "--name", "door", "--web", "127.0.0.1:0"];
        let mut watch = Watch::start(&program, &[&input], &given);
        watch.until("running", running);
        std::thread::sleep(Duration::from_secs(2));
        watch.stop("INT");
    }
    let all = segments(program.folder.path());
    assert_eq!(all.len(), 3, "{all:?}");
    let (watch, site) = view(&program);
    let export = |from: i64, to: i64, suffix: &str| {
        site.get(&format!("/api/history/export.{suffix}?stream=door&from={}&to={}", moment(from), moment(to)))
    };
    let refused = export(all[0].1, all[2].2, "mkv");
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains(&format!("export up to {}, and from there on", moment(all[1].1))), "{refused:?}");
    let labelled = saved(&program, "labelled.mkv", &export(all[2].1, all[2].2, "mkv"));
    let (made, source) = (probe(&labelled), probe(&all[2].0));
    assert_eq!((made.codec.as_str(), made.frames), ("mjpeg", source.frames));
    let refused = export(all[2].1, all[2].2, "mp4");
    assert_eq!(
        (refused.status, refused.text().as_str()),
        (409, "an MP4 file cannot hold this video; export it as .mkv\n")
    );

    for (number, labelled) in ["false", "false", "true"].into_iter().enumerate() {
        let answer = site.get(&format!("/api/history/picture.jpg?stream=door&at={}", moment(all[number].1)));
        assert_eq!(answer.header("x-labelled"), Some(labelled));
    }

    // Each viewer has decoders, which end with the connection.
    let threads = || std::fs::read_dir(format!("/proc/{}/task", watch.id())).unwrap().count();
    let before = threads();
    let path = format!("/api/history/frames?stream=door&from={}&speed=0.1", moment(all[0].1));
    let players: Vec<_> = (0..8).map(|_| site.open(&path)).collect();
    assert!(threads() > before + 8);
    assert_eq!(site.get(&path).status, 503);
    drop(players);
    let began = Instant::now();
    // Threads of the server's pool stay for a while.
    while site.get(&format!("/api/history/frames?stream=door&from={}&speed=8", moment(all[2].1))).status != 200 {
        assert!(began.elapsed() < Duration::from_secs(60), "{} threads of {before}", threads());
        std::thread::sleep(Duration::from_millis(100));
    }
    watch.stop("INT");
}

#[test]
fn a_run_serves_what_it_recorded_before() {
    let program = Program::new();
    let given = ["--segment", "1s", "--name", "door", "--web", "127.0.0.1:0"];
    let mut watch = Watch::start(&program, &["test://?size=160x120&rate=25"], &given);
    let site = Site::of(&mut watch);
    watch.until("running", running);
    let history = site.until(
        "a recording",
        |site| site.json("/api/history"),
        |history| history["streams"][0]["recorded"] == true,
    );
    let (first, now) = (history["streams"][0]["first"].as_str().unwrap(), history["now"].as_str().unwrap());
    let ribbon = site.json(&format!("/api/history/ribbon?stream=door&from={first}&to={now}&width=100"));
    let start = OffsetDateTime::parse(first, &Rfc3339).unwrap()
        + Duration::from_millis(ribbon["recorded"][0][0].as_u64().unwrap());
    let answer = site.get(&format!("/api/history/picture.jpg?stream=door&at={}", livelabel_time(start)));
    assert_eq!((answer.status, answer.header("x-time")), (200, Some(livelabel_time(start).as_str())));
    let end = livelabel_time(start + Duration::from_millis(500));
    let answer = site.get(&format!("/api/history/export.mp4?stream=door&from={first}&to={end}"));
    assert_eq!(probe(&saved(&program, "export.mp4", &answer)).codec, "h264");
    watch.stop("INT");
    // Nothing of an export is left.
    assert!(files(&program, ".mp4").len() == 1);
}
