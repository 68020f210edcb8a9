"""What a run must keep to, whatever it is given. Every check returns the faults that it found, as text."""
import json
import re
import signal
import subprocess

PANIC = re.compile(r"panicked|backtrace|RUST_BACKTRACE|double free|stack overflow|AddressSanitizer|terminate called")
# Everything that a terminal would take for more than text, also the second half of Latin-1's controls.
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]")
SPEECH = ("livelabel: ",)


def ended(finished, limits, codes=(0, 1, 2)):
    """Neither hang, signal, panic nor too much memory, and an exit code that is documented."""
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


def told(finished, names=(), usage=False):
    """Lines of the program alone on stderr: one `error:` where it failed, naming one of `names`, and none elsewhere."""
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
    """JSON as the standard has it: no NaN, no Infinity; and no key twice."""

    def refuse(word):
        raise ValueError(f"{word} is no JSON")

    def once(pairs):
        if len(dict(pairs)) != len(pairs):
            raise ValueError(f"a key stands twice: {sorted(key for key, _ in pairs)}")
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
        told = strict(path.read_text())
        faults = balance(told["frames"])
        rows = told["confidences"]["rows"]
        labels = told["confidences"]["labels"]
        times = [row[0] for row in rows]
        labelled = told["frames"]["analysed"] + told["frames"]["held"]
        if len(rows) != labelled:
            faults.append(f"{len(rows)} rows for {labelled} labelled frames")
        if any(a >= b for a, b in zip(times, times[1:])) or (times and times[0] < 0):
            faults.append("the rows' times do not rise")
        if any(len(row) != len(labels) + 1 or not all(0 <= value <= 1 for value in row[1:]) for row in rows):
            faults.append("a confidence is missing or not from 0 to 1")
        # A label that is called like another key stands under another name.
        keys = [f"label:{label}" if f"label:{label}" in told else label for label in labels]
        shown = [entry[0] for key in keys for entry in told.get(key, [])]
        if len(shown) > len(rows) or not set(shown) <= set(times):
            faults.append("a label is shown on a frame that has no row")
        for interval in told["intervals"]:
            if not 0 <= interval["start"] <= interval["end"] or interval["label"] not in labels:
                faults.append(f"an interval cannot be: {json.dumps(interval)}")
        if any(a["end"] > b["start"] for a, b in zip(told["intervals"], told["intervals"][1:])):
            faults.append("intervals overlap")
        if code is not None and told["complete"] != (code == 0):
            faults.append(f"complete is {told['complete']} with exit code {code}")
        return faults, labelled
    except (OSError, ValueError, KeyError, TypeError, IndexError) as cause:
        return [f"{path.name} cannot be read: {type(cause).__name__} {cause}"], 0


def packets(path):
    """How many pictures ffprobe finds in a video, and what it says where it cannot read it."""
    entries = ["-count_packets", "-select_streams", "v", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]
    found = subprocess.run(["ffprobe", "-v", "error", *entries, path], capture_output=True, text=True, timeout=120)
    number = found.stdout.strip().strip(",").split("\n")[0]
    return (int(number) if number.isdigit() else 0), found.stderr.strip().split("\n")[0]


def video(path, frames=None):
    """ffprobe reads it without a word; where `frames` is given, it holds as many."""
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
    """Every result that lies in the folder, by its ending. None is left where the input was refused."""
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
    """Names in the folder that are not among the known ones."""
    left = sorted(entry.name for entry in folder.iterdir() if entry.name not in known)
    return [f"leaves {', '.join(left[:4])}"] if left else []
