//! The program `livelabel`.

use std::process::ExitCode;

fn main() -> ExitCode {
    return_large_blocks();
    livelabel::cli::main()
}

/// Makes the allocator return blocks of a frame's size and more to the system as soon as they are freed. By default
/// glibc keeps such blocks once a larger one was freed, and loading a model frees many.
fn return_large_blocks() {
    const LARGE: libc::c_int = 1 << 20;
    // SAFETY: sets an option of the allocator before another thread exists.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}
