"""What the program holds, each few seconds, into a table; and copies of its journals, which it may delete."""
import collections
import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

COLUMNS = ["seconds", "rss_kib", "pss_kib", "threads", "descriptors", "disk_bytes", "files", "largest_camera_bytes", "cpu_s", "decoded", "in_flight", "viewers", "phase"]
TICKS = os.sysconf("SC_CLK_TCK")


class Measure:
    def __init__(self, pid, disk, raw, port):
        self.pid, self.disk, self.raw, self.port = pid, disk, raw, port
        self.proc, self.began = Path(f"/proc/{pid}"), time.monotonic()
        self.table = open(raw / "samples.tsv", "w", buffering=1)
        self.table.write("\t".join(COLUMNS) + "\n")
        self.kinds = open(raw / "kinds.jsonl", "w", buffering=1)
        self.videos = open(raw / "videos.tsv", "w", buffering=1)
        self.copied, self.probed = {}, set()
        (raw / "journals").mkdir()

    def sample(self, phase):
        """Appends a line."""
        rss, threads = (self.field("status", name) for name in ("VmRSS", "Threads"))
        frames = self.frames()
        row = [
            f"{time.monotonic() - self.began:.1f}",
            rss,
            self.field("smaps_rollup", "Pss"),
            threads,
            len(os.listdir(self.proc / "fd")),
            *self.disk.used(),
            f"{self.cpu():.2f}",
            frames.get("decoded", ""),
            frames.get("in_flight", ""),
            frames.get("viewers", ""),
            phase,
        ]
        self.table.write("\t".join(map(str, row)) + "\n")
        kinds = {"seconds": row[0], "threads": self.threads(), "descriptors": collections.Counter(self.descriptors().values())}
        self.kinds.write(json.dumps(kinds) + "\n")

    def threads(self):
        """Returns how many threads have each name."""
        names = collections.Counter()
        for task in (self.proc / "task").iterdir():
            with contextlib.suppress(OSError):
                names[(task / "comm").read_text().strip()] += 1
        return names

    def descriptors(self):
        """Returns what each descriptor is; files by their extension."""
        kinds = {}
        for entry in (self.proc / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(entry)
                kinds[entry.name] = Path(target).suffix or target if target.startswith("/") else target.split("[")[0]
        return kinds

    def field(self, file, name):
        for line in (self.proc / file).read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        return ""

    def cpu(self):
        fields = (self.proc / "stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def frames(self):
        """Returns the metrics' sums over all cameras, none if the page is busy."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return {}
        total = lambda start: int(sum(float(line.split()[-1]) for line in lines if line.startswith(start)))
        in_flight = total("livelabel_frames_in_flight{")
        return {"decoded": total("livelabel_frames_total{") + in_flight, "in_flight": in_flight, "viewers": total("livelabel_web_connections ")}

    def copy_journals(self):
        """Copies each journal that has grown."""
        for path in self.disk.folder.glob("*.jsonl"):
            try:
                size = path.stat().st_size
                if self.copied.get(path.name) != size:
                    shutil.copyfile(path, self.raw / "journals" / path.name)
                    self.copied[path.name] = size
            except FileNotFoundError:
                pass

    def probe(self, path):
        """Reads a whole video, once. Notes what ffprobe says."""
        if path.name in self.probed:
            return
        entries = ["-count_packets", "-select_streams", "v", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]
        found = subprocess.run(["ffprobe", "-v", "error", *entries, path], capture_output=True, text=True, timeout=120)
        if not path.exists():
            return
        self.probed.add(path.name)
        self.videos.write(f"{path.name}\t{path.stat().st_size}\t{found.stdout.strip().strip(',')}\t{' '.join(found.stderr.split())[:200]}\n")
