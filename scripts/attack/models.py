"""Hostile models: damaged copies of the shipped one, and small malicious ones."""
import json
import struct

import invariants
import onnx
import structures
from outcome import Outcome

CASES = 200
KEYS = [*onnx.METADATA, "slices"]
COMMANDS = ("show", "verify", "run")
VALUES = [
    "", " ", "0", "-1", "1", "2", "3.5", "nan", "inf", "-inf", "1e308", "1e-320", "99999999999999999999", "18446744073709551615",
    "9223372036854775807", "40000", "2049", "null", "[]", "{}", "[[]]", '""', '["a"]', '["a","a","a"]', "[1,2,3]", "[1e308,0,0]",
    '["","",""]', '["\\u0000","\\u001b[31m","\\n"]', '["a","b","c","d"]', "[0,0,0]", "[null,null,null]", "NHWC", "RGB", "XYZ", "[" * 5000,
    '{"a":' * 5000, "x" * 1_000_000, "\x1b[2J", "\n\n", "%s%n", "'; --", "0x10", "1_000", "１２８", "true", "-0.0", "1,5",
]  # fmt: skip


def cut(random, data):
    end = random.choice((0, 1, 8, 100, len(data) - 1, random.randrange(len(data))))
    return data[:end], f"cut short to {end} bytes"


def bits(random, data):
    count, end = random.choice((1, 16, 256, 4096)), random.choice((4096, len(data)))
    damaged = bytearray(data)
    for _ in range(count):
        damaged[random.randrange(end)] ^= 1 << random.randrange(8)
    return bytes(damaged), f"{count} bits flipped in the first {end} bytes"


def metadata(random, data):
    key, value = random.choice(KEYS), random.choice([None, None, *VALUES])
    fields, done = [], False
    for field in onnx.parse(data):
        if field[0] == 14 and onnx.get(onnx.parse(field[2]), 1) == key.encode():
            if value is not None:
                fields.append(onnx.text(14, onnx.encode([onnx.text(1, key), onnx.text(2, value)])))
            done = True
        else:
            fields.append(field)
    if not done and value is not None:
        fields.append(onnx.text(14, onnx.encode([onnx.text(1, key), onnx.text(2, value)])))
    return onnx.encode(fields), f"{key} {'removed' if value is None else f'set to {value[:40]!r}'}"


def in_graph(change):
    """Returns the model with changed fields of its graph."""

    def changed(random, data):
        fields = onnx.parse(data)
        graph = next(field for field in fields if field[0] == 7)
        parts = onnx.parse(graph[2])
        done = change(random, parts)
        graph[2] = onnx.encode(parts)
        return onnx.encode(fields), done

    return changed


@in_graph
def weights(random, parts):
    chosen = random.choice([part for part in parts if part[0] == 5])
    tensor = onnx.parse(chosen[2])
    name, raw = onnx.get(tensor, 8).decode(), onnx.get(tensor, 9)
    others = [field for field in tensor if field[0] not in (1, 9)]
    dims = [field for field in tensor if field[0] == 1]
    kind = random.choice(["NaN", "infinite", "huge", "zero", "short", "long", "none", "dims", "dims", "dims", "kind", "outside"])
    fillings = {"NaN": struct.pack("<f", float("nan")), "infinite": struct.pack("<f", float("inf")), "huge": struct.pack("<f", 3e38)}
    if kind in fillings or kind == "zero":
        raw = (fillings.get(kind, bytes(4)) * (len(raw) // 4 + 1))[: len(raw)]
    elif kind in ("short", "long", "none"):
        raw = {"short": raw[: len(raw) // 2], "long": raw * 2, "none": b""}[kind]
    elif kind == "dims":
        value = random.choice((0, -1, 1, 1 << 31, 1 << 62, (1 << 64) - 1))
        dims = [onnx.number(1, value)] * random.choice((1, 2, 4, 8, 1000))
        kind = f"{len(dims)} dims of {value}"
    elif kind == "kind":
        value = random.choice((0, 2, 7, 8, 10, 14, 99, 1 << 31))
        others = [onnx.number(2, value) if field[0] == 2 else field for field in others]
        kind = f"of kind {value}"
    else:
        place = random.choice(("/etc/passwd", "/dev/zero", "../secret", "absent.bin", "x" * 5000))
        entry = onnx.encode([onnx.text(1, "location"), onnx.text(2, place)])
        others += [onnx.text(13, entry), onnx.number(14, 1)]
        raw, kind = None, f"in the file {place[:20]}"
    chosen[2] = onnx.encode(dims + others + ([] if raw is None else [onnx.text(9, raw)]))
    return f"weights {name}: {kind}"


@in_graph
def nodes(random, parts):
    every = [part for part in parts if part[0] == 1]
    chosen = random.choice(every)
    kind = random.choice(["removed", "twice", "unknown", "foreign", "cycle", "unnamed", "swapped", "no attributes", "input", "output", "inputs", "outputs"])
    node = onnx.parse(chosen[2])
    if kind == "removed":
        parts.remove(chosen)
    elif kind == "twice":
        parts.append(list(chosen))
    elif kind in ("unknown", "foreign", "unnamed"):
        number, value = {"unknown": (4, "Nonsense"), "foreign": (7, "com.example"), "unnamed": (4, "")}[kind]
        chosen[2] = onnx.encode([field for field in node if field[0] != number] + [onnx.text(number, value)])
    elif kind == "cycle":
        last = onnx.get(onnx.parse(every[-1][2]), 2)
        chosen[2] = onnx.encode([onnx.text(1, last) if field[0] == 1 else field for field in node])
    elif kind == "swapped":
        other = random.choice(every)
        chosen[2], other[2] = other[2], chosen[2]
    elif kind == "no attributes":
        chosen[2] = onnx.encode([field for field in node if field[0] != 5])
    else:
        number = 11 if kind.startswith("input") else 12
        dim = random.choice((0, -1, 1, 7, 1 << 20, 1 << 40, (1 << 63) - 1))
        dims = random.choice(([dim] * 4, ["batch", 3, dim, dim], [], [dim] * 200, [1, 2]))
        for part in [part for part in parts if part[0] == number]:
            if kind.endswith("s"):
                parts.remove(part)
            else:
                part[2] = onnx.value_info(onnx.get(onnx.parse(part[2]), 1).decode(), dims)
        return f"{kind} {'removed' if kind.endswith('s') else str(dims)[:60]}"
    return f"a node {kind} ({onnx.get(node, 4).decode()})"


def versions(random, data):
    number, value = random.choice((1, 8)), random.choice((0, 1, 3, 999, 1 << 40, (1 << 64) - 1))
    new = onnx.number(1, value) if number == 1 else onnx.text(8, onnx.encode([onnx.number(2, value)]))
    return onnx.encode([new if field[0] == number else field for field in onnx.parse(data)]), f"{'ONNX' if number == 1 else 'opset'} version {value}"


KINDS = [cut, bits, metadata, weights, nodes, metadata, bits, weights, versions, metadata]


def attack(lab, number):
    random = lab.random("models", number)
    special = number - (CASES - len(structures.ALL))
    command = COMMANDS[number % len(COMMANDS)]
    if special > 0:
        make, command = structures.ALL[special - 1], "run"
        data, done = make(), make.__doc__
    else:
        data, done = KINDS[number % len(KINDS)](random, lab.model.read_bytes())
    folder = lab.folder("models", number)
    (folder / "attack.onnx").write_bytes(data)
    clip = lab.seeds.clip("mkv", 0, 1)
    results = folder / "out"
    results.mkdir()
    given = {
        "show": ["model", "show", "attack.onnx", "--json"],
        "verify": ["model", "verify", "attack.onnx", "--json"],
        "run": ["run", str(clip), "--model", "attack.onnx", "--only", "timeline", "--output-dir", "out"],
    }[command]
    # A compiled damaged network must not be cached for other runs.
    finished = lab.program.run(given, folder, environment={"LIVELABEL_CACHE": str(folder / "cache")})
    faults = invariants.ended(finished, lab.program.limits) + invariants.stderr(finished, ["attack.onnx"])
    for left in results.glob("*.timeline.json"):
        faults += invariants.timeline(left, finished.code)[0]
    faults += invariants.strays(results, {f"{clip.stem}.timeline.json"} if finished.code != 2 else set())
    faults += invariants.strays(folder, {"attack.onnx", "cache", "out"})
    if command != "run" and finished.code == 0:
        try:
            json.dumps(invariants.strict(finished.stdout))
        except ValueError as cause:
            faults.append(f"writes no JSON: {cause}")
    return Outcome(f"model {command}: {done}", finished.code, faults, finished)
