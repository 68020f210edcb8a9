//! The kept pictures of a camera's intervals: of the first frame, the one with the highest confidence, and the last. They are written
//! when an interval ends, to a file beside the journal. A failure costs pictures and nothing else.

use std::path::Path;
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::labels::REST;
use crate::labels::intervals::Interval;
use crate::picture::file::thumbnail;
use crate::picture::{OwnedPicture, shrunk};
use crate::pipeline::disk_space::DiskSpace;
use crate::pipeline::sinks::open_files::{OpenFile, OpenFiles};
use crate::pipeline::sinks::sink::LabeledFrame;
use crate::report::journal::{PictureKind, PictureRecord};
use crate::report::milliseconds;
use crate::report::picture_file::{self, LONGEST, MAX_PICTURES, PictureFile};
use crate::system::clock::SharedClock;

/// Keeps the pictures of one camera.
pub struct IntervalPictures {
    stream: String,
    clock: SharedClock,
    open_files: OpenFiles,
    /// The interval that goes on.
    current: Option<Kept>,
    /// The file beside the current journal, once it has a picture.
    file: Option<(PictureFile, OpenFile)>,
    /// Whether a failure was logged that is not over.
    failed: bool,
    /// Whether it was logged that the file is full.
    full: bool,
}

impl IntervalPictures {
    /// Creates no file yet.
    pub fn new(stream: &str, open_files: &OpenFiles, clock: &SharedClock) -> Self {
        let (stream, open_files, clock) = (stream.into(), open_files.clone(), SharedClock::clone(clock));
        Self { stream, clock, open_files, current: None, file: None, failed: false, full: false }
    }

    /// Takes a frame into account.
    pub fn frame(&mut self, labeled: &LabeledFrame) {
        let Some(open) = labeled.open.as_ref().filter(|_| labeled.label != Some(REST)) else {
            self.current = None;
            return;
        };
        let shrunk = shrunk(&labeled.frame.picture(), (LONGEST, LONGEST));
        match shrunk.map_err(|cause| Error::internal("a picture cannot be scaled").because(cause)) {
            Ok(picture) => {
                let still = Still { pts: labeled.frame.pts, picture: Rc::new(picture) };
                let confidence = labeled.decision.confidence;
                match self.current.as_mut().filter(|kept| kept.is_of(open)) {
                    Some(kept) => kept.add(still, confidence),
                    None => self.current = Some(Kept::new(open, still, confidence)),
                }
            }
            Err(error) => {
                self.current = None;
                self.complain(&error);
            }
        }
    }

    /// Writes the pictures of an interval that has ended to the file beside `journal`. Returns where they are.
    pub fn close(&mut self, interval: &Interval, journal: &Path) -> Vec<PictureRecord> {
        let Some(kept) = self.current.take().filter(|kept| kept.is_of(interval)) else { return Vec::new() };
        match self.write(&kept.stills(), journal) {
            Ok(records) => {
                self.failed = false;
                records
            }
            Err(error) => {
                self.complain(&error);
                Vec::new()
            }
        }
    }

    /// Returns the file beside the current journal, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(file, _)| file.path())
    }

    /// The journal goes on in another file, and so do the pictures.
    pub fn rotate(&mut self) {
        (self.file, self.full) = (None, false);
    }

    fn write(&mut self, stills: &[(PictureKind, &Still)], journal: &Path) -> Result<Vec<PictureRecord>> {
        if let Some((file, _)) = self.file.as_ref().filter(|(file, _)| !file.has_space(stills.len())) {
            if !std::mem::replace(&mut self.full, true) {
                tracing::warn!(
                    "{}: has {MAX_PICTURES} pictures; further intervals of {} have none until the next journal",
                    file.path().display(),
                    self.stream
                );
            }
            return Ok(Vec::new());
        }
        let jpegs: Vec<Vec<u8>> = stills
            .iter()
            .map(|(_, still)| thumbnail(&still.picture.view(), (LONGEST, LONGEST)))
            .collect::<Result<_>>()?;
        // The last of the space is for the journal.
        DiskSpace::new(journal.parent().unwrap_or(Path::new("")), 0, &self.clock).check(0, 0)?;
        let mut offset = self.file(journal)?.append(&jpegs)?;
        let records = stills.iter().zip(&jpegs).map(|((kind, still), jpeg)| {
            let bytes = jpeg.len() as u64;
            let record = PictureRecord { kind: *kind, ms: milliseconds(still.pts), offset, bytes };
            offset += bytes;
            record
        });
        Ok(records.collect())
    }

    fn file(&mut self, journal: &Path) -> Result<&mut PictureFile> {
        let (file, _) = match &mut self.file {
            Some(file) => file,
            none => {
                let name = journal.file_name().unwrap_or_default().to_string_lossy();
                let path = journal.with_file_name(picture_file::beside(&name));
                // Retention must not delete it from its first byte on.
                let open = self.open_files.add(path.clone());
                none.insert((PictureFile::create(&path)?, open))
            }
        };
        Ok(file)
    }

    /// Logs a failure once, until pictures can be written again.
    fn complain(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.failed, true) {
            tracing::warn!("{error}; the analysis of {} continues, but its intervals have no pictures", self.stream);
        }
    }
}

/// A small picture of a frame.
#[derive(Clone)]
struct Still {
    /// In nanoseconds of the stream.
    pts: u64,
    picture: Rc<OwnedPicture>,
}

/// The pictures of an interval up to now: at most three are held.
struct Kept {
    label: usize,
    /// Pts of the first frame, in nanoseconds.
    start: u64,
    first: Still,
    peak: Still,
    last: Still,
    confidence: f64,
}

impl Kept {
    fn new(interval: &Interval, still: Still, confidence: f64) -> Self {
        let (first, peak) = (still.clone(), still.clone());
        Self { label: interval.label, start: interval.start, first, peak, last: still, confidence }
    }

    fn is_of(&self, interval: &Interval) -> bool {
        (self.label, self.start) == (interval.label, interval.start)
    }

    fn add(&mut self, still: Still, confidence: f64) {
        if confidence > self.confidence {
            (self.peak, self.confidence) = (still.clone(), confidence);
        }
        self.last = still;
    }

    /// Returns the pictures of different frames, in the order of time.
    fn stills(&self) -> Vec<(PictureKind, &Still)> {
        let all = [&self.first, &self.peak, &self.last];
        let mut stills: Vec<(PictureKind, &Still)> = PictureKind::ALL.into_iter().zip(all).collect();
        stills.dedup_by_key(|(_, still)| still.pts);
        stills
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Colorimetry;
    use crate::system::clock::SystemClock;

    fn still(pts: u64) -> Still {
        Still { pts, picture: Rc::new(OwnedPicture::new(64, 48, Colorimetry::JPEG)) }
    }

    fn interval(start: u64, end: u64) -> Interval {
        Interval { label: 1, start, end, mean: 0.5, peak: 0.9, onset: start, offset: end }
    }

    /// The pictures of an interval whose frames, from 10 ms on, have these confidences.
    fn kept(confidences: &[f64]) -> Vec<(PictureKind, u64)> {
        let mut stills = (1..).map(|number| still(10_000_000 * number)).zip(confidences);
        let (first, confidence) = stills.next().unwrap();
        let mut kept = Kept::new(&interval(first.pts, 0), first, *confidence);
        stills.for_each(|(still, confidence)| kept.add(still, *confidence));
        kept.stills().into_iter().map(|(kind, still)| (kind, still.pts / 1_000_000)).collect()
    }

    #[test]
    fn the_first_frame_the_first_with_the_highest_confidence_and_the_last_are_kept() {
        use PictureKind::{End, Peak, Start};
        assert_eq!(kept(&[0.5, 0.7, 0.9, 0.8, 0.9, 0.6]), [(Start, 10), (Peak, 30), (End, 60)]);
        // Fewer where they are the same frames.
        assert_eq!(kept(&[0.9, 0.5, 0.6]), [(Start, 10), (End, 30)]);
        assert_eq!(kept(&[0.5, 0.6, 0.9]), [(Start, 10), (Peak, 30)]);
        assert_eq!(kept(&[0.5, 0.5]), [(Start, 10), (End, 20)]);
        assert_eq!(kept(&[0.5]), [(Start, 10)]);
    }

    /// Pictures of the interval that starts at `start`, in nanoseconds.
    fn open(pictures: &mut IntervalPictures, start: u64) {
        let mut kept = Kept::new(&interval(start, 0), still(start), 0.5);
        kept.add(still(start + 1_000_000), 0.9);
        kept.add(still(start + 2_000_000), 0.8);
        pictures.current = Some(kept);
    }

    #[test]
    fn pictures_lie_one_after_the_other_and_begin_anew_with_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let files = OpenFiles::default();
        let mut pictures = IntervalPictures::new("door", &files, &SystemClock::shared());
        let journal = |number: u32| folder.path().join(format!("door-2026010{number}T000000Z.timeline.jsonl"));
        let path = |number: u32| folder.path().join(format!("door-2026010{number}T000000Z.pictures.mjpg"));
        open(&mut pictures, 0);
        let first = pictures.close(&interval(0, 3_000_000), &journal(1));
        assert_eq!(files.paths(), [path(1)]);
        let times: Vec<(PictureKind, f64)> = first.iter().map(|record| (record.kind, record.ms)).collect();
        assert_eq!(times, [(PictureKind::Start, 0.0), (PictureKind::Peak, 1.0), (PictureKind::End, 2.0)]);
        open(&mut pictures, 5);
        let second = pictures.close(&interval(5, 3_000_005), &journal(1));
        let mut end = 0;
        for record in first.iter().chain(&second) {
            assert_eq!(record.offset, end);
            assert!(picture_file::read(&path(1), record.offset, record.bytes).is_some());
            end += record.bytes;
        }
        assert_eq!(path(1).metadata().unwrap().len(), end);
        // What is kept of another interval is not written.
        open(&mut pictures, 10);
        assert!(pictures.close(&interval(7, 3_000_000), &journal(1)).is_empty());
        assert!(pictures.close(&interval(10, 3_000_000), &journal(1)).is_empty());
        pictures.rotate();
        assert!(files.paths().is_empty());
        open(&mut pictures, 20);
        assert_eq!(pictures.close(&interval(20, 3_000_020), &journal(2))[0].offset, 0);
        assert_eq!((path(1).metadata().unwrap().len(), files.paths()), (end, vec![path(2)]));
    }

    #[test]
    fn beyond_the_bound_intervals_have_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut pictures = IntervalPictures::new("door", &OpenFiles::default(), &SystemClock::shared());
        let journal = folder.path().join("door-20260101T000000Z.timeline.jsonl");
        let mut close = |start| {
            open(&mut pictures, start);
            pictures.close(&interval(start, start + 3_000_000), &journal).len()
        };
        let written: Vec<usize> = (0..MAX_PICTURES as u64 / 3 + 2).map(&mut close).collect();
        assert_eq!(written.iter().sum::<usize>(), MAX_PICTURES);
        assert_eq!(written[written.len() - 3..], [3, 0, 0]);
        pictures.rotate();
        open(&mut pictures, 0);
        assert_eq!(pictures.close(&interval(0, 3_000_000), &journal).len(), 3);
    }

    #[test]
    fn a_folder_that_is_gone_costs_pictures_only() {
        let folder = tempfile::tempdir().unwrap();
        let files = OpenFiles::default();
        let mut pictures = IntervalPictures::new("door", &files, &SystemClock::shared());
        let journal = folder.path().join("gone/door-20260101T000000Z.timeline.jsonl");
        let mut close = |start| {
            open(&mut pictures, start);
            pictures.close(&interval(start, start + 3_000_000), &journal).len()
        };
        assert_eq!(close(0), 0);
        assert!(files.paths().is_empty());
        std::fs::create_dir(folder.path().join("gone")).unwrap();
        assert_eq!(close(10), 3);
    }
}
