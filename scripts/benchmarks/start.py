#!/usr/bin/env python3
"""Measures the time from the command to the first labelled frame, and to the end of --help. Called by scripts/bench."""
import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import page
from speed import SIZES, clip

ROUNDS = 7


def first_frame(path, device, cache, folder):
    """Returns the seconds until the first frame is in the journal."""
    journal = folder / "clip.timeline.jsonl"
    journal.unlink(missing_ok=True)
    files = ["--timeline", folder / "clip.timeline.json", "--output", folder / "clip.avi", "--only", "video", "--force", "--quiet"]
    environment = {**os.environ, "LIVELABEL_CACHE": str(cache)}
    began = time.perf_counter()
    process = subprocess.Popen([page.PROGRAM, "run", path, "--device", device, *files], env=environment, stderr=subprocess.DEVNULL)
    while not (journal.exists() and b'"frame"' in journal.read_bytes()[:20000]):
        if process.poll() is not None:
            raise SystemExit("bench: error: the run ended without a frame")
        time.sleep(0.001)
    took = time.perf_counter() - began
    process.terminate()
    process.wait()
    return took


def timed(command):
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main():
    argparse.ArgumentParser(prog="scripts/bench start").parse_args()
    lines = ["| | first run, s | later runs, s |", "|---|---|---|"]
    numbers = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = clip(folder, *SIZES[0], 500)
        for device in ("openvino", "cpu"):
            cache = folder / "cache"
            shutil.rmtree(cache, ignore_errors=True)
            first = first_frame(path, device, cache, folder)
            later = statistics.median(first_frame(path, device, cache, folder) for _ in range(ROUNDS))
            lines.append(f"| first labelled frame of a clip, {device} | {first:.2f} | {later:.2f} |")
            numbers[device] = {"first": first, "later": later}
    seconds = statistics.median(timed([page.PROGRAM, "--help"]) for _ in range(ROUNDS))
    lines.append(f"| `--help` | | {seconds:.3f} |")
    text = "\n".join(lines)
    print(text)
    page.put("start", "scripts/bench start", text, numbers)


if __name__ == "__main__":
    main()
