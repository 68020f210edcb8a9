//! Locates the files that set-up installs: libraries, models, weights.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where set-up installs fetched files in a checkout.
const FETCHED: &str = ".deps";
/// Where an installation has the same files, relative to the program's folder.
const INSTALLED: &str = "../lib/livelabel";
/// The folder that the program was built in. A package's program belongs to an installation, and must not look there.
const CHECKOUT: Option<&str> = match option_env!("LIVELABEL_PACKAGE") {
    Some(_) => None,
    None => Some(env!("CARGO_MANIFEST_DIR")),
};
/// The permission bit for write access by everybody.
const WORLD_WRITABLE: u32 = 0o002;

/// Returns the first existing `relative` in these folders: `LIVELABEL_HOME`, the program's installation, the checkout
/// that it was built in. Code is loaded from the result, so a folder that others can write to is skipped unless the
/// user names it. The current folder and the folders above the program are not searched.
pub fn find(relative: impl AsRef<Path>) -> Option<PathBuf> {
    let relative = relative.as_ref();
    let named = home().map(|home| home.join(relative));
    let installed =
        installation().and_then(|folder| trusted(&folder, relative.strip_prefix(FETCHED).unwrap_or(relative)));
    let built = CHECKOUT.and_then(|folder| trusted(Path::new(folder), relative));
    [named, installed, built].into_iter().flatten().find(|path| path.exists())
}

/// Returns the folders that [`find`] finds files in.
pub fn folders() -> Vec<PathBuf> {
    let bases = [home(), CHECKOUT.map(PathBuf::from)].into_iter().flatten();
    let fetched = bases.flat_map(|base| [base.join(FETCHED), base.join("models")]);
    // What set-up fetches may lie elsewhere, with a link to it.
    let linked =
        |folder: &PathBuf| folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    fetched.chain(installation()).flat_map(|folder| [linked(&folder), vec![folder]].concat()).collect()
}

/// Returns the folder in which the user keeps what programs can compute again: of the XDG Base Directory Specification.
pub fn caches() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
}

/// Returns the folder that the user names.
fn home() -> Option<PathBuf> {
    std::env::var_os("LIVELABEL_HOME").map(PathBuf::from)
}

/// Returns the files that were installed with the program.
fn installation() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.join(INSTALLED))
}

/// Returns the path of `relative` in `folder` if others can write neither to it nor to a folder on the way.
fn trusted(folder: &Path, relative: &Path) -> Option<PathBuf> {
    let path = folder.join(relative);
    let mut on_the_way = path.ancestors().take(relative.components().count() + 1);
    on_the_way.all(is_trusted).then_some(path)
}

/// Returns whether a file or folder belongs to this user or root and is not writable by everybody.
fn is_trusted(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| {
        let own = [0, nix::unistd::geteuid().as_raw()].contains(&metadata.uid());
        own && metadata.mode() & WORLD_WRITABLE == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_that_others_can_write_to_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_trusted(folder.path()));
        set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(!is_trusted(folder.path()));
        assert!(!is_trusted(&folder.path().join("absent")));
    }

    #[test]
    fn nor_is_a_file_in_such_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (relative, inside) = (Path::new(".deps/library/lib.so"), folder.path().join(".deps/library"));
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::write(inside.join("lib.so"), "").unwrap();
        assert_eq!(trusted(folder.path(), relative), Some(folder.path().join(relative)));
        for path in [folder.path().join(".deps"), inside.clone(), inside.join("lib.so")] {
            let before = std::fs::metadata(&path).unwrap().permissions();
            set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
            assert_eq!(trusted(folder.path(), relative), None, "{}", path.display());
            set_permissions(&path, before).unwrap();
        }
    }

    #[test]
    fn the_checkout_is_found() {
        assert_eq!(find("Cargo.toml"), Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")));
        assert_eq!(find("absent"), None);
    }
}
