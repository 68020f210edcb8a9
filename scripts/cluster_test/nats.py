"""Reads a JetStream stream, without a library."""
import base64
import json
import re
import socket

TIMEOUT_S = 5


class Connection:
    def __init__(self, address):
        self.socket = socket.create_connection(address, TIMEOUT_S)
        self.file = self.socket.makefile("rb")
        self.file.readline()
        self.send(b'CONNECT {"verbose":false,"name":"test"}\r\nSUB _INBOX.test 1\r\n')

    def send(self, data):
        self.socket.sendall(data)

    def request(self, subject, payload):
        body = json.dumps(payload).encode()
        self.send(b"PUB %s _INBOX.test %d\r\n%s\r\n" % (subject.encode(), len(body), body))
        while True:
            words = self.file.readline().split()
            if words[:1] == [b"PING"]:
                self.send(b"PONG\r\n")
            elif words[:1] == [b"MSG"]:
                return json.loads(self.file.read(int(words[-1]) + 2))
            elif not words:
                raise OSError("the connection was closed")


def stored_identifiers(folder, stream):
    """Returns the identifiers in a stream, by the files of a server that has ended."""
    blocks = sorted(folder.glob(f"jetstream/$G/streams/{stream}/msgs/*.blk"))
    return {name.decode() for block in blocks for name in re.findall(rb'"id":"([^"]+)"', block.read_bytes())}


def read_stream(addresses, stream):
    """Returns all messages of a stream, from the first server that answers."""
    for address in addresses:
        try:
            connection = Connection(address)
            state = connection.request(f"$JS.API.STREAM.INFO.{stream}", {})["state"]
            messages = []
            for sequence in range(state["first_seq"], state["last_seq"] + 1):
                found = connection.request(f"$JS.API.STREAM.MSG.GET.{stream}", {"seq": sequence})
                if "message" in found:
                    messages.append(json.loads(base64.b64decode(found["message"]["data"])))
            return messages
        except (OSError, KeyError):
            continue
    raise RuntimeError(f"no server has the stream {stream}")
