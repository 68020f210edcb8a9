//! What this process may not have enough of: a library that runs out of it names many other reasons.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

const MEMORY: &str = "give it more memory: raise the limit of address space (ulimit -v), or end other programs";
const FILES: &str = "allow it more open files (ulimit -n)";
const THREADS: &str = "allow it more threads (ulimit -u) and address space (ulimit -v)";

/// Words of a cause, each with what ran out.
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
/// Words of a cause that are those of a shortage only where address space is limited: a library was not loaded.
const UNLOADED: [&str; 2] = ["dlopen failed", "missing a plug-in"];

/// What helps against `cause`, where it is a shortage.
pub fn remedy(cause: &str) -> Option<&'static str> {
    let sign = SIGNS.iter().find(|(sign, _)| cause.contains(sign));
    sign.map(|(_, remedy)| *remedy)
        .or_else(|| (UNLOADED.iter().any(|sign| cause.contains(sign)) && is_space_limited()).then_some(MEMORY))
}

fn is_space_limited() -> bool {
    getrlimit(Resource::RLIMIT_AS).is_ok_and(|(most, _)| most != RLIM_INFINITY)
}

/// Lets the process open as many files as it ever may; returns how many these are.
pub fn open_files() -> u64 {
    let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE) else { return RLIM_INFINITY };
    if now < most && setrlimit(Resource::RLIMIT_NOFILE, most, most).is_ok() { most } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_tells_what_ran_out() {
        assert_eq!(remedy("std::bad_alloc"), Some(MEMORY));
        assert_eq!(remedy("Too many open files (os error 24)"), Some(FILES));
        assert_eq!(remedy("No such file or directory (os error 2)"), None);
    }
}
