"""Updates docs/benchmarks.md with the last measurement of each kind, where and how it was made, and its numbers."""
import datetime
import json
import platform
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target/release/livelabel"
MODEL = ROOT / "models/drinking-cooking.int8.onnx"
PAGE = ROOT / "docs/benchmarks.md"
NUMBERS = ROOT / "docs/benchmarks.json"


def put(kind, command, text, numbers, peers=()):
    """Replaces the tables and numbers of one kind on this processor. Those of other processors stay.

    `peers` are the Python packages of the programs that livelabel is compared with.
    """
    begin, end = f"<!-- {kind} on {processor()}: begin -->", f"<!-- {kind} on {processor()}: end -->"
    part = f"{begin}\n**{processor()}**\n\n{text.strip()}\n\n{_where(command)} {_versions(peers)}\n{end}"
    page = PAGE.read_text()
    here = f"<!-- {kind}: here -->"
    if here not in page:
        raise SystemExit(f"bench: error: {PAGE} has no section for {kind}")
    if begin in page:
        page = re.sub(re.escape(begin) + ".*" + re.escape(end), lambda _: part, page, flags=re.DOTALL)
    else:
        page = page.replace(here, f"{part}\n\n{here}")
    PAGE.write_text(page)
    stored = _numbers()
    stored.setdefault(processor(), {})[kind] = numbers
    NUMBERS.write_text(json.dumps(stored, indent=1) + "\n")
    print(f"\nbench: written to {PAGE.relative_to(ROOT)}")


def stored_numbers():
    """Returns the last numbers of each kind on this processor."""
    return _numbers().get(processor(), {})


def processor():
    """Returns the CPU's name and its instruction sets for int8 and bf16."""
    info = Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*: (.*)", info)
    flags = [flag for flag in ("avx512_vnni", "amx_int8", "amx_bf16") if flag in info]
    return f"{name[1] if name else platform.processor()} ({', '.join(flags) or 'no VNNI, no AMX'})"


def slug():
    """Returns the processor's name for a file name."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\(R\)|\(.*", "", processor()).lower()).strip("-")


def _numbers():
    return json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {}


def _where(command):
    cores = len(re.findall(r"^processor", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    shown = subprocess.run([PROGRAM, "model", "show", "--json"], capture_output=True, text=True).stdout
    model = json.loads(shown)
    return (
        f"`{command}`, {datetime.date.today()}, commit {commit or 'unknown'}; {cores} cores of {processor()}, "
        f"{platform.system()} {platform.release().split('-')[0]}; model {model['name']} {model['sha256'][:12]}."
    )


def _versions(peers):
    """Returns the versions of livelabel, its libraries, and the peers' packages."""
    own = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout.strip()
    gstreamer = subprocess.run(["gst-inspect-1.0", "--version"], capture_output=True, text=True).stdout.split()[2]
    fetched = (ROOT / "scripts/setup.d/analyzer.sh").read_text()
    pinned = lambda name: re.search(rf"\b{name} (\d[\d.]+)", fetched)[1]
    text = f"{own} with OpenVINO {pinned('OpenVINO')}, ONNX Runtime {pinned('ONNX Runtime')}, GStreamer {gstreamer}"
    if peers:
        lists = "\n".join(path.read_text() for path in sorted((ROOT / "scripts/benchmarks").glob("requirements*.txt")))
        version = lambda name: re.search(rf"^{name}==(\S+)", lists, re.MULTILINE)[1]
        text += f"; peers with Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in peers)
    return f"{text}."
