"""Checks that every run must pass, whatever its input. Every check returns its faults as text."""
import json
import re
import signal
import subprocess

PANIC = re.compile(r"panicked|backtrace|RUST_BACKTRACE|double free|stack overflow|AddressSanitizer|terminate called")
# Control characters that a terminal interprets, including the C1 controls.
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]")
SPEECH = ("livelabel: ",)


def ended(finished, limits, codes=(0, 1, 2)):
    """No hang, signal, panic or excessive memory, and a documented exit code."""
    faults = []
    if finished.ended:
        faults.append(finished.ended)
    elif finished.code < 0:
        faults.append(f"ended by {signal.Signals(-finished.code).name}")
    elif finished.code not in codes:
        faults.append(f"exit code {finished.code}")
    if found := PANIC.search(finished.stderr + finished.stdout):
        faults.append(f"says {found.group()!r}")
    if finished.mib > limits.mib:
        faults.append(f"held {finished.mib:.0f} MiB")
    return faults


def stderr(finished, names=(), usage=False):
    """Only the program's lines on stderr: after a failure one `error:` that contains one of `names`, otherwise none."""
    faults = []
    if found := CONTROL.search(finished.stderr + finished.stdout):
        faults.append(f"writes the control character {found.group()!r}")
    foreign = [line for line in finished.stderr.split("\n") if line and not line.startswith(SPEECH)]
    if foreign and not (usage and foreign[0].startswith("error: ")):
        faults.append(f"a foreign line on stderr: {foreign[0][:160]!r}")
    errors = finished.errors
    if finished.code == 0 and errors:
        faults.append(f"exit code 0 with an error: {errors[0][:160]!r}")
    if finished.code in (1, 2):
        if len(errors) != 1:
            faults.append(f"{len(errors)} error lines: {[line[:120] for line in errors[:3]]}")
        elif names and not any(name in errors[0] for name in names):
            faults.append(f"the error names no file: {errors[0][:200]!r}")
    return faults


def strict(text):
    """Parses standard JSON: no NaN, no Infinity, no duplicate key."""

    def refuse(word):
        raise ValueError(f"{word} is not JSON")

    def once(pairs):
        if len(dict(pairs)) != len(pairs):
            raise ValueError(f"duplicate keys: {sorted(key for key, _ in pairs)}")
        return dict(pairs)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=once)


def balance(frames):
    dropped = sum(frames["dropped"].values())
    counted = frames["analysed"] + frames["held"] + dropped
    whole = all(isinstance(n, int) and n >= 0 for n in (frames["decoded"], frames["analysed"], frames["held"], dropped))
    return [] if whole and frames["decoded"] == counted else [f"the frames do not add up: {json.dumps(frames)}"]


def timeline(path, code):
    """A timeline that can be read and agrees with itself, and with the exit code where one is given.

    Returns faults, and how many frames are in it."""
    try:
        report = strict(path.read_text())
        faults = balance(report["frames"])
        rows = report["confidences"]["rows"]
        labels = report["confidences"]["labels"]
        times = [row[0] for row in rows]
        labelled = report["frames"]["analysed"] + report["frames"]["held"]
        if len(rows) != labelled:
            faults.append(f"{len(rows)} rows for {labelled} labelled frames")
        if any(a >= b for a, b in zip(times, times[1:])) or (times and times[0] < 0):
            faults.append("the rows' times do not rise")
        if any(len(row) != len(labels) + 1 or not all(0 <= value <= 1 for value in row[1:]) for row in rows):
            faults.append("a confidence is missing or not from 0 to 1")
        # A label that equals another key has another name in the timeline.
        keys = [f"label:{label}" if f"label:{label}" in report else label for label in labels]
        shown = [entry[0] for key in keys for entry in report.get(key, [])]
        if len(shown) > len(rows) or not set(shown) <= set(times):
            faults.append("a label is shown on a frame that has no row")
        for interval in report["intervals"]:
            if not 0 <= interval["start"] <= interval["end"] or interval["label"] not in labels:
                faults.append(f"an interval cannot be: {json.dumps(interval)}")
        if any(a["end"] > b["start"] for a, b in zip(report["intervals"], report["intervals"][1:])):
            faults.append("intervals overlap")
        if code is not None and report["complete"] != (code == 0):
            faults.append(f"complete is {report['complete']} with exit code {code}")
        return faults, labelled
    except (OSError, ValueError, KeyError, TypeError, IndexError) as cause:
        return [f"{path.name} cannot be read: {type(cause).__name__} {cause}"], 0


def packets(path):
    """Returns the number of frames that ffprobe finds in a video, and its error."""
    entries = ["-count_packets", "-select_streams", "v", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]
    found = subprocess.run(["ffprobe", "-v", "error", *entries, path], capture_output=True, text=True, timeout=120)
    number = found.stdout.strip().strip(",").split("\n")[0]
    return (int(number) if number.isdigit() else 0), found.stderr.strip().split("\n")[0]


def video(path, frames=None):
    """ffprobe reads the video without an error; it contains `frames` frames, if given."""
    found, words = packets(path)
    if words or not found:
        return [f"{path.name} cannot be read: {words[:160] or 'no picture'}"]
    return [f"{path.name} holds {found} pictures of {frames}"] if frames not in (None, found) else []


def subtitles(path):
    text = path.read_text(errors="replace")
    times = re.findall(r"^(\S+) --> (\S+)$", text, re.M)
    fits = all(re.fullmatch(r"(\d{2,}:)?\d\d:\d\d\.\d{3}", time) for pair in times for time in pair)
    return [] if text.startswith("WEBVTT") and fits else [f"{path.name} is no WebVTT"]


def plot(path):
    start = path.read_bytes()[:8]
    good = start.startswith(b"\x89PNG\r\n\x1a\n") or start.lstrip().startswith((b"<svg", b"<?xml"))
    return [] if good else [f"{path.name} is no picture"]


def outputs(folder, code, videos_complete=True):
    """Checks every result in the folder, by its extension. After a refused input there must be none."""
    faults, labelled = [], None
    results = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in results:
        if path.name.endswith("timeline.json"):
            found, labelled = timeline(path, code)
            faults += found
    for path in results:
        if path.suffix == ".mkv":
            faults += video(path, labelled if videos_complete else None)
        elif path.suffix == ".avi":
            faults += video(path)
        elif path.suffix == ".vtt":
            faults += subtitles(path)
        elif path.suffix in (".png", ".svg"):
            faults += plot(path)
    if code == 0 and labelled == 0:
        faults.append("exit code 0 and not one picture")
    if code == 2 and results:
        faults.append(f"refused, yet leaves {results[0].name}")
    return faults


def strays(folder, known):
    """Returns the unexpected names in the folder."""
    left = sorted(entry.name for entry in folder.iterdir() if entry.name not in known)
    return [f"leaves {', '.join(left[:4])}"] if left else []
