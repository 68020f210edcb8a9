#!/usr/bin/env python3
"""Measures cost and gain of fp32, bf16 and int8, with trained networks on held-out groups. Called by scripts/bench."""
import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import page

TRAINER = page.ROOT / "target/release/livelabel-train"
# For each: the file's precision, device, inference precision.
WAYS = {
    "fp32, ONNX Runtime": ("fp32", "cpu", "fp32"),
    "fp32, OpenVINO": ("fp32", "openvino", "fp32"),
    "bf16, OpenVINO": ("fp32", "openvino", "bf16"),
    "int8, ONNX Runtime": ("int8", "cpu", "auto"),
    "int8, OpenVINO": ("int8", "openvino", "auto"),
}
REFERENCE = "fp32, ONNX Runtime"
PICTURES_A_CALL = 500
# An edge without another one this close has no counterpart.
NEAR_MS = 5000


def output_of(command):
    return json.loads(subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout)


def kept(run):
    """Returns the paths and classes of the pictures that the run held out."""
    groups = set(json.loads((run / "split.json").read_text())["validation"])
    data = run.parent / json.loads((run / "config.json").read_text())["options"]["data"]
    with open(data) as table:
        rows = [row for row in csv.DictReader(table, delimiter="\t") if row["split_group"] in groups]
    return [data.parent / row["path"] for row in rows], [row["class"] for row in rows]


def answers(model, device, compute, paths):
    """Returns the label of each picture."""
    labels, best = None, []
    for start in range(0, len(paths), PICTURES_A_CALL):
        some = paths[start : start + PICTURES_A_CALL]
        how = ["--device", device, "--inference-precision", compute, "--json", "--pictures", *some]
        report = output_of([page.PROGRAM, "model", "verify", model, *how])
        labels = report["model"]["labels"]
        best += [labels[max(range(len(labels)), key=row["probabilities"].__getitem__)] for row in report["pictures"]]
    return best


def timelines(model, device, compute, clips, folder):
    out = folder / "timeline.json"
    for clip in clips:
        how = ["--model", model, "--device", device, "--inference-precision", compute, "--only", "timeline", "--timeline", out, "--force"]
        done = subprocess.run([page.PROGRAM, "run", clip, "--stride", "1", *how, "--quiet"], stderr=subprocess.DEVNULL)
        yield json.loads(out.read_text()) if done.returncode == 0 else None


def shown(timeline):
    """Returns the label of each frame, in order."""
    labels = {time: label for label in timeline["model"]["labels"] for time, _ in timeline[label]}
    return [labels.get(row[0]) for row in timeline["confidences"]["rows"]]


def shifts(full, other):
    """Returns the milliseconds between each edge of an interval and the nearest such edge in the other timeline."""
    for interval in full["intervals"]:
        for edge in ("start", "end"):
            like = [found[edge] for found in other["intervals"] if found["label"] == interval["label"]]
            nearest = min((abs(time - interval[edge]) for time in like), default=NEAR_MS)
            if nearest < NEAR_MS:
                yield nearest


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench precision")
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path)
    given = parser.parse_args()
    runs = [run for run in sorted(given.models.resolve().glob("fold*.run")) if (run / "head.safetensors").exists()]
    if not runs:
        sys.exit(f"bench: error: no complete fold*.run in {given.models}; run scripts/model DATA {given.models} first")
    clips = sorted(path for path in given.data.glob("clips/*/*") if path.suffix in (".mp4", ".avi"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files, pictures, classes = {}, {}, {}
        for run in runs:
            for precision in ("fp32", "int8"):
                files[run, precision] = folder / f"{run.stem}.{precision}.onnx"
                export = ["export", "--run", run, "--model", files[run, precision], "--precision", precision]
                # The run names its table of pictures as scripts/model does, from its working folder.
                subprocess.run([TRAINER, *export], cwd=given.models, check=True, stdout=subprocess.DEVNULL)
            pictures[run], classes[run] = kept(run)
        lines = [
            "| precision | accuracy on held-out groups | same label as fp32 | drinking, recall | frames with the label of fp32, clips | interval edges, shift in ms: median, 95th percentile, maximum | model, frames/s |",
            "|---|---|---|---|---|---|---|",
        ]
        reference, full, numbers = None, None, {}
        for way, (precision, device, compute) in WAYS.items():
            best = [label for run in runs for label in answers(files[run, precision], device, compute, pictures[run])]
            right = [label for run in runs for label in classes[run]]
            reference = reference or best
            accuracy = statistics.mean(a == b for a, b in zip(best, right))
            same = statistics.mean(a == b for a, b in zip(best, reference))
            drinking = statistics.mean(a == b for a, b in zip(best, right) if b == "drinking")
            found = list(timelines(files[runs[0], precision], device, compute, clips, folder))
            full = full or found
            pairs = [pair for a, b in zip(full, found) if a and b for pair in zip(shown(a), shown(b))]
            edges = sorted(shift for a, b in zip(full, found) if a and b for shift in shifts(a, b))
            network = ["--device", device, "--inference-precision", compute, "--batches", "4", "--json"]
            speed = output_of([page.PROGRAM, "bench", "model", "--model", files[runs[0], precision], *network])
            rate = speed["batches"][0]["frames_per_second"]
            numbers[way] = {"accuracy": accuracy, "same": same, "frames_per_second": rate}
            at = edges[min(int(0.95 * len(edges)), len(edges) - 1)]
            lines.append(
                f"| {way} | {accuracy:.4f} | {100 * same:.2f} % | {drinking:.3f} "
                f"| {100 * statistics.mean(a == b for a, b in pairs):.2f} % | {statistics.median(edges):.0f}, {at:.0f}, {edges[-1]:.0f} | {rate:.0f} |"
            )
            print(lines[-1], flush=True)
    count = sum(len(paths) for paths in pictures.values())
    analysed = [timeline for timeline in full if timeline]
    frames = sum(len(shown(timeline)) for timeline in analysed)
    edges = 2 * sum(len(timeline["intervals"]) for timeline in analysed)
    text = "\n".join(lines) + (
        f"\n\n{count} pictures of the groups that {len(runs)} training runs held out, each measured by the run that held out its "
        f"group; {len(analysed)} clips of {frames} frames and {edges} edges by the first run's network."
    )
    page.put("precision", "scripts/bench precision DATA MODELS", text, numbers)


if __name__ == "__main__":
    main()
