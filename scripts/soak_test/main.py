#!/usr/bin/env python3
"""Runs livelabel on many cameras while everything around it fails, and says which promise was broken. Called by scripts/soak."""
import argparse
import heapq
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.append(str(ROOT / "scripts" / "attack"))

import disk as disks  # noqa: E402
import evidence  # noqa: E402
import footage  # noqa: E402
import plot  # noqa: E402
import promises  # noqa: E402
import report  # noqa: E402
from browsers import Browsers  # noqa: E402
from fleet import Camera, free_port  # noqa: E402
from measure import Measure  # noqa: E402
from receivers import MOODS, Broker, Webhook  # noqa: E402
from settings import Settings  # noqa: E402

SAMPLED_S = 10
# Seconds without faults at the end, in which what waits is delivered: a webhook waits up to 30 s before it tries again. A short test
# is calm for its last quarter.
CALM_S = 75
BROWSERS = 6
# Of the disk, for each camera.
ROOM_MB = 10


class Soak:
    def __init__(self, given):
        self.given, self.chance = given, random.Random(given.seed)
        self.raw = Path(given.keep or tempfile.mkdtemp(prefix="livelabel-soak-")).resolve()
        self.raw.mkdir(parents=True, exist_ok=True)
        self.plan, self.order = [], itertools.count()
        self.process = self.browsers = None
        self.mistakes = []
        clips = self.raw / "clips"
        clips.mkdir()
        footage.make(ROOT / ".deps", clips)
        # Room for what is kept, for what is being written, and for the index.
        self.disk = disks.Disk(self.raw / "disk", ROOM_MB * given.cameras + 64)
        self.cameras = [Camera(number, clips) for number in range(given.cameras)]
        self.broker = Broker(free_port(), self.raw / "mqtt.tsv")
        self.webhook = Webhook(free_port(), self.raw / "webhook.tsv")
        self.port = free_port()
        self.settings = Settings(self.raw / "cameras.toml", self.cameras, self.top())
        self.faults = open(self.raw / "faults.tsv", "w", buffering=1)

    def top(self):
        """Returns the options of the whole run."""
        return {
            "output_dir": f'"{self.disk.folder}"',
            "status_interval": f'"{SAMPLED_S}s"',
            "events": f'"{self.raw}/events.jsonl"',
            "mqtt": f'"mqtt://127.0.0.1:{self.broker.port}"',
            "webhook": f'["http://127.0.0.1:{self.webhook.port}/hook"]',
            "web": f'"127.0.0.1:{self.port}"',
        }

    def later(self, seconds, act):
        heapq.heappush(self.plan, (time.monotonic() + seconds, next(self.order), act))

    def note(self, target, what, seconds=0.0):
        self.faults.write(f"{time.monotonic() - self.began:.1f}\t{target}\t{what}\t{seconds:.1f}\n")

    def calm(self):
        """Whether the faults are over."""
        return time.monotonic() > self.faulty_until

    def camera_fault(self):
        self.again(self.camera_fault, 1, 5)
        camera = self.chance.choice(self.cameras)
        what, seconds, undo = camera.suffer(self.chance)
        self.note(camera.name, what, seconds)
        if undo:
            self.later(self.lasting(seconds, seconds), undo)

    def receiver_fault(self):
        self.again(self.receiver_fault, 15, 60)
        receiver = self.chance.choice([self.broker, self.webhook])
        mood, seconds = self.chance.choices(list(MOODS), list(MOODS.values()))[0], self.lasting(2, 40)
        if receiver.mood == "well":
            receiver.change(mood)
            self.note("broker" if receiver is self.broker else "webhook", mood, seconds)
            self.later(seconds, lambda: receiver.change("well"))

    def disk_fault(self):
        self.again(self.disk_fault, 120, 300)
        left, seconds = self.chance.choice([0, 200_000, 2_000_000]), self.lasting(5, 45)
        self.disk.fill(left)
        self.note("disk", f"{left} bytes left", seconds)
        self.later(seconds, self.disk.empty)

    def reload(self):
        self.again(self.reload, 20, 60)
        what, undo = self.settings.change(self.chance, self.process.pid)
        seconds = self.lasting(3, 30)
        self.note("SIGHUP", what, seconds if undo else 0)
        if undo:
            self.later(seconds, undo)

    def lasting(self, least, most):
        """Draws how long a fault lasts. It is over when the calm begins."""
        return min(self.chance.uniform(least, most), max(0.0, self.faulty_until - time.monotonic()))

    def again(self, act, least, most):
        """Plans the next fault of a kind, unless the faults are over by then."""
        seconds = self.chance.uniform(least, most)
        if time.monotonic() + seconds < self.faulty_until:
            self.later(seconds, act)

    def sample(self):
        self.later(SAMPLED_S, self.sample)
        self.measure.sample("calm" if self.calm() else "faults")
        self.measure.copy_journals()
        complete = sorted(self.disk.folder.glob("*.mkv"), key=lambda path: path.name)[: -len(self.cameras)]
        if complete and self.disk.small:
            self.measure.probe(self.chance.choice(complete[: len(complete) // 2 + 1]))

    def start(self):
        log, summary = open(self.raw / "log.jsonl", "w"), open(self.raw / "summary.txt", "w")
        command = [self.given.program, "--log-format", "json", "run", "--pipeline", self.settings.path]
        self.process = subprocess.Popen(command, cwd=self.raw, stdin=subprocess.DEVNULL, stdout=summary, stderr=log, start_new_session=True)
        self.began = time.monotonic()
        self.end = self.began + 60 * self.given.minutes
        self.faulty_until = self.end - min(CALM_S, 15 * self.given.minutes)
        self.measure = Measure(self.process.pid, self.disk, self.raw, self.port)
        while not self.answers() and self.process.poll() is None:
            time.sleep(0.1)
        self.browsers = Browsers(self.port, [camera.name for camera in self.cameras], BROWSERS, self.given.seed)
        self.later(3, self.sample)
        # A short test has a full disk and a reload, too.
        for act, soon in ((self.camera_fault, 4), (self.receiver_fault, 8), (self.reload, 12), (self.disk_fault, 20)):
            self.later(soon, act)

    def answers(self):
        """Returns whether the page answers by now."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/streams", timeout=5):
                return True
        except OSError:
            return False

    def attempt(self, act):
        """A mistake of the test itself is told, and does not end it."""
        try:
            act()
        except Exception:
            self.mistakes.append(traceback.format_exc().strip())
            print(f"soak: {self.mistakes[-1]}", file=sys.stderr, flush=True)

    def watch(self):
        """Runs what is planned. Returns what ended the program early, if something did."""
        while time.monotonic() < self.end:
            if self.process.poll() is not None:
                return f"the program ended by itself after {time.monotonic() - self.began:.0f} s with {self.process.returncode}"
            if not self.plan:
                time.sleep(0.1)
                continue
            moment, _, act = heapq.heappop(self.plan)
            time.sleep(max(0, min(moment, self.end) - time.monotonic()))
            if moment < self.end:
                self.attempt(act)
        return ""

    def finish(self):
        """Ends the run, and keeps what is to be looked at."""
        self.browsers.stop()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.measure.copy_journals()
        for path in sorted(self.disk.folder.glob("*.mkv")):
            self.measure.probe(path)
        evidence.keep(self, code)

    def close(self):
        """Ends whatever still runs."""
        if self.browsers:
            self.browsers.stop()
        if self.process and self.process.poll() is None:
            self.process.kill()
        for camera in self.cameras:
            camera.kill()


def main():
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=10)
    parser.add_argument("seed", type=int, nargs="?", default=1)
    parser.add_argument("cameras", type=int, nargs="?", default=16)
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/livelabel", help="[target/release/livelabel]")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep what was measured in this folder, which is empty")
    given = parser.parse_args()
    given.program = given.program.resolve()
    if not given.program.exists():
        parser.error(f"{given.program} is missing; run scripts/setup and cargo build --release")
    if given.keep and given.keep.exists() and any(given.keep.iterdir()):
        parser.error(f"{given.keep} is not empty")
    disks.enter()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    soak = Soak(given)
    if not soak.disk.small:
        print("soak: this system allows no mounts of one's own: the disk is not filled", file=sys.stderr)
    try:
        soak.start()
        early = soak.watch()
        soak.finish()
    finally:
        soak.close()
    found = evidence.Evidence(soak.raw)
    broken = [early] if early else promises.broken(found)
    broken += [f"the test made a mistake: {mistake}" for mistake in soak.mistakes]
    print(report.text(found))
    (soak.raw / "soak.svg").write_text(plot.svg(found))
    print(f"\nPlot and measurements: {soak.raw}")
    for line in broken:
        print(f"BROKEN: {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
