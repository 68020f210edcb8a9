"""Runs the program under limits of time and memory, and captures its output."""
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

# Polling interval of a running process.
LOOK_S = 0.02
# A process with this multiple of the allowed memory is killed, to protect the machine.
ENDED_AT = 2


@dataclass
class Finished:
    """The result of a process. `code` is negative for a signal, and None if the process was killed here."""

    command: list
    code: int | None
    stdout: str
    stderr: str
    seconds: float
    mib: float
    ended: str = ""

    @property
    def errors(self):
        return [line for line in self.stderr.split("\n") if line.startswith(("livelabel: error: ", "error: "))]


@dataclass
class Limits:
    seconds: float = 90
    mib: float = 1024


@dataclass
class Program:
    """The binary, and the limits of every run."""

    path: str
    cache: str
    limits: Limits = field(default_factory=Limits)

    def spawn(self, arguments, folder, environment=None, stdin=None, prefix=(), prepare=None, log=("--log-format", "text")):
        return Running(self, [*prefix, self.path, *log, *arguments], folder, environment or {}, stdin, prepare)

    def run(self, arguments, folder, **more):
        return self.spawn(arguments, folder, **more).finish()


def started(prepare):
    """In the child: resets signal handling to that of a terminal, even if the attack runs in the background."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if prepare:
        prepare()


class Running:
    """A process, its peak memory, and its output in files, so that a full pipe never blocks it."""

    def __init__(self, program, command, folder, environment, stdin, prepare):
        self.program, self.command = program, command
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        variables = {**os.environ, "LIVELABEL_CACHE": program.cache, **environment}
        variables.pop("DISPLAY", None)
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={key: value for key, value in variables.items() if value is not None},
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=self.out,
            stderr=self.err,
            start_new_session=True,
            preexec_fn=lambda: started(prepare),
        )
        self.ended = ""
        self.usage = None

    def poll(self):
        """Returns whether it has ended."""
        if self.usage is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.usage = usage
                self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.usage is not None

    def signal(self, number):
        if not self.poll():
            os.kill(self.process.pid, number)

    def resident_mib(self):
        try:
            with open(f"/proc/{self.process.pid}/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        except (OSError, IndexError):
            return 0

    def said(self):
        """Returns its stderr so far."""
        return os.pread(self.err.fileno(), 1 << 20, 0).decode(errors="backslashreplace")

    def wait(self, seconds):
        """Waits for this time or until it ends, on its own or for its memory. Returns whether it has ended."""
        end = time.monotonic() + seconds
        while not self.poll() and time.monotonic() < end:
            if self.resident_mib() > ENDED_AT * self.program.limits.mib:
                self.end(f"held over {ENDED_AT * self.program.limits.mib:.0f} MiB")
            time.sleep(LOOK_S)
        return self.poll()

    def end(self, why):
        if not self.poll():
            self.ended = why
            os.killpg(self.process.pid, signal.SIGKILL)
            while not self.poll():
                time.sleep(LOOK_S)

    def finish(self, seconds=None):
        seconds = seconds or self.program.limits.seconds
        if not self.wait(seconds):
            self.end(f"no end within {seconds:.0f} s")
        took = time.monotonic() - self.began
        texts = []
        for file in (self.out, self.err):
            file.seek(0)
            texts.append(file.read().decode(errors="backslashreplace"))
            file.close()
        code = None if self.ended else self.process.returncode
        return Finished(self.command, code, *texts, took, self.usage.ru_maxrss / 1024, self.ended)
