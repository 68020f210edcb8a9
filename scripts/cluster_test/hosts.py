"""The hosts of the test: NATS servers and workers, and their faults."""
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from network import Host

ROOT = Path(__file__).resolve().parent.parent.parent

NATS_PORT, ROUTE_PORT = 4222, 6222
# Each fault, how long it lasts in seconds, and how often it is drawn.
WORKER_FAULTS = [("killed", (0.2, 4), 4), ("frozen", (1, 18), 3), ("cut off", (1, 18), 3), ("restarted", (0.1, 1), 2)]
SERVER_FAULTS = [("killed", (0.5, 6), 2), ("cut off", (1, 8), 1)]
STOPPED_WITHIN_S = 20


class Machine:
    """A host with one program."""

    kinds = []

    def __init__(self, name, number, folder):
        self.host, self.name, self.folder = Host(name, number), name, folder
        self.process, self.troubled = None, False
        self.log = open(folder / f"{name}.log", "a")

    def command(self):
        raise NotImplementedError

    def start(self):
        # The program itself: `ip netns exec` becomes it.
        self.process = self.host.start(self.command(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.folder)

    def begin_fault(self, chance):
        """Begins a fault. Returns what it is, for how long, and what ends it."""
        names, weights = [kind[0] for kind in self.kinds], [kind[2] for kind in self.kinds]
        what = chance.choices(names, weights)[0]
        seconds = chance.uniform(*next(kind[1] for kind in self.kinds if kind[0] == what))
        self.troubled = True
        undo = {"killed": self.start, "restarted": self.start, "frozen": self.resume, "cut off": self.host.join}[what]
        if what == "killed":
            self.process.kill()
            self.process.wait()
        elif what == "restarted":
            self.stop()
        elif what == "frozen":
            self.process.send_signal(signal.SIGSTOP)
        else:
            self.host.cut()

        def over():
            undo()
            self.troubled = False

        return what, seconds, over

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{self.name} does not stop within {STOPPED_WITHIN_S} s") from None

    def end(self):
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.kill()
            self.process.wait()


class Server(Machine):
    """A NATS server, one of three."""

    kinds = SERVER_FAULTS

    def __init__(self, number, folder):
        super().__init__(f"nats{number}", 10 + number, folder)

    def command(self):
        routes = ",".join(f"nats://10.77.0.{10 + number}:{ROUTE_PORT}" for number in (1, 2, 3))
        cluster = f"nats://{self.host.address}:{ROUTE_PORT}"
        return ["nats-server", "-js", "-n", self.name, "-a", self.host.address, "-p", NATS_PORT, "-sd", self.folder / self.name,
                "--cluster_name", "chaos", "--cluster", cluster, "--routes", routes]

    @property
    def url(self):
        return f"nats://{self.host.address}:{NATS_PORT}"


class Worker(Machine):
    kinds = WORKER_FAULTS

    def __init__(self, number, folder, program, servers, flags):
        super().__init__(f"worker{number}", 20 + number, folder)
        self.arguments = [program, "--log-format", "json", "worker", "--nats", servers, "--name", self.name, "--output-dir", folder / "results", *flags]

    def command(self):
        return self.arguments


def arguments(parser):
    """Reads the arguments, with those that every test has."""
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep everything in this folder")
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/livelabel", help="[target/release/livelabel]")
    given = parser.parse_args()
    given.program = given.program.resolve()
    return given


def folder_of(given):
    """Returns the folder in which everything is."""
    return Path(given.keep or tempfile.mkdtemp(prefix="livelabel-chaos-")).resolve()


def wait_for(what, seconds, answered):
    """Waits until something answers."""
    end = time.monotonic() + seconds
    while not answered():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.2)
