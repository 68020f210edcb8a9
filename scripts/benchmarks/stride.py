#!/usr/bin/env python3
"""Measures cost and gain of analysing only every n-th frame, on labelled clips. Called by scripts/bench."""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import page
from speed import FOOTAGE, measured, openvino_peer, peer

STRIDES = ["2", "4", "8", "15", "auto"]
# An edge further away, in milliseconds, belongs to another interval: no smoothing window is longer.
NEAR_MS = 5000
# Long enough for `auto` to calibrate on its first minute and to use the result.
LONG_S = 600


def timeline(folder, clip, *arguments):
    path = folder / "timeline.json"
    subprocess.run([page.PROGRAM, "run", clip, "--timeline", path, "--only", "timeline", "--force", "--quiet", *arguments], stderr=subprocess.DEVNULL)
    return json.loads(path.read_text()) if path.exists() else None


def shown(timeline):
    """Returns the label of each frame, in order."""
    labels = {}
    for label in timeline["model"]["labels"]:
        for time, _ in timeline[label]:
            labels[time] = label
    return [labels.get(row[0]) for row in timeline["confidences"]["rows"]]


def shifts(full, sparse):
    """Returns the milliseconds between each edge of the full analysis and the nearest same edge; None if none is near."""
    for edge in ("start", "end"):
        for interval in full["intervals"]:
            like = [other[edge] for other in sparse["intervals"] if other["label"] == interval["label"]]
            nearest = min((abs(time - interval[edge]) for time in like), default=NEAR_MS)
            yield nearest if nearest < NEAR_MS else None


def long_clip(folder):
    path, once = folder / "long.mp4", folder / "once.mp4"
    scale = ["-vf", "scale=640:360,setsar=1", "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-r", "25", "-i", FOOTAGE, "-frames:v", "790", *scale, once], check=True)
    loops = str(LONG_S * 25 // 790)
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-stream_loop", loops, "-i", once, "-c", "copy", path], check=True)
    return path


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench stride")
    parser.add_argument("data", type=Path)
    given = parser.parse_args()
    clips = sorted(path for path in given.data.glob("clips/*/*") if path.suffix in (".mp4", ".avi"))
    if not clips:
        sys.exit(f"bench: error: no clips in {given.data}/clips; give the folder that contains clips/CLASS/*.mp4")
    found = {stride: {"same": 0, "frames": 0, "edges": [], "lost": 0, "analysed": 0} for stride in STRIDES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for clip in clips:
            for window in ("128", "16"):
                full = timeline(folder, clip, "--window", window)
                if full is None:
                    print(f"skipped, cannot be analysed: {clip.name}", file=sys.stderr)
                    break
                for stride in STRIDES:
                    sparse = timeline(folder, clip, "--window", window, "--stride", stride)
                    one = found[stride]
                    pairs = list(zip(shown(full), shown(sparse)))
                    one["same"] += sum(a == b for a, b in pairs)
                    one["frames"] += len(pairs)
                    one["analysed"] += sparse["frames"]["analysed"]
                    for shift in shifts(full, sparse):
                        if shift is None:
                            one["lost"] += 1
                        else:
                            one["edges"].append(shift)
        path = long_clip(folder)
        speeds = {stride: long_speed(folder, path, stride) for stride in ["1", *STRIDES]}
        beside = peer(folder, path, *openvino_peer(folder, folder / "once.mp4"), "--threaded")["fps"]
    lines = [
        "| stride | frames analysed | same label shown | interval edges, shift in ms: median, 95th percentile, maximum | edges without a counterpart | frames/s, ten minutes of 640×360 |",
        "|---|---|---|---|---|---|",
        f"| 1 | 100 % | 100 % | 0, 0, 0 | 0 | {speeds['1']:.0f} |",
    ]
    for stride in STRIDES:
        one = found[stride]
        edges = sorted(one["edges"])
        at = lambda share: edges[min(int(share * len(edges)), len(edges) - 1)]
        lines.append(
            f"| {stride} | {100 * one['analysed'] / one['frames']:.1f} % | {100 * one['same'] / one['frames']:.2f} % "
            f"| {statistics.median(edges):.0f}, {at(0.95):.0f}, {edges[-1]:.0f} | {one['lost']} of {one['lost'] + len(edges)} | {speeds[stride]:.0f} |"
        )
    text = "\n".join(lines) + f"\n\n{len(clips)} labelled clips, each with a window of 128 and of 16 predictions. "
    text += f"The threaded Python peer, which analyses every frame, made {beside:.0f} frames/s of the ten minutes: with `auto` livelabel is {speeds['auto'] / beside:.1f} × as fast."
    print(text)
    page.put("stride", "scripts/bench stride DATA", text, {"speeds": speeds, "peer": beside}, ("openvino", "nncf", "opencv-python-headless"))


def long_speed(folder, path, stride):
    out = folder / "timeline.json"
    files = ["--output", folder / "ours.avi", "--timeline", out, "--only", "video", "--force", "--quiet"]
    measured([page.PROGRAM, "run", path, "--stride", stride, *files])
    return json.loads(out.read_text())["speed"]["frames_per_second"]


if __name__ == "__main__":
    main()
