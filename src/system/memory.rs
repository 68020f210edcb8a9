//! How much memory this process may still take, and what it gives back.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the system says of its memory, and the memory that the process' group may take and takes.
const SYSTEM: &str = "/proc/meminfo";
const LIMIT: &str = "/sys/fs/cgroup/memory.max";
const TAKEN: &str = "/sys/fs/cgroup/memory.current";
/// How often freed memory is given back at most.
const SPACING: Duration = Duration::from_secs(10);

/// Returns the bytes that the system, and a container's limit, leave; `None` if neither is known.
pub fn available() -> Option<u64> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let system = fs::read_to_string(SYSTEM).ok().and_then(|text| system_available(&text));
    let group = number(LIMIT).map(|limit| limit.saturating_sub(number(TAKEN).unwrap_or(0)));
    system.into_iter().chain(group).min()
}

/// Gives freed memory back to the system, if the last time was a while ago. The allocator does so by itself only at the end of each
/// thread's area: with many threads that come and go, a hundred MiB and more stay where nothing is.
pub fn give_back() {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let now = Instant::now();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_none_or(|last| now.duration_since(last) >= SPACING) {
        *last = Some(now);
        // SAFETY: returns free pages of the allocator, under its own locks.
        unsafe { libc::malloc_trim(0) };
    }
}

/// Parses a line like `MemAvailable:   16384 kB`.
fn system_available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_memory_is_read() {
        let text = "MemTotal:  2048 kB\nMemFree:  10 kB\nMemAvailable:    1024 kB\n";
        assert_eq!(system_available(text), Some(1 << 20));
        assert_eq!(["", "MemAvailable: many"].map(system_available), [None, None]);
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }
}
