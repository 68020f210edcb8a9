"""An MQTT broker and a webhook receiver whose moods change. What they acknowledged is written to a file."""
import contextlib
import json
import socket
import struct
import threading
import time

from trap import head

# How often each mood is drawn. Each lasts seconds.
MOODS = {"gone": 3, "silent": 2, "stuck": 1, "refuses": 2, "cuts": 2}


class Receiver:
    """A server that comes and goes. `treat` answers one client until it returns."""

    def __init__(self, port, log):
        self.port, self.mood, self.log = port, "well", open(log, "a", buffering=1)
        self.clients, self.connections, self.listener = set(), 0, None
        self.lock = threading.Lock()
        self.listen()

    def listen(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.serve, args=(self.listener,), daemon=True).start()

    def serve(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with self.lock:
                    self.clients.add(client)
                    self.connections += 1
                    number = self.connections
                threading.Thread(target=self.guarded, args=(client, number), daemon=True).start()

    def guarded(self, client, number):
        with contextlib.suppress(OSError, ValueError, struct.error), client:
            client.settimeout(90)
            self.treat(client, number)
        with self.lock:
            self.clients.discard(client)

    def change(self, mood):
        """Changes the mood. Whoever is `gone` closes its port and all connections."""
        before, self.mood = self.mood, mood
        if mood == "gone":
            # A thread that waits in accept() is woken by this alone.
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        elif before == "gone":
            self.listen()
        if mood in ("gone", "refuses", "cuts") or before == "stuck":
            with self.lock:
                clients = list(self.clients)
            for client in clients:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def hold(self, *moods):
        """Waits while it has one of these moods."""
        while self.mood in moods:
            time.sleep(0.2)

    def accepted(self, number, key, body):
        with self.lock:
            self.log.write(f"{time.time():.3f}\t{number}\t{key}\t{body}\n")


def exactly(client, count):
    data = b""
    while len(data) < count:
        if not (more := client.recv(count - len(data))):
            raise ValueError("the connection ended")
        data += more
    return data


class Broker(Receiver):
    """MQTT 3.1.1, as much as a publisher with QoS 1 needs."""

    def treat(self, client, number):
        answered = 0
        while True:
            kind, length, shift = exactly(client, 1)[0], 0, 0
            while (byte := exactly(client, 1)[0]) & 128:
                length, shift = length | (byte & 127) << shift, shift + 7
            body = exactly(client, length | byte << shift)
            if self.mood == "silent":
                self.hold("silent")
                return
            self.hold("stuck")
            if self.mood == "cuts" and answered > 5:
                return
            if kind >> 4 == 1:
                client.sendall(bytes([0x20, 2, 0, 3 if self.mood == "refuses" else 0]))
                if self.mood == "refuses":
                    return
            elif kind >> 4 == 3:
                size = struct.unpack(">H", body[:2])[0]
                topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
                if kind & 6:
                    if topic.endswith("/event"):
                        self.accepted(number, topic, rest[2:].decode())
                    client.sendall(b"\x40\2" + rest[:2])
                answered += 1
            elif kind >> 4 == 12:
                client.sendall(b"\xd0\0")
            elif kind >> 4 == 14:
                return


class Webhook(Receiver):
    def treat(self, client, number):
        while True:
            request = head(client)
            if not request:
                return
            top, _, body = request.partition("\r\n\r\n")
            fields = dict(line.lower().split(": ", 1) for line in top.split("\r\n")[1:] if ": " in line)
            missing = int(fields.get("content-length", 0)) - len(body)
            body += exactly(client, missing).decode("latin-1") if missing > 0 else ""
            if self.mood in ("silent", "stuck"):
                self.hold("silent", "stuck")
                return
            if self.mood == "refuses":
                client.sendall(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
                continue
            json.loads(body)
            self.accepted(number, fields.get("idempotency-key", ""), body.encode("latin-1").decode())
            # Whoever leaves without an answer gets the same event again.
            if self.mood == "cuts":
                return
            client.sendall(b"HTTP/1.1 204 Good\r\n\r\n")
