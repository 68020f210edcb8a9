//! Options of a camera: its address, its name, and what is recorded.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::credentials::CredentialSource;
use crate::config::options::{Keep, SegmentVideo, StreamOptions};
use crate::error::{Error, Result};
use crate::media::camera::Camera;
use crate::media::recorder::Container;
use crate::net::credentials::Credentials;

const DEFAULT_LATENCY: u64 = 150;
/// Maximum `--latency`, in milliseconds. With more, a stream is no longer live.
const MAX_LATENCY: u64 = 10_000;
/// Maximum length of a stem, in bytes. File systems allow 255, and a number, a time and an extension follow.
const MAX_STEM: usize = 120;

/// A camera and its recording.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraConfig {
    pub camera: Camera,
    pub recording: RecordingConfig,
    /// Whether it stays disconnected until it is resumed.
    pub paused: bool,
}

/// What is recorded of a camera. The journal is always written.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingConfig {
    pub folder: PathBuf,
    /// Stem of the files.
    pub stem: String,
    /// Container of a labelled video.
    pub container: Container,
    /// What the segments show.
    pub video: SegmentVideo,
    /// Container of the camera's own video, which only segments have.
    pub original: Option<Container>,
    /// Whether the camera's own video has its sound.
    pub sound: bool,
    /// File of the one video of the whole run.
    pub file: Option<PathBuf>,
    /// Length of each segment.
    pub segment: Option<Duration>,
    pub keep: Option<Keep>,
    /// What is kept of segments with a label.
    pub keep_intervals: Option<Keep>,
    /// Record only while a label is shown, and a few seconds before and after.
    pub only_active: bool,
    /// Keep pictures of intervals, as no video is recorded.
    pub pictures: bool,
}

impl CameraConfig {
    /// Resolves the options of one camera.
    ///
    /// # Errors
    /// Returns a usage error if options contradict each other, or credentials cannot be read.
    pub fn resolve(options: &StreamOptions, input: &str) -> Result<Self> {
        let reports = [("timeline", &options.timeline), ("plot", &options.plot), ("subtitles", &options.subtitles)];
        if let Some((name, _)) = reports.into_iter().find(|(_, path)| path.is_some()) {
            return Err(Error::usage(format!("--{name} is for clips, and a camera never ends")).remedy(
                "leave it out: the camera's journal is written anyway; record clips for later with --segment",
            ));
        }
        if options.only.is_some() {
            return Err(Error::usage("--only is for clips, not for cameras")
                .remedy("leave it out: a camera's video is written with --output or --segment only"));
        }
        if options.output.is_some() && options.segment.is_some() {
            return Err(Error::usage("--output writes one file and --segment writes many")
                .remedy("use one of them; set the folder of segments with --output-dir"));
        }
        if options.segment_video.is_some() && options.segment.is_none() {
            return Err(Error::usage("--segment-video needs segments").remedy("add --segment 10m"));
        }
        if options.only_active == Some(true) {
            if options.output.is_none() && options.segment.is_none() {
                return Err(
                    Error::usage("--only-active needs a recording").remedy("add --segment 10m, or --output FILE.mkv")
                );
            }
            if options.action.is_none() && options.threshold.is_none_or(|threshold| threshold <= 0.0) {
                return Err(Error::usage(
                    "--only-active would always record: without --action or --threshold a label is always shown",
                )
                .remedy("name a label with --action, or set --threshold"));
            }
        }
        let latency = options.latency.unwrap_or(DEFAULT_LATENCY);
        if latency > MAX_LATENCY {
            return Err(Error::usage(format!("latency {latency} is out of range"))
                .remedy(format!("use at most {MAX_LATENCY} milliseconds")));
        }
        let camera = Camera::parse(
            input,
            credentials(options)?,
            options.transport.unwrap_or_default(),
            Duration::from_millis(latency),
        )?;
        let video = match options.segment {
            Some(_) => options.segment_video.unwrap_or_default(),
            None => SegmentVideo::Labelled,
        };
        check_keep_intervals(options, video)?;
        check_sound(options, video)?;
        let (container, original) = containers(options, video)?;
        let recording = RecordingConfig {
            folder: options.output_dir.clone().unwrap_or_default(),
            stem: options.name.as_deref().map_or_else(|| camera.stem(), stem),
            container,
            video,
            original,
            sound: options.segment_audio == Some(true),
            file: options.output.clone(),
            segment: options.segment,
            keep: options.keep,
            keep_intervals: options.keep_intervals,
            only_active: options.only_active.unwrap_or(false),
            pictures: options.interval_pictures.unwrap_or(true)
                && options.output.is_none()
                && options.segment.is_none(),
        };
        if options.name.as_ref().is_some_and(|name| name.trim().is_empty()) {
            return Err(Error::usage("a stream's name is empty").remedy("set a name, like --name door"));
        }
        Ok(Self { camera, recording, paused: options.paused.unwrap_or(false) })
    }
}

/// Checks that there is a video to which the sound belongs.
fn check_sound(options: &StreamOptions, video: SegmentVideo) -> Result<()> {
    if options.segment_audio != Some(true) {
        return Ok(());
    }
    if options.segment.is_none() {
        return Err(Error::usage("--segment-audio needs segments").remedy("add --segment 10m"));
    }
    if video == SegmentVideo::Labelled {
        return Err(Error::usage("--segment-audio is for a camera's own video, and labelled pictures have no sound")
            .remedy("leave out --segment-video labelled, or use --segment-video both"));
    }
    Ok(())
}

/// Checks the limit for segments with a label.
fn check_keep_intervals(options: &StreamOptions, video: SegmentVideo) -> Result<()> {
    let Some(intervals) = options.keep_intervals else { return Ok(()) };
    let Some(keep) = options.keep else {
        return Err(
            Error::usage("--keep-intervals needs --keep: without it, everything is kept").remedy("add --keep 7d")
        );
    };
    if video == SegmentVideo::Labelled {
        return Err(Error::usage("--keep-intervals needs the labels beside the segments")
            .remedy("record the camera's own video: --segment 10m, without --segment-video labelled"));
    }
    match (keep, intervals) {
        (Keep::Age(keep), Keep::Age(intervals)) if intervals < keep => {
            Err(Error::usage("--keep-intervals is shorter than --keep").remedy("set a longer one, like 90d"))
        }
        _ => Ok(()),
    }
}

/// Returns the containers of the labelled video and of the camera's own.
fn containers(options: &StreamOptions, video: SegmentVideo) -> Result<(Container, Option<Container>)> {
    if let Some(path) = &options.output {
        let container = Container::of(path).ok_or_else(|| {
            Error::usage(format!("output {}: unknown format", path.display())).remedy("end its name in .avi or .mkv")
        })?;
        return Ok((container, None));
    }
    // A Matroska file remains playable if the process is killed while writing it.
    let format = options.format.unwrap_or(Container::Matroska);
    match (video, format) {
        (SegmentVideo::Original, Container::Avi) => Err(Error::usage("--format avi cannot hold a camera's own video")
            .remedy("use mkv or mp4, or record labelled pictures with --segment-video labelled")),
        (SegmentVideo::Labelled, Container::Mp4) => {
            Err(Error::usage("--format mp4 is for a camera's own video").remedy("use mkv or avi"))
        }
        (SegmentVideo::Labelled, _) => Ok((format, None)),
        (SegmentVideo::Original, _) => Ok((Container::Matroska, Some(format))),
        (SegmentVideo::Both, Container::Avi) => Ok((Container::Avi, Some(Container::Matroska))),
        (SegmentVideo::Both, _) => Ok((Container::Matroska, Some(format))),
    }
}

/// Turns a stream's name into the stem of its files: replaces slashes and control characters, and limits the length.
pub fn stem(name: &str) -> String {
    let safe: String = name.chars().map(|c| if c == '/' || c.is_control() { '-' } else { c }).collect();
    let safe = safe.trim_start_matches('.');
    let ends = safe.char_indices().map(|(start, c)| start + c.len_utf8());
    let safe = &safe[..ends.take_while(|&end| end <= MAX_STEM).last().unwrap_or(0)];
    if safe.is_empty() { "stream".into() } else { safe.into() }
}

/// Reads the camera's credentials.
fn credentials(options: &StreamOptions) -> Result<Option<Credentials>> {
    let source = CredentialSource {
        prefix: "",
        user_env: options.user_env.as_deref(),
        password_env: options.password_env.as_deref(),
        password_file: options.password_file.as_ref(),
    };
    match source.read()? {
        (None, None) => Ok(None),
        (Some(user), password) => Ok(Some(Credentials { user, password: password.unwrap_or_default() })),
        (None, Some(_)) => {
            Err(Error::usage("a password is set, but no user").remedy("name the user's variable with --user-env"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_kept_longer_and_need_segments_with_labels_beside_them() {
        let check = |keep: Option<&str>, intervals: &str, video| {
            let keep = keep.map(|text| text.parse().unwrap());
            let options =
                StreamOptions { keep, keep_intervals: Some(intervals.parse().unwrap()), ..Default::default() };
            check_keep_intervals(&options, video).map_err(|error| error.to_string())
        };
        assert_eq!(check(Some("7d"), "90d", SegmentVideo::Original), Ok(()));
        assert_eq!(check(Some("50G"), "7d", SegmentVideo::Both), Ok(()));
        assert!(check(None, "90d", SegmentVideo::Original).unwrap_err().contains("add --keep 7d"));
        assert!(check(Some("7d"), "1d", SegmentVideo::Original).unwrap_err().contains("shorter"));
        assert!(check(Some("7d"), "90d", SegmentVideo::Labelled).unwrap_err().contains("--segment-video labelled"));
    }

    #[test]
    fn sound_needs_segments_of_a_cameras_own_video() {
        let check = |segment: Option<u64>, audio, video| {
            let segment = segment.map(Duration::from_secs);
            let options = StreamOptions { segment, segment_audio: audio, ..Default::default() };
            check_sound(&options, video).map_err(|error| error.to_string())
        };
        assert_eq!(check(Some(60), Some(true), SegmentVideo::Original), Ok(()));
        assert_eq!(check(Some(60), Some(true), SegmentVideo::Both), Ok(()));
        assert_eq!(check(None, Some(false), SegmentVideo::Labelled), Ok(()));
        assert!(check(None, Some(true), SegmentVideo::Labelled).unwrap_err().contains("add --segment 10m"));
        assert!(check(Some(60), Some(true), SegmentVideo::Labelled).unwrap_err().contains("--segment-video both"));
    }

    #[test]
    fn containers_fit_what_they_hold() {
        let of = |video, format| {
            let options = StreamOptions { format, ..Default::default() };
            containers(&options, video).map_err(|error| error.to_string())
        };
        let (avi, mkv, mp4) = (Container::Avi, Container::Matroska, Container::Mp4);
        use SegmentVideo::{Both, Labelled, Original};
        assert_eq!(of(Original, None), Ok((mkv, Some(mkv))));
        assert_eq!(of(Original, Some(mp4)), Ok((mkv, Some(mp4))));
        assert_eq!(of(Labelled, Some(avi)), Ok((avi, None)));
        assert_eq!(of(Both, Some(avi)), Ok((avi, Some(mkv))));
        assert_eq!(of(Both, Some(mp4)), Ok((mkv, Some(mp4))));
        assert!(of(Original, Some(avi)).unwrap_err().contains("--segment-video labelled"));
        assert!(of(Labelled, Some(mp4)).unwrap_err().contains("use mkv or avi"));
    }

    #[test]
    fn a_stem_is_safe_in_a_file_name() {
        for (name, expected) in [
            ("door", "door"),
            ("Küche / \"Herd\" 🍳", "Küche - \"Herd\" 🍳"),
            ("../../etc/passwd", "-..-etc-passwd"),
            ("a\nb\u{1b}[0m", "a-b-[0m"),
            ("...", "stream"),
        ] {
            assert_eq!(stem(name), expected);
        }
        let long = stem(&"🍳".repeat(100));
        assert!(long.len() <= MAX_STEM && long.chars().all(|c| c == '🍳'), "{long}");
    }
}
