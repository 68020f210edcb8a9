"""A small loopback server that handles every connection as a case defines."""
import contextlib
import random
import socket
import threading

# Maximum number of bytes that a trap sends, so that an endlessly reading client is detected and fills no memory.
MOST = 3 << 30


class Trap:
    def __init__(self, treat):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.treat, self.stopped, self.calls = treat, threading.Event(), 0
        self.clients = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while not self.stopped.is_set():
                client, _ = self.listener.accept()
                self.calls += 1
                self.clients.append(client)
                threading.Thread(target=self.guarded, args=(client,), daemon=True).start()

    def guarded(self, client):
        with contextlib.suppress(OSError, ValueError), client:
            self.treat(self, client)

    def wait(self, seconds=600):
        """Waits for this time or until the case is over."""
        self.stopped.wait(seconds)

    def endless(self, client, chunk, pause=0):
        sent = 0
        while not self.stopped.is_set() and sent < MOST:
            client.sendall(chunk)
            sent += len(chunk)
            if pause:
                self.wait(pause)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for one in (self.listener, *self.clients):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def head(client, most=65536):
    """Reads a request's header, and returns it as text."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < most:
        if not (more := client.recv(4096)):
            break
        data += more
    return data.decode("latin-1")


def says(*parts):
    """Sends the parts in order after the request's header, then waits."""

    def treat(trap, client):
        head(client)
        for part in parts:
            client.sendall(part)
        trap.wait()

    return treat


def silent(trap, client):
    """says nothing"""
    trap.wait()


def closes(trap, client):
    """closes at once"""


def resets(trap, client):
    """resets the connection"""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def garbage(trap, client):
    """garbage for ever"""
    trap.endless(client, random.Random(1).randbytes(65536), 0.01)
