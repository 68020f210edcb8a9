//! Folders that are made before it is known whether anything will be written to them.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Folders that this program made. Dropping it deletes those that are still empty.
#[derive(Default)]
pub struct MadeFolders(Vec<PathBuf>);

impl MadeFolders {
    /// Makes a folder, and those on the way to it, with these permissions, as far as they are missing. One that cannot be made is
    /// left out.
    pub fn make(&mut self, folder: &Path, mode: u32) {
        let missing: Vec<&Path> = folder.ancestors().take_while(|path| !is_there(path)).collect();
        for path in missing.into_iter().rev() {
            if DirBuilder::new().mode(mode).create(path).is_err() {
                return;
            }
            self.0.push(path.into());
        }
    }

    /// Returns the folders that these are in.
    pub fn parents(&self) -> impl Iterator<Item = PathBuf> {
        let parents = self.0.iter().filter_map(|folder| folder.parent());
        parents.map(|parent| if parent.as_os_str().is_empty() { ".".into() } else { parent.into() })
    }
}

/// Returns whether a path exists; an empty one is the current folder.
fn is_there(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.exists()
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        // Those within before those around them.
        for folder in self.0.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn folders_that_stay_empty_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("before")).unwrap();
        let mut made = MadeFolders::default();
        for name in ["before", "empty/a/b", "full/a/b", "full/c"] {
            made.make(&at(name), 0o700);
        }
        assert_eq!(at("full/a").metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(made.parents().next(), Some(folder.path().into()));
        fs::write(at("full/a/file"), "").unwrap();
        drop(made);
        let kept = ["before", "full/a/file"].map(|name| at(name).exists());
        let deleted = ["empty", "full/a/b", "full/c"].map(|name| at(name).exists());
        assert_eq!((kept, deleted), ([true; 2], [false; 3]));
    }
}
