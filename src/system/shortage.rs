//! Detects that the process ran out of memory, files or threads. Libraries report that in many different words.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

const MEMORY: &str = "provide more memory: raise the limit of address space (ulimit -v), or end other programs";
const FILES: &str = "raise the limit of open files (ulimit -n)";
const THREADS: &str = "raise the limits of threads (ulimit -u) and address space (ulimit -v)";

/// Text in a cause, and the remedy for the resource that ran out.
const SIGNS: [(&str, &str); 9] = [
    ("bad_alloc", MEMORY),
    ("bad allocation", MEMORY),
    ("annot allocate memory", MEMORY),
    ("ailed to allocate memory", MEMORY),
    ("out of memory", MEMORY),
    ("failed to map segment", MEMORY),
    ("oo many open files", FILES),
    ("Resource temporarily unavailable", THREADS),
    ("can't start new thread", THREADS),
];
/// Text in a cause, of a library that was not loaded. It means a shortage only if address space is limited.
const NOT_LOADED: [&str; 2] = ["dlopen failed", "missing a plug-in"];

/// Returns the remedy if `cause` is a shortage.
pub fn remedy(cause: &str) -> Option<&'static str> {
    let sign = SIGNS.iter().find(|(sign, _)| cause.contains(sign));
    sign.map(|(_, remedy)| *remedy)
        .or_else(|| (NOT_LOADED.iter().any(|sign| cause.contains(sign)) && is_space_limited()).then_some(MEMORY))
}

fn is_space_limited() -> bool {
    getrlimit(Resource::RLIMIT_AS).is_ok_and(|(most, _)| most != RLIM_INFINITY)
}

/// Raises the limit of open files to the maximum, and returns the limit.
pub fn open_files() -> u64 {
    let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE) else { return RLIM_INFINITY };
    if now < most && setrlimit(Resource::RLIMIT_NOFILE, most, most).is_ok() { most } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_matches_the_resource_that_ran_out() {
        assert_eq!(remedy("std::bad_alloc"), Some(MEMORY));
        assert_eq!(remedy("Too many open files (os error 24)"), Some(FILES));
        assert_eq!(remedy("No such file or directory (os error 2)"), None);
    }
}
