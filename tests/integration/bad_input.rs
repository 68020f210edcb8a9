//! Invalid input: the program prints one line with what failed, where, and the remedy. It loses no data.

use std::fs;
use std::path::Path;

use livelabel::onnx::proto::{DimensionProto, EXTERNAL, FLOAT16, ModelProto, TensorTypeProto};
use prost::Message;

use crate::footage::small;
use crate::program::{Finished, Program, decodes_cleanly, ffmpeg, probe, run_with_mounts, text};
use crate::tiny;

/// Runs on a clip of `bytes`. Expects an error line that contains `words`, and no output.
fn refused(name: &str, bytes: &[u8], words: &[&str]) {
    let program = Program::new();
    let clip = program.path(name);
    fs::write(&clip, bytes).unwrap();
    check_refusal(&program, program.run(&clip, &["--output-dir", "out"]), words);
}

fn check_refusal(program: &Program, finished: Finished, words: &[&str]) {
    let line = finished.refusal(2);
    for word in words {
        assert!(line.contains(word), "{word:?} is not in: {line}");
    }
    assert!(!program.path("out").exists(), "an unusable input must leave no output");
}

#[test]
fn inputs_that_are_not_clips_are_refused() {
    let program = Program::new();
    let missing = program.path("missing.mp4");
    check_refusal(
        &program,
        program.run(&missing, &["--output-dir", "out"]),
        &["missing.mp4", "cannot be opened", "check the name"],
    );
    let folder = program.folder.path();
    check_refusal(
        &program,
        program.run(folder, &["--output-dir", "out"]),
        &["has no video", "give a folder with clips"],
    );
    refused("text.mp4", b"this is not a video at all, only words\n", &["text.mp4", "is not a video", "ffprobe"]);
    refused("empty.mp4", b"", &["is empty"]);
}

#[test]
fn a_clip_without_a_video_track_is_refused() {
    let program = Program::new();
    let sound = program.path("sound.mp4");
    ffmpeg(&["-f", "lavfi", "-i", "sine", "-t", "1", "-c:a", "aac", text(&sound)]);
    check_refusal(
        &program,
        program.run(&sound, &["--output-dir", "out"]),
        &["has no video track", "give a clip with video"],
    );

    // A Matroska header with a video track, without a cluster.
    let full = fs::read(small(program.folder.path(), "full.mkv", 3)).unwrap();
    let cluster = full.windows(4).position(|four| four == [0x1f, 0x43, 0xb6, 0x75]).unwrap();
    refused("none.mkv", &full[..cluster], &["none.mkv"]);
}

#[test]
fn a_clip_without_an_index_is_refused() {
    let program = Program::new();
    let full = fs::read(small(program.folder.path(), "full.mp4", 20)).unwrap();
    // Without +faststart the index is at the end.
    refused("half.mp4", &full[..full.len() / 2], &["half.mp4", "cut short", "copy or record it again"]);
}

#[test]
fn a_truncated_clip_is_analysed_up_to_its_end() {
    let program = Program::new();
    for (name, flags) in [("cut.mp4", "+faststart"), ("cut.mkv", "+bitexact")] {
        let folder = program.folder.path();
        let flag = if name.ends_with("mp4") { "-movflags" } else { "-fflags" };
        let encoded = ["-vf", "scale=320:136", "-c:v", "libx264", "-an", flag, flags];
        let clip = crate::footage::variant(folder, name, 40, &encoded);
        let full = fs::read(&clip).unwrap();
        fs::write(&clip, &full[..full.len() * 7 / 10]).unwrap();
        let finished = program.run(&clip, &["--force", "--output", "out.avi", "--timeline", "out.json"]);
        let line = finished.refusal(1);
        assert!(line.contains("is cut short at") && line.contains(&format!("of its {} bytes", full.len())), "{line}");
        let made = probe(&program.path("out.avi"));
        assert!((10..40).contains(&made.frames), "{}", made.frames);
        decodes_cleanly(&program.path("out.avi"));
        let timeline = program.json("out.json");
        assert_eq!((&timeline["complete"], &timeline["frames"]["decoded"]), (&false.into(), &made.frames.into()));
    }
}

#[test]
fn the_frames_around_damage_are_analysed() {
    let program = Program::new();
    let encoded = ["-vf", "scale=320:136", "-c:v", "libx264", "-an", "-g", "10", "-movflags", "+faststart"];
    let clip = crate::footage::variant(program.folder.path(), "damaged.mp4", 60, &encoded);
    let mut bytes = fs::read(&clip).unwrap();
    let (start, length) = (bytes.len() / 2, bytes.len() / 10);
    bytes[start..start + length].fill(0);
    fs::write(&clip, bytes).unwrap();
    let finished = program.run(&clip, &["--output", "out.avi"]);
    let line = finished.refusal(1);
    assert!(line.contains("damaged.mp4: is damaged near") && line.contains("copy or record it again"), "{line}");
    decodes_cleanly(&program.path("out.avi"));
    let made = probe(&program.path("out.avi"));
    assert_eq!((made.frames, made.seconds), (60, 2.4), "undecodable frames must keep their time");
}

#[test]
fn invalid_arguments_are_refused() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 3);
    let refuse = |arguments: &[&str], words: &[&str]| {
        let finished = program.run(&clip, arguments);
        let line = finished.refusal(2);
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    };
    refuse(&["--action", "driking"], &["no label \"driking\"", "use one of red, green, blue"]);
    refuse(&["--threshold", "2"], &["threshold 2 is not between 0 and 1"]);
    refuse(&["--output", "out.mov"], &["out.mov", ".avi or .mkv"]);
    refuse(&["--output", text(&clip), "--force"], &["unknown format"]);
    refuse(&["--pipeline", "nothing"], &["no pipeline \"nothing\"", "file, original, timeline"]);
    fs::write(program.path("p.toml"), "window = 3\nwidow = 4\n").unwrap();
    refuse(&["--pipeline", "p.toml"], &["p.toml, line 2", "widow"]);
    let unknown = program.run(&clip, &["--widow", "3"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("--widow"), "{}", unknown.stderr);
    assert!(!program.path("clip.labelled.avi").exists());
}

#[test]
fn an_input_is_never_overwritten() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.avi", 3);
    let before = fs::read(&clip).unwrap();
    let finished = program.run(&clip, &["--output", "./clip.avi", "--force"]);
    assert!(finished.refusal(2).contains("is both an input and an output"), "{}", finished.stderr);
    assert_eq!(fs::read(&clip).unwrap(), before);
}

#[test]
fn unwritable_outputs_are_refused() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 3);
    fs::write(program.path("file"), "in the way").unwrap();
    let finished = program.run(&clip, &["--output-dir", "file/below"]);
    assert!(finished.refusal(2).contains("file/below: the folder cannot be created"), "{}", finished.stderr);
    fs::create_dir(program.path("out.avi")).unwrap();
    let finished = program.run(&clip, &["--output", "out.avi", "--force"]);
    assert!(finished.refusal(2).contains("out.avi: cannot be written"), "{}", finished.stderr);
    assert!(!program.path("clip.timeline.jsonl").exists());
}

/// Changes the tiny model, and expects an error line that contains `words`.
fn model_refused(change: impl FnOnce(&mut ModelProto), words: &[&str]) {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 3);
    let mut proto = tiny::proto();
    change(&mut proto);
    fs::write(program.path("changed.onnx"), proto.encode_to_vec()).unwrap();
    let finished = program.start(&["run", text(&clip), "--model", "changed.onnx", "--output-dir", "out"]);
    check_refusal(&program, finished, &[&["changed.onnx"], words].concat());
}

#[test]
fn inconsistent_models_are_refused() {
    model_refused(
        |model| model.metadata_props.clear(),
        &["its metadata lacks livelabel.version, labels", "model build"],
    );
    model_refused(|model| model.metadata_props.retain(|entry| entry.key != "input.mean"), &["lacks input.mean"]);
    model_refused(|model| set(model, "labels", "red, green"), &["metadata labels is \"red, green\""]);
    model_refused(
        |model| set(model, "labels", "[\"red\", \"green\"]"),
        &["probabilities has shape [-1, 3]", "[batch, 2]"],
    );
    model_refused(|model| set(model, "input.size", "64"), &["pixels has shape", "[batch, 3, 64, 64]"]);
    model_refused(|model| set(model, "input.layout", "NHWC"), &["input.layout is \"NHWC\"", "NCHW"]);
    model_refused(|model| set(model, "livelabel.version", "9"), &["livelabel.version is \"9\""]);
    let graph = |model: &mut ModelProto| model.graph.take().unwrap();
    model_refused(|model| set(model, "threshold", "7"), &["metadata threshold is"]);
    model_refused(|model| set(model, "labels", "[\"a\", \"b\", \"a\"]"), &["has the label \"a\" twice"]);
    model_refused(
        |model| {
            tensor(model).shape.as_mut().unwrap().dim[0] = DimensionProto { dim_value: Some(1000), dim_param: None }
        },
        &["pixels has shape [1000, 3, 32, 32]", "[batch, 3, 32, 32]"],
    );
    model_refused(|model| tensor(model).elem_type = FLOAT16, &["pixels is not float32"]);
    model_refused(
        |model| {
            let mut changed = graph(model);
            changed.initializer[0].data_location = EXTERNAL;
            model.graph = Some(changed);
        },
        &["dense.weight is in another file", "without external data"],
    );
    model_refused(
        |model| {
            let mut changed = graph(model);
            changed.node[0].domain = "acme".into();
            model.graph = Some(changed);
        },
        &["needs the custom operator acme::GlobalAveragePool"],
    );
    model_refused(
        |model| {
            let mut changed = graph(model);
            changed.node[0].op_type = "NoSuchOperator".into();
            model.graph = Some(changed);
        },
        &["ONNX Runtime rejects it", "NoSuchOperator"],
    );
}

/// Returns the type of the tiny model's input.
fn tensor(model: &mut ModelProto) -> &mut TensorTypeProto {
    let graph = model.graph.as_mut().unwrap();
    graph.input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap()
}

fn set(model: &mut ModelProto, key: &str, value: &str) {
    model.metadata_props.iter_mut().find(|entry| entry.key == key).unwrap().value = value.into();
}

#[test]
fn a_file_that_is_not_a_model_is_refused() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 3);
    let finished = program.start(&["run", text(&clip), "--model", text(&clip)]);
    assert!(finished.refusal(2).contains("not an ONNX model"), "{}", finished.stderr);
    let finished = program.start(&["run", text(&clip), "--model", "none.onnx"]);
    assert!(finished.refusal(2).contains("none.onnx: cannot be read"), "{}", finished.stderr);
}

#[test]
fn heads_of_other_shapes_are_refused() {
    let program = Program::new();
    let backbone = crate::footage::fetched("resnet50");
    let build = |head: &Path| {
        let arguments = ["model", "build", "--backbone", text(&backbone), "--head", text(head), "--output", "m.onnx"];
        program.start(&arguments)
    };
    let shipped = fs::read(tiny::random_head(&program)).unwrap();
    let length = u64::from_le_bytes(shipped[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&shipped[8..8 + length]).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(header.contains(from), "{from} is not in {header}");
        let header = header.replace(from, to);
        let path = program.path("head.safetensors");
        fs::write(&path, [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &shipped[8 + length..]].concat())
            .unwrap();
        path
    };
    let finished = build(&changed("[512,2048]", "[2048,512]"));
    assert!(
        finished.refusal(2).contains("dense1.weight has shape [2048, 512], not [512, 2048]"),
        "{}",
        finished.stderr
    );
    let finished = build(&changed(", \\\"other\\\"]", "]"));
    assert!(finished.refusal(2).contains("has shape [3, 512], not [2, 512]"), "{}", finished.stderr);
    let finished = build(&changed("\"labels\"", "\"names\""));
    assert!(finished.refusal(2).contains("its metadata has no labels"), "{}", finished.stderr);
    let finished = build(&changed("dense2.bias", "dense3.bias"));
    assert!(finished.refusal(2).contains("has no tensor dense2.bias"), "{}", finished.stderr);
    assert!(!program.path("m.onnx").exists());
}

#[test]
fn a_full_disk_finalises_the_files() {
    let program = Program::new();
    let encoded = ["-vf", "scale=1280:720,noise=alls=60:allf=t", "-c:v", "libx264", "-preset", "ultrafast"];
    crate::footage::variant(program.folder.path(), "clip.mp4", 250, &encoded);
    let disk = program.path("disk");
    fs::create_dir(&disk).unwrap();
    // A separate file system in a mount namespace, if the kernel allows it.
    let script = "mount -t tmpfs -o size=40m tmpfs disk || exit 77\n\
                  \"$0\" run clip.mp4 --model \"$1\" --output-dir disk\n\
                  code=$?; mkdir kept; cp disk/* kept; exit $code";
    let Some(finished) = run_with_mounts(&program, script, &[text(&tiny::model())]) else { return };
    let line = finished.refusal(1);
    assert!(line.contains("the disk is full") && line.contains("free some"), "{line}");
    let video = program.path("kept/clip.labelled.avi");
    decodes_cleanly(&video);
    let frames = probe(&video).frames;
    assert!((20..250).contains(&frames), "{frames}");
    let timeline = program.json("kept/clip.timeline.json");
    assert_eq!(timeline["complete"], false);
    let balance = &timeline["frames"];
    let dropped = balance["dropped"]["failure"].as_u64().unwrap();
    let labelled = balance["analysed"].as_u64().unwrap() + balance["held"].as_u64().unwrap();
    assert_eq!(labelled + dropped, balance["decoded"].as_u64().unwrap());
    assert_eq!(labelled, frames);
    assert!(program.path("kept/clip.plot.png").exists() && program.path("kept/clip.vtt").exists());
}
