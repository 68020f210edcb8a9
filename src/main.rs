//! The program `livelabel`.

use std::process::ExitCode;

fn main() -> ExitCode {
    keep_little_memory();
    livelabel::cli::main()
}

/// Sets the allocator up for a run of months, in which many threads come and go.
///
/// Blocks of a frame's size and more return to the system as soon as they are freed. By default glibc keeps such blocks once a
/// larger one was freed, and loading a model frees many. There are as many arenas as cores: by default there are eight times as many, and
/// each keeps what was freed between blocks in use.
fn keep_little_memory() {
    const LARGE: libc::c_int = 1 << 20;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(1024) as libc::c_int);
    // SAFETY: sets options of the allocator before another thread exists.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_ARENA_MAX, cores);
    }
}
