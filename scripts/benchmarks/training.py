#!/usr/bin/env python3
"""Measures the trainer beside the same job in PyTorch in bf16, in turn. Called by scripts/bench."""
import argparse
import csv
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import page

TRAINER = page.ROOT / "target/release/livelabel-train"
PEER = page.ROOT / "scripts/benchmarks/training_peer.py"
VIEWS = 6
EPOCHS = 3


def output_of(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench: error: {' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def ours(folder, table, precision):
    with tempfile.TemporaryDirectory(dir=folder) as name:
        run = Path(name) / "run"
        recipe = ["--unfreeze", "stage4", "--augment", "strong", "--views", VIEWS, "--optimizer", "adam", "--split", "none"]
        where = ["--data", table, "--run", run, "--cache", Path(name) / "cache", "--epochs", EPOCHS]
        output = output_of([TRAINER, "fit", *where, *recipe, "--device", "cpu", "--inference-precision", precision])
        rows, seconds = re.search(r"^(\d+) rows in ([\d.]+) s", output, re.MULTILINE).groups()
        epochs = json.loads((run / "history.json").read_text())
        return {"extraction": int(rows) / float(seconds), "training": max(epoch["images_per_second"] for epoch in epochs)}


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench training")
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with open(given.data / "images.tsv") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    rows = rows[:: max(1, len(rows) // given.pictures)][: given.pictures]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [str((given.data / row["path"]).resolve()) for row in rows]
        lines = [f"{path}\t{row['class']}\t{row['split_group']}" for path, row in zip(paths, rows)]
        table, listed = folder / "pictures.tsv", folder / "list"
        table.write_text("\n".join(["path\tclass\tsplit_group", *lines, ""]))
        listed.write_text("\n".join(paths))
        peer = lambda: json.loads(output_of([sys.executable, PEER, listed, "--views", VIEWS, "--epochs", EPOCHS]))
        programs = {
            "livelabel-train, bf16": lambda: ours(folder, table, "bf16"),
            "PyTorch, bf16": peer,
            "livelabel-train, fp32": lambda: ours(folder, table, "fp32"),
        }
        rounds = []
        for _ in range(given.rounds):
            rounds.append({program: measure() for program, measure in programs.items()})
            print(rounds[-1], file=sys.stderr)
    middle = lambda program, part: statistics.median(row[program][part] for row in rounds)
    numbers = {program: {part: middle(program, part) for part in ("extraction", "training")} for program in programs}
    lines = ["| program | features of the first three stages, rows/s | last stage and head, pictures/s |", "|---|---|---|"]
    lines += [f"| {program} | {row['extraction']:.1f} | {row['training']:.1f} |" for program, row in numbers.items()]
    job = f"{len(paths)} pictures in {VIEWS} strong views; batches of 32, Adam. From the files to the cached rows; epochs read these."
    page.put("training", "scripts/bench training DATA", "\n".join(lines) + f"\n\n{job}", numbers, ["torch", "opencv-python-headless"])


if __name__ == "__main__":
    main()
