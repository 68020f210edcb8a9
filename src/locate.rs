//! Where the files are that set-up puts beside the program: libraries, models, weights.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where set-up puts what it fetches, in a checkout.
const FETCHED: &str = ".deps";
/// Where an installation has the same, beside the program's folder.
const INSTALLED: &str = "../lib/livelabel";
/// Everybody may write.
const WORLD_WRITABLE: u32 = 0o002;

/// The first existing `relative` of: the folder that `LIVELABEL_HOME` names, the installation that the program belongs to,
/// the checkout that it was built in. Code is loaded from what is found, so a folder that others can write to is none of
/// them, unless the user names it; nor is the current folder, nor any that the program happens to lie in.
pub fn find(relative: impl AsRef<Path>) -> Option<PathBuf> {
    let relative = relative.as_ref();
    let named = std::env::var_os("LIVELABEL_HOME").map(|home| PathBuf::from(home).join(relative));
    let program = std::env::current_exe().ok();
    let installation = program.as_ref().and_then(|program| Some(program.parent()?.join(INSTALLED)));
    let installed = installation.filter(|folder| is_own(folder));
    let installed = installed.map(|folder| folder.join(relative.strip_prefix(FETCHED).unwrap_or(relative)));
    let checkout = Some(PathBuf::from(env!("CARGO_MANIFEST_DIR"))).filter(|folder| is_own(folder));
    let built = checkout.map(|folder| folder.join(relative));
    [named, installed, built].into_iter().flatten().find(|path| path.exists())
}

/// Whether nobody but this user and root can put anything into `folder`.
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
