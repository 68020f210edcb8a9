//! Counts what the program allocates while a clip goes through it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a failure here is to be seen")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use livelabel::{Analyzer, Config, FileKind, RunOptions, Settings, Shutdown, StreamOptions, Stride};

/// The system's allocator, with a count of the large blocks.
struct Counting;

/// Smaller than each plane of the test's pictures, and than a network's input.
const LARGE: usize = 40_000;
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BLOCKS.fetch_add(usize::from(layout.size() >= LARGE), Ordering::Relaxed);
        // SAFETY: the caller keeps the allocator's promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the allocator's promises.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        BLOCKS.fetch_add(usize::from(size >= LARGE), Ordering::Relaxed);
        // SAFETY: the caller keeps the allocator's promises.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The first frames of a clip of traffic, 640×272.
fn clip(folder: &Path, frames: u32) -> PathBuf {
    let path = folder.join(format!("{frames}.mp4"));
    let source = project().join(".deps/footage/bikes.mp4");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-stream_loop", "-1", "-i"])
        .arg(source)
        .args(["-frames:v", &frames.to_string(), "-an", "-c:v", "libx264", "-preset", "veryfast"])
        .arg(&path)
        .status();
    assert!(made.expect("ffmpeg starts").success());
    path
}

/// Large blocks that a run asks for which labels the clip with the shipped network and records it.
fn blocks(folder: &Path, clip: &Path) -> usize {
    let streams = StreamOptions {
        input: vec![clip.to_path_buf()],
        only: Some(vec![FileKind::Video]),
        output_dir: Some(folder.to_path_buf()),
        // Sampling holds more frames than these clips have.
        stride: Some(Stride::Every(1)),
        ..StreamOptions::default()
    };
    let run = RunOptions {
        device: Some("cpu".parse().expect("a device")),
        quiet: Some(true),
        force: Some(true),
        ..RunOptions::default()
    };
    let settings = Settings { run, streams, origin: None };
    let config = Config::resolve(settings).expect("settings that hold");
    let before = BLOCKS.load(Ordering::Relaxed);
    Analyzer::new(config).expect("an analyzer").run(&Shutdown::default(), &()).expect("a run");
    BLOCKS.load(Ordering::Relaxed) - before
}

#[test]
fn the_steady_state_allocates_nothing_of_a_pictures_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let [short, long] = [40, 200].map(|frames| clip(folder.path(), frames));
    // Whatever is loaded once for the process is loaded now.
    blocks(folder.path(), &short);
    let (short, long) = (blocks(folder.path(), &short), blocks(folder.path(), &long));
    // Each run makes its canvases and tensors, of which a few more or less are needed by chance.
    assert!(long <= short + 8, "{long} large blocks for 200 frames, {short} for 40");
}
