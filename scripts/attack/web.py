"""Hostile web requests against two live runs: one for this machine only, and one with a token."""
import contextlib
import re
import signal
import socket
import threading
import time

import invariants
import web_requests as requests
from outcome import Outcome

CASES = 430
JOBS = 1
TOKEN = "attack-0123456789abcdef"
WAYS = ("unread", "byte by byte", "silent", "left early", "crowd", "half closed")
LOCAL = re.compile(rb"(localhost|127\.0\.0\.1|\[::1\])(:\d*)?", re.I)
server = {}


class Served:
    """A live run with its page."""

    def __init__(self, lab, name):
        self.folder = lab.folder("web", f"server-{name}")
        (self.folder / "token").write_text(TOKEN)
        given = ["--web", "127.0.0.1:0"] if name == "open" else ["--web", "0.0.0.0:0", "--web-token-file", "token"]
        self.limits = lab.program.limits
        # A low rate, to save CPU time.
        source = ["test://?size=320x240&rate=10", "--name", "door"]
        self.run = lab.program.spawn(["run", *source, *given], self.folder)
        self.port, end = None, time.monotonic() + 60
        while not self.port and time.monotonic() < end and not self.run.wait(0.1):
            found = re.search(r"page at http://[\d.]+:(\d+)/", self.run.said())
            self.port = found and int(found.group(1))
        if not self.port:
            raise RuntimeError(f"no page: {self.run.said()}")
        self.token = name == "token"
        while time.monotonic() < end and self.faults():
            time.sleep(0.2)

    def connect(self, seconds=3):
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def exchange(self, data, seconds=3, most=200_000):
        """Sends the data and reads until the end, the time limit or the size limit."""
        answer = b""
        with contextlib.suppress(OSError), self.connect(seconds) as client:
            with contextlib.suppress(OSError):
                client.sendall(data)
            end = time.monotonic() + seconds
            while len(answer) < most and time.monotonic() < end:
                client.settimeout(max(end - time.monotonic(), 0.01))
                if not (more := client.recv(65536)):
                    break
                answer += more
        return answer

    def faults(self):
        """Returns the run's faults."""
        if self.run.poll():
            return [f"the run has ended with {self.run.process.returncode}"]
        if self.run.resident_mib() > self.limits.mib:
            return [f"the run holds {self.run.resident_mib():.0f} MiB"]
        token = [f"Authorization: Bearer {TOKEN}"] if self.token else []
        answer = self.exchange(requests.request("/healthz", headers=["Connection: close", *token]), 5)
        return [] if answer.startswith(b"HTTP/1.1 200") else [f"the health check fails: {answer[:80]!r}"]

    def stop(self):
        self.run.signal(signal.SIGTERM)
        finished = self.run.finish(20)
        faults = invariants.ended(finished, self.limits, (143,)) + invariants.stderr(finished)
        for path in self.folder.glob("*.summary.json"):
            faults += invariants.balance(invariants.strict(path.read_text())["frames"])
        return faults


def begin(lab):
    for name in ("open", "token"):
        server[name] = Served(lab, name)


def end(lab):
    return [fault for one in server.values() for fault in one.stop()]


def foreign(data):
    """Returns whether a request's Host is not this machine's."""
    hosts = re.findall(rb"\r\nhost:([^\r\n]*)", data[:40_000], re.I) + re.findall(rb"\AGET http://([^/ ]*)", data)
    return any(not LOCAL.fullmatch(host.strip()) for host in hosts)


def answered(served, answer, busy=False, elsewhere=False):
    """The response is HTTP, not a server error, and a refusal without the token or with another Host."""
    if not answer:
        return []
    status = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    if not status:
        return [f"answers {answer[:60]!r}"]
    code = int(status.group(1))
    if code >= 500 and not (busy and code == 503):
        return [f"answers {code}"]
    if served.token and code < 400 and code != 100:
        return [f"answers {code} without the token"]
    if elsewhere and code < 400:
        return [f"answers {code} by another name"]
    return []


def crowd(served, random):
    """More connections than the limit."""
    clients, faults = [], []
    try:
        for _ in range(random.choice((130, 200, 400))):
            with contextlib.suppress(OSError):
                clients.append(served.connect(1))
        for client in clients[-40:]:
            with contextlib.suppress(OSError):
                client.sendall(requests.request())
                client.settimeout(0.3)
                faults += answered(served, client.recv(1000), busy=True)
    finally:
        for client in clients:
            client.close()
    time.sleep(0.3)
    return faults[:1], f"{len(clients)} connections at once"


def sent(served, random, way):
    """A valid request, sent or read in a hostile way. Returns faults, and a description."""
    if way == "crowd":
        return crowd(served, random)
    path = random.choice(requests.PATHS)
    data = requests.request(path)
    client = served.connect()
    # Kept open in the background for a while, so that many of them accumulate.
    held = threading.Timer(random.choice((0, 5, 20)), client.close)
    held.daemon = True
    with contextlib.suppress(OSError):
        if way == "byte by byte":
            for byte in data:
                client.sendall(bytes([byte]))
                time.sleep(0.01)
        elif way == "unread":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.sendall(data)
        elif way == "half closed":
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        elif way == "left early":
            client.sendall(data[: random.randrange(len(data) + 1)])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
    held.start()
    return [], f"{path} {way}"


def attack(lab, number):
    random = lab.random("web", number)
    name = ("open", "token")[number % 2]
    if server[name].run.poll():
        server[name] = Served(lab, name)
    served = server[name]
    if number % 9 == 0:
        faults, done = sent(served, random, WAYS[number // 9 % len(WAYS)])
    else:
        data, done = requests.KINDS[number % len(requests.KINDS)](random)
        faults = answered(served, served.exchange(data, 0.6), elsewhere=foreign(data))
    faults += served.faults()
    return Outcome(f"{name}: {done}", None, faults)
