"""Unusual files and disks: pipes, devices, links, folders, special names, outputs that are inputs, full disks, few descriptors."""
import os
import resource
import signal
import socket
import threading
from pathlib import Path

import invariants
from outcome import Outcome

RUN = ["--only", "timeline,subtitles", "--output-dir", "out"]
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 9)}
NAMES = {
    "a newline": b"a\nb.mkv", "an escape character": b"a\x1b[2J\x1b]0;x\x07.mkv", "bytes that are no UTF-8": b"a\xff\xfe.mkv",
    "the second half of Latin-1's controls": "a\x9b2J.mkv".encode(), "a tab and a carriage return": b"a\t\rb.mkv", "255 bytes": b"n" * 251 + b".mkv",
    "a minus first": b"-clip.mkv", "two minuses first": b"--help", "a format": b"a%05d%n%s.mkv", "a fragment": b"a#b.mkv", "a query": b"a?b=c.mkv",
    "a scheme": b"file:a.mkv", "spaces": b" a  b .mkv", "from right to left": "a\u202egpj.mkv".encode(), "an emoji": "🎬.mkv".encode(),
    "quotes": b"a\"b'c`d.mkv", "a backslash": b"a\\b.mkv", "only an ending": b".mkv", "no ending": b"clip", "two dots": b"..mkv",
    "an exclamation mark": b"a ! fakesink.mkv", "a semicolon": b"a;b&c|d.mkv", "a part's name": b"a.part.mkv", "the word of a result": b"a.labelled.avi",
}  # fmt: skip


def device(folder, kind):
    """Creates a separate device file, so that the system's cannot be replaced; a link to the system's if that fails."""
    path = folder / f"dev-{kind}"
    try:
        os.mknod(path, 0o20666, os.makedev(*DEVICES[kind]))
        path.open("rb").close()
    except OSError:
        path.unlink(missing_ok=True)
        path.symlink_to(f"/dev/{kind}")
    return path


def make(folder, kind, clip):
    """Creates an unusual file of this kind in the folder. Returns its path."""
    path = folder / f"odd-{kind.replace(' ', '-')}.mkv"
    if kind in DEVICES:
        return device(folder, kind)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "pipe with a clip":
        os.mkfifo(path)
        threading.Thread(target=feed, args=(path, clip), daemon=True).start()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            here = os.open(folder, os.O_RDONLY)
            server.bind(f"/proc/self/fd/{here}/{path.name}")
            os.close(here)
    elif kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    elif kind == "link":
        path.symlink_to("clip.mkv")
    elif kind == "hard link":
        os.link(folder / "clip.mkv", path)
    elif kind == "unreadable":
        path.write_bytes(clip)
        path.chmod(0)
    elif kind == "process":
        return Path("/proc/self/maps")
    elif kind == "under a file":
        return folder / "clip.mkv" / "x.mkv"
    elif kind == "too long":
        return folder / ("n" * 300 + ".mkv")
    elif kind == "too deep":
        return folder / ("p/" * 3000) / "x.mkv"
    elif kind == "sparse terabyte":
        with path.open("wb") as file:
            file.write(clip[:20_000])
            file.truncate(1 << 36)
    elif kind == "existing":
        path.write_bytes(b"mine")
    return path


def feed(path, clip):
    try:
        with open(path, "wb") as pipe:
            pipe.write(clip)
    except OSError:
        pass


ODD = [
    "pipe", "pipe with a clip", "socket", "folder", "empty", "loop", "dangling link", "link", "hard link", "unreadable", "null", "zero", "full",
    "random", "process", "under a file", "too long", "too deep", "sparse terabyte", "absent",
]  # fmt: skip
TARGETS = ["pipe", "socket", "folder", "loop", "dangling link", "link", "hard link", "null", "zero", "full", "under a file", "too long", "existing", "clip"]
FLAGS = {"--output": "avi", "--timeline": "json", "--plot": "png", "--subtitles": "vtt", "--events": "jsonl"}
SETTINGS = {"--model": "", "--pipeline": "", "--web-token-file": "--web 127.0.0.1:0", "--mqtt-password-file": "--mqtt mqtt://127.0.0.1:1 --mqtt-user-env HOME"}
LIMITS = [
    (resource.RLIMIT_FSIZE, size, f"no file over {size} bytes") for size in (1200, 3000, 30_000, 100_000)
] + [(resource.RLIMIT_NOFILE, count, f"{count} files open at most") for count in (4, 8, 12, 16, 20, 24, 32, 40, 64)] + [
    (resource.RLIMIT_AS, mib << 20, f"{mib} MiB of addresses") for mib in (100, 400, 700)
]  # fmt: skip


def cases():
    found = [("input", kind) for kind in ODD] + [("name", name) for name in NAMES]
    found += [("output", (flag, kind)) for flag in FLAGS for kind in TARGETS]
    found += [("setting", (flag, kind)) for flag in SETTINGS for kind in ("pipe", "folder", "empty", "loop", "zero", "random", "link")]
    found += [("limit", limit) for limit in LIMITS] + [("read-only", flag) for flag in FLAGS]
    return found + [("stdin", kind) for kind in ("clip", "zero")]


ALL = cases()
CASES = len(ALL)


def nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def flags(kind, what, folder, clip):
    """Returns the command line of a case, the child's preparation, and the case's name."""
    source = "clip.mkv"
    if kind == "input":
        source = str(make(folder, what, clip))
        return ["run", source, *RUN], None, f"the input is {what}"
    if kind == "name":
        path = os.fsencode(folder) + b"/" + NAMES[what]
        with open(path, "wb") as file:
            file.write(clip)
        return ["run", *RUN, "--", NAMES[what]], None, f"a name with {what}"
    if kind == "output":
        flag, target = what
        path = folder / "clip.mkv" if target == "clip" else make(folder, target, clip)
        if target not in ("clip", *DEVICES, "under a file", "too long"):
            path = path.rename(path.with_suffix(f".{FLAGS[flag]}"))
        return ["run", source, *RUN, *(["--force"] if target != "existing" else []), flag, str(path)], None, f"{flag} is {target}"
    if kind == "setting":
        flag, target = what
        path = make(folder, target, clip)
        if flag == "--pipeline":
            path = path.rename(path.with_suffix(".toml"))
        return ["run", source, *RUN, flag, str(path), *SETTINGS[flag].split()], None, f"{flag} is {target}"
    if kind == "limit":
        limit, value, name = what
        return ["run", source, "--output-dir", "out"], lambda: resource.setrlimit(limit, (value, value)), name
    if kind == "read-only":
        (folder / "closed").mkdir(0o555)
        return ["run", source, *RUN, what, f"closed/new.{FLAGS[what]}"], nobody if os.geteuid() == 0 else None, f"{what} in a folder that is closed"
    return ["run", "/dev/stdin", *RUN], None, f"the input is stdin, which is {what}"


def attack(lab, number):
    kind, what = ALL[number - 1]
    folder = lab.folder("files", number)
    clip = lab.seeds.clip("mkv", 0, 1).read_bytes()
    (folder / "clip.mkv").write_bytes(clip)
    (folder / "out").mkdir(0o777)
    (folder / "out").chmod(0o777)
    arguments, prepare, name = flags(kind, what, folder, clip)
    stdin = None
    if kind == "stdin":
        stdin = open(folder / "clip.mkv" if what == "clip" else "/dev/zero", "rb")
    if (kind, what) == ("input", "unreadable") and os.geteuid() == 0:
        prepare = nobody
    running = lab.program.spawn(arguments, folder, stdin=stdin, prepare=prepare)
    if kind == "setting" and what[1] == "pipe" and not running.wait(3):
        # A pipe waits for its writer, which is legitimate. The case can be aborted.
        running.signal(signal.SIGTERM)
    finished = running.finish()
    # Libraries report missing space or files themselves. If events cannot be written, the run logs it and continues.
    starved = kind == "limit" and what[0] != resource.RLIMIT_FSIZE
    codes = {"limit": (0, 1, 2, 127), "setting": (0, 1, 2, 143)}.get(kind, (0, 1, 2))
    given_up = finished.code == -signal.SIGTERM
    faults = [] if given_up else invariants.ended(finished, lab.program.limits, codes)
    if starved:
        faults += [] if finished.code == 0 or finished.stderr else ["fails without a message"]
    elif what != ("--events", "full"):
        faults += invariants.stderr(finished)
    if (folder / "clip.mkv").read_bytes() != clip:
        faults.append("the input was changed")
    for left in (folder / "out").glob("*.timeline.json"):
        # A clip may be analysed completely although one of its results could not be written.
        faults += invariants.timeline(left, finished.code if kind != "limit" else None)[0]
    if (folder / "nowhere").exists() and not (kind == "output" and what[0] == "--events"):
        faults.append("a link's target was created")
    if kind == "output" and what[1] in DEVICES and not (path := folder / f"dev-{what[1]}").is_char_device():
        faults.append(f"{path.name} is no longer a device")
    if kind == "output" and what[1] == "existing" and what[0] != "--events":
        left = next(folder.glob("odd-existing.*"))
        faults += [] if left.read_bytes() == b"mine" else ["a file was overwritten without --force"]
    # Results have longer names than their clip.
    if (kind == "name" and what != "255 bytes" and finished.code != 0) or (kind, what) == ("input", "hard link") and finished.code != 0:
        faults.append(f"refuses a valid clip for its name: {finished.errors[:1]}")
    if kind != "name" and (hidden := [path.name for path in folder.rglob(".*")]):
        faults.append(f"leaves {hidden}")
    return Outcome(name, finished.code, faults, finished)
