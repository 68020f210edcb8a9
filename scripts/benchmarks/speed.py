#!/usr/bin/env python3
"""Runs livelabel and its peers alternately on the same clips and prints medians. Called by scripts/bench."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import page

FOOTAGE = page.ROOT / ".deps/footage/vtest.avi"
PEER = page.ROOT / "scripts/benchmarks/peer.py"
SIZES = [(640, 360), (1280, 720), (1920, 1080)]
STAGES = ["decode", "scale", "draw", "jpeg", "network"]
OURS, SAMPLED = "livelabel, every frame analysed", "livelabel, sampled (the default)"
THREADED, LOOP, KERAS = "threaded Python, OpenVINO int8", "the original's loop, OpenVINO int8", "the original's loop, Keras"
# Keras is so slow that a tenth of the frames is enough.
KERAS_SHARE = 10
TOLERANCE = 1.2
# A smaller rise, as a share of the peer's CPU time, is within the variation of repeated runs.
NOISE = 0.005


def clip(folder, width, height, frames):
    path = folder / f"{width}x{height}.mp4"
    scale = f"scale={width}:{height},setsar=1"
    command = ["ffmpeg", "-v", "error", "-y", "-r", "25", "-i", FOOTAGE, "-frames:v", str(frames), "-vf", scale]
    subprocess.run([*command, "-c:v", "libx264", "-pix_fmt", "yuv420p", path], check=True)
    return path


def measured(command):
    """Runs a command. Returns its output, and its resource usage as the kernel counts it."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench: error: failed: {' '.join(map(str, command))}")
    return output, usage


def row(frames, wall, usage):
    cpu = 1000 * (usage.ru_utime + usage.ru_stime) / frames
    return {"fps": frames / wall, "cpu_ms": cpu, "mib": usage.ru_maxrss / 1024}


def ours(folder, path, stride, kind="video"):
    timeline = folder / "timeline.json"
    files = ["--output", folder / "ours.avi"] if kind == "video" else []
    command = [page.PROGRAM, "run", path, "--stride", stride, *files, "--timeline", timeline, "--only", kind, "--force", "--quiet"]
    usage = measured(command)[1]
    results = json.loads(timeline.read_text())
    frames = results["frames"]["analysed"] + results["frames"]["held"]
    return {**row(frames, results["speed"]["wall_s"], usage), "analysed": results["frames"]["analysed"] / frames}


def peer(folder, path, python, *more):
    output, usage = measured([python, PEER, path, folder / "peer.avi", *more])
    results = json.loads(output.splitlines()[-1])
    return row(results["frames"], results["wall_s"], usage)


def openvino_peer(folder, calibration):
    """Returns the peer's Python and its arguments for an int8 network, which NNCF calibrates with a clip."""
    model, int8 = folder / "fp32.onnx", folder / "int8.xml"
    backbone = ["--backbone", page.ROOT / ".deps/resnet50", "--head", "imagenet"]
    measured([page.PROGRAM, "model", "build", *backbone, "--output", model])
    measured([sys.executable, PEER, "--quantize", int8, "--model", model, "--calibrate", calibration])
    return [sys.executable, "--engine", "openvino", "--model", int8]


def stages(path):
    return json.loads(measured([page.PROGRAM, "bench", "clip", path, "--json"])[0])


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def ratio(mine, theirs):
    """Returns the ratio of frames a second, round by round."""
    return statistics.median(a["fps"] / b["fps"] for a, b in zip(mine, theirs))


def size_table(name, runs, results):
    lines = []
    limit = statistics.median(report["limit"] for report in results)
    for program, rows in runs.items():
        faster = "" if program in (OURS, SAMPLED) else f"{ratio(runs[OURS], rows):.2f}, {ratio(runs[SAMPLED], rows):.2f} ×"
        share = f"{median(rows, 'fps') / limit:.2f}" if program == OURS else ""
        cells = [f"{median(rows, 'fps'):.1f}", f"{median(rows, 'cpu_ms'):.1f}", f"{median(rows, 'mib'):.0f}", faster, share]
        lines.append(f"| {name} | {program} | " + " | ".join(cells) + " |")
    return lines, limit


def stage_row(name, results, limit):
    costs = [statistics.median(report["stages"][stage]["cpu_ms"] for report in results) for stage in STAGES]
    together = statistics.median(report["together"]["cpu_ms"] for report in results)
    numbers = [f"{cost:.2f}" for cost in [*costs, sum(costs), together]] + [f"{limit:.0f}"]
    return f"| {name} | " + " | ".join(numbers) + " |", dict(zip(STAGES, costs))


def check(numbers):
    """Reports which stages cost more than in the stored table, relative to the peer of the same run."""
    stored = page.stored_numbers().get("speed")
    if not stored:
        sys.exit("bench: error: docs/benchmarks.json has no table to compare with; run scripts/bench speed first")
    worse = []
    for size, now in numbers.items():
        for stage, value in now["ratios"].items():
            before = stored.get(size, {}).get("ratios", {}).get(stage)
            if before and value > TOLERANCE * before and value > before + NOISE:
                worse.append(f"{size}, {stage}: {value:.3f} of the peer's CPU time, {before:.3f} before")
    print("\n".join(worse) or "bench: no stage costs over 20 % of the peer's CPU time more than in the stored table")
    return 1 if worse else 0


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench speed")
    parser.add_argument("--frames", type=int, default=790)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="compare with the stored table instead of writing it")
    parser.add_argument("--keras", help="a Python with TensorFlow")
    given = parser.parse_args()
    lines = ["| clip | program | frames/s | CPU-ms a frame, start-up included | peak MiB | livelabel is faster by: every frame, sampled | share of the limit |", "|---|---|---|---|---|---|---|"]
    costs = ["| clip | " + " | ".join(STAGES) + " | sum | together | limit, frames/s |", "|---" * (len(STAGES) + 4) + "|"]
    numbers = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [(f"{width}×{height}", clip(folder, width, height, given.frames)) for width, height in SIZES]
        openvino = openvino_peer(folder, clips[0][1])
        for name, path in clips:
            programs = {
                OURS: lambda: ours(folder, path, "1"),
                SAMPLED: lambda: ours(folder, path, "auto"),
                THREADED: lambda: peer(folder, path, *openvino, "--threaded"),
                LOOP: lambda: peer(folder, path, *openvino),
            }
            if given.keras and path == clips[0][1]:
                short = folder / "short.mp4"
                subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", path, "-frames:v", str(given.frames // KERAS_SHARE), "-c", "copy", short], check=True)
                programs[KERAS] = lambda: peer(folder, short, given.keras, "--engine", "keras")
            runs, results = {program: [] for program in programs}, []
            for _ in range(given.rounds):
                for program, run in programs.items():
                    runs[program].append(run())
                results.append(stages(path))
            table, limit = size_table(name, runs, results)
            cost, by_stage = stage_row(name, results, limit)
            lines += table
            costs.append(cost)
            yardstick = median(runs[THREADED], "cpu_ms")
            by_stage["sampled run"] = median(runs[SAMPLED], "cpu_ms")
            numbers[name] = {"ratios": {stage: value / yardstick for stage, value in by_stage.items()}}
            print("\n".join(table), flush=True)
    text = "\n".join(lines) + "\n\nCPU-ms a frame of each stage alone, and of all together:\n\n" + "\n".join(costs)
    print("\n" + text)
    if given.check:
        sys.exit(check(numbers))
    page.put("speed", "scripts/bench speed", text, numbers, ("openvino", "nncf", "opencv-python-headless", "keras", "tensorflow_cpu"))


if __name__ == "__main__":
    main()
