//! Ends processes that a test waits for in vain, so that the test fails, and tells what it waited for.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::sync::Once;
use std::time::Duration;

use livelabel::cluster::claim;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// No process of a test takes as long, also on a slow and busy machine.
const LIMIT: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_secs(10);

/// Begins to watch the processes that the tests start, and those that they start in turn.
pub fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(POLL);
                let running = running();
                let old = running.iter().filter(|&(&id, process)| process.age > LIMIT && is_ours(id, &running));
                old.for_each(|(&id, process)| end(id, process.age));
            }
        });
    });
}

/// Kills a process, and tells which.
fn end(id: u32, age: Duration) {
    let read = |name: &str| fs::read_to_string(format!("/proc/{id}/{name}")).unwrap_or_default();
    let (command, status) = (read("cmdline").replace('\0', " "), read("status"));
    let state = status.lines().find(|line| line.starts_with("State")).unwrap_or_default();
    // Past the test runner, which keeps what a test prints until it ends.
    let _ = std::io::stderr().write_all(format!("killed after {} s: {command}\n{state}\n", age.as_secs()).as_bytes());
    let _ = kill(Pid::from_raw(id.cast_signed()), Signal::SIGKILL);
}

struct Process {
    parent: u32,
    age: Duration,
}

/// Returns the processes of this machine that have not ended, by their identifiers.
fn running() -> BTreeMap<u32, Process> {
    let now = claim::now();
    let ids =
        fs::read_dir("/proc").expect("processes").flatten().filter_map(|one| one.file_name().to_str()?.parse().ok());
    ids.filter_map(|id| Some((id, process(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?, now)?))).collect()
}

fn process(stat: &str, now: Duration) -> Option<Process> {
    // After the name in parentheses, which may contain anything, come the state, the parent and, as the 20th, the start in 10 ms.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let started = Duration::from_millis(10 * fields.get(19)?.parse::<u64>().ok()?);
    let process = Process { parent: fields.get(1)?.parse().ok()?, age: now.saturating_sub(started) };
    (fields.first()? != &"Z").then_some(process)
}

/// Returns whether a process was started by this one, or by one that was.
fn is_ours(id: u32, running: &BTreeMap<u32, Process>) -> bool {
    let parents = std::iter::successors(running.get(&id), |process| running.get(&process.parent));
    parents.take(100).any(|process| process.parent == std::process::id())
}

#[test]
fn processes_of_tests_have_an_age_and_are_ended() {
    let mut child = std::process::Command::new("sh").args(["-c", "sleep 60; true"]).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let all = running();
    let (&sleep, _) = all.iter().find(|(_, process)| process.parent == child.id()).expect("it sleeps");
    for id in [sleep, child.id()] {
        let age = all[&id].age;
        assert!(is_ours(id, &all) && (Duration::from_millis(500)..LIMIT).contains(&age), "{id}: {age:?}");
    }
    assert!(!is_ours(std::process::id(), &all));
    end(sleep, all[&sleep].age);
    assert!(child.wait().unwrap().success());
    assert!(!running().contains_key(&child.id()));
}
