//! Starts the trainer if libtorch is installed, and otherwise prints how to install it. The trainer cannot do that
//! itself: the dynamic loader would fail before any of its code runs.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// The trainer, in the same folder as this program.
const TRAINER: &str = "livelabel-train-torch";
/// The smallest library that the trainer is linked with.
const LIBRARY: &str = "libc10.so";

fn main() -> ExitCode {
    // SAFETY: the library's constructors only initialise its own registries.
    if let Err(cause) = unsafe { libloading::Library::new(LIBRARY) } {
        eprintln!(
            "livelabel: error: libtorch 2.11.0 cannot be loaded ({cause}); run scripts/setup train, which fetches it, or set \
             LD_LIBRARY_PATH to its folder"
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
