//! What a run may do, and what a decoder that an attacker has taken over may not.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::footage::colours;
use crate::program::{Finished, Program, skipped, text};
use crate::reload::{Run, stream, test};
use crate::tiny;

/// Returns whether the kernel restricts files and TCP ports.
fn is_supported() -> bool {
    let devices = Program::new().start(&["devices"]).succeeded();
    let supported = devices.stdout.contains("sandbox   files, TCP ports");
    if !supported {
        skipped("this kernel's Landlock does not restrict TCP ports");
    }
    supported
}

/// The attacker's plugin, an example of this project.
pub fn plugin(folder: &Path) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_livelabel")).with_file_name("examples/libcompromised_decoder.so");
    let plugins = folder.join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    std::fs::copy(built, plugins.join("libcompromised.so")).unwrap();
    plugins
}

/// Has a command decode JPEGs with the attacker's plugin.
pub fn load(command: &mut Command, plugins: &Path, program: &Program) {
    command.env("GST_PLUGIN_PATH", plugins).env("GST_REGISTRY", program.path("registry.bin"));
    command.env("GST_PLUGIN_FEATURE_RANK", "compromiseddecoder:4096");
}

/// Runs a clip through the attacker's decoder. Returns what the attacker printed, and whether the secret is still there.
fn attacked(flags: &[&str]) -> (Finished, bool) {
    let (program, outside) = (Program::new(), tempfile::tempdir().unwrap());
    let clip = colours(program.folder.path(), "clip.avi", &["red", "blue"], &["-c:v", "mjpeg"]);
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let model = tiny::model();
    let mut command = program.command(&["run", text(&clip), "--model", text(&model), "--output-dir", "out"]);
    command.args(flags);
    load(&mut command, &plugin(outside.path()), &program);
    command.env("ATTACK_SECRET", &secret).env("ATTACK_OUTSIDE", outside.path().join("taken"));
    command.env("ATTACK_ADDRESS", listener.local_addr().unwrap().to_string());
    command.env("ATTACK_INSIDE", program.path("out/taken"));
    (command.output().unwrap().into(), secret.exists())
}

const ATTACKS: [&str; 7] = [
    "read /etc/passwd",
    "read a secret",
    "write outside",
    "delete a secret",
    "connect",
    "listen",
    "read a secret in a shell",
];

#[test]
fn a_compromised_decoder_reaches_nothing_that_the_run_does_not_need() {
    if !is_supported() {
        return;
    }
    let (finished, kept) = attacked(&[]);
    for attack in ATTACKS {
        assert!(finished.stderr.contains(&format!("attack: {attack}: denied\n")), "{attack}: {}", finished.stderr);
    }
    assert!(finished.stderr.contains("attack: write the output folder: done\n"), "{}", finished.stderr);
    assert!(finished.code != 0 && kept, "{}", finished.stderr);
}

#[test]
fn without_a_sandbox_it_reaches_everything() {
    let (finished, kept) = attacked(&["--no-sandbox"]);
    // The shell comes after the secret was deleted.
    for attack in &ATTACKS[..6] {
        assert!(finished.stderr.contains(&format!("attack: {attack}: done\n")), "{attack}: {}", finished.stderr);
    }
    assert!(!kept);
}

#[test]
fn another_decoder_is_used_only_if_the_user_allows_it() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.avi", &["red"], &["-c:v", "mjpeg"]);
    let plugins = plugin(program.folder.path());
    let model = tiny::model();
    let mut command = program.command(&["run", text(&clip), "--model", text(&model), "--only", "timeline"]);
    command.env("GST_PLUGIN_PATH", plugins).env("GST_REGISTRY", program.path("registry.bin"));
    let finished = Finished::from(command.output().unwrap()).succeeded();
    assert!(!finished.stderr.contains("attack"), "{}", finished.stderr);
}

#[test]
fn an_obscure_container_is_told_and_can_be_allowed() {
    let program = Program::new();
    let clip = colours(program.folder.path(), "clip.mxf", &["red"], &["-c:v", "mpeg2video"]);
    let refused = program.run(&clip, &[]);
    assert!(
        refused.refusal(2).contains("clip.mxf: needs a decoder that is not installed, or not allowed"),
        "{}",
        refused.stderr
    );
    let model = tiny::model();
    let mut command = program.command(&["run", text(&clip), "--model", text(&model), "--only", "timeline"]);
    let finished = command.env("GST_PLUGIN_FEATURE_RANK", "mxfdemux:primary").output().unwrap();
    Finished::from(finished).succeeded();
    assert!(program.json("clip.timeline.json")["frames"]["decoded"].as_u64() > Some(0));
}

#[test]
fn a_reload_gets_no_rights_that_were_given_up() {
    if !is_supported() {
        return;
    }
    let run = Run::start(&test("door", ""));
    run.is_running("door");
    for (more, why) in [
        (test("hall", "output_dir = \"/proc/nowhere\""), "writing to /proc/nowhere"),
        (stream("garden", "rtsp://127.0.0.1:7/live", ""), "connecting to port 7"),
        (stream("desk", "/dev/video99", ""), "using /dev"),
    ] {
        let error = run.refused(&format!("{}{more}", test("door", "")));
        let expected =
            format!("the sandbox of this run does not allow {why}; restart livelabel, or start it with --no-sandbox");
        assert_eq!(error, expected);
    }
    // A camera of a usual port.
    let more = stream("garden", "rtsp://127.0.0.1:8554/live", "paused = true");
    assert_eq!(run.change(&format!("{}{more}", test("door", ""))), "added garden, 1 unchanged");
    run.goes_on("door");
}

#[test]
fn temporary_files_of_a_run_are_deleted() {
    let (program, temporary) = (Program::new(), tempfile::tempdir().unwrap());
    let clip = colours(program.folder.path(), "clip.mkv", &["red"], &[]);
    let model = tiny::model();
    let mut command = program.command(&["run", text(&clip), "--model", text(&model)]);
    Finished::from(command.env("TMPDIR", temporary.path()).output().unwrap()).succeeded();
    let folders: Vec<_> = temporary.path().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    let [folder] = folders.as_slice() else { panic!("{folders:?}") };
    assert_eq!(folder.read_dir().unwrap().count(), 0);
}
