#!/usr/bin/env python3
"""Measures how many cameras keep their latency on real footage, and which labels they miss. Called by scripts/bench.

Each camera is an RTSP server on this machine that plays a reel of labelled clips. What a camera showed is compared with
analysing every frame of its reel.
"""
import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import page

COUNTS = [8, 16, 32]
RATE = 30
SIZE = (640, 360)
REELS = 4
# Seconds of a reel, and how long cameras are watched.
LENGTH = 70
WATCHED = 60
# A camera keeps its latency if 95 % of its frames are labelled within this time.
BOUND_MS = 100
# An interval of at least this length counts as missed if no interval of its label overlaps it, or begins this soon after it.
LONG_MS = 500
CAMERA = page.ROOT / "target/release/examples/camera"


def reel(folder, clips, number):
    """Encodes clips one after the other, as cameras do: without B-frames, a key frame each second."""
    order = clips[:]
    random.Random(number).shuffle(order)
    path, parts, seconds = folder / f"reel-{number}.mp4", [], 0.0
    width, height = SIZE
    for clip in order:
        probe = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", clip]
        parts.append(clip)
        seconds += float(subprocess.run(probe, check=True, capture_output=True, text=True).stdout)
        if seconds >= LENGTH:
            break
    fit = f"scale={width}:{height}:force_original_aspect_ratio=decrease,pad={width}:{height}:(ow-iw)/2:(oh-ih)/2,setsar=1,fps={RATE},format=yuv420p"
    chains = ";".join(f"[{index}:v]{fit}[v{index}]" for index in range(len(parts)))
    joined = "".join(f"[v{index}]" for index in range(len(parts))) + f"concat=n={len(parts)}:v=1:a=0[v]"
    inputs = [word for part in parts for word in ("-i", part)]
    encode = ["-map", "[v]", "-t", str(LENGTH), "-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", str(RATE), "-b:v", "1500k"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *inputs, "-filter_complex", f"{chains};{joined}", *encode, path], check=True)
    return path


def whole(path):
    """Returns the intervals of analysing every frame, with the window of a camera."""
    timeline = path.with_suffix(".json")
    options = ["--stride", "1", "--window-align", "trailing", "--only", "timeline", "--timeline", timeline, "--force", "--quiet"]
    subprocess.run([page.PROGRAM, "run", path, *options], check=True, stdout=subprocess.DEVNULL)
    return [(row["label"], row["start"], row["end"]) for row in json.loads(timeline.read_text())["intervals"]]


def shown(journal):
    """Returns a camera's intervals, in milliseconds from its first frame, and when it ended."""
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    frames = [record["frame"]["ms"] for record in records if "frame" in record]
    first = frames[0]
    rows = [record["interval"] for record in records if "interval" in record]
    return [(row["label"], row["start"] - first, row["end"] - first) for row in rows], frames[-1] - first


def compare(truth, seen, end):
    """Returns the milliseconds with the same label and in all, the intervals and those missed, and by how much the others
    began late."""
    truth = [(label, start, min(stop, end)) for label, start, stop in truth if start < end]
    same = sum(
        max(0, min(stop, stop2) - max(start, start2))
        for label, start, stop in truth
        for label2, start2, stop2 in seen
        if label == label2
    )
    late, missed = [], 0
    intervals = [row for row in truth if row[2] - row[1] >= LONG_MS and row[1] > 2000]
    for label, start, stop in intervals:
        found = [start2 for label2, start2, stop2 in seen if label2 == label and start2 < stop + LONG_MS and stop2 > start]
        if found:
            late.append(min(found) - start)
        else:
            missed += 1
    return same, sum(stop - start for _, start, stop in truth), len(intervals), missed, late


def watch(program, reels, count, folder):
    """Returns what the cameras' summaries and journals say, and the CPU time of the program."""
    servers = []
    try:
        for index in range(count):
            command = [CAMERA, "0", reels[index % len(reels)], "--as-is", "h264"]
            servers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        addresses = [server.stdout.readline().split()[-1] for server in servers]
        toml = folder / "cameras.toml"
        toml.write_text("".join(f'[[stream]]\ninput = "{address}"\nname = "c{index:02}"\n' for index, address in enumerate(addresses)))
        process = subprocess.Popen(
            [program, "--log-format", "json", "run", "--pipeline", toml, "--output-dir", folder, "--quiet"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(WATCHED)
        process.send_signal(signal.SIGINT)
        _, _, usage = os.wait4(process.pid, 0)
    finally:
        for server in servers:
            server.kill()
            server.wait()
    summaries = [json.loads(path.read_text()) for path in sorted(folder.glob("c*.summary.json"))]
    journals = [shown(path) for path in sorted(folder.glob("c*.timeline.jsonl"))]
    return summaries, journals, usage


def measure(name, program, reels, truths, count):
    with tempfile.TemporaryDirectory() as text:
        summaries, journals, usage = watch(program, reels, count, Path(text))
    delays = [summary["latency_ms"]["p95"] for summary in summaries]
    total = lambda key: sum(summary["frames"][key] for summary in summaries)
    decoded, dropped = total("decoded"), sum(sum(summary["frames"]["dropped"].values()) for summary in summaries)
    compared = [compare(truths[index % len(reels)], *journal) for index, journal in enumerate(journals)]
    same, time_in_all, intervals, missed = (sum(row[column] for row in compared) for column in range(4))
    late = sorted(value for row in compared for value in row[4])
    hold = sum(delay < BOUND_MS for delay in delays)
    cores = (usage.ru_utime + usage.ru_stime) / WATCHED
    at = lambda share: late[min(len(late) - 1, int(share * len(late)))] if late else float("nan")
    line = (
        f"| {count} | {name} | {hold} | {statistics.median(delays):.0f}, {max(delays):.0f} | {100 * total('analysed') / decoded:.1f} % "
        f"| {total('analysed') / WATCHED:.0f} | {100 * dropped / decoded:.1f} % | {100 * same / time_in_all:.1f} % | {missed} of {intervals} "
        f"| {at(0.5):.0f}, {at(0.95):.0f} | {cores:.2f} | {usage.ru_maxrss / 1024:.0f} |"
    )
    return line, {"hold": hold, "p95_ms": max(delays), "same": same / time_in_all, "missed": missed, "intervals": intervals}


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench cameras")
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--beside", type=Path, help="another livelabel, measured in turn")
    parser.add_argument("--counts", type=lambda text: [int(count) for count in text.split(",")], default=COUNTS)
    given = parser.parse_args()
    clips = sorted(path for data in given.data for path in data.glob("clips/*/*") if path.suffix in (".mp4", ".avi"))
    if not clips:
        sys.exit(f"bench: error: no clips in {given.data[0]}/clips; give a folder that contains clips/CLASS/*.mp4")
    programs = {"livelabel": page.PROGRAM, **({f"beside: {given.beside.parent.name}": given.beside} if given.beside else {})}
    lines = [
        f"| cameras | program | hold 95 % under {BOUND_MS} ms | 95 % under, ms: middle, worst camera | analysed | frames/s analysed, all "
        "| dropped | same label | intervals missed | begin later, ms: middle, 95 % | cores | MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    numbers = {}
    with tempfile.TemporaryDirectory() as name:
        reels = [reel(Path(name), clips, number) for number in range(REELS)]
        truths = [whole(path) for path in reels]
        for count in given.counts:
            for label, program in programs.items():
                line, numbers[f"{count} {label}"] = measure(label, program, reels, truths, count)
                lines.append(line)
                print(line, flush=True)
    text = "\n".join(lines) + f"\n\nEach camera is an RTSP server on the same two cores that plays one of {REELS} reels of labelled clips, at \
{SIZE[0]}×{SIZE[1]} and {RATE} frames/s, watched for {WATCHED} s. The same label: share of the time, compared with analysing every frame of \
the reel with the same window. Missed: intervals of {LONG_MS / 1000} s or more without one of their label at that time, or {LONG_MS / 1000} s later."
    page.put("cameras", "scripts/bench cameras DATA", text, numbers)


if __name__ == "__main__":
    main()
