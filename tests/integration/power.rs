//! Losses of power: a run is recorded once, and its folder rebuilt as cuts at many moments would have left it. After each the program
//! must find everything that was promised ([docs/guarantees.md]), say what it found, and go on.
//!
//! `scripts/power` makes more cuts than the tests do.

mod cameras;
mod clips;
mod disk;
mod log;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use crate::program::{Program, skipped};
use disk::{Cut, Disk, Tree};
use log::Log;

/// How many cuts `scripts/power` makes, instead of those of the tests.
const CUTS: &str = "LIVELABEL_POWER_CUTS";
/// Cuts that are tried at the same time.
const AT_ONCE: usize = 4;
/// Faults that are printed.
const SHOWN: usize = 10;

/// A run's log.
struct Run {
    program: Program,
    log: Log,
}

/// What was wrong after a cut, and what was checked: name and number.
#[derive(Default)]
struct Report {
    faults: Vec<String>,
    counts: Vec<(&'static str, usize)>,
}

impl Report {
    fn check(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(fault());
        }
    }

    fn count(&mut self, what: &'static str, number: usize) {
        match self.counts.iter_mut().find(|(name, _)| *name == what) {
            Some((_, count)) => *count += number,
            None => self.counts.push((what, number)),
        }
    }
}

/// The folder that is recorded, without links in its path. The runs' other files are beside it.
fn root(program: &Program) -> PathBuf {
    let root = program.path("out");
    fs::create_dir_all(&root).unwrap();
    root.canonicalize().unwrap()
}

/// Returns whether calls can be caught here.
fn is_possible() -> bool {
    let program = Program::new();
    let mut shell = Command::new("true");
    Log::record(&mut shell, &root(&program), &program.path("log"));
    let possible = cfg!(target_arch = "x86_64") && shell.status().is_ok_and(|status| status.success());
    if !possible {
        skipped("system calls cannot be caught here");
    }
    possible
}

/// Returns the number of cuts: `usual`, or this part of what the environment says.
fn cuts(usual: u64, share: u64) -> u64 {
    std::env::var(CUTS).map_or(usual, |cuts| cuts.parse::<u64>().expect("a number") * share / 10)
}

/// Returns whether `scripts/power` runs this.
fn is_long() -> bool {
    std::env::var_os(CUTS).is_some()
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// Tries cuts, and fails with what was wrong after each. `check` gets the folder that a cut leaves, and a program in whose folder it is
/// `out`.
fn try_cuts(what: &str, disk: &Disk, cuts: &[Cut], check: impl Fn(&Program, &Tree, Cut, &mut Report) + Sync) {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(&cut) = cuts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (program, tree, mut report) = (Program::new(), disk.after(cut), Report::default());
                    tree.write(&root(&program));
                    check(&program, &tree, cut, &mut report);
                    let mut all = all.lock().unwrap();
                    all.faults.extend(report.faults.iter().map(|fault| format!("{cut:?}: {fault}")));
                    report.counts.iter().for_each(|&(name, number)| all.count(name, number));
                    if !report.faults.is_empty() && is_long() {
                        tree.write(&std::env::temp_dir().join(format!("power-{what}-{}", cut.seed)));
                    }
                }
            });
        }
    });
    conclude(what, &format!("{} cuts and starts", cuts.len()), &all.into_inner().unwrap());
}

/// Checks what many more cuts leave, without starting the program: half of them at a call that changes a name or syncs something.
fn try_moments(what: &str, disk: &Disk, count: u64, check: impl Fn(&Tree, Cut, &mut Report)) {
    let mut report = Report::default();
    let cuts = disk.moments(count);
    for &cut in &cuts {
        let before = report.faults.len();
        check(&disk.after(cut), cut, &mut report);
        report.faults[before..].iter_mut().for_each(|fault| *fault = format!("{cut:?}: {fault}"));
    }
    conclude(what, &format!("{} cuts", cuts.len()), &report);
}

/// Says what was checked if `scripts/power` asks for it, and fails if anything was wrong.
fn conclude(what: &str, tried: &str, all: &Report) {
    let counts: Vec<String> = all.counts.iter().map(|(name, number)| format!("{number} {name}")).collect();
    if is_long() {
        let _ = writeln!(std::io::stderr(), "{what}: {tried}; {}; {} faults", counts.join(", "), all.faults.len());
    }
    let shown: Vec<&str> = all.faults.iter().take(SHOWN).map(String::as_str).collect();
    assert!(all.faults.is_empty(), "{} faults: {}", all.faults.len(), shown.join("\n"));
}

/// Runs a shell script below the layer.
fn recorded(script: &str) -> (Program, Log) {
    let program = Program::new();
    let (root, log) = (root(&program), program.path("log"));
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", script]).current_dir(&root);
    Log::record(&mut shell, &root, &log);
    assert!(shell.status().unwrap().success());
    let log = Log::read(&log, &root);
    (program, log)
}

#[test]
fn what_is_recorded_is_what_was_done() {
    if !is_possible() {
        return;
    }
    let script = "mkdir -p a/b; echo one >a/one; echo two >>a/one; mv a/one a/b/two; ln a/b/two three; rm a/b/two
        mv a c; cp three c/b/four; truncate -s 2 c/b/four; dd if=/dev/zero of=five bs=5000 count=2 status=none
        printf x | dd of=five bs=1 seek=6000 conv=notrunc status=none; mkdir d; rmdir d; ln -f three c/b/four; echo new >three";
    let (program, log) = recorded(script);
    let (whole, found) = (Disk::new(&log).whole(), Tree::read(&root(&program)));
    whole.assert_same(&found);
    assert_eq!(whole.bytes("c/b/four"), Some(&b"new\n"[..]));
    assert_eq!(whole.bytes("five").map(|bytes| (bytes.len(), bytes[6000])), Some((10_000, b'x')));
}

#[test]
fn a_cut_keeps_what_was_synced_and_nothing_else_for_certain() {
    if !is_possible() {
        return;
    }
    // A file with its name; one without; a file that is replaced, once with its content and once without.
    let script = "echo kept >kept; sync kept; echo nameless >old; sync old; sync -d .; mv old new; echo lost >lost
        echo 1 >whole; sync whole .; echo 2 >part; sync part; mv part whole; echo 3 >part; mv part whole";
    let (_program, log) = recorded(script);
    let disk = Disk::new(&log);
    let end = log.0.len();
    let trees: Vec<Tree> = (0..200).map(|seed| disk.after(Cut { records: end, seed })).collect();
    let found = |path: &str| {
        let mut all: Vec<Option<&[u8]>> = trees.iter().map(|tree| tree.bytes(path)).collect();
        all.sort();
        all.dedup();
        all
    };
    assert_eq!(found("kept"), [Some(&b"kept\n"[..])]);
    assert_eq!(found("new"), [Some(&b"nameless\n"[..])]);
    let lost = found("lost");
    assert!(
        lost.contains(&Some(&b""[..])) && lost.contains(&Some(b"lost\n")) && lost.contains(&Some(&[0; 5])),
        "{lost:?}"
    );
    let whole = found("whole");
    for content in [&b""[..], b"1\n", b"2\n", b"3\n", &[0; 2]] {
        assert!(whole.contains(&Some(content)), "{content:?} is not in {whole:?}");
    }
    // Before the first sync of the folder there may be nothing at all.
    let synced = log.0.iter().position(|record| record.covers > 0).unwrap();
    assert!((0..50).any(|seed| disk.after(Cut { records: synced, seed }).0.is_empty()));
}

#[test]
fn a_loss_of_power_costs_cameras_nothing_that_was_promised() {
    if is_possible() {
        cameras::test(cuts(14, 7));
    }
}

#[test]
fn a_loss_of_power_costs_no_clip_that_was_completed() {
    if is_possible() {
        clips::test(cuts(6, 3));
    }
}
