#!/usr/bin/env python3
"""One camera, a process of its own: RTSP and Motion JPEG over HTTP on one port. Lines on stdin are its faults.

usage: camera_process.py PORT CLIPS START
"""
import contextlib
import os
import random
import socket
import struct
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).resolve().parent.parent / "attack"))

import footage  # noqa: E402
from rtsp_cameras import SDP, SETUP, reply  # noqa: E402
from trap import head  # noqa: E402

CLOCK = 90_000


class State:
    """What the camera sends now. `until` ends what lasts for a while."""

    def __init__(self, clips):
        self.units = {name: footage.access_units(clips / f"{name}.h264") for name in footage.SIZES}
        self.jpegs = {name: footage.jpegs(clips / f"{name}.mjpg") for name in footage.SIZES}
        self.size, self.rate, self.jump = "small", footage.RATE, 0.0
        self.fault, self.until, self.connections = "", 0.0, []

    def now(self):
        """Returns the fault of this moment."""
        return self.fault if time.monotonic() < self.until else ""

    def obey(self, words):
        verb, *values = words
        if verb == "size":
            self.size = values[0]
        elif verb == "rate":
            self.rate = float(values[0])
        elif verb == "jump":
            self.jump += float(values[0])
        elif verb == "end":
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        else:
            self.fault, self.until = verb, time.monotonic() + float(values[0])


class Pace:
    """Waits for each picture's moment. Who is late sends at once, but never more than a second in a burst."""

    def __init__(self):
        self.due = time.monotonic()

    def wait(self, rate):
        self.due = max(self.due + 1 / rate, time.monotonic() - 1)
        time.sleep(max(0, self.due - time.monotonic()))


class Sender:
    """Sends bytes, slowly where the state says so."""

    def __init__(self, state, client):
        self.state, self.client, self.lock = state, client, threading.Lock()

    def send(self, data):
        with self.lock:
            while self.state.now() == "slow" and len(data) > 256:
                self.client.sendall(data[:256])
                data = data[256:]
                time.sleep(0.1)
            self.client.sendall(data)


def interleaved(data):
    return b"$\0" + struct.pack(">H", len(data)) + data


def play(state, sender, start, stop):
    """Sends pictures as RTP until the connection is gone."""
    source, pace = random.Random(), Pace()
    number, position = source.getrandbits(16), start + int(time.monotonic() * footage.RATE)
    stamp, origin, size = 0.0, source.getrandbits(31), None
    with contextlib.suppress(OSError):
        while not stop.is_set():
            pace.wait(state.rate)
            # Another size begins with its key picture.
            if size != state.size:
                position -= position % footage.RATE if size else 0
                size = state.size
            picture = state.units[size][position % len(state.units[size])]
            position, stamp = position + 1, stamp + 1 / state.rate
            fault = state.now()
            if fault == "bytes":
                sender.send(source.randbytes(source.randrange(1, 3000)))
                continue
            for index, unit in enumerate(picture):
                if fault == "payload":
                    unit = source.randbytes(source.randrange(1, 1400))
                elif fault == "damage" and len(unit) > 40:
                    at = source.randrange(1, len(unit))
                    unit = unit[:at] + source.randbytes(8) + unit[at + 8 :]
                number += 1
                if fault == "loss" and source.random() < 0.3:
                    continue
                marker = 0x80 if index + 1 == len(picture) else 0
                moment = int(origin + (stamp + state.jump) * CLOCK) & 0xFFFFFFFF
                sender.send(interleaved(struct.pack(">BBHII", 0x80, marker | 96, number & 0xFFFF, moment, 7) + unit))
    stop.set()


def rtsp(state, client, first, start):
    """Answers an RTSP client."""
    sender, stop, request, rest = Sender(state, client), threading.Event(), first, b""
    while request and not stop.is_set():
        verb = request.split(" ")[0]
        if state.now() == "answers":
            sender.send(random.Random().randbytes(2000))
            return
        if verb == "DESCRIBE":
            sender.send(reply(request, headers="Content-Type: application/sdp\r\n", body=SDP.replace("control:track", "fmtp:96 packetization-mode=1\r\na=control:track").encode()))
        elif verb == "SETUP":
            sender.send(reply(request, headers=SETUP))
        elif verb == "OPTIONS":
            sender.send(reply(request, headers="Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\n"))
        else:
            sender.send(reply(request, headers="Session: 1\r\n"))
        if verb == "PLAY":
            threading.Thread(target=play, args=(state, sender, start, stop), daemon=True).start()
        if verb == "TEARDOWN":
            break
        request, rest = following(client, rest)
    stop.set()


def following(client, data):
    """Reads the next request between the client's reports, and what came after it."""
    while True:
        if data[:1] == b"$" and len(data) >= 4 and len(data) >= 4 + struct.unpack(">H", data[2:4])[0]:
            data = data[4 + struct.unpack(">H", data[2:4])[0] :]
            continue
        if data[:1] != b"$" and b"\r\n\r\n" in data:
            request, _, rest = data.partition(b"\r\n\r\n")
            return request.decode("latin-1"), rest
        if not (more := client.recv(4096)):
            return "", b""
        data += more


def http(state, client, start):
    """Sends JPEGs without end."""
    sender, source, pace = Sender(state, client), random.Random(), Pace()
    position = start + int(time.monotonic() * footage.RATE)
    sender.send(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
    while True:
        pace.wait(state.rate)
        pictures = state.jpegs[state.size]
        jpeg, fault = pictures[position % len(pictures)], state.now()
        position += 1
        if fault in ("payload", "answers"):
            jpeg = source.randbytes(len(jpeg))
        elif fault in ("damage", "loss"):
            at = source.randrange(len(jpeg))
            jpeg = jpeg[:at] + source.randbytes(8) + jpeg[at + 8 :]
        if fault == "bytes":
            sender.send(source.randbytes(1000))
        else:
            sender.send(f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode() + jpeg + b"\r\n")


def serve(state, client, start):
    state.connections.append(client)
    with contextlib.suppress(OSError, ValueError), client:
        client.settimeout(120)
        first = head(client)
        http(state, client, start) if first.startswith("GET ") else rtsp(state, client, first, start)
    state.connections.remove(client)


def main():
    port, clips, start = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    state = State(clips)
    listener = socket.create_server(("127.0.0.1", port))
    print("ready", flush=True)

    def listen():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(state, client, start), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    for line in sys.stdin:
        state.obey(line.split())
    os._exit(0)


if __name__ == "__main__":
    main()
