"""Signals at random times: results are complete after a request to stop, and readable after a kill."""
import signal

import invariants
from outcome import Outcome

CASES = 75
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL]
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}
# Time limit for finalising the files.
CLOSING_S = 20
RUNS = {
    "a clip to AVI": ["long.mp4", "--output", "video.avi"],
    "a clip to Matroska": ["long.mp4", "--output", "video.mkv"],
    "a camera to Matroska": ["test://?size=320x240&rate=25", "--output", "video.mkv"],
    "a camera in segments": ["test://?size=320x240&rate=25", "--segment", "1s", "--keep", "1GB"],
    "a camera in AVI segments": ["test://?size=320x240&rate=25", "--segment", "1s", "--segment-video", "labelled", "--format", "avi"],
}


def begun(folder, since):
    """Returns whether the event has occurred from which a delay counts."""
    files = [path for path in folder.iterdir() if not path.is_symlink()]
    videos = [path for path in files if path.suffix in (".mkv", ".avi")]
    return {"the start": True, "its first file": bool(files), "its video": bool(videos)}[since]


def journal(path):
    """Every line but the last is complete, and the first contains the settings."""
    lines = path.read_text(errors="replace").split("\n")
    try:
        records = [invariants.strict(line) for line in lines[:-1]]
    except ValueError as cause:
        return [f"{path.name} cannot be read on: {cause}"]
    return [] if not records or "start" in records[0] else [f"{path.name} begins without its settings"]


def left(folder, code):
    """Returns the faults of all files after a request to stop."""
    faults = []
    for path in sorted(folder.iterdir()):
        if path.name.endswith("timeline.json"):
            faults += invariants.timeline(path, code)[0]
        elif path.name.endswith("summary.json"):
            faults += invariants.balance(invariants.strict(path.read_text())["frames"])
        elif path.suffix == ".jsonl":
            faults += journal(path)
        elif path.suffix in (".mkv", ".avi"):
            faults += invariants.video(path)
        elif path.suffix == ".vtt":
            faults += invariants.subtitles(path)
        elif path.suffix == ".png":
            faults += invariants.plot(path)
        if path.name.startswith("."):
            faults.append(f"leaves {path.name}")
    return faults


def killed(lab, folder, run):
    """Returns the faults after a kill: files may be truncated, and the same command must work again."""
    faults = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".jsonl":
            faults += journal(path)
        elif path.suffix == ".mkv" and path.stat().st_size > 100_000 and not invariants.packets(path)[0]:
            faults.append(f"{path.name} of {path.stat().st_size} bytes holds no picture")
    again = lab.program.spawn(["run", *run, "--force", "--name", "again"], folder)
    if not run[0].startswith("test"):
        finished = again.finish()
        return faults + [f"again: {fault}" for fault in invariants.ended(finished, lab.program.limits, (0,)) + invariants.stderr(finished)]
    again.wait(3)
    again.signal(signal.SIGTERM)
    return faults + [f"again: {fault}" for fault in invariants.ended(again.finish(CLOSING_S), lab.program.limits, (143,))]


def attack(lab, number):
    random = lab.random("kills", number)
    which = SIGNALS[number % len(SIGNALS)]
    name = list(RUNS)[number // len(SIGNALS) % len(RUNS)]
    # From its start, or from the time when its first file or its video exists.
    moments = (("the start", 1.5), ("its first file", 0.5), ("its video", 0.1), ("its video", 4))
    since, longest = random.choice(moments)
    delay = random.uniform(0, longest)
    twice = which != signal.SIGKILL and random.random() < 0.2
    folder = lab.folder("kills", number)
    (folder / "long.mp4").symlink_to(lab.footage)
    run = RUNS[name]
    running = lab.program.spawn(["run", *run], folder)
    while not begun(folder, since) and not running.wait(0.005):
        pass
    running.wait(delay)
    running.signal(which)
    if twice:
        running.wait(0.6 + random.random())
        running.signal(which)
    finished = running.finish(CLOSING_S)
    description = f"{name}: {which.name}{' twice' if twice else ''} {delay:.2f} s after {since}"
    if which == signal.SIGKILL:
        faults = [] if finished.code in (0, -signal.SIGKILL) else invariants.ended(finished, lab.program.limits)
        return Outcome(description, finished.code, faults + killed(lab, folder, run), finished)
    if finished.code == -which and len(list(folder.iterdir())) == 1:
        # The run had not started yet.
        return Outcome(description, finished.code, [], finished)
    faults = invariants.ended(finished, lab.program.limits, (0, CODES[which]))
    faults += invariants.stderr(finished)
    if not twice:
        faults += left(folder, finished.code)
    return Outcome(description, finished.code, faults, finished)
