"""Misbehaving brokers and webhook servers: a clip's run ends as it would without them, and soon."""
import gzip

import invariants
import trap
from outcome import Outcome
from trap import Trap, head

# Time for a clip of two seconds, its inference, the remaining events at the end, and a busy machine.
TIMEOUT_S = 40
ACCEPTED = b"\x20\x02\x00\x00"


def broker(*after, pause=0, code=0):
    """Accepts the connection, then sends the parts: bytes, or the result of a function of the received data."""

    def treat(server, client):
        client.recv(4096)
        client.sendall(b"\x20\x02\x00" + bytes([code]))
        for chunk in after:
            client.sendall(chunk)
        while client.recv(65536) and not server.stopped.is_set():
            server.wait(pause)

    return treat


def says_first(data):
    def treat(server, client):
        client.recv(4096)
        client.sendall(data)
        server.wait()

    return treat


def flood(start, chunk):
    def treat(server, client):
        client.recv(4096)
        client.sendall(start)
        server.endless(client, chunk)

    return treat


def leaves(server, client):
    client.recv(4096)
    client.sendall(ACCEPTED)
    client.recv(10)


def echoes(server, client):
    while data := client.recv(65536):
        client.sendall(data)


def web(data, *, close=False, chunk=None, pause=0):
    """Reads the request's header and responds."""

    def treat(server, client):
        head(client)
        client.sendall(data)
        if chunk:
            server.endless(client, chunk, pause)
        if not close:
            server.wait()

    return treat


BROKERS = {
    "says nothing": trap.silent,
    "closes at once": trap.closes,
    "resets the connection": trap.resets,
    "garbage for ever": trap.garbage,
    "refuses with 5": broker(code=5),
    "refuses with 255": broker(code=255),
    "a packet without end": flood(ACCEPTED + b"\x30\xff\xff\xff\x7f", b"a" * 65536),
    "a length that is none": says_first(b"\x20\xff\xff\xff\xff\xff\xff"),
    "an acceptance without end": flood(b"\x20\xff\xff\xff\x7f", b"\0" * 65536),
    "acknowledges what was never sent": broker(*(b"\x40\x02" + n.to_bytes(2, "big") for n in range(2000))),
    "publishes for ever": flood(ACCEPTED, b"\x30\x07\0\5topic" * 5000),
    "answers pings that were never sent": flood(ACCEPTED, b"\xd0\0" * 5000),
    "leaves after ten bytes": leaves,
    "sends everything back": echoes,
    "reads a little each second": broker(pause=1),
    "packets that only a client sends": broker(b"\x10\x0c\0\4MQTT\4\2\0\x3c\0\0", b"\x82\x06\0\1\0\1a\0", b"\xe0\0"),
}
WEB = {
    "says nothing": trap.silent,
    "closes at once": trap.closes,
    "garbage for ever": trap.garbage,
    "a header line without end": web(b"HTTP/1.1 200 OK\r\nX: ", chunk=b"a" * 65536),
    "headers without end": web(b"HTTP/1.1 200 OK\r\n", chunk=b"X: a\r\n" * 10_000),
    "a body without end": web(b"HTTP/1.1 200 OK\r\n\r\n", chunk=b"a" * 65536),
    "a byte each tenth of a second": web(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", chunk=b"a", pause=0.1),
    "status 100 for ever": web(b"", chunk=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "a redirection": web(b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
    "come again in a year": web(b"HTTP/1.1 429 Later\r\nRetry-After: 31536000\r\nContent-Length: 0\r\n\r\n", close=True),
    "status 500": web(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"),
    "a compressed body of 200 MB": web(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(200 << 20)), close=True),
}
CASES = len(BROKERS) + len(WEB)


def attack(lab, number):
    mqtt = number <= len(BROKERS)
    name, treat = list((BROKERS if mqtt else WEB).items())[number - 1 - (0 if mqtt else len(BROKERS))]
    folder = lab.folder("receivers", number)
    clip = lab.seeds.clip("mkv")
    with Trap(treat) as server:
        place = ["--mqtt", f"mqtt://127.0.0.1:{server.port}"] if mqtt else ["--webhook", f"http://127.0.0.1:{server.port}/hook"]
        arguments = ["run", str(clip), "--output", "video.mkv", "--only", "timeline", "--window", "1", "--events", "events.jsonl", *place]
        finished = lab.program.spawn(arguments, folder).finish(TIMEOUT_S)
        calls = server.calls
    faults = invariants.ended(finished, lab.program.limits, (0,)) + invariants.stderr(finished)
    faults += [] if calls else ["was never contacted"]
    files = folder / f"{clip.stem}.timeline.json", folder / "video.mkv", folder / "events.jsonl"
    if missing := [file.name for file in files if not file.exists()]:
        faults.append(f"leaves no {missing[0]}")
    else:
        found, frames = invariants.timeline(files[0], 0)
        faults += found + invariants.video(files[1], frames)
        try:
            events = [invariants.strict(line)["event"] for line in files[2].read_text().splitlines()]
            faults += [] if events and events.count("start") == events.count("end") else [f"the events are {events}"]
        except (ValueError, KeyError) as cause:
            faults.append(f"the events cannot be read: {cause}")
    faults += invariants.strays(folder, {file.name for file in files})
    return Outcome(f"{'broker' if mqtt else 'receiver'}: {name}", finished.code, faults, finished)
