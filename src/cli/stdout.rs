//! Standard output of the subcommands.

use std::io::Write;

use crate::system::printable;

/// Prints to stdout; a closed pipe is not an error.
pub fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", printable::visible(text));
}
