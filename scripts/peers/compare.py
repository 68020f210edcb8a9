#!/usr/bin/env python3
"""Runs livelabel and its peers in turn on the same clips, and prints a table of medians. Called by scripts/bench."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target/release/livelabel"
MODEL = ROOT / "models/drinking-cooking.int8.onnx"
FOOTAGE = ROOT / ".deps/footage/vtest.avi"
SIZES = [(640, 360), (1280, 720)]
OURS = "livelabel"


def clip(folder, width, height, frames):
    path = folder / f"{width}x{height}.mp4"
    scale = f"scale={width}:{height},setsar=1"
    command = ["ffmpeg", "-v", "error", "-y", "-r", "25", "-i", FOOTAGE, "-frames:v", str(frames), "-vf", scale]
    subprocess.run([*command, "-c:v", "libx264", "-pix_fmt", "yuv420p", path], check=True)
    return path


def ours(folder, path):
    timeline = folder / "timeline.json"
    files = ["--output", folder / "ours.avi", "--timeline", timeline, "--only", "video", "--force", "--quiet"]
    usage = measured([PROGRAM, "run", path, "--model", MODEL, "--device", "cpu", *files])[1]
    told = json.loads(timeline.read_text())
    return told["frames"]["analysed"], told["speed"]["wall_s"], usage


def peer(folder, path, *more):
    script = ROOT / "scripts/peers/plain.py"
    output, usage = measured([sys.executable, script, path, folder / "peer.avi", MODEL, *more])
    told = json.loads(output)
    return told["frames"], told["wall_s"], usage


def measured(command):
    """A command's output, and its use of the machine as the system counts it."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench: {command[0]} failed")
    return output, usage


def main():
    frames, rounds = int(sys.argv[1]), int(sys.argv[2])
    programs = {
        OURS: ours,
        "OpenCV + ONNX Runtime, threaded": lambda folder, path: peer(folder, path, "--threaded"),
        "OpenCV + ONNX Runtime, the original's loop": peer,
    }
    print("| clip | program | frames/s | CPU-ms a frame, start-up included | peak MiB | livelabel is |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for width, height in SIZES:
            path = clip(folder, width, height, frames)
            runs = {program: [] for program in programs}
            for _ in range(rounds):
                for program, run in programs.items():
                    count, wall, usage = run(folder, path)
                    assert count == frames, f"{program} labelled {count} of {frames} frames"
                    cpu = 1000 * (usage.ru_utime + usage.ru_stime) / count
                    runs[program].append((count / wall, cpu, usage.ru_maxrss / 1024))
            for program, rows in runs.items():
                rate, cpu, memory = (statistics.median(column) for column in zip(*rows))
                ratios = [mine[0] / theirs[0] for mine, theirs in zip(runs[OURS], rows)]
                ratio = "" if program == OURS else f"{statistics.median(ratios):.2f} × as fast"
                print(f"| {width}×{height} | {program} | {rate:.1f} | {cpu:.1f} | {memory:.0f} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
