#!/usr/bin/env python3
"""Measures how many live streams keep their latency, and at which stride. Called by scripts/bench."""
import argparse
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import page

COUNTS = [1, 2, 4, 8, 16]
STREAM = "test://?size=640x360&rate=30"
# A stream keeps its latency if 95 % of its frames are labelled within this time.
BOUND_MS = 150


def watch(count, seconds, folder):
    command = [page.PROGRAM, "--log-format", "json", "run", *[STREAM] * count, "--stride", "auto", "--status-interval", "1s"]
    process = subprocess.Popen([*command, "--output-dir", folder], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    end = time.monotonic() + seconds
    statuses = []
    for line in process.stderr:
        fields = json.loads(line)["fields"]
        if fields.get("message") == "status":
            statuses.append(fields)
        if time.monotonic() > end:
            break
    process.send_signal(signal.SIGINT)
    process.stderr.read()
    _, _, usage = os.wait4(process.pid, 0)
    # The stride settles during the first third.
    settled = statuses[len(statuses) // 3 :]
    by_stream = {}
    for fields in settled:
        by_stream.setdefault(fields["stream"], []).append(fields)
    return by_stream, usage


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench streams")
    parser.add_argument("--seconds", type=int, default=40)
    given = parser.parse_args()
    lines = [
        f"| streams | hold 95 % under {BOUND_MS} ms | 95 % under, ms: middle, worst stream | the same after settling | stride: middle, largest | frames/s labelled, all | frames/s analysed, all | dropped | MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    numbers = {}
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            streams, usage = watch(count, given.seconds, folder)
            summaries = [json.loads(path.read_text()) for path in Path(folder).glob("*.summary.json")]
        delays = [summary["latency_ms"]["p95"] for summary in summaries]
        settled = [statistics.median(row["latency_p95_ms"] for row in rows) for rows in streams.values()]
        strides = [statistics.median(row["stride"] for row in rows) for rows in streams.values()]
        rate = sum(statistics.median(row["frames_per_second"] for row in rows) for rows in streams.values())
        span = max(given.seconds * 2 / 3 - 1, 1)
        analysed = sum(rows[-1]["analysed"] - rows[0]["analysed"] for rows in streams.values()) / span
        dropped = sum(rows[-1]["dropped"] - rows[0]["dropped"] for rows in streams.values())
        seen = sum(rows[-1]["decoded"] - rows[0]["decoded"] for rows in streams.values())
        hold = sum(delay < BOUND_MS for delay in delays)
        lines.append(
            f"| {count} | {hold} | {statistics.median(delays):.0f}, {max(delays):.0f} | {statistics.median(settled):.0f}, {max(settled):.0f} | {statistics.median(strides):.0f}, {max(strides):.0f} "
            f"| {rate:.0f} | {analysed:.0f} | {100 * dropped / max(seen, 1):.1f} % | {usage.ru_maxrss / 1024:.0f} |"
        )
        numbers[str(count)] = {"hold": hold, "p95_ms": max(delays), "stride": statistics.median(strides)}
        print(lines[-1], flush=True)
    text = "\n".join(lines) + f"\n\nEach stream is `{STREAM}`, watched for {given.seconds} s. Delays are of every frame from \
the first; those after settling, strides and rates are of the last two thirds, of which each stream's middle stretch of two seconds counts."
    name = f"streams-{page.slug()}.svg"
    plot(numbers, page.PAGE.parent / name)
    page.put("streams", "scripts/bench streams", text + f"\n\n![Delay and stride over the number of streams]({name})", numbers)


def plot(numbers, path):
    """Plots latency and stride over the number of streams, as SVG."""
    width, height, left, bottom, top = 640, 300, 60, 250, 30
    counts = list(numbers)
    x = lambda i: left + (width - 2 * left) * i / (len(counts) - 1)
    highest = max(max(row["p95_ms"] for row in numbers.values()), BOUND_MS) * 1.1
    largest = max(row["stride"] for row in numbers.values()) * 1.2
    y_delay = lambda value: bottom - (bottom - top) * value / highest
    y_stride = lambda value: bottom - (bottom - top) * value / largest
    points = lambda y, key: " ".join(f"{x(i):.0f},{y(numbers[count][key]):.0f}" for i, count in enumerate(counts))
    text = lambda px, py, words, more="": f'<text x="{px:.0f}" y="{py:.0f}" {more}>{words}</text>'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="DejaVu Sans, sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<line x1="{left}" x2="{width - left}" y1="{bottom}" y2="{bottom}" stroke="#888"/>',
        f'<line x1="{left}" x2="{width - left}" y1="{y_delay(BOUND_MS):.0f}" y2="{y_delay(BOUND_MS):.0f}" stroke="#b00" stroke-dasharray="4 4"/>',
        text(left + 4, y_delay(BOUND_MS) - 4, f"{BOUND_MS} ms", 'fill="#b00"'),
        f'<polyline points="{points(y_delay, "p95_ms")}" fill="none" stroke="#06c" stroke-width="2"/>',
        f'<polyline points="{points(y_stride, "stride")}" fill="none" stroke="#c60" stroke-width="2"/>',
    ]
    for i, count in enumerate(counts):
        row = numbers[count]
        parts.append(text(x(i), bottom + 18, count, 'text-anchor="middle"'))
        parts.append(text(x(i), y_delay(row["p95_ms"]) - 8, f"{row['p95_ms']:.0f}", 'text-anchor="middle" fill="#06c"'))
        parts.append(text(x(i), y_stride(row["stride"]) + 16, f"{row['stride']:.0f}", 'text-anchor="middle" fill="#c60"'))
    parts.append(text(width / 2, bottom + 38, "live streams of 640×360 at 30 frames/s", 'text-anchor="middle"'))
    parts.append(text(left, 18, "delay, 95 % of frames of the slowest stream, ms", 'fill="#06c"'))
    parts.append(text(width - left, 18, "stride", 'text-anchor="end" fill="#c60"'))
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


if __name__ == "__main__":
    main()
