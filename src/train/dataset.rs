//! The dataset: pictures or clips in class folders, or listed in a table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::labels::REST;
use crate::media::files::{PICTURE, is_hidden, is_video, list_folder};
use crate::system::utc;
use crate::train::visits;

/// The original's classes: the default if folders of these names exist. [`REST`] joins them if its folder exists.
const DEFAULT_CLASSES: [&str; 2] = ["drinking", "cooking"];

/// What groups come from without a table.
const FILE_NAMES: &str = "file names";

/// One file of the dataset.
#[derive(Clone, Debug, Default)]
pub struct Item {
    pub path: PathBuf,
    /// Its path below the data folder, for reports.
    pub name: String,
    pub clip: bool,
    /// Index into [`Dataset::labels`].
    pub class: usize,
    /// Its group, such as a video, a person or a kitchen. A split never divides a group.
    pub group: String,
    /// The table's column `note`; empty without one.
    pub note: String,
    /// The table's column `subclass`: the activity within its class; empty if unknown.
    pub subclass: String,
    /// The table's column `time`: when the picture was taken.
    pub time: Option<OffsetDateTime>,
}

#[derive(Debug)]
pub struct Dataset {
    /// The classes, sorted by name.
    pub labels: Vec<String>,
    /// Sorted by name.
    pub items: Vec<Item>,
    /// Number of items that form their own group, because their file name names no source.
    pub alone: usize,
    /// Where the groups come from, for messages.
    pub grouped_by: String,
}

impl Dataset {
    /// Reads a folder of class folders, or a table (`.tsv` with the columns `path`, `class`, `split_group`). `data` is
    /// the table itself, or a folder with the table in it or beside it under the folder's name.
    ///
    /// `classes` selects the classes. If it is empty: drinking and cooking (and other) if they exist, otherwise all.
    ///
    /// # Errors
    /// `Input` if there are fewer than two classes with pictures or clips.
    pub fn read(data: &Path, classes: &[String]) -> Result<Self> {
        let (mut items, grouped_by) = listed(data)?;
        let found: BTreeSet<String> = items.iter().map(|(class, _)| class.clone()).collect();
        let labels = select_classes(classes, &found, data)?;
        items.retain(|(class, _)| labels.contains(class));
        Ok(Self::of(items, labels, grouped_by))
    }

    /// Reads the same with every class, in the order of the table or else by name. There may be only one.
    ///
    /// # Errors
    /// `Input` if there are no pictures or clips.
    pub fn read_all(data: &Path) -> Result<Self> {
        let (items, grouped_by) = listed(data)?;
        let mut labels: Vec<String> = Vec::new();
        let mut known = BTreeSet::new();
        for (class, _) in &items {
            if known.insert(class) {
                labels.push(class.clone());
            }
        }
        if labels.is_empty() {
            return Err(nothing(data));
        }
        Ok(Self::of(items, labels, grouped_by))
    }

    fn of(mut items: Vec<(String, Item)>, labels: Vec<String>, grouped_by: String) -> Self {
        items.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        let index: BTreeMap<&str, usize> =
            labels.iter().enumerate().map(|(index, label)| (label.as_str(), index)).collect();
        let class = |class: &str| index.get(class).copied().unwrap_or(0);
        let mut items: Vec<Item> =
            items.into_iter().map(|(label, item)| Item { class: class(&label), ..item }).collect();
        if grouped_by != FILE_NAMES {
            return Self { labels, items, alone: 0, grouped_by };
        }
        let alone = items.iter().filter(|item| item.group == item.name).count();
        let grouped_by = match visits::join(&mut items.iter_mut().collect::<Vec<_>>()) {
            0 => grouped_by,
            1 => format!("{FILE_NAMES}; successive recordings of one camera visit are one group"),
            several => format!("{FILE_NAMES}; successive recordings of {several} camera visits are one group each"),
        };
        Self { labels, items, alone, grouped_by }
    }

    /// Returns whether the groups come from file names.
    pub fn is_grouped_by_names(&self) -> bool {
        self.grouped_by.starts_with(FILE_NAMES)
    }

    /// Returns the number of groups of each class.
    pub fn groups_of_classes(&self) -> Vec<usize> {
        let mut groups = vec![BTreeSet::new(); self.labels.len()];
        for item in &self.items {
            groups[item.class].insert(item.group.as_str());
        }
        groups.iter().map(BTreeSet::len).collect()
    }
}

/// Lists the files with their classes, and where their groups come from.
fn listed(data: &Path) -> Result<(Vec<(String, Item)>, String)> {
    if !data.exists() {
        return Err(Error::input(format!("{}: not found", data.display()))
            .remedy("give a folder with one folder of pictures or clips for each class"));
    }
    Ok(match table_for(data)? {
        Some(table) => (read_table(&table, data)?, format!("the column split_group of {}", table.display())),
        None => (read_folders(data)?, FILE_NAMES.to_string()),
    })
}

fn select_classes(requested: &[String], found: &BTreeSet<String>, data: &Path) -> Result<Vec<String>> {
    let origin = data.display();
    if let Some(missing) = requested.iter().find(|class| !found.contains(*class)) {
        return Err(Error::input(format!("{origin}: has no pictures or clips of class {missing:?}"))
            .remedy(format!("choose from: {}", list(found))));
    }
    let labels: BTreeSet<String> = if !requested.is_empty() {
        requested.iter().cloned().collect()
    } else if DEFAULT_CLASSES.iter().all(|class| found.contains(*class)) {
        DEFAULT_CLASSES.iter().chain([&REST]).filter(|class| found.contains(**class)).map(ToString::to_string).collect()
    } else {
        found.clone()
    };
    match labels.len() {
        0 => Err(nothing(data)),
        1 => Err(Error::input(format!("{origin}: has only the class {}", list(&labels)))
            .remedy("add a folder of another class, such as `other`")),
        _ => Ok(labels.into_iter().collect()),
    }
}

fn nothing(data: &Path) -> Error {
    Error::input(format!("{}: has no pictures or clips in class folders", data.display()))
        .remedy("create a folder for each class, with the class' name, and put its pictures or clips there")
}

fn list(names: &BTreeSet<String>) -> String {
    if names.is_empty() { "none".into() } else { names.iter().cloned().collect::<Vec<_>>().join(", ") }
}

/// Returns the table that describes `data`, if there is one.
fn table_for(data: &Path) -> Result<Option<PathBuf>> {
    if data.is_file() {
        return match is_table(data) {
            true => Ok(Some(data.to_path_buf())),
            false => Err(Error::input(format!("{}: not a table of pictures", data.display()))
                .remedy("give a folder, or a .tsv file with the columns path, class and split_group")),
        };
    }
    let mut inside: Vec<PathBuf> = entries(data)?.into_iter().filter(|path| is_table(path)).collect();
    if inside.len() > 1 {
        let names: Vec<_> = inside.iter().map(|path| path.display().to_string()).collect();
        return Err(Error::input(format!("{}: has several tables: {}", data.display(), names.join(", ")))
            .remedy("name the one to use with --data"));
    }
    if let Some(table) = inside.pop() {
        return Ok(Some(table));
    }
    let beside = data.canonicalize().ok().map(|folder| folder.with_extension("tsv"));
    Ok(beside.filter(|table| is_table(table)))
}

fn is_table(path: &Path) -> bool {
    let named = path.extension().is_some_and(|ending| ending == "tsv") && path.is_file();
    named
        && reader(path).and_then(|mut reader| reader.headers().cloned()).is_ok_and(|header| {
            ["path", "class", "split_group"].iter().all(|column| header.iter().any(|name| name == *column))
        })
}

fn reader(table: &Path) -> csv::Result<csv::Reader<std::fs::File>> {
    csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).from_path(table)
}

#[derive(Deserialize)]
struct Row {
    path: String,
    class: String,
    split_group: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    subclass: String,
    #[serde(default)]
    time: String,
}

/// Reads the table's rows. If `data` is a folder beside the table, only those below it.
fn read_table(table: &Path, data: &Path) -> Result<Vec<(String, Item)>> {
    let unreadable = |cause| {
        Error::input(format!("{}: not a table of pictures", table.display()))
            .because(cause)
            .remedy("write one row a file, tab-separated: path, class, split_group")
    };
    let folder = table.parent().unwrap_or(Path::new("."));
    let within = (data.is_dir() && !table.starts_with(data)).then(|| data.canonicalize()).and_then(|path| path.ok());
    let mut items = Vec::new();
    for row in reader(table).map_err(unreadable)?.deserialize() {
        let Row { path, class, split_group, note, subclass, time } = row.map_err(unreadable)?;
        let full = folder.join(&path);
        if within.as_ref().is_some_and(|within| !full.starts_with(within)) {
            continue;
        }
        let clip = !is_picture(&full);
        let time = utc::parse(&time);
        items.push((class, Item { path: full, name: path, clip, class: 0, group: split_group, note, subclass, time }));
    }
    Ok(items)
}

/// Lists the files in class folders. A picture's group is the part of its name before the last `_`, as `livelabel
/// frames` writes it.
fn read_folders(data: &Path) -> Result<Vec<(String, Item)>> {
    let mut items = Vec::new();
    for folder in entries(data)?.into_iter().filter(|path| path.is_dir()) {
        let class = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut files = Vec::new();
        gather(&folder, &mut files)?;
        for path in files {
            let name = path.strip_prefix(data).unwrap_or(&path).display().to_string();
            let clip = !is_picture(&path);
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let group = match stem.rsplit_once('_') {
                _ if clip => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                Some((video, number)) if !video.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                    video.to_string()
                }
                _ => name.clone(),
            };
            items.push((class.clone(), Item { path, name, clip, group, ..Item::default() }));
        }
    }
    Ok(items)
}

/// Collects all pictures and clips below `folder`, recursively.
fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            gather(&path, files)?;
        } else if is_picture(&path) || is_video(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| PICTURE.contains(&ending.as_str()))
}

/// Lists a folder without hidden files, which are not the user's pictures.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = list_folder(folder)?;
    paths.retain(|path| !is_hidden(path));
    Ok(paths)
}

/// Counts the items of each class.
pub fn count_classes<'a>(items: impl IntoIterator<Item = &'a Item>) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item.class).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn folders_are_classes_and_frames_of_one_video_share_a_group() {
        let folder = folder(&["a/v.mp4_000001000.jpg", "a/v.mp4_000002000.jpg", "a/x.jpg", "b/w.mp4", "b/notes.txt"]);
        let data = Dataset::read(folder.path(), &[]).unwrap();
        assert_eq!(data.labels, ["a", "b"]);
        let groups: Vec<_> = data.items.iter().map(|item| (item.group.as_str(), item.class, item.clip)).collect();
        assert_eq!(groups, [("v.mp4", 0, false), ("v.mp4", 0, false), ("a/x.jpg", 0, false), ("w.mp4", 1, true)]);
        assert_eq!(data.alone, 1);
    }

    #[test]
    fn successive_recordings_of_a_camera_share_a_group() {
        let files = ["a/door-20260102T080000Z.mkv", "b/door-20260102T081000Z.mkv", "b/w.mp4"];
        let folder = folder(&files);
        let data = Dataset::read(folder.path(), &[]).unwrap();
        let groups: Vec<_> = data.items.iter().map(|item| item.group.as_str()).collect();
        assert_eq!(groups, ["door-20260102T080000Z.mkv", "door-20260102T080000Z.mkv", "w.mp4"]);
        assert_eq!(data.grouped_by, "file names; successive recordings of one camera visit are one group");
        assert!(data.is_grouped_by_names());
    }

    #[test]
    fn the_requested_classes_are_used_and_a_missing_one_is_an_error() {
        let folder = folder(&["cooking/1.jpg", "drinking/1.jpg", "reading/1.jpg", "other/1.jpg"]);
        assert_eq!(Dataset::read(folder.path(), &[]).unwrap().labels, ["cooking", "drinking", "other"]);
        let requested = ["reading".into(), "cooking".into()];
        assert_eq!(Dataset::read(folder.path(), &requested).unwrap().labels, ["cooking", "reading"]);
        let error = Dataset::read(folder.path(), &["swimming".into()]).unwrap_err().to_string();
        assert!(error.contains("swimming") && error.contains("choose from: cooking, drinking"), "{error}");
    }

    #[test]
    fn a_table_defines_class_and_group() {
        let folder = folder(&["p/1.jpg", "q/2.jpg"]);
        let table = "path\tclass\tsplit_group\np/1.jpg\tx\tg1\nq/2.jpg\ty\tg2\n";
        std::fs::write(folder.path().join("all.tsv"), table).unwrap();
        let data = Dataset::read(folder.path(), &[]).unwrap();
        assert_eq!((data.labels.as_slice(), data.items[1].group.as_str()), (&["x".into(), "y".into()][..], "g2"));
    }

    #[test]
    fn one_class_or_none_is_refused() {
        let error = Dataset::read(folder(&["a/1.jpg"]).path(), &[]).unwrap_err();
        assert!(error.to_string().contains("only the class a") && error.exit_code() == 2, "{error}");
        let error = Dataset::read(folder(&["1.jpg"]).path(), &[]).unwrap_err();
        assert!(error.to_string().contains("no pictures or clips in class folders"), "{error}");
    }
}
