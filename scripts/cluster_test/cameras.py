#!/usr/bin/env python3
"""Watches cameras with a cluster whose machines fail, and checks who watched each one when. Called by scripts/chaos --cameras."""
import argparse
import collections
import json
import random
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent

import network  # noqa: E402
from faults import Faults  # noqa: E402
from hosts import ROOT, Server, Worker, arguments, folder_of, wait_for  # noqa: E402
from nats import read_stream, stored_identifiers  # noqa: E402

# Seconds between two faults of workers, and of servers.
WORKER_EVERY, SERVER_EVERY = (8, 20), (30, 60)
PORT, RATE = 8080, 5
# A worker that comes back from being frozen may label what it had before it finds that it has lost the camera, and the states decide within
# this time if two have it.
OVERLAP_S = 7.0
GAP_S = 20.0
# The journal has a frame about every second while nothing changes.
PAUSE_S = 2.0
# Confidence that the label of the sample clip reaches on about half of its frames.
THRESHOLD = 0.93


class CameraChaos:
    def __init__(self, given):
        self.given, self.faults = given, Faults(random.Random(given.seed))
        self.folder = folder_of(given)
        self.pictures = self.folder / "pictures"
        self.pictures.mkdir(parents=True, exist_ok=True)
        self.machines = []

    def make_pictures(self):
        """The sample clip as pictures, which the cameras show in a loop."""
        command = ["ffmpeg", "-v", "error", "-y", "-i", ROOT / ".deps/sample.mp4", "-vf", f"fps={RATE},scale=320:-2", "-q:v", "5"]
        subprocess.run([*command, self.pictures / "%05d.jpg"], check=True)

    def start(self, machine):
        self.machines.append(machine)
        machine.start()
        return machine

    def program(self, *words, check=True):
        command = [self.given.program, *words, "--nats", self.url, "--nats-replicas", "3"]
        return subprocess.run([str(word) for word in command], check=check, capture_output=True, text=True)

    def status(self):
        done = self.program("cluster", "status", "--json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def run(self):
        network.make()
        source = network.Host("cameras", 40)
        server = [sys.executable, HERE / "mjpeg.py", self.pictures, source.address, PORT, RATE]
        cameras = source.start(server, stdout=open(self.folder / "cameras.log", "w"), stderr=subprocess.STDOUT)
        try:
            return self.watch(source.address)
        finally:
            for machine in self.machines:
                machine.end()
            cameras.kill()

    def watch(self, address):
        servers = [self.start(Server(number, self.folder)) for number in (1, 2, 3)]
        self.url = ",".join(server.url for server in servers)
        wait_for("the servers", 60, self.status)
        names = [f"camera{number:02}" for number in range(self.given.cameras)]
        for number, name in enumerate(names):
            self.program("submit", f"http://{address}:{PORT}/{number}.mjpg", "--name", name, "--threshold", THRESHOLD, "--hysteresis", "0")
        flags = ["--nats-replicas", "3", "--capacity", "1", "--cameras", len(names)]
        workers = [self.start(Worker(number, self.folder, self.given.program, self.url, map(str, flags))) for number in (1, 2, 3)]
        wait_for("all cameras", 60, lambda: (self.status() or {"cameras": {"watched": 0}})["cameras"]["watched"] == len(names))
        time.sleep(15)
        self.began = time.time()
        self.faults.begin(self.folder / "faults.log")
        self.faults.every(workers, WORKER_EVERY, "worker")
        self.faults.every(servers, SERVER_EVERY, "server")
        while time.time() < self.began + 60 * self.given.minutes:
            self.faults.act()
            time.sleep(0.05)
        self.faults.finish()
        # All are watched again, and what was cut off is told.
        time.sleep(30)
        self.ended = time.time()
        moves = sum(worker["moves"] for worker in (self.status() or {"workers": []})["workers"])
        for worker in workers:
            worker.stop()
        events = read_stream([(server.host.address, 4222) for server in servers], "LIVELABEL_EVENTS")
        (self.folder / "events.json").write_text("\n".join(json.dumps(event) for event in events))
        return names, moves, events

    def holdings(self, name):
        """Returns when each holding of a camera labelled its first and its last frame, and all pauses within."""
        found = []
        for path in sorted((self.folder / "results" / "cameras" / name).glob("*.jsonl")):
            lines = [json.loads(line) for line in path.read_bytes().split(b"\n") if line.startswith(b"{") and line.endswith(b"}")]
            started = next((seconds(line["start"]["started"]) for line in lines if "start" in line), None)
            times = [line["frame"]["ms"] for line in lines if "frame" in line] + [line["interval"]["end"] for line in lines if "interval" in line]
            if times:
                found.append(sorted(started + ms / 1000 for ms in times))
        return sorted(found, key=lambda frames: frames[0])

    def check(self, names, events):
        """Returns overlaps, all gaps, and those of a single fault in seconds, and what is wrong."""
        overlaps, gaps, single, wrong = [], [], [], []
        for name in names:
            holdings = self.holdings(name)
            watched = sorted(((part[0], part[-1], number) for number, frames in enumerate(holdings) for part in parts(frames)), key=lambda part: part[0])
            for number, (begin, end, holder) in enumerate(watched):
                later = [(max(begin, a), min(end, b)) for a, b, other in watched[number + 1 :] if other != holder]
                overlaps += [b - a for a, b in later if b > a]
            times = sorted(time for frames in holdings for time in frames)
            pauses = [(a, b) for a, b in zip(times, times[1:]) if b - a > PAUSE_S and self.began <= b <= self.ended]
            gaps += [b - a for a, b in pauses]
            # Another fault may hit the worker that takes the camera.
            single += [b - a for a, b in pauses if not any(a + PAUSE_S < at < b for at, kind in self.faults.begun if kind == "worker")]
            if not times or self.ended - times[-1] > PAUSE_S + 5:
                wrong.append(f"{name} is not watched at the end")
        wrong += self.check_events(events)
        # Each server has a copy of its own, and the leader's was read. Those of version 2.9 may differ.
        copies = [stored_identifiers(self.folder / f"nats{number}", "LIVELABEL_EVENTS") for number in (1, 2, 3)]
        told = {event["id"] for event in events}
        self.missing = [len(told - copy) for copy in copies]
        return sorted(overlaps), sorted(gaps), sorted(single), wrong

    def check_events(self, told):
        """Checks events as a consumer sees them, who leaves out those with an identifier that he knows."""
        wrong, open_intervals = [], {}
        events = list({event["id"]: event for event in told}.values())
        self.stored_twice = len(told) - len(events)
        starts = {event["id"].removesuffix("-start") for event in events if event["event"] == "start"}
        ends = {event["id"].removesuffix("-end") for event in events if event["event"] == "end"}
        wrong += [f"the interval {name} has no end" for name in sorted(starts - ends)]
        # Told by the next worker, where the first one was cut off before it could tell the start.
        self.only_ended = len(ends - starts)
        for event in events:
            if event["event"] == "start":
                others = open_intervals.get(event["stream"])
                wrong += [f"{event['id']} began before {others} ended"] if others else []
                open_intervals[event["stream"]] = event["id"]
            elif event["event"] == "end":
                open_intervals.pop(event["stream"], None)
        return wrong


def parts(times):
    """Splits times where a worker was frozen or the camera away."""
    found = [[times[0]]]
    for before, time_ in zip(times, times[1:]):
        if time_ - before > PAUSE_S:
            found.append([])
        found[-1].append(time_)
    return found


def seconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def quantile(values, part):
    return values[min(len(values) - 1, int(part * len(values)))] if values else 0.0


def main():
    parser = argparse.ArgumentParser(prog="scripts/chaos --cameras", description=__doc__)
    parser.add_argument("cameras", nargs="?", type=int, default=12, metavar="CAMERAS", help="[12]")
    parser.add_argument("minutes", nargs="?", type=float, default=20, metavar="MINUTES", help="[20]")
    parser.add_argument("seed", nargs="?", type=int, default=1, metavar="SEED", help="of the faults [1]")
    given = arguments(parser)
    chaos = CameraChaos(given)
    chaos.make_pictures()
    names, moves, events = chaos.run()
    overlaps, gaps, single, wrong = chaos.check(names, events)
    kinds = collections.Counter(event["event"] for event in events)
    print(f"{len(names)} cameras for {given.minutes:g} minutes; in {chaos.folder}")
    for (kind, what), number in sorted(chaos.faults.counts.items()):
        print(f"  {kind} {what}: {number}")
    for what, lengths in (("all gaps", gaps), ("gaps without another fault meanwhile", single)):
        quantiles = ", ".join(f"{quantile(lengths, part):.1f} s ({name})" for name, part in (("median", 0.5), ("95 %", 0.95), ("longest", 1)))
        print(f"  {what}: {len(lengths)}, {quantiles}")
    print(f"  watched twice: {len(overlaps)} times, {quantile(overlaps, 1):.2f} s at most; handed over: {moves}")
    print(f"  events: {dict(kinds)}; {chaos.only_ended} intervals of which only the end was told; {chaos.stored_twice} events stored twice")
    print(f"  events that are missing in the copy of each server: {', '.join(map(str, chaos.missing))}")
    if quantile(single, 0.95) > GAP_S:
        wrong.append(f"gaps of one fault are longer than {GAP_S:g} s")
    if quantile(overlaps, 1) > OVERLAP_S:
        wrong.append(f"a camera was watched twice for longer than {OVERLAP_S:g} s")
    for line in wrong:
        print(f"  wrong: {line}")
    print("each camera was watched by one worker" if not wrong else f"{len(wrong)} things are wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
