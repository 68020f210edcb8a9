"""Clocks in other years, and clocks that are set during the run, with libfaketime (Debian package faketime)."""
import re
import signal
from pathlib import Path

import invariants
from outcome import Outcome

# By date, or by the offset from now for years without four digits.
YEARS = {
    "1901": "@1901-12-13 20:45:51", "1969": "@1969-12-31 23:59:57", "1970": "@1970-01-01 00:00:00", "1999": "@1999-12-31 23:59:57",
    "a leap day": "@2028-02-29 23:59:57", "2038": "@2038-01-19 03:14:06", "2106": "@2106-02-07 06:28:14", "2262": "@2262-04-11 23:47:15",
    "9999": "@9999-12-31 23:59:57", "10000": "+7985y", "30000": "+28000y", "a century ago": "-100y",
}  # fmt: skip
JUMPS = {
    "a day forth": "+1d", "a day back": "-1d", "an hour back": "-1h", "a second back": "-1", "thirty years forth": "+30y", "sixty years back": "-60y",
    "to 10000": "+7985y", "a thousand times as fast": "+0 x1000", "a thousandth as fast": "+0 x0.001", "to 1970": "@1970-01-01 00:00:00",
}  # fmt: skip
CASES = len(YEARS) + len(JUMPS)
CAMERA = ["test://?size=320x240&rate=20", "--name", "door", "--segment", "2s", "--keep", "30d"]
STAMP = r"-\d{8,10}T\d{6}Z(-\d+)?\.(mkv|timeline\.jsonl|summary\.json)"


def library():
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def missing(lab):
    return None if library() else "libfaketime is not installed"


def attack(lab, number):
    folder = lab.folder("clocks", number)
    setting = folder.parent / f"{number}.clock"
    jump = number > len(YEARS)
    name, spec = list((JUMPS if jump else YEARS).items())[number - 1 - (len(YEARS) if jump else 0)]
    variables = {"LD_PRELOAD": str(library()), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
    if jump:
        setting.write_text("+0\n")
        variables["FAKETIME_TIMESTAMP_FILE"] = str(setting)
    else:
        variables["FAKETIME"] = spec
    running = lab.program.spawn(["run", *CAMERA], folder, environment=variables)
    while not list(folder.glob("*.mkv")) and not running.wait(0.1) and len(running.said()) < 5000:
        pass
    running.wait(2)
    if jump:
        setting.write_text(spec + "\n")
    running.wait(4)
    running.signal(signal.SIGTERM)
    finished = running.finish(20)
    setting.unlink(missing_ok=True)
    faults = invariants.ended(finished, lab.program.limits, (143,)) + invariants.stderr(finished)
    names = sorted(path.name for path in folder.iterdir())
    if odd := [name for name in names if not re.fullmatch("door" + STAMP, name)]:
        faults.append(f"a file is called {odd[0]}")
    for ending in (".mkv", ".timeline.jsonl", ".summary.json"):
        if not any(name.endswith(ending) for name in names):
            faults.append(f"leaves no {ending}")
    # libfaketime does not change file times, so new recordings seem years old.
    if len([name for name in names if name.endswith(".mkv")]) == 1:
        faults.append("of several segments of the last seconds one is left, with --keep 30d")
    for path in folder.iterdir():
        if path.suffix == ".mkv":
            faults += invariants.video(path)
        elif path.name.endswith("summary.json"):
            summary = invariants.strict(path.read_text())
            faults += invariants.balance(summary["frames"])
            if not all(re.fullmatch(r"[+-]?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", str(summary[key])) for key in ("started", "ended")):
                faults.append(f"its times are {summary['started']} and {summary['ended']}")
    return Outcome(f"{'a jump' if jump else 'the year'}: {name}", finished.code, faults, finished)
