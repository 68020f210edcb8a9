#!/usr/bin/env python3
"""Measures cost and gain of analysing only some of the frames, on labelled clips. Called by scripts/bench."""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import page
from speed import clip, measured, median, openvino_peer, ours, peer, ratio

STRIDES = ["1", "4", "8", "auto"]
SIZES = [(640, 360), (1280, 720)]
# Frames of the footage, which the clip shows twice.
FRAMES = 795
ROUNDS = 3


def twice(folder, width, height):
    """Returns a clip of two passes over the footage."""
    once, path = clip(folder, width, height, FRAMES), folder / f"{width}.twice.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-stream_loop", "1", "-i", once, "-c", "copy", path], check=True)
    return path


def speeds(folder):
    """Returns the rows of a table, and frames a second of each program."""
    lines, numbers = [], {}
    python = openvino_peer(folder, clip(folder, *SIZES[0], FRAMES))
    for width, height in SIZES:
        path = twice(folder, width, height)
        runs = {(stride, kind): [] for stride in STRIDES for kind in ("video", "timeline")}
        beside = []
        for _ in range(ROUNDS):
            beside.append(peer(folder, path, *python, "--threaded"))
            for (stride, kind), rows in runs.items():
                rows.append(ours(folder, path, stride, kind))
        name = f"{width}×{height}"
        lines.append(f"| {name} | threaded Python, OpenVINO int8, with video | 100 % | {median(beside, 'fps'):.0f} | | {median(beside, 'cpu_ms'):.1f} | {median(beside, 'mib'):.0f} |")
        for (stride, kind), rows in runs.items():
            faster = ratio(rows, beside)
            what = "with video" if kind == "video" else "timeline only"
            lines.append(
                f"| {name} | `--stride {stride}`, {what} | {100 * median(rows, 'analysed'):.0f} % | {median(rows, 'fps'):.0f} "
                f"| {faster:.2f} × | {median(rows, 'cpu_ms'):.1f} | {median(rows, 'mib'):.0f} |"
            )
            numbers[f"{name} {stride} {kind}"] = {"fps": median(rows, "fps"), "ratio": faster}
    return lines, numbers


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench stride")
    parser.add_argument("data", type=Path, nargs="+")
    given = parser.parse_args()
    clips = sorted(path for data in given.data for path in data.glob("clips/*/*") if path.suffix in (".mp4", ".avi"))
    if not clips:
        sys.exit(f"bench: error: no clips in {given.data[0]}/clips; give a folder that contains clips/CLASS/*.mp4")
    labels = measured([page.PROGRAM, "bench", "sampling", *clips])[0]
    with tempfile.TemporaryDirectory() as name:
        lines, numbers = speeds(Path(name))
    head = "| size | program | analysed | frames/s | faster than the peer | CPU-ms a frame | MiB |\n|---|---|---|---|---|---|---|\n"
    footage = f"The footage of the speed table, twice in a loop, with the shipped model's window; medians of {ROUNDS} rounds in turn. The peer analyses every frame."
    text = f"{labels}\n\n{head}" + "\n".join(lines) + f"\n\n{footage}"
    print(text)
    page.put("stride", "scripts/bench stride DATA", text, numbers, ("openvino", "nncf", "opencv-python-headless"))


if __name__ == "__main__":
    main()
