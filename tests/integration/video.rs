//! The labelled video has the input's frames, times, colours and orientation.

use std::path::Path;

use crate::footage::{colours, small, variant};
use crate::program::{Program, decodes_cleanly, probe, rgb, text, times};

/// Analyses `clip`, and checks that frame count, duration and size are kept.
fn assert_shape_is_kept(program: &Program, clip: &Path, size: (u64, u64)) {
    let stem = text(clip).rsplit('/').next().unwrap().split('.').next().unwrap();
    for ending in ["avi", "mkv"] {
        let output = program.path(&format!("{stem}.out.{ending}"));
        program.run(clip, &["--output", text(&output), "--force"]).succeeded();
        let (given, made) = (probe(clip), probe(&output));
        assert_eq!(made.codec, "mjpeg");
        assert_eq!((made.width, made.height), size, "{stem}.{ending}");
        assert_eq!(made.frames, given.frames, "{stem}.{ending}");
        assert!((made.seconds - given.seconds).abs() < 0.05, "{stem}.{ending}: {} for {}", made.seconds, given.seconds);
        decodes_cleanly(&output);
    }
}

#[test]
fn an_ordinary_clip_keeps_its_shape() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 50);
    assert_shape_is_kept(&program, &clip, (320, 136));
}

#[test]
fn odd_sizes_are_kept() {
    let program = Program::new();
    let encoded = ["-vf", "scale=641:359", "-pix_fmt", "yuv444p", "-c:v", "libx264"];
    assert_shape_is_kept(&program, &variant(program.folder.path(), "odd.mp4", 20, &encoded), (641, 359));
    let mpeg4 = ["-vf", "scale=99:51", "-c:v", "mpeg4"];
    assert_shape_is_kept(&program, &variant(program.folder.path(), "odder.avi", 20, &mpeg4), (99, 51));
}

#[test]
fn a_ten_bit_clip_is_converted() {
    let program = Program::new();
    let encoded =
        ["-vf", "scale=320:136", "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-x265-params", "log-level=error"];
    assert_shape_is_kept(&program, &variant(program.folder.path(), "ten.mp4", 20, &encoded), (320, 136));
}

#[test]
fn a_clip_with_sound_keeps_its_shape() {
    let program = Program::new();
    let encoded = ["-f", "lavfi", "-i", "sine", "-vf", "scale=320:136", "-c:v", "libx264", "-c:a", "aac", "-shortest"];
    let path = program.path("sound.mp4");
    let bikes = crate::footage::bikes();
    let given = [&["-i", text(&bikes), "-t", "1"], &encoded[..], &["-t", "1", text(&path)]].concat();
    let output = crate::program::ffmpeg(&given);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_shape_is_kept(&program, &path, (320, 136));
}

#[test]
fn a_single_frame_is_labelled() {
    let program = Program::new();
    assert_shape_is_kept(&program, &small(program.folder.path(), "one.mp4", 1), (320, 136));
}

#[test]
fn a_rotated_clip_is_written_upright() {
    let program = Program::new();
    let lying = small(program.folder.path(), "lying.mp4", 5);
    let turned = program.path("turned.mp4");
    let output =
        crate::program::ffmpeg(&["-i", text(&lying), "-c", "copy", "-metadata:s:v", "rotate=90", text(&turned)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program.run(&turned, &["--output", "out.avi"]).succeeded();
    let made = probe(&program.path("out.avi"));
    assert_eq!((made.width, made.height, made.frames), (136, 320, 5));
    // ffmpeg rotates the input by its metadata. Below the label both must be equal.
    let (given, made) = (rgb(&turned), rgb(&program.path("out.avi")));
    assert_eq!(given.len(), made.len());
    let below_label = 40 * 136 * 3;
    assert!(mean_difference(&given[below_label..136 * 320 * 3], &made[below_label..136 * 320 * 3]) < 4.0);
}

#[test]
fn irregular_times_are_kept_in_matroska_and_the_duration_in_avi() {
    let program = Program::new();
    let filter = "scale=320:136,select='not(between(n,5,9))*not(between(n,20,21))'";
    let encoded = ["-vf", filter, "-fps_mode", "vfr", "-c:v", "libx264", "-an"];
    for name in ["irregular.mp4", "irregular.mkv"] {
        let clip = variant(program.folder.path(), name, 33, &encoded);
        program.run(&clip, &["--output", "same.mkv", "--force"]).succeeded();
        let (given, made) = (times(&clip), times(&program.path("same.mkv")));
        assert_eq!(given.len(), 33);
        assert_eq!(given.len(), made.len());
        assert!(given.iter().zip(&made).all(|(a, b)| (a - b).abs() <= 1.0), "{given:?}\n{made:?}");

        let finished = program.run(&clip, &["--output", "even.avi", "--force", "--verbose"]).succeeded();
        let made = probe(&program.path("even.avi"));
        assert_eq!((made.frames, made.seconds), (40, 1.6));
        assert!(finished.stdout.contains("7 frames repeated and 0 skipped"), "{}", finished.stdout);
        assert_eq!(finished.stdout.matches("7 frames repeated").count(), 1, "{}", finished.stdout);
        let timeline = program.json("irregular.timeline.json");
        let rows = timeline["confidences"]["rows"].as_array().unwrap();
        assert!(rows.iter().zip(&given).all(|(row, ms)| (row[0].as_f64().unwrap() - ms).abs() <= 1.0));
    }
}

#[test]
fn frames_of_another_size_are_scaled_to_fit() {
    let program = Program::new();
    // MPEG-TS files can be concatenated, which gives one stream whose size changes.
    let first =
        variant(program.folder.path(), "a.ts", 20, &["-vf", "scale=320:240", "-c:v", "libx264", "-f", "mpegts"]);
    let shifted =
        ["-vf", "scale=480:272,setpts=PTS+0.8/TB", "-c:v", "libx264", "-f", "mpegts", "-output_ts_offset", "0.8"];
    let second = variant(program.folder.path(), "b.ts", 20, &shifted);
    let joined = program.path("joined.ts");
    std::fs::write(&joined, [std::fs::read(first).unwrap(), std::fs::read(second).unwrap()].concat()).unwrap();
    program.run(&joined, &["--output", "out.mkv"]);
    let made = probe(&program.path("out.mkv"));
    assert_eq!((made.width, made.height), (320, 240));
    assert!(made.frames >= 38, "{} frames", made.frames);
    decodes_cleanly(&program.path("out.mkv"));
}

#[test]
fn colours_do_not_shift() {
    let colour_codes = ["0xC02040", "0x30A050", "0x2050D0", "0xE0E0E0", "0x202020"];
    let kinds = [
        ("limited601", "smpte170m", "tv", "yuv420p", "libx264"),
        ("full601", "smpte170m", "pc", "yuv420p", "libx264"),
        ("limited709", "bt709", "tv", "yuv420p", "libx264"),
        ("full709", "bt709", "pc", "yuv420p", "libx264"),
        ("ten709", "bt709", "tv", "yuv420p10le", "libx265"),
    ];
    for (name, matrix, range, format, codec) in kinds {
        let program = Program::new();
        let filter = format!("scale=out_color_matrix={matrix}:out_range={range}");
        let tags = ["-colorspace", matrix, "-color_range", range, "-color_primaries", matrix, "-color_trc", matrix];
        let mut arguments = vec!["-vf", &filter, "-pix_fmt", format, "-c:v", codec, "-crf", "4"];
        arguments.extend(tags);
        if codec == "libx265" {
            arguments.extend(["-x265-params", "log-level=error"]);
        }
        let clip = colours(program.folder.path(), &format!("{name}.mp4"), &colour_codes, &arguments);
        program.run(&clip, &["--output", "out.avi"]).succeeded();
        let pixels = rgb(&program.path("out.avi"));
        let frame = 160 * 120 * 3;
        assert_eq!(pixels.len(), 125 * frame, "{name}");
        for (i, code) in colour_codes.iter().enumerate() {
            let wanted = u32::from_str_radix(&code[2..], 16).unwrap().to_be_bytes();
            // The centre of the frame, in the middle of the colour's second.
            let at = (25 * i + 12) * frame + (60 * 160 + 80) * 3;
            for (channel, &wanted) in wanted[1..].iter().enumerate() {
                let made = pixels[at + channel];
                assert!(made.abs_diff(wanted) <= 5, "{name} {code}: {:?}", &pixels[at..at + 3]);
            }
        }
    }
}

fn mean_difference(left: &[u8], right: &[u8]) -> f64 {
    let sum: u64 = left.iter().zip(right).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / left.len() as f64
}
