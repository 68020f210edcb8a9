//! Manual pages and completions, generated from the command line.

use std::path::Path;

use clap_complete::Shell;

use crate::cli::help::command;
use crate::error::{Error, Result};

/// Prints a shell's completions.
pub fn completions(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "livelabel", &mut script);
    // A closed pipe is no error.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
}

/// Writes a page for the program and one for each subcommand: `livelabel.1`, `livelabel-run.1` and so on.
///
/// # Errors
/// Failed, if the folder cannot be written.
pub fn write(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command(), folder))
        .map_err(|cause| Error::unwritable(folder, cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        for page in ["livelabel.1", "livelabel-run.1", "livelabel-model-import.1"] {
            let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
            assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
        }
        // Hidden ones have none.
        assert!(!folder.path().join("livelabel-manual.1").exists());
    }
}
