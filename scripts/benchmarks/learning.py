#!/usr/bin/env python3
"""Teaches the shipped model on footage that it labels wrongly, as a person does on the page, and measures what it is worth on later
footage of the same sources, and on all other clips. Called by scripts/bench.

Each source is cut into pieces of a few seconds. The earlier half of them is watched with --learn; a browser answers what was kept, trains,
and uses the new model. Then the later half is watched by the same command.
"""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import page

SOURCES = ["vid-tecona-women", "vid-fatima", "vid-fs-coffee", "epick-kfcclip6"]
# Length of a piece, and of a source at most, in seconds.
PIECE = 4
LONGEST = 48
TOKEN = "bench-learning"
BROWSER = page.ROOT / "tests/page/learn.mjs"


def pieces(folder, name, clips):
    """Cuts a source's clips, in their order, and returns the pieces."""
    made = []
    for number, clip in enumerate(clips):
        target = folder / f"{name}-{number}-%03d.mp4"
        cut = ["-t", str(LONGEST), "-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-force_key_frames", f"expr:gte(t,n_forced*{PIECE})"]
        split = ["-f", "segment", "-segment_time", str(PIECE), "-reset_timestamps", "1", target]
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", clip, *cut, *split], check=True)
        made += sorted(folder.glob(f"{name}-{number}-*.mp4"))
    return made


def watch(clips, output, *more):
    """Analyses clips. Returns for each the frames with each label, and their number."""
    command = [page.PROGRAM, "run", *clips, "--only", "timeline", "--output-dir", output, "--force", "--quiet", *more]
    subprocess.run(command, check=True)
    found = {}
    for clip in clips:
        timeline = json.loads((output / f"{Path(clip).stem}.timeline.json").read_text())
        counts = {label: len(timeline.get(label, [])) for label in timeline["model"]["labels"]}
        found[Path(clip).name] = (counts, timeline["frames"]["decoded"])
    return found


def teach(clips, truth, folder, shots):
    """Watches clips with a page, and has a browser answer, train and use the new model. Returns what the browser saw."""
    (folder / "token").write_text(TOKEN + "\n")
    answers = {clip.name: [[0, 10**9, truth[clip.name]]] for clip in clips}
    (folder / "answers.json").write_text(json.dumps(answers))
    command = [page.PROGRAM, "--log-format", "json", "run", *clips, "--only", "timeline", "--output-dir", folder / "early", "--force", "--learn", folder / "learned"]
    web = ["--web", "127.0.0.1:0", "--web-admin-token-file", folder / "token"]
    run = subprocess.Popen([*command, *web], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        address = None
        for line in run.stderr:
            message = json.loads(line).get("fields", {}).get("message", "")
            if message.startswith("page at "):
                address = message.removeprefix("page at ")
            if message.startswith("all inputs have ended"):
                break
        arguments = [address, TOKEN, folder / "answers.json", *(["--shots", shots] if shots else [])]
        said = subprocess.run(["node", BROWSER, *arguments], capture_output=True, text=True)
        if said.returncode != 0:
            raise SystemExit(f"bench: error: the browser did not finish: {said.stdout[-2000:]}{said.stderr[-2000:]}")
        return json.loads(said.stdout)
    finally:
        run.terminate()
        run.wait()


def right(found, truth):
    """Returns how many frames have the right label, and of how many."""
    return sum(counts.get(truth[name], 0) for name, (counts, _) in found.items()), sum(total for _, total in found.values())


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench learning")
    parser.add_argument("data", type=Path, nargs="+", help="folders with clips.tsv and clips/")
    parser.add_argument("--shots", type=Path, help="keep pictures of the page in this folder")
    arguments = parser.parse_args()
    rows = [(data / row["path"], row) for data in arguments.data for row in csv.DictReader((data / "clips.tsv").open(), delimiter="\t")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        early, later, truth = {}, {}, {}
        for source in SOURCES:
            own = sorted((path, row["class"]) for path, row in rows if row["split_group"] == source)
            cut = pieces(folder, source, [path for path, _ in own])
            truth |= {piece.name: own[0][1] for piece in cut}
            half = len(cut) // 2
            early[source], later[source] = cut[:half], cut[half:]
        others = [path for path, row in rows if row["split_group"] not in SOURCES and row["class"] != "mixed"]
        truth |= {path.name: row["class"] for path, row in rows}
        before = {source: right(watch(later[source], folder / "before"), truth) for source in SOURCES}
        others_before = right(watch(others, folder / "others-before"), truth)
        told = teach([clip for source in SOURCES for clip in early[source]], truth, folder, arguments.shots)
        learned = ["--learn", folder / "learned"]
        after = {source: right(watch(later[source], folder / "after", *learned), truth) for source in SOURCES}
        others_after = right(watch(others, folder / "others-after", *learned), truth)

    percent = lambda pair: f"{pair[0] / pair[1]:.1%}".replace("%", " %")
    lines = ["| later footage of | true label | frames | right before | right after |", "|---|---|---|---|---|"]
    for source in SOURCES:
        label = truth[later[source][0].name]
        lines.append(f"| {source} | {label} | {before[source][1]:,} | {percent(before[source])} | {percent(after[source])} |")
    lines.append(f"| all other clips | | {others_before[1]:,} | {percent(others_before)} | {percent(others_after)} |")
    answers = ", ".join(f"{count} {label}" for label, count in sorted(told["said"].items()))
    text = "\n".join(lines) + f"""

The sources were cut into pieces of {PIECE} s, and the earlier half of each was watched with `--learn`. A browser answered the kept frames on the page ({answers}),
trained, and used the new model. What the trainer found: *{told["text"]}*. The later halves were then analysed by the same command. The shipped model
learned from pictures of some of these sources and clips."""
    numbers = {"verdict": told["verdict"], "text": told["text"], "before": before, "after": after, "others": [others_before, others_after]}
    print(json.dumps(numbers, indent=1), file=sys.stderr)
    page.put("learning", "scripts/bench learning DATA…", text, numbers)


if __name__ == "__main__":
    main()
