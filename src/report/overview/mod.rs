//! The overview: one self-contained page about all clips of a run. A row is written to a temporary file when its clip ends,
//! so that neither rows nor pictures are held in memory; the page is put together at the end.

mod clip;
mod link;
mod ribbon;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use time::macros::format_description;

use crate::error::{Error, Result};
use crate::labels::REST;
use crate::report::{LockedFile, lock_output, remove_empty, replace};
use crate::system::folders;
use crate::system::printable;
use crate::system::utc;
use crate::system::words::{clock, count};

pub use clip::{Clip, End, Files, Thumbnail};

/// The beginning of every overview.
pub const MARK: &str = "<!doctype html><!-- livelabel overview -->";
const STYLE: &str = include_str!("overview.css");
const SCRIPT: &str = include_str!("overview.js");

/// Largest width and height of a thumbnail, in pixels.
pub const THUMBNAIL: (usize, usize) = (160, 120);
/// Thumbnails of a clip, and of all clips together as long as each clip has one.
const MAX_THUMBNAILS: usize = 6;
const MAX_ALL_THUMBNAILS: usize = 4000;
/// Bytes of all rows beyond which rows have no thumbnails.
const MAX_BYTES: u64 = 48 << 20;

/// The overview of a run.
pub struct Overview {
    path: PathBuf,
    /// Absolute; links are relative to it.
    folder: PathBuf,
    model: String,
    labels: Vec<String>,
    thumbnails: usize,
    state: Mutex<State>,
    /// Lock that keeps other runs from writing the file.
    lock: LockedFile,
}

struct State {
    rows: File,
    length: u64,
    /// For each clip, start and length of its row.
    index: Vec<Option<(u64, u64)>>,
    /// Of each label.
    totals: Vec<Total>,
    done: u64,
    stopped: u64,
    failed: u64,
    /// Of all clips, in milliseconds.
    duration: f64,
    /// The first failure to write.
    failure: Option<Error>,
    earlier: Option<EarlierRows>,
}

/// The rows of an earlier overview, by their key: start and length in its file.
struct EarlierRows {
    file: File,
    rows: HashMap<String, (u64, u64)>,
}

#[derive(Clone, Default)]
struct Total {
    clips: u64,
    intervals: u64,
    time: f64,
}

impl Overview {
    /// Creates the page's file for `clips` clips. With `resume`, rows of the page that is there are taken over.
    ///
    /// # Errors
    /// Returns an error if the file is locked or cannot be written.
    pub fn create(path: &Path, model: &str, labels: &[String], clips: usize, resume: bool) -> Result<Self> {
        let unwritable = |cause| Error::unwritable(path, cause);
        let lock = lock_output(path)?;
        let folder = folders::of(path);
        let folder = folder.canonicalize().map_err(unwritable)?;
        let state = State {
            rows: tempfile::tempfile_in(&folder).map_err(unwritable)?,
            length: 0,
            index: vec![None; clips],
            totals: vec![Total::default(); labels.len()],
            done: 0,
            stopped: 0,
            failed: 0,
            duration: 0.0,
            failure: None,
            earlier: if resume { EarlierRows::find(path).ok() } else { None },
        };
        Ok(Self {
            path: path.to_path_buf(),
            folder,
            model: model.into(),
            labels: labels.to_vec(),
            thumbnails: (MAX_ALL_THUMBNAILS / clips.max(1)).clamp(1, MAX_THUMBNAILS),
            state: Mutex::new(state),
            lock,
        })
    }

    /// Returns the number of thumbnails that a clip may have.
    pub fn thumbnails(&self) -> usize {
        if self.lock().length > MAX_BYTES { 0 } else { self.thumbnails }
    }

    /// Adds a clip that has ended. `key` is the start of the run that labelled it.
    pub fn add(&self, number: usize, clip: &Clip, files: &Files, end: &End, key: &str) {
        let row = clip.row(files, end, &self.folder, &row_key(files.name, key));
        self.store(number, clip, end, row.as_bytes());
    }

    /// Adds a clip that an earlier run labelled. The row of that run is taken over if its page is still there, since it has
    /// pictures.
    pub fn add_earlier(&self, number: usize, clip: &Clip, files: &Files, key: &str) {
        let key = row_key(files.name, key);
        let row = self.lock().earlier_row(&key);
        let row = row.unwrap_or_else(|| clip.row(files, &End::Done, &self.folder, &key).into_bytes());
        self.store(number, clip, &End::Done, &row);
    }

    fn store(&self, number: usize, clip: &Clip, end: &End, row: &[u8]) {
        let mut state = self.lock();
        match end {
            End::Done => state.done += 1,
            End::Stopped => state.stopped += 1,
            End::Failed(_) => state.failed += 1,
        }
        state.duration += clip.duration;
        for (total, found) in state.totals.iter_mut().zip(clip.found()) {
            total.clips += u64::from(found.intervals > 0);
            total.intervals += found.intervals;
            total.time += found.time;
        }
        let start = state.length;
        let written = state.rows.seek(SeekFrom::Start(start)).and_then(|_| state.rows.write_all(row));
        match written {
            Ok(()) => {
                state.length += row.len() as u64;
                state.index[number] = Some((start, row.len() as u64));
            }
            Err(cause) => {
                state.failure.get_or_insert(Error::unwritable(&self.path, cause));
            }
        }
    }

    /// Writes the page, to a temporary file that is then renamed. Returns its path.
    ///
    /// # Errors
    /// Returns a failure if it or one of its rows could not be written.
    pub fn finish(self) -> Result<PathBuf> {
        let mut state = self.lock();
        if let Some(failure) = state.failure.take() {
            remove_empty(&self.lock, &self.path);
            return Err(failure);
        }
        let written = replace(&self.path, |part| {
            let written = File::create(part).and_then(|file| {
                let mut out = BufWriter::new(file);
                out.write_all(self.head(&state).as_bytes())?;
                state.copy_rows(&mut out)?;
                writeln!(out, "</main><script>{SCRIPT}</script></body></html>")?;
                out.flush()
            });
            written.map_err(|cause| Error::unwritable(part, cause))
        });
        drop(state);
        written.inspect_err(|_| remove_empty(&self.lock, &self.path))?;
        Ok(self.path)
    }

    /// The page up to its first row.
    fn head(&self, state: &State) -> String {
        let State { done, stopped, failed, duration, .. } = state;
        let clips = state.index.len() as u64;
        let mut what = vec![format!("{done} done")];
        let not_started = clips - done - stopped - failed;
        for (number, word) in [(*stopped, "stopped"), (not_started, "not started")] {
            if number > 0 {
                what.push(format!("{number} {word}"));
            }
        }
        if *failed > 0 {
            what.push(format!("<button data-find=failed aria-pressed=false>{failed} failed</button>"));
        }
        let clips = count(clips, "clip");
        let duration = clock(Duration::from_secs_f64(duration / 1000.0));
        let hash = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
        let mut head = format!(
            "{MARK}<html lang=en><head><meta charset=utf-8><title>Overview of {clips}</title>\
             <meta name=viewport content=\"width=device-width,initial-scale=1\">\
             <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; img-src data:; \
             style-src 'unsafe-inline'; script-src 'sha256-{hash}'\">\
             <style>{STYLE}</style></head><body><header class=top><h1>{clips}</h1><p>{}</p>\
             <p class=fine>{duration} of video · {} · {}</p><div class=totals>",
            what.join(", "),
            escaped(&self.model),
            date(),
        );
        let mut found: Vec<_> = state.totals.iter().enumerate().filter(|(_, total)| total.intervals > 0).collect();
        found.sort_by_key(|&(label, _)| self.labels[label] == REST);
        for (label, total) in found {
            let name = escaped(&self.labels[label]);
            let _ = write!(
                head,
                "<button class={} data-find=\"{}\" aria-pressed=false><b>{name}</b><span>{} in {}</span>\
                 <span>{} in all</span></button>",
                clip::class(&self.labels, label),
                escaped(&self.labels[label].to_lowercase()),
                count(total.intervals, "interval"),
                count(total.clips, "clip"),
                clock(Duration::from_secs_f64(total.time / 1000.0)),
            );
        }
        head.push_str(
            "</div><p class=find hidden><label for=find>Filter by name or label</label><input id=find type=search \
             autocomplete=off spellcheck=false><output for=find aria-live=polite></output></p></header><main>\n",
        );
        head
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn copy_rows(&mut self, out: &mut impl Write) -> io::Result<()> {
        for &(start, length) in self.index.iter().flatten() {
            self.rows.seek(SeekFrom::Start(start))?;
            io::copy(&mut (&self.rows).take(length), out)?;
        }
        Ok(())
    }

    fn earlier_row(&mut self, key: &str) -> Option<Vec<u8>> {
        let EarlierRows { file, rows } = self.earlier.as_mut()?;
        let &(start, length) = rows.get(key)?;
        let mut row = Vec::new();
        file.seek(SeekFrom::Start(start)).ok()?;
        file.take(length).read_to_end(&mut row).ok()?;
        Some(row)
    }
}

impl EarlierRows {
    /// Finds the rows of a page: each is a line.
    fn find(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let (mut rows, mut start, mut line) = (HashMap::new(), 0, Vec::new());
        let mut lines = BufReader::new(file.try_clone()?);
        while lines.read_until(b'\n', &mut line)? > 0 {
            let key = line
                .strip_prefix(b"<article class=clip data-key=\"")
                .and_then(|rest| rest.split(|&c| c == b'"').next());
            if let Some(key) = key.filter(|_| line.ends_with(b"</article>\n")) {
                rows.insert(String::from_utf8_lossy(key).into_owned(), (start, line.len() as u64));
            }
            start += line.len() as u64;
            line.clear();
        }
        Ok(Self { file, rows })
    }
}

/// Returns the key of a row: it is the same only in pages about the same run of the same clip.
fn row_key(name: &str, started: &str) -> String {
    format!("{:x}", Sha256::digest(format!("{started} {name}")))
}

/// The time at which the page is written, like `2 January 2026, 03:04 UTC`.
fn date() -> String {
    let format = format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
    // A format of date and time fits every date and time.
    utc::now().format(&format).unwrap_or_default()
}

/// Returns `text` as HTML, in a text or between quotes.
fn escaped(text: &str) -> String {
    let mut html = String::new();
    for c in printable::visible(text).chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\n' => html.push(' '),
            _ => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::journal::IntervalRecord;

    /// A clip with a picture of one byte.
    fn clip(start: f64, byte: u8) -> Clip {
        let mut clip = Clip::new(&["drinking".into()]);
        let (label, end) = ("drinking".into(), start + 2000.0);
        clip.add(&IntervalRecord {
            label,
            start,
            end,
            mean: 0.8,
            peak: 0.9,
            onset: None,
            offset: None,
            pictures: Vec::new(),
        });
        clip.add_thumbnail(Thumbnail { label: 0, ms: start, confidence: 0.9, jpeg: vec![byte] }, 1);
        clip
    }

    fn files(name: &str) -> Files<'_> {
        Files { name, clip: "/c/a.mp4".into(), made: Vec::new() }
    }

    #[test]
    fn rows_are_in_the_order_of_the_inputs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("overview.html");
        let overview = Overview::create(&path, "m <1>", &["drinking".into()], 3, false).unwrap();
        overview.add(2, &clip(0.0, 1), &files("b.mp4"), &End::Done, "then");
        overview.add(0, &clip(60_000.0, 1), &files("a.mp4"), &End::Failed("broken"), "then");
        assert_eq!(overview.finish().unwrap(), path);
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(page.starts_with(MARK));
        assert!(page.find(">a.mp4<").unwrap() < page.find(">b.mp4<").unwrap());
        for part in [
            "<title>Overview of 3 clips</title>",
            "<p>1 done, 1 not started, <button data-find=failed aria-pressed=false>1 failed</button></p>",
            "<p class=fine>1:04 of video · m &lt;1&gt; · ",
            "<b>drinking</b><span>2 intervals in 2 clips</span><span>0:04 in all</span>",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn rows_of_an_earlier_page_keep_their_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("overview.html");
        let labels = ["drinking".to_string()];
        let overview = Overview::create(&path, "m", &labels, 1, false).unwrap();
        overview.add(0, &clip(0.0, 1), &files("a.mp4"), &End::Done, "then");
        overview.finish().unwrap();
        let page = |started: &str| {
            let overview = Overview::create(&path, "m", &labels, 1, true).unwrap();
            overview.add_earlier(0, &clip(0.0, 2), &files("a.mp4"), started);
            overview.finish().unwrap();
            std::fs::read_to_string(&path).unwrap()
        };
        assert!(page("then").contains("base64,AQ=="));
        assert!(!page("later").contains("base64,AQ=="));
    }

    #[test]
    fn the_pictures_of_many_clips_are_fewer() {
        let folder = tempfile::tempdir().unwrap();
        let most = |clips| {
            let path = folder.path().join(format!("{clips}.html"));
            Overview::create(&path, "m", &[], clips, false).unwrap().thumbnails()
        };
        assert_eq!([1, 500, 1000, 100_000].map(most), [6, 6, 4, 1]);
    }
}
