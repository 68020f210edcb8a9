//! Starts the trainer where libtorch is, and says how to get it where it is not: the dynamic loader's own message would
//! come before any code of the trainer's runs.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// The trainer itself, beside this program.
const TRAINER: &str = "livelabel-train-torch";
/// The smallest of the libraries that it is linked with.
const LIBRARY: &str = "libc10.so";

fn main() -> ExitCode {
    // SAFETY: the library's constructors set up its own registries and touch nothing of this program's.
    if let Err(cause) = unsafe { libloading::Library::new(LIBRARY) } {
        eprintln!(
            "livelabel: error: libtorch 2.11.0 cannot be loaded ({cause}); run scripts/setup train, which fetches it, or name \
             its folder in LD_LIBRARY_PATH"
        );
        return ExitCode::from(2);
    }
    let cause = match std::env::current_exe() {
        Ok(program) => Command::new(program.with_file_name(TRAINER)).args(std::env::args_os().skip(1)).exec(),
        Err(cause) => cause,
    };
    eprintln!("livelabel: error: {TRAINER} cannot be started ({cause}); run scripts/setup train, which builds it");
    ExitCode::from(2)
}
