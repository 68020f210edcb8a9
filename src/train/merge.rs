//! `livelabel-train data`: joins several folders into one table, in which near-duplicates share a group.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::picture::DifferenceHash;
use crate::picture::file::read_picture;
use crate::system::words::count;
use crate::train::dataset::{Dataset, Item};
use crate::train::subclasses::{Rule, subclass};
use crate::train::visits;

/// Pictures whose hashes differ in at most this many of 256 bits count as near-duplicates. Of 400 pictures, copies of
/// half the size at JPEG quality 60 differed in at most 22 bits (99 %). Of 4,501 pictures from 29 sources, no two of
/// different groups differed in fewer than 43.
const NEAR: u32 = 28;

/// Reads `folders`, joins the groups of near-duplicates, and writes all files to the table `output`, with subclasses by
/// `rules`. Returns a summary with the number of files of each source, class and subclass.
///
/// # Errors
/// `Input` if a folder has no classes; `Unavailable` if the table cannot be written.
pub fn merge(folders: &[PathBuf], output: &Path, rules: &[Rule]) -> Result<String> {
    let mut rows = Vec::new();
    for folder in folders {
        let data = Dataset::read(folder, &[])?;
        for item in &data.items {
            let path = item.path.canonicalize().unwrap_or_else(|_| item.path.clone());
            let class = data.labels[item.class].clone();
            let subclass = subclass(rules, &class, item).to_string();
            let named = data.is_grouped_by_names();
            rows.push(Row { class, named, item: Item { path, subclass, ..item.clone() } });
        }
    }
    // A visit of a camera may be in several folders.
    let named = rows.iter_mut().filter(|row| row.named).map(|row| &mut row.item);
    let several = visits::join(&mut named.collect::<Vec<_>>());
    let hashes: Vec<Option<DifferenceHash>> =
        rows.par_iter().map(|row| (!row.item.clip).then(|| hash(&row.item.path)).flatten()).collect();
    let unreadable: Vec<&Row> =
        rows.iter().zip(&hashes).filter(|(row, hash)| !row.item.clip && hash.is_none()).map(|(row, _)| row).collect();
    for row in &unreadable {
        tracing::warn!("{}: cannot be read; it is skipped", row.item.path.display());
    }
    let skipped: BTreeSet<PathBuf> = unreadable.iter().map(|row| row.item.path.clone()).collect();
    let (groups, pairs) = join(&rows, &hashes);
    write(output, &rows, &groups, &skipped)?;
    let mut text = counts(&rows, &skipped);
    if several > 0 {
        let visits = count(several as u64, "camera visit");
        text.push_str(&format!("\n{visits} of several recordings: one group each"));
    }
    for (one, other) in pairs {
        text.push_str(&format!(
            "\n{} and {} are near-duplicates: one group",
            rows[one].item.name, rows[other].item.name
        ));
    }
    Ok(text)
}

/// A file with its class' name.
struct Row {
    class: String,
    /// Whether its group comes from its file name.
    named: bool,
    item: Item,
}

fn hash(path: &Path) -> Option<DifferenceHash> {
    read_picture(path).ok().map(|picture| DifferenceHash::of(&picture.view()))
}

/// Returns the group of each row, and the pairs of rows that joined two groups.
fn join(rows: &[Row], hashes: &[Option<DifferenceHash>]) -> (Vec<String>, Vec<(usize, usize)>) {
    let alike: Vec<(usize, usize)> = (0..rows.len())
        .into_par_iter()
        .flat_map_iter(|one| {
            let of = move |other: &usize| {
                let near = |a: &DifferenceHash, b: &DifferenceHash| a.distance(b) <= NEAR;
                rows[one].item.group != rows[*other].item.group
                    && hashes[one].as_ref().zip(hashes[*other].as_ref()).is_some_and(|(a, b)| near(a, b))
            };
            (one + 1..rows.len()).filter(of).map(move |other| (one, other))
        })
        .collect();
    let mut parents: HashMap<String, String> = HashMap::new();
    let root = |parents: &HashMap<String, String>, group: &str| {
        let mut group = group.to_string();
        while let Some(parent) = parents.get(&group) {
            group.clone_from(parent);
        }
        group
    };
    let mut pairs = Vec::new();
    for (one, other) in alike {
        let (a, b) = (root(&parents, &rows[one].item.group), root(&parents, &rows[other].item.group));
        if a != b {
            parents.insert(b, a);
            pairs.push((one, other));
        }
    }
    (rows.iter().map(|row| root(&parents, &row.item.group)).collect(), pairs)
}

/// Formats the number of files of each source, class and subclass.
fn counts(rows: &[Row], skipped: &BTreeSet<PathBuf>) -> String {
    let classes: BTreeSet<&str> = rows.iter().map(|row| row.class.as_str()).collect();
    let mut sources: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !skipped.contains(&row.item.path)) {
        let of = sources.entry(source(&row.item.group)).or_default();
        *of.entry(&row.class).or_default() += 1;
    }
    let line = |name: &str, count: &dyn Fn(&str) -> usize| {
        let cells: String = classes.iter().map(|class| format!("{:>12}", count(class))).collect();
        format!("{name:<20.20}{cells}\n")
    };
    let header: String = classes.iter().map(|class| format!("{class:>12.12}")).collect();
    let mut text = format!("{:<20}{header}\n", "source");
    for (source, of) in &sources {
        text.push_str(&line(source, &|class| of.get(class).copied().unwrap_or(0)));
    }
    text.push_str(&line("all", &|class| sources.values().map(|of| of.get(class).copied().unwrap_or(0)).sum()));
    let mut subclasses: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| !skipped.contains(&row.item.path) && !row.item.subclass.is_empty()) {
        *subclasses.entry((&row.class, &row.item.subclass)).or_default() += 1;
    }
    for ((of, name), count) in &subclasses {
        text.push_str(&line(&format!("  {name}"), &|class| if class == *of { *count } else { 0 }));
    }
    text.trim_end().into()
}

/// Returns a group's source: the part of its name before `-`.
pub fn source(group: &str) -> &str {
    group.split_once('-').map_or(group, |(source, _)| source)
}

fn write(output: &Path, rows: &[Row], groups: &[String], skipped: &BTreeSet<PathBuf>) -> Result<()> {
    let unwritable = |cause: csv::Error| {
        Error::unavailable(format!("{}: cannot be written", output.display()))
            .because(cause)
            .remedy("choose a writable folder")
    };
    let mut table = csv::WriterBuilder::new()
        .delimiter(b'\t')
        .quote_style(csv::QuoteStyle::Never)
        .from_path(output)
        .map_err(unwritable)?;
    table.write_record(["path", "class", "split_group", "note", "subclass"]).map_err(unwritable)?;
    for (row, group) in rows.iter().zip(groups).filter(|(row, _)| !skipped.contains(&row.item.path)) {
        let path = row.item.path.to_string_lossy();
        let (note, subclass) = (row.item.note.as_str(), row.item.subclass.as_str());
        table.write_record([&path, row.class.as_str(), group, note, subclass]).map_err(unwritable)?;
    }
    table.flush().map_err(|cause| unwritable(cause.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a picture of random patches that depends on `seed`.
    fn picture(path: &Path, seed: u64, side: u32) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let patch = |x: u32, y: u32| (fastrand::Rng::with_seed(seed * 1000 + u64::from(9 * y + x)).u8(..)) / 2 + 60;
        let small = image::RgbImage::from_fn(9, 9, |x, y| image::Rgb([patch(x, y); 3]));
        image::imageops::resize(&small, side, side, image::imageops::FilterType::Triangle).save(path).unwrap();
    }

    #[test]
    fn a_resized_copy_joins_the_groups_and_others_stay_apart() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        picture(&at("one/tea/a.png"), 1, 300);
        picture(&at("one/rest/b.png"), 2, 300);
        picture(&at("two/tea/c.bmp"), 1, 180);
        picture(&at("two/rest/d.png"), 3, 200);
        std::fs::write(at("two/rest/broken.png"), "no picture").unwrap();
        let table = at("all.tsv");
        let summary = merge(&[at("one"), at("two")], &table, &[]).unwrap();
        assert!(summary.contains("tea/a.png and tea/c.bmp are near-duplicates"), "{summary}");
        let data = Dataset::read(&table, &[]).unwrap();
        let group = |end: &str| &data.items.iter().find(|item| item.name.ends_with(end)).unwrap().group;
        assert_eq!(data.items.len(), 4, "{data:?}");
        assert_eq!(group("a.png"), group("c.bmp"));
        assert!(group("b.png") != group("d.png") && group("b.png") != group("a.png"));
        assert!(summary.lines().any(|line| line.split_whitespace().eq(["all", "2", "2"])), "{summary}");
    }

    #[test]
    fn a_camera_visit_in_two_folders_is_one_group() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let names = [
            "one/tea/door-20260102T080000Z.mkv",
            "one/rest/x.mkv",
            "two/rest/door-20260102T081000Z.mkv",
            "two/tea/y.mkv",
        ];
        for name in names {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), "").unwrap();
        }
        let summary = merge(&[at("one"), at("two")], &at("all.tsv"), &[]).unwrap();
        assert!(summary.ends_with("\n1 camera visit of several recordings: one group each"), "{summary}");
        let data = Dataset::read(&at("all.tsv"), &[]).unwrap();
        let groups: Vec<_> = data.items.iter().map(|item| item.group.as_str()).collect();
        let visit = "door-20260102T080000Z.mkv";
        assert_eq!(groups, ["x.mkv", visit, visit, "y.mkv"]);
    }

    #[test]
    fn notes_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        picture(&at("p/1.png"), 1, 50);
        picture(&at("p/2.png"), 2, 50);
        let rows = "path\tclass\tsplit_group\tnote\n1.png\ttea\tg\tgreen tea, hot\n2.png\trest\th\t\n";
        std::fs::write(at("p/list.tsv"), rows).unwrap();
        merge(&[at("p")], &at("all.tsv"), &[]).unwrap();
        let data = Dataset::read(&at("all.tsv"), &[]).unwrap();
        let notes: Vec<_> = data.items.iter().map(|item| (item.group.as_str(), item.note.as_str())).collect();
        assert_eq!(notes, [("g", "green tea, hot"), ("h", "")]);
    }
}
