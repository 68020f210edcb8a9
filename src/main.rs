//! The analyzer's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    return_large_blocks();
    livelabel::cli::main()
}

/// Makes glibc return blocks the size of a frame to the system as soon as they are freed. By default it keeps such blocks
/// once a larger one was freed, and loading a model frees many.
fn return_large_blocks() {
    const LARGE: libc::c_int = 1 << 20;
    // SAFETY: a setting of the allocator, made before there is another thread.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}
