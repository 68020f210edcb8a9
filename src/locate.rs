//! Where the files are that set-up puts beside the program: libraries, models, weights.

use std::path::{Path, PathBuf};

/// How far above the program's file the project's folder may be: `target/release/deps/` is three below it.
const LEVELS: usize = 4;

/// Folders that a relative path is looked up in: the one named by `LIVELABEL_HOME`, then those above the program's
/// file. Never the current folder: libraries are loaded from what is found.
fn roots() -> Vec<PathBuf> {
    let named = std::env::var_os("LIVELABEL_HOME").map(PathBuf::from);
    let program = std::env::current_exe().ok();
    let above = program.iter().flat_map(|program| program.ancestors().skip(1).take(LEVELS)).map(Path::to_path_buf);
    named.into_iter().chain(above).collect()
}

/// The first existing `root/relative`.
pub fn find(relative: impl AsRef<Path>) -> Option<PathBuf> {
    roots().into_iter().map(|root| root.join(&relative)).find(|path| path.exists())
}
