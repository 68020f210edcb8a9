"""What a run left in its folder, read once for the checks, the table and the plot."""
import collections
import csv
import datetime
import functools
import json
import re
import sqlite3
import tomllib

from invariants import strict

# An event is as old as its frame: a slow camera's frames arrive late.
TOLERANCE_S = 10


def keep(soak, code):
    """Copies the index and the list of files out of the disk, which is gone with this program."""
    files = {path.name: path.stat().st_size for path in soak.disk.folder.iterdir() if path.is_file() and path != soak.disk.filler}
    summaries = {path.name: json.loads(path.read_text()) for path in soak.disk.folder.glob("*.summary.json")}
    facts = {
        "code": code,
        "minutes": soak.given.minutes,
        "seed": soak.given.seed,
        "cameras": [camera.name for camera in soak.cameras],
        "disk_filled": soak.disk.small,
        "reloads": soak.settings.asked,
        "files": files,
        "summaries": summaries,
        "answers": [[path, status, count] for (path, status), count in sorted(soak.browsers.answers.items(), key=str)],
    }
    (soak.raw / "facts.json").write_text(json.dumps(facts, indent=1))
    for path in (soak.disk.folder / ".livelabel").glob("index.sqlite*"):
        (soak.raw / path.name).write_bytes(path.read_bytes())


def moment(text):
    """Returns seconds since 1970."""
    return datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00")).timestamp()


def camera_of(name):
    return name.split("-")[0]


def opened(name):
    """Returns when a file began, by its name, in seconds since 1970."""
    return datetime.datetime.strptime(name.split("-")[1][:16] + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp()


class Evidence:
    moment = staticmethod(moment)

    def __init__(self, raw):
        self.raw = raw

    @functools.cached_property
    def facts(self):
        return json.loads((self.raw / "facts.json").read_text())

    @functools.cached_property
    def samples(self):
        """Returns the measurements as columns of numbers."""
        with open(self.raw / "samples.tsv") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        number = lambda text: float(text) if re.fullmatch(r"[\d.]+", text) else None
        return {name: [number(row[name]) for row in rows] for name in rows[0]}

    @functools.cached_property
    def log(self):
        return [strict(line) for line in (self.raw / "log.jsonl").read_text().splitlines()]

    @functools.cached_property
    def began(self):
        return moment(self.log[0]["timestamp"])

    @functools.cached_property
    def statuses(self):
        """Returns the seconds since the start, and the fields, of each status line."""
        return [(moment(line["timestamp"]) - self.began, line["fields"]) for line in self.log if line["fields"]["message"] == "status"]

    @functools.cached_property
    def messages(self):
        return [line["fields"]["message"] for line in self.log if line["fields"]["message"] != "status"]

    @functools.cached_property
    def faults(self):
        """Returns seconds since the start, target, what, and how long it lasts."""
        rows = [line.split("\t") for line in (self.raw / "faults.tsv").read_text().splitlines()]
        return [(float(at), target, what, float(seconds)) for at, target, what, seconds in rows]

    @functools.cached_property
    def full(self):
        """Returns when the disk was full, in seconds since 1970, and for how long."""
        return [(self.began + at, seconds) for at, target, _, seconds in self.faults if target == "disk"]

    def was_full(self, time):
        return any(at - TOLERANCE_S <= time <= at + seconds + TOLERANCE_S for at, seconds in self.full)

    @functools.cached_property
    def events(self):
        return [strict(line) for line in (self.raw / "events.jsonl").read_text().splitlines()]

    @functools.cached_property
    def journals(self):
        """Returns for each journal its records, and how many of its lines were cut off."""
        found = {}
        for path in sorted((self.raw / "journals").iterdir()):
            records, torn = [], 0
            for line in path.read_text(errors="replace").splitlines():
                try:
                    records.append(strict(line))
                except ValueError:
                    torn += bool(line)
            found[path.name] = records, torn
        return found

    def was_full_during(self, name):
        """Returns whether the disk was full between the start of a journal and that of the camera's next one."""
        begun = opened(name)
        later = [opened(other) for other in self.journals if camera_of(other) == camera_of(name) and opened(other) > begun]
        end = min(later, default=self.began + 60 * self.facts["minutes"])
        return any(begun - TOLERANCE_S <= at + seconds and at <= end + TOLERANCE_S for at, seconds in self.full)

    @functools.cached_property
    def intervals(self):
        """Returns how often the journals have each interval, and in which files."""
        count = collections.defaultdict(list)
        for name, (records, _) in self.journals.items():
            for record in records:
                if row := record.get("interval"):
                    count[camera_of(name), row["label"], row["start"], row["end"]].append(name)
        return count

    @functools.cached_property
    def spans(self):
        """Returns the camera of each copied journal, and from when to when it has frames, in seconds since 1970."""
        found = []
        for name, (records, _) in self.journals.items():
            frames = [record["frame"]["ms"] for record in records if "frame" in record]
            if frames and "start" in records[0]:
                start = records[0]["start"]
                begun = moment(start["opened"])
                found.append((camera_of(name), begun, begun + (frames[-1] - start["opened_ms"]) / 1000))
        return found

    def is_seen(self, camera, time):
        """Returns whether a copied journal goes on after this moment, so that it would have an interval that ended then.

        A journal that was deleted soon after its end may have been copied before it."""
        return any(owner == camera and begun <= time < end for owner, begun, end in self.spans)

    @functools.cached_property
    def complete_videos(self):
        return {
            record["segment"]["file"]
            for records, _ in self.journals.values()
            for record in records
            if "end" in record.get("segment", {})
        }

    @functools.cached_property
    def videos(self):
        """Returns name, bytes, pictures, and the reader's complaint."""
        rows = [line.split("\t") for line in (self.raw / "videos.tsv").read_text().splitlines()]
        return [(name, int(size), int(pictures.split(",")[0] or 0), words) for name, size, pictures, words in rows]

    def accepted(self, receiver):
        """Returns connection, key and event of everything that a receiver took, in order."""
        rows = (line.split("\t", 3) for line in (self.raw / f"{receiver}.tsv").read_text().splitlines())
        return [(int(number), key, strict(body)) for _, number, key, body in rows]

    def delivered(self, scheme):
        """Returns how many events the summary counts as delivered, and as not."""
        found = re.search(rf"^ +{scheme}://\S+: (\d+) delivered(?:, (\d+) not)?", (self.raw / "summary.txt").read_text(), re.M)
        return (int(found[1]), int(found[2] or 0)) if found else (0, 0)

    @functools.cached_property
    def indexed(self):
        """Returns how many intervals that have ended the index holds of each journal."""
        with sqlite3.connect(self.raw / "index.sqlite") as database:
            rows = database.execute(
                "SELECT sources.file, count(*) FROM intervals JOIN sources ON sources.id = intervals.source WHERE open = 0 GROUP BY sources.file"
            )
            return dict(rows.fetchall())

    @functools.cached_property
    def limits(self):
        """Returns how many bytes each camera may keep."""
        streams = tomllib.loads((self.raw / "cameras.toml").read_text())["stream"]
        return {stream["name"]: int(stream["keep"].removesuffix("MB")) * 1_000_000 for stream in streams}


def identity(event):
    return event["stream"], event["event"], event["ms"], event.get("label"), event["time"]
