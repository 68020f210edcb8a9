//! Where the files are that set-up puts beside the program: libraries, models, weights.

use std::path::{Path, PathBuf};

/// Folders that a relative path is looked up in: the one named by `LIVELABEL_HOME`, those above the program's file,
/// the current one.
fn roots() -> Vec<PathBuf> {
    let named = std::env::var_os("LIVELABEL_HOME").map(PathBuf::from);
    let program = std::env::current_exe().ok();
    let above = program.iter().flat_map(|program| program.ancestors().skip(1)).map(Path::to_path_buf);
    let current = std::env::current_dir().ok();
    named.into_iter().chain(above).chain(current).collect()
}

/// The first existing `root/relative`.
pub fn find(relative: impl AsRef<Path>) -> Option<PathBuf> {
    roots().into_iter().map(|root| root.join(&relative)).find(|path| path.exists())
}
