//! Expands folders, and the list on stdin, to inputs.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::media::files::{is_hidden, is_video, list_folder};

/// The input that stands for a list of inputs on stdin, one a line.
const STDIN: &str = "-";
/// Longest list on stdin, in bytes.
const LONGEST_LIST: u64 = 64 << 20;

/// Replaces each folder by the videos in it and in its folders, sorted by path, and `-` by the lines of stdin. Links to
/// folders are not followed; hidden files are skipped.
///
/// # Errors
/// `Input` if a folder cannot be read or has no video, or if stdin is not a list.
pub fn expand(inputs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut expanded = Vec::new();
    for input in inputs {
        if input == Path::new(STDIN) {
            for line in stdin_lines()? {
                expand_folder(line.into(), &mut expanded)?;
            }
        } else {
            expand_folder(input.clone(), &mut expanded)?;
        }
    }
    Ok(expanded)
}

fn stdin_lines() -> Result<Vec<String>> {
    let wrong = |what: &str| Error::input(format!("stdin: {what}")).remedy("write one input a line");
    let mut text = String::new();
    let read = std::io::stdin().lock().take(LONGEST_LIST + 1).read_to_string(&mut text);
    read.map_err(|cause| wrong("is not a list of inputs").because(cause))?;
    if text.len() as u64 > LONGEST_LIST {
        return Err(wrong("the list of inputs is too long"));
    }
    let lines: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(String::from).collect();
    if lines.is_empty() { Err(wrong("names no input")) } else { Ok(lines) }
}

fn expand_folder(input: PathBuf, expanded: &mut Vec<PathBuf>) -> Result<()> {
    if !input.is_dir() {
        expanded.push(input);
        return Ok(());
    }
    let (before, mut others) = (expanded.len(), Vec::new());
    gather(&input, expanded, &mut others)?;
    expanded[before..].sort();
    let folder = input.display();
    if expanded.len() == before {
        return Err(Error::input(format!("{folder}: has no video"))
            .remedy("give a folder with clips, or name the clips and pictures"));
    }
    match others.as_slice() {
        [] => {}
        [other] => tracing::info!("{folder}: {} is no video and is skipped", other.display()),
        [first, ..] => {
            tracing::info!(
                "{folder}: {} files are no videos and are skipped, such as {}",
                others.len(),
                first.display()
            );
        }
    }
    Ok(())
}

fn gather(folder: &Path, videos: &mut Vec<PathBuf>, others: &mut Vec<PathBuf>) -> Result<()> {
    for path in list_folder(folder)?.into_iter().filter(|path| !is_hidden(path)) {
        if path.is_dir() && !path.is_symlink() {
            gather(&path, videos, others)?;
        } else if is_video(&path) {
            videos.push(path);
        } else {
            others.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_is_the_videos_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("day/night")).unwrap();
        for name in ["b.mp4", "day/a.MKV", "day/night/c.avi", "day/notes.txt", ".hidden.mp4"] {
            fs::write(at(name), "").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), at("day/loop")).unwrap();
        let found = expand(&[at("b.mp4"), folder.path().into(), "rtsp://camera/1".into()]).unwrap();
        let expected = [at("b.mp4"), at("b.mp4"), at("day/a.MKV"), at("day/night/c.avi"), "rtsp://camera/1".into()];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_folder_without_a_video_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes.txt"), "").unwrap();
        let error = expand(&[folder.path().into()]).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("has no video"), "{error}");
    }
}
