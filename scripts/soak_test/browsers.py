"""Browsers that come, read at their own pace, and go without a word."""
import collections
import contextlib
import datetime
import random
import socket
import threading
import time
from urllib.parse import quote

# Paths, and how often each is drawn. Whatever has no end is left after some seconds.
PATHS = {
    "/": 2,
    "/api/streams": 3,
    "/api/intervals": 2,
    "/api/streams/{name}/timeline": 2,
    "/api/events": 4,
    "/pictures": 3,
    "/pictures?stream={name}": 2,
    "/streams/{name}.mjpg": 3,
    "/streams/{name}/snapshot.jpg": 2,
    "/metrics": 2,
    "/healthz": 1,
    "/api/history": 1,
    "/api/history/days?from={today}&to={tomorrow}": 1,
    "/api/history/ribbon?stream={name}&from={from}&to={to}": 2,
    "/api/history/intervals?from={from}&to={to}": 2,
    "/api/history/intervals.csv?from={from}&to={to}": 1,
    "/api/history/picture.jpg?stream={name}&at={at}": 2,
    "/api/history/frames?stream={name}&from={from}": 1,
    "/api/history/export.mkv?stream={name}&from={from}&to={to}": 1,
    "/api/history/export.mp4?stream={name}&from={from}&to={to}": 1,
    "/nothing/../%ff": 1,
}


def moment(seconds_ago):
    now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds_ago)
    return quote(now.isoformat(timespec="milliseconds").replace("+00:00", "Z"))


class Browsers:
    """Several at once, each in a thread. Counts answers by path and status."""

    def __init__(self, port, names, count, seed):
        self.port, self.names, self.stopped = port, names, threading.Event()
        self.answers, self.lock = collections.Counter(), threading.Lock()
        self.threads = [threading.Thread(target=self.browse, args=(random.Random(f"{seed}/{number}"),)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def browse(self, chance):
        while not self.stopped.is_set():
            path = chance.choices(list(PATHS), list(PATHS.values()))[0]
            begin = chance.uniform(30, 300)
            values = {"name": chance.choice(self.names), "from": moment(begin), "to": moment(begin - 25), "at": moment(begin), "today": moment(0)[:10], "tomorrow": moment(-86_400)[:10]}
            try:
                status = self.visit(path.format(**values), chance)
            except OSError as cause:
                status = type(cause).__name__
            with self.lock:
                self.answers[path, status] += 1
            self.stopped.wait(chance.uniform(0, 3))

    def visit(self, path, chance):
        slowly, rudely = chance.random() < 0.3, chance.random() < 0.5
        end = time.monotonic() + chance.uniform(1, 25)
        client = socket.socket()
        if slowly:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with client:
            client.settimeout(10)
            client.connect(("127.0.0.1", self.port))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: close\r\n\r\n".encode())
            status, data = "nothing", b"start"
            while data and time.monotonic() < end and not self.stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    data = client.recv(1024 if slowly else 65536)
                    if status == "nothing" and data:
                        status = data.split(b" ")[1].decode() if data.startswith(b"HTTP/1.1 ") else "garbage"
                self.stopped.wait(0.5 if slowly else 0)
            if rudely:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return status

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
