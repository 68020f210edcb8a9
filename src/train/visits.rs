//! Joins the recordings that one camera made one after the other: people, clothes and light are the same in them, so a
//! split must not separate them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use time::OffsetDateTime;

use crate::media::clip_decoder::ClipDecoder;
use crate::media::limits::Limits;
use crate::system::utc;
use crate::train::dataset::Item;

/// Recordings that begin within this time, in seconds, after the end of the one before belong to the same visit.
const PAUSE: f64 = 3600.0;

/// One recording of a camera.
#[derive(Debug)]
struct Recording<'a> {
    began: OffsetDateTime,
    /// The last time in the recording that is known without opening it, in seconds.
    known: f64,
    /// The clip, if an item is the clip itself.
    clip: Option<&'a Path>,
}

/// Gives the items of each visit of a camera one group, the name of its first recording. A camera's files are named
/// `NAME-20260102T030405Z.mkv`, as `livelabel run` names segments; pictures extracted from them count too. Returns the
/// number of visits with several recordings.
pub fn join(items: &mut [&mut Item]) -> usize {
    let mut cameras: BTreeMap<String, BTreeMap<String, Recording>> = BTreeMap::new();
    for item in items.iter() {
        let Some(Name { camera, began, recording, offset }) = Name::of(item) else { continue };
        let of_camera = cameras.entry(camera).or_default();
        let found = of_camera.entry(recording).or_insert(Recording { began, known: 0.0, clip: None });
        found.known = found.known.max(offset);
        if item.clip {
            found.clip = Some(&item.path);
        }
    }
    let (mut visits, mut several) = (HashMap::new(), 0);
    for recordings in cameras.into_values() {
        let mut sorted: Vec<(String, Recording)> = recordings.into_iter().collect();
        sorted.sort_by_key(|(_, recording)| recording.began);
        let mut first: Option<(String, usize)> = None;
        let mut before: Option<Recording> = None;
        for (name, recording) in sorted {
            let follows = before.as_ref().is_some_and(|before| before.is_followed_by(&recording));
            match &mut first {
                Some((_, count)) if follows => *count += 1,
                _ => first = Some((name.clone(), 1)),
            }
            if let Some((first, count)) = &first {
                several += usize::from(*count == 2);
                visits.insert(name, first.clone());
            }
            before = Some(recording);
        }
    }
    for item in items {
        if let Some(Name { recording, .. }) = Name::of(item)
            && let Some(visit) = visits.get(&recording)
        {
            item.group.clone_from(visit);
        }
    }
    several
}

impl Recording<'_> {
    fn is_followed_by(&self, next: &Self) -> bool {
        let apart = (next.began - self.began).as_seconds_f64();
        // A clip is opened only if its length decides.
        apart <= self.known + PAUSE || apart <= self.length() + PAUSE
    }

    /// Returns the clip's length in seconds; 0 if it is unknown.
    fn length(&self) -> f64 {
        let format = self.clip.and_then(|path| ClipDecoder::open(path, Limits::default(), &|| false).ok());
        format.and_then(|decoder| decoder.format().duration).map_or(0.0, |duration| duration as f64 / 1e9)
    }
}

/// What a file's name says.
struct Name {
    camera: String,
    began: OffsetDateTime,
    /// The recording's file name.
    recording: String,
    /// Time of a picture in it, in seconds.
    offset: f64,
}

impl Name {
    /// Parses `NAME-20260102T030405Z.mkv`, and with `_MILLISECONDS.jpg` a picture from it. A number may follow the time.
    fn of(item: &Item) -> Option<Self> {
        let file = item.path.file_name()?.to_str()?;
        let (recording, offset) = if item.clip {
            (file, 0.0)
        } else {
            let (recording, number) = file.rsplit_once('.')?.0.rsplit_once('_')?;
            (recording, number.parse::<u64>().ok()? as f64 / 1000.0)
        };
        let stem = recording.rsplit_once('.').map_or(recording, |(stem, _)| stem);
        let numbered = stem.rsplit_once('-').filter(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
        let (camera, stamp) = numbered.map_or(stem, |(stem, _)| stem).rsplit_once('-')?;
        let began = moment(stamp)?;
        Some(Self { camera: camera.into(), began, recording: recording.into(), offset })
    }
}

/// Parses a time like `20260102T030405Z`.
fn moment(stamp: &str) -> Option<OffsetDateTime> {
    let (date, time) = stamp.strip_suffix('Z')?.split_once('T')?;
    if date.len() != 8 || time.len() != 6 || !(date.to_string() + time).bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let [year, month, day] = [&date[..4], &date[4..6], &date[6..]];
    utc::parse(&format!("{year}-{month}-{day}T{}:{}:{}Z", &time[..2], &time[2..4], &time[4..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(names: &[&str]) -> (Vec<String>, usize) {
        let item = |name: &&str| Item {
            path: format!("/data/{name}").into(),
            clip: !name.ends_with(".jpg"),
            group: "own".into(),
            ..Item::default()
        };
        let mut items: Vec<Item> = names.iter().map(item).collect();
        let several = join(&mut items.iter_mut().collect::<Vec<_>>());
        (items.into_iter().map(|item| item.group).collect(), several)
    }

    #[test]
    fn segments_that_follow_each_other_are_one_visit() {
        let (found, several) = groups(&[
            "drinking/door-20260102T233000Z.mkv",
            "other/door-20260103T002000Z.mkv",
            "other/door-20260102T234000Z-2.mkv",
            "other/door-20260103T090000Z.mkv",
            "other/hall-20260102T234000Z.mkv",
            "other/front-door-20260102T234000Z.avi",
        ]);
        let night = "door-20260102T233000Z.mkv";
        let others = ["door-20260103T090000Z.mkv", "hall-20260102T234000Z.mkv", "front-door-20260102T234000Z.avi"];
        assert_eq!(found, [&[night; 3][..], &others].concat());
        assert_eq!(several, 1);
    }

    #[test]
    fn pictures_from_recordings_belong_to_their_visit() {
        let (found, several) = groups(&[
            "a/door-20260102T080000Z.mkv_000001000.jpg",
            // Two hours of the recording are known from this picture, so the next one follows it.
            "a/door-20260102T080000Z.mkv_007200000.jpg",
            "b/door-20260102T105900Z.mkv_000001000.jpg",
            "b/door-20260102T120000Z.mkv_000001000.jpg",
        ]);
        let (first, last) = ("door-20260102T080000Z.mkv", "door-20260102T120000Z.mkv");
        assert_eq!((found, several), ([first, first, first, last].map(String::from).to_vec(), 1));
    }

    #[test]
    fn other_files_keep_their_groups() {
        let names = ["a/clip.mp4", "a/door-20261302T080000Z.mkv", "a/x-1.mp4", "a/20260102T080000Z.mkv", "a/p_1.jpg"];
        assert_eq!(groups(&names), (vec!["own".to_string(); 5], 0));
    }
}
