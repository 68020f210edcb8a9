//! What there is to learn from: pictures or clips in class folders, or listed in a table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::media::extensions::is_video;

/// Endings that are taken for pictures.
const PICTURE_ENDINGS: [&str; 7] = ["bmp", "jpeg", "jpg", "png", "tif", "tiff", "webp"];
/// The classes of the original, which are taken where folders of these names are there and none are asked for.
const DEFAULT_CLASSES: [&str; 2] = ["drinking", "cooking"];
/// Everything else, where such a folder is there.
const REST: &str = "other";

/// A file that is learned from.
#[derive(Clone, Debug)]
pub struct Item {
    pub path: PathBuf,
    /// Its place under the data folder, for reports.
    pub name: String,
    pub clip: bool,
    /// Index into [`Dataset::labels`].
    pub class: usize,
    /// Pictures of one group (a video, a person, a kitchen) never stand on both sides of a split.
    pub group: String,
    /// What a table says of it in its column `note`; else empty.
    pub note: String,
}

#[derive(Debug)]
pub struct Dataset {
    /// The classes, by name.
    pub labels: Vec<String>,
    /// By name.
    pub items: Vec<Item>,
    /// Items whose group is only themselves, as nothing tells where they come from.
    pub alone: usize,
    /// Where the groups come from, in words.
    pub grouped_by: String,
}

impl Dataset {
    /// Reads a folder of class folders, or a table (`.tsv` with the columns `path`, `class`, `split_group`) that is named
    /// itself, lies in the folder, or beside it under the folder's name.
    ///
    /// `classes` names the classes to learn; empty stands for drinking and cooking (and other) where they are there, else
    /// for every class.
    ///
    /// # Errors
    /// An input error, where there are not two classes with pictures or clips.
    pub fn read(data: &Path, classes: &[String]) -> Result<Self> {
        let origin = data.display();
        if !data.exists() {
            return Err(Error::input(format!("{origin}: not found"))
                .remedy("give a folder that has a folder of pictures or clips for each class"));
        }
        let (mut items, grouped_by) = match table_for(data)? {
            Some(table) => (listed(&table, data)?, format!("the column split_group of {}", table.display())),
            None => (in_folders(data)?, "file names".to_string()),
        };
        let found: BTreeSet<String> = items.iter().map(|(class, _)| class.clone()).collect();
        let labels = choose(classes, &found, data)?;
        items.retain(|(class, _)| labels.contains(class));
        items.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        let items: Vec<Item> = items
            .into_iter()
            .map(|(class, item)| Item { class: labels.iter().position(|label| *label == class).unwrap_or(0), ..item })
            .collect();
        let alone =
            if grouped_by == "file names" { items.iter().filter(|item| item.group == item.name).count() } else { 0 };
        Ok(Self { labels, items, alone, grouped_by })
    }

    /// How many groups each class has.
    pub fn groups_of_classes(&self) -> Vec<usize> {
        let mut groups = vec![BTreeSet::new(); self.labels.len()];
        for item in &self.items {
            groups[item.class].insert(item.group.as_str());
        }
        groups.iter().map(BTreeSet::len).collect()
    }
}

fn choose(asked: &[String], found: &BTreeSet<String>, data: &Path) -> Result<Vec<String>> {
    let origin = data.display();
    if let Some(missing) = asked.iter().find(|class| !found.contains(*class)) {
        return Err(Error::input(format!("{origin}: has no pictures or clips of class {missing:?}"))
            .remedy(format!("it has {}", list(found))));
    }
    let labels: BTreeSet<String> = if !asked.is_empty() {
        asked.iter().cloned().collect()
    } else if DEFAULT_CLASSES.iter().all(|class| found.contains(*class)) {
        DEFAULT_CLASSES.iter().chain([&REST]).filter(|class| found.contains(**class)).map(ToString::to_string).collect()
    } else {
        found.clone()
    };
    match labels.len() {
        0 => Err(Error::input(format!("{origin}: has no pictures or clips in class folders"))
            .remedy("make a folder for each class, named like it, and put its pictures or clips there")),
        1 => Err(Error::input(format!("{origin}: has only the class {}", list(&labels)))
            .remedy("add a folder of another class, for instance `other`, so that there is something to tell apart")),
        _ => Ok(labels.into_iter().collect()),
    }
}

fn list(names: &BTreeSet<String>) -> String {
    if names.is_empty() { "none".into() } else { names.iter().cloned().collect::<Vec<_>>().join(", ") }
}

/// The table that describes `data`, if there is one.
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
}

/// The table's rows; of those, the ones under `data` where that is a folder beside the table.
fn listed(table: &Path, data: &Path) -> Result<Vec<(String, Item)>> {
    let unreadable = |cause| {
        Error::input(format!("{}: not a table of pictures", table.display()))
            .because(cause)
            .remedy("write one row a file, tab-separated: path, class, split_group")
    };
    let folder = table.parent().unwrap_or(Path::new("."));
    let within = (data.is_dir() && !table.starts_with(data)).then(|| data.canonicalize()).and_then(|path| path.ok());
    let mut items = Vec::new();
    for row in reader(table).map_err(unreadable)?.deserialize() {
        let Row { path, class, split_group, note } = row.map_err(unreadable)?;
        let full = folder.join(&path);
        if within.as_ref().is_some_and(|within| !full.starts_with(within)) {
            continue;
        }
        let clip = !is_picture(&full);
        items.push((class, Item { path: full, name: path, clip, class: 0, group: split_group, note }));
    }
    Ok(items)
}

/// The files in class folders. A picture's group is what `livelabel frames` put in front of its last `_`.
fn in_folders(data: &Path) -> Result<Vec<(String, Item)>> {
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
            items.push((class.clone(), Item { path, name, clip, class: 0, group, note: String::new() }));
        }
    }
    Ok(items)
}

/// All pictures and clips under `folder`, however deep.
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
    ending.is_some_and(|ending| PICTURE_ENDINGS.contains(&ending.as_str()))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = std::fs::read_dir(folder).map_err(|cause| {
        Error::input(format!("{}: cannot be read", folder.display())).because(cause).remedy("check its permissions")
    })?;
    let mut paths: Vec<PathBuf> = listing.flatten().map(|entry| entry.path()).collect();
    // Hidden files are the system's, not the user's pictures.
    paths.retain(|path| !path.file_name().unwrap_or_default().to_string_lossy().starts_with('.'));
    paths.sort();
    Ok(paths)
}

/// Number of items of each class.
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
    fn folders_are_classes_and_frames_of_one_video_a_group() {
        let folder = folder(&["a/v.mp4_000001000.jpg", "a/v.mp4_000002000.jpg", "a/x.jpg", "b/w.mp4", "b/notes.txt"]);
        let data = Dataset::read(folder.path(), &[]).unwrap();
        assert_eq!(data.labels, ["a", "b"]);
        let groups: Vec<_> = data.items.iter().map(|item| (item.group.as_str(), item.class, item.clip)).collect();
        assert_eq!(groups, [("v.mp4", 0, false), ("v.mp4", 0, false), ("a/x.jpg", 0, false), ("w.mp4", 1, true)]);
        assert_eq!(data.alone, 1);
    }

    #[test]
    fn the_named_classes_are_taken_and_a_missing_one_told() {
        let folder = folder(&["cooking/1.jpg", "drinking/1.jpg", "reading/1.jpg", "other/1.jpg"]);
        assert_eq!(Dataset::read(folder.path(), &[]).unwrap().labels, ["cooking", "drinking", "other"]);
        let asked = ["reading".into(), "cooking".into()];
        assert_eq!(Dataset::read(folder.path(), &asked).unwrap().labels, ["cooking", "reading"]);
        let error = Dataset::read(folder.path(), &["swimming".into()]).unwrap_err().to_string();
        assert!(error.contains("swimming") && error.contains("it has cooking, drinking"), "{error}");
    }

    #[test]
    fn a_table_gives_class_and_group() {
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
