#!/usr/bin/env python3
"""Labels clips with a cluster whose machines fail, and compares the results with those of a single run. Called by scripts/chaos."""
import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True

import network  # noqa: E402
from faults import Faults  # noqa: E402
from hosts import ROOT, Server, Worker, arguments, folder_of, wait_for  # noqa: E402

# Seconds between two faults of workers, and of servers.
WORKER_EVERY, SERVER_EVERY = (1, 4), (8, 20)
PATIENCE_S = 1800
# What differs between two runs: times of day, and how long it took.
FREE = ("started", "speed")


class Chaos:
    def __init__(self, given):
        self.given, self.chance = given, random.Random(given.seed)
        self.faults = Faults(self.chance)
        self.folder = folder_of(given)
        self.clips = self.folder / "clips"
        self.clips.mkdir(parents=True, exist_ok=True)

    def make_clips(self):
        """Short pieces of the footage, each another one."""
        source = ROOT / ".deps" / "footage" / "vtest.avi"
        for number in range(self.given.clips):
            start, seconds = self.chance.uniform(0, 60), self.chance.uniform(2, 8)
            command = ["ffmpeg", "-v", "error", "-y", "-ss", f"{start:.2f}", "-i", source, "-t", f"{seconds:.2f}", "-vf", "scale=320:240"]
            subprocess.run([*command, "-c:v", "libx264", "-preset", "ultrafast", self.clips / f"{number:03}.mp4"], check=True)

    def run_alone(self):
        command = [self.given.program, "run", self.clips, "--output-dir", self.folder / "alone", "--quiet", "--force", "--overview", self.folder / "all.html"]
        subprocess.run(command, check=True, cwd=self.folder)

    def ask(self, *words):
        url = ",".join(server.url for server in self.servers)
        command = [self.given.program, "cluster", *words, "--json", "--nats", url, "--nats-replicas", "3"]
        done = subprocess.run(command, capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def run(self):
        self.faults.begin(self.folder / "faults.log")
        network.make()
        self.servers = [Server(number, self.folder) for number in (1, 2, 3)]
        for server in self.servers:
            server.start()
        wait_for("the servers", 60, lambda: self.ask("status"))
        url = ",".join(server.url for server in self.servers)
        flags = ["--nats-replicas", "3", "--capacity", "1", "--inputs", self.clips]
        self.workers = [Worker(number, self.folder, self.given.program, url, flags) for number in (1, 2, 3)]
        for worker in self.workers:
            worker.start()
        submit = [self.given.program, "submit", "--nats", url, "--nats-replicas", "3", self.clips]
        ids = subprocess.run(submit, check=True, capture_output=True, text=True).stdout.split()
        self.faults.every(self.workers, WORKER_EVERY, "worker")
        self.faults.every(self.servers, SERVER_EVERY, "server")
        began, looked, redelivered = time.monotonic(), 0.0, 0
        while True:
            now = time.monotonic()
            self.faults.act()
            if now - looked > 1:
                looked, status = now, self.ask("status")
                if status:
                    redelivered = max(redelivered, status["redelivered"])
                    self.faults.note(f"{status['waiting']} wait, {status['claimed']} with workers, {status['ended']} ended, {status['failed']} failed")
                    if status["ended"] >= len(ids) and status["claimed"] == 0 and status["waiting"] == 0:
                        break
            if now - began > PATIENCE_S:
                break
            time.sleep(0.05)
        seconds = time.monotonic() - began
        self.faults.finish()
        time.sleep(2)
        for worker in self.workers:
            worker.stop()
        status, failed = self.ask("status"), self.ask("list")["failed"]
        return ids, seconds, status, failed

    def check(self, ids, status, failed):
        """Returns what is wrong."""
        wrong = [f"{record['id']} failed: {record['error']}" for record in failed]
        results = self.folder / "results"
        found = {path.name for path in results.iterdir()}
        left = [path for path in (results / ".part").glob("*") if not path.name.startswith(".deleted-")]
        found -= set() if left else {".part"}
        wrong += [f"{name} is missing" for name in sorted(set(ids) - found)]
        wrong += [f"{name} is left over" for name in sorted(found - set(ids))]
        if status["ended"] != len(ids):
            wrong.append(f"{status['ended']} records, not {len(ids)}")
        for identifier in sorted(found & set(ids)):
            alone = {path.name: path for path in (self.folder / "alone").glob(identifier.rsplit("-", 1)[0] + ".*")}
            here = {path.name: path for path in (results / identifier).iterdir()}
            if set(alone) != set(here):
                wrong.append(f"{identifier} has {sorted(here)}")
                continue
            wrong += [f"{identifier}/{name} differs" for name in sorted(here) if content(alone[name]) != content(here[name])]
        return wrong

    def end(self):
        for machine in [*getattr(self, "workers", []), *getattr(self, "servers", [])]:
            machine.end()


def content(path):
    """Returns a file's content without what differs between two runs."""
    if path.suffix != ".json":
        return path.read_bytes()
    timeline = json.loads(path.read_text())
    return {key: value for key, value in timeline.items() if key not in FREE}


def main():
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("clips", nargs="?", type=int, default=200, metavar="CLIPS", help="number of clips [200]")
    parser.add_argument("seed", nargs="?", type=int, default=1, metavar="SEED", help="of clips and faults [1]")
    given = arguments(parser)
    chaos = Chaos(given)
    chaos.make_clips()
    chaos.run_alone()
    try:
        ids, seconds, status, failed = chaos.run()
        wrong = chaos.check(ids, status, failed)
    finally:
        chaos.end()
    print(f"{len(ids)} clips in {seconds:.0f} s; in {chaos.folder}")
    for (kind, what), number in sorted(chaos.faults.counts.items()):
        print(f"  {kind} {what}: {number}")
    for line in wrong:
        print(f"  wrong: {line}")
    print("each clip was labelled once, as by a single run" if not wrong else f"{len(wrong)} things are wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
