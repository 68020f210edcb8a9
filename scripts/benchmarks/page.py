"""docs/benchmarks.md: what was measured last of each kind, with where and how; and the numbers behind it."""
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


def put(kind, command, text, numbers):
    """Replaces one part of the page, and its numbers."""
    begin, end = f"<!-- {kind}: begin -->", f"<!-- {kind}: end -->"
    part = f"{begin}\n{text.strip()}\n\n{_where(command)}\n{end}"
    page = PAGE.read_text()
    if begin not in page:
        raise SystemExit(f"bench: error: {PAGE} has no part for {kind}")
    page = re.sub(re.escape(begin) + ".*" + re.escape(end), lambda _: part, page, flags=re.DOTALL)
    PAGE.write_text(page)
    stored = stored_numbers()
    stored[kind] = numbers
    NUMBERS.write_text(json.dumps(stored, indent=1) + "\n")
    print(f"\nbench: written to {PAGE.relative_to(ROOT)}")


def stored_numbers():
    return json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {}


def _where(command):
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    cores = len(re.findall(r"^processor", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    flags = [flag for flag in ("avx512_vnni", "amx_int8", "amx_bf16") if flag in Path("/proc/cpuinfo").read_text()]
    shown = subprocess.run([PROGRAM, "model", "show", "--json"], capture_output=True, text=True).stdout
    model = json.loads(shown)
    return (
        f"`{command}`, {datetime.date.today()}, commit {commit or 'unknown'}; {cores} cores of "
        f"{processor[1] if processor else platform.processor()} ({', '.join(flags) or 'no VNNI, no AMX'}), "
        f"{platform.system()} {platform.release().split('-')[0]}; model {model['name']} {model['sha256'][:12]}."
    )
