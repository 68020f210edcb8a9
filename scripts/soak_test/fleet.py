"""The cameras of the test, and what befalls them."""
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import footage

PROCESS = Path(__file__).resolve().parent / "camera_process.py"
# Each fault, how long it lasts in seconds, and how often it is drawn.
FAULTS = [
    ("killed", (0.2, 20), 4),
    ("frozen", (0.5, 15), 4),
    ("slow", (3, 12), 2),
    ("resized", (0, 0), 2),
    ("rate", (5, 30), 2),
    ("clock", (0, 0), 2),
    ("ended", (0, 0), 1),
    ("bytes", (0.3, 4), 1),
    ("payload", (0.3, 6), 1),
    ("damage", (1, 10), 1),
    ("loss", (1, 10), 1),
    ("answers", (5, 15), 1),
]
RATES = [2, 5, 25]
JUMPS = [-3600, -30, -2, 3, 60, 3600, 40_000]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Camera:
    def __init__(self, number, clips):
        self.number, self.clips, self.port = number, clips, free_port()
        self.name = f"c{number:02}"
        self.process, self.large = None, False
        self.start()

    @property
    def address(self):
        """Every fourth one sends Motion JPEG over HTTP."""
        return f"{'http' if self.number % 4 == 3 else 'rtsp'}://127.0.0.1:{self.port}/live"

    def start(self):
        if self.process and self.process.poll() is None:
            return
        command = [sys.executable, PROCESS, str(self.port), self.clips, str(self.number * 37)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.large = False

    def say(self, line):
        # Its stdin is closed while it is killed.
        with contextlib.suppress(OSError, ValueError):
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def kill(self):
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def suffer(self, chance):
        """Begins a fault. Returns its description, the seconds it lasts, and what ends it, if something must."""
        names, spans, weights = zip(*FAULTS)
        fault, (least, most) = chance.choices(list(zip(names, spans)), weights)[0]
        seconds = chance.uniform(least, most)
        if self.process.poll() is not None:
            return "none: is being replaced", 0, None
        if fault == "killed":
            self.kill()
            return fault, seconds, self.start
        if fault == "frozen":
            self.signal(signal.SIGSTOP)
            return fault, seconds, lambda: self.signal(signal.SIGCONT)
        if fault == "resized":
            self.large = not self.large
            self.say(f"size {'large' if self.large else 'small'}")
        elif fault == "rate":
            rate = chance.choice(RATES)
            self.say(f"rate {rate}")
            return f"rate {rate}", seconds, lambda: self.say(f"rate {footage.RATE}")
        elif fault == "clock":
            jump = chance.choice(JUMPS)
            self.say(f"jump {jump}")
            return f"clock {jump:+} s", seconds, None
        elif fault == "ended":
            self.say("end")
        else:
            self.say(f"{fault} {seconds}")
        return fault, seconds, None
