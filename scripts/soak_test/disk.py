"""A small disk of its own for the recordings, which fills and empties.

It is memory (tmpfs), mounted where only this test sees it: `unshare` makes a mount namespace, without being root where the
kernel lets users do so. Where it does not, recordings go to a folder, and the disk is never full.
"""
import collections
import contextlib
import os
import shutil
import subprocess
import sys

MARK = "LIVELABEL_SOAK_NAMESPACE"
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def enter():
    """Starts this program again in a namespace of its own, if it can have one."""
    if MARK in os.environ or not shutil.which("unshare"):
        return
    if subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0:
        os.environ[MARK] = "1"
        os.execvp(NAMESPACE[0], [*NAMESPACE, sys.executable, *sys.argv])


class Disk:
    def __init__(self, folder, mib):
        folder.mkdir()
        self.folder, self.filler = folder, folder / "filler"
        command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "soak", folder]
        self.small = MARK in os.environ and subprocess.run(command, capture_output=True).returncode == 0

    def fill(self, left):
        """Takes all space but this many bytes."""
        for _ in range(10 if self.small else 0):
            free = os.statvfs(self.folder)
            size = free.f_bavail * free.f_frsize - left
            if size <= 0:
                return
            with contextlib.suppress(OSError), open(self.filler, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
                return
            # The program took some of it first.

    def empty(self):
        self.filler.unlink(missing_ok=True)

    def used(self):
        """Returns the bytes and the number of the program's files, and the bytes of the camera with the most."""
        cameras, others, number = collections.Counter(), 0, 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    if name != self.filler.name:
                        size = os.stat(os.path.join(folder, name)).st_blocks * 512
                        number += 1
                        if folder == str(self.folder):
                            cameras[name.split("-")[0]] += size
                        else:
                            others += size
        return sum(cameras.values()) + others, number, max(cameras.values(), default=0)
