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
    let named = std::env::var_os("LIVELABEL_HOME").map(|home| PathBuf::from(home).join(relative));
    let program = std::env::current_exe().ok();
    let installation = program.as_ref().and_then(|program| Some(program.parent()?.join(INSTALLED)));
    let installed = installation.filter(|folder| is_own(folder));
    let installed = installed.map(|folder| folder.join(relative.strip_prefix(FETCHED).unwrap_or(relative)));
    let checkout = CHECKOUT.map(PathBuf::from).filter(|folder| is_own(folder));
    let built = checkout.map(|folder| folder.join(relative));
    [named, installed, built].into_iter().flatten().find(|path| path.exists())
}

/// Returns whether `folder` belongs to this user or root and is not writable by everybody.
fn is_own(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|folder| {
        let own = [0, nix::unistd::geteuid().as_raw()].contains(&folder.uid());
        own && folder.mode() & WORLD_WRITABLE == 0
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
        assert!(is_own(folder.path()));
        set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(!is_own(folder.path()));
        assert!(!is_own(&folder.path().join("absent")));
    }

    #[test]
    fn the_checkout_is_found() {
        assert_eq!(find("Cargo.toml"), Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")));
        assert_eq!(find("absent"), None);
    }
}
