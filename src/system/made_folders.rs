//! Folders that are made before it is known whether anything will be written to them.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::system::folders;

/// Folders that this program made. Dropping it deletes those that are still empty.
#[derive(Default)]
pub struct MadeFolders(Vec<PathBuf>);

impl MadeFolders {
    /// Makes a folder, and those on the way to it, with these permissions, as far as they are missing. One that cannot be made is
    /// left out.
    pub fn make(&mut self, folder: &Path, mode: u32) {
        let missing: Vec<&Path> = folder.ancestors().take_while(|path| !folders::named(path).exists()).collect();
        for path in missing.into_iter().rev() {
            if DirBuilder::new().mode(mode).create(path).is_err() {
                return;
            }
            self.0.push(path.into());
        }
    }

    /// Returns the folders that these are in.
    pub fn parents(&self) -> impl Iterator<Item = PathBuf> {
        self.0.iter().map(|folder| folders::of(folder).into())
    }
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
