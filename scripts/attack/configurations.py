"""Hostile pipeline files: wrong types, extreme values, damaged text, paths that are not files, contradictory streams."""
import invariants
from outcome import Outcome

CASES = 320
# Keys with a valid value each.
KEYS = {
    "input": '["clip.mkv"]', "action": '"drinking"', "window": "8", "threshold": "0.5", "hysteresis": "0.1", "output": '"out/v.mkv"',
    "timeline": '"out/t.timeline.json"', "plot": '"out/p.png"', "subtitles": '"out/s.vtt"', "output_dir": '"out"', "format": '"mkv"',
    "only": '["timeline"]', "model": '"absent.onnx"', "device": '"cpu"', "batch": "2", "inference_precision": '"fp32"', "stride": "1", "jobs": "1",
    "force": "true", "quiet": "true", "name": '"door"', "transport": '"tcp"', "latency": "100", "user_env": '"ABSENT"',
    "password_env": '"ABSENT"', "password_file": '"absent"', "display": "false", "segment": '"10m"', "keep": '"7d"', "only_active": "true",
    "segment_video": '"original"', "segment_audio": "true", "keep_intervals": '"90d"',
    "status_interval": '"1m"', "events": '"out/e.jsonl"', "mqtt": '"mqtt://127.0.0.1:1"', "mqtt_user_env": '"ABSENT"',
    "mqtt_password_env": '"ABSENT"', "mqtt_password_file": '"absent"', "webhook": '["http://127.0.0.1:1/"]', "web": '"127.0.0.1:0"',
    "web_token": '"0123456789"', "web_token_file": '"absent"', "stream": "[]",
}  # fmt: skip
KINDS = ['"text"', "1", "-1", "1.5", "true", "[]", "{}", '["a", 1]', "2026-01-02T03:04:05Z", "[[[]]]", '{a = {b = 1}}', '""', "12:30:00"]
NUMBERS = [
    "0", "-1", "1", "256", "257", "100001", "4294967296", "9223372036854775807", "-9223372036854775808", "99999999999999999999", "0.0", "1.0",
    "-0.0", "1.0000001", "1e308", "1e999", "nan", "-nan", "inf", "-inf", "0x7fffffffffffffff", "0b1", "1_000", "+5", "007", "1e-320",
]  # fmt: skip
TEXTS = [
    '""', '" "', '"\\u0000"', '"\\u001b[2J"', '"a\\nb"', '"' + "x" * 100_000 + '"', '"' + "é" * 300 + '"', '"../.."', '"."', '"folder"',
    '"out"', '"clip.mkv"', '"attack.toml"', '"-"', '"--help"', '"%s%n%d"', '"$HOME"', '"~"', '"a/b/c/d"', '"file:///etc/passwd"', '"http://"',
    '"mqtt://"', '"rtsp://"', '"0s"', '"-1s"', '"99999999999999y"', '"1ns"', '"18446744073709551615s"', '"0B"', '"99999999YB"', '"1e9G"', '"auto"',
    '"cuda:999"', '"127.0.0.1:99999"', '"[::1"', '"0.0.0.0:0"', '"mqtt://user:pass@[::1]:99999/#/+"', '"http://a b/"', '"https://\\u0000/"', '"‮txt.mkv"',
]  # fmt: skip


def written(keys):
    return "".join(f"{key} = {value}\n" for key, value in keys.items())


def base():
    return {"input": KEYS["input"], "output_dir": KEYS["output_dir"], "only": KEYS["only"]}


def with_value(values):
    def make(random):
        key, value = random.choice(list(KEYS)), random.choice(values)
        if key in ("input", "webhook", "only") and random.random() < 0.7:
            value = f"[{value}]"
        return written({**base(), key: value}).encode(), f"{key} = {value[:60]}"

    return make


def paths(random):
    key = random.choice(["input", "output", "timeline", "plot", "subtitles", "output_dir", "model", "password_file", "events", "web_token_file", "mqtt_password_file"])
    value = random.choice(["folder", "folder/", ".", "..", "out", "clip.mkv/under", "absent/a/b", "loop", "attack.toml", "clip.mkv", "n" * 300, "p/" * 3000])
    more = {"web_token_file": {"web": KEYS["web"]}, "mqtt_password_file": {"mqtt": KEYS["mqtt"], "mqtt_user_env": '"HOME"'}}.get(key, {})
    force = {"force": "true"} if random.random() < 0.5 else {}
    value = f'["{value}"]' if key == "input" else f'"{value}"'
    return written({**base(), **more, **force, key: value}).encode(), f"{key} = {value[:60]}"


def several(random):
    """Many keys at once, each with a valid value."""
    chosen = random.sample(list(KEYS), random.randint(3, 12))
    keys = {**base(), **{key: KEYS[key] for key in chosen if key != "stream"}}
    return written(keys).encode(), "together: " + ", ".join(chosen)


def streams(random):
    """Streams with keys of the whole run, without inputs, with equal names, or thousands of them."""
    count = random.choice((1, 2, 2, 3, 1000))
    parts = [written({"output_dir": '"out"', "only": '["timeline"]'})]
    for _ in range(count):
        keys = {"input": random.choice(['["clip.mkv"]', '["absent.mkv"]', "[]", '["absent.mkv", "clip.mkv"]'])}
        if count == 1000:
            keys = {"input": '["absent.mkv"]'}
        elif random.random() < 0.6:
            key = random.choice(list(KEYS))
            keys |= {key: KEYS[key] if key != "input" else '["clip.mkv"]'}
        parts.append("[[stream]]\n" + written(keys))
    return "".join(parts).encode(), f"{count} streams"


def damaged(random):
    """A valid file with damaged text."""
    text = written({**base(), "window": "8", "threshold": "0.5", "name": '"door"'}).encode()
    place = random.randrange(len(text))
    line = b"window = 8\n"
    kinds = {
        "bytes that are no UTF-8": text[:place] + b"\xff\xfe\xc0\x80" + text[place:],
        "a NUL": text[:place] + b"\0" + text[place:],
        "a byte order mark": b"\xef\xbb\xbf" + text,
        "UTF-16": text.decode().encode("utf-16"),
        "carriage returns alone": text.replace(b"\n", b"\r"),
        "Windows' line ends": text.replace(b"\n", b"\r\n"),
        "a key twice": text + line,
        "a key ten thousand times": text + line * 10_000,
        "cut short": text[:place],
        "a bit flipped": text[:place] + bytes([text[place] ^ 1 << random.randrange(8)]) + text[place + 1 :],
        "garbage": random.randbytes(random.choice((10, 1000, 100_000))),
        "an unknown key": text + random.choice(('widnow = 3\n', '"" = 1\n', 'a.b.c.d = 1\n', '"\\u001b[31m" = 1\n', "ä = 1\n", "x" * 100_000 + " = 1\n")).encode(),
        "arrays a hundred thousand deep": text + b"keep = " + b"[" * 100_000,
        "closed arrays ten thousand deep": text + b"keep = " + b"[" * 10_000 + b"]" * 10_000 + b"\n",
        "tables ten thousand deep": text + b"keep = " + b"{a=" * 10_000 + b"1" + b"}" * 10_000 + b"\n",
        "dotted keys ten thousand deep": text + b"a." * 10_000 + b"a = 1\n",
        "a table ten thousand deep": text + b"[" + b"a." * 10_000 + b"a]\n",
        "streams in streams": text + b"[[stream]]\n" + b"[[stream.stream]]\n" * 100,
        "a line of ten megabytes": text + b"#" + b"x" * 10_000_000,
        "a text without an end": text + b'action = """' + b"x" * 1000,
        "nothing": b"",
        "only a remark": b"# nothing",
        "a table in the place of a key": text + b"[window]\nn = 8\n",
        "escapes that are none": text + b'action = "\\x41\\uD800\\U00110000"\n',
        "a hundred thousand inputs": b'only = ["timeline"]\ninput = [' + b'"absent.mkv",' * 100_000 + b"]\n",
        "control characters in an input": b'only = ["timeline"]\ninput = ["\\u001b[2Jabsent\\u0007\\u009b.mkv"]\n',
    }
    name = random.choice(list(kinds))
    return kinds[name], name


SLOTS = [with_value(KINDS), with_value(NUMBERS), with_value(TEXTS), damaged, damaged, paths, with_value(KINDS), several, streams, damaged]


def attack(lab, number):
    random = lab.random("configurations", number)
    text, done = SLOTS[number % len(SLOTS)](random)
    folder = lab.folder("configurations", number)
    (folder / "attack.toml").write_bytes(text)
    clip = lab.seeds.clip("mkv", 0, 1).read_bytes()
    (folder / "clip.mkv").write_bytes(clip)
    (folder / "folder").mkdir()
    (folder / "out").mkdir()
    (folder / "loop").symlink_to("loop")
    finished = lab.program.run(["run", "--pipeline", "attack.toml"], folder)
    faults = invariants.ended(finished, lab.program.limits)
    # Each of several inputs may fail on its own.
    single = text.count(b".mkv") < 2
    if single or finished.code == 0:
        faults += invariants.stderr(finished)
    elif finished.code in (1, 2) and not finished.errors:
        faults.append(f"exit code {finished.code} without an error line")
    if finished.code == 0:
        for left in folder.rglob("*.timeline.json"):
            faults += invariants.timeline(left, 0)[0]
    if (folder / "clip.mkv").read_bytes() != clip or (folder / "attack.toml").read_bytes() != text:
        faults.append("an input file was changed")
    hidden = [path.name for path in folder.rglob("*") if path.name.startswith(".") or ".part" in path.name]
    if hidden:
        faults.append(f"leaves {hidden[0]}")
    return Outcome(f"pipeline: {done}", finished.code, faults, finished)
