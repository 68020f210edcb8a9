"""Misbehaving HTTP cameras."""
import gzip

import trap
from trap import head, says

BOUNDARY = b"--frame\r\n"
MULTIPART = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


def answer(status, headers="", body=b""):
    return f"HTTP/1.1 {status}\r\n{headers}\r\n".encode("latin-1") + body


def part(jpeg, length=None):
    return BOUNDARY + f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg) if length is None else length}\r\n\r\n".encode() + jpeg + b"\r\n"


def resized(jpeg, width, height):
    """Returns the picture with another size in its frame header."""
    at = jpeg.find(b"\xff\xc0")
    return jpeg[: at + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + jpeg[at + 9 :]


def behaviours(jpegs, other_port):
    """Returns a name and a connection handler for each kind of misbehaviour."""
    jpeg = jpegs[0]
    redirected = lambda place: says(answer("302 Found", f"Location: {place}\r\nContent-Length: 0\r\n"))

    def pictures(make, pause=0.05, count=None, then=trap.silent):
        def treat(server, client):
            head(client)
            client.sendall(MULTIPART)
            number = 0
            while not server.stopped.is_set() and (count is None or number < count):
                client.sendall(make(number))
                number += 1
                server.wait(pause)
            then(server, client)

        return treat

    def endless(start, chunk, pause=0):
        def treat(server, client):
            head(client)
            client.sendall(start)
            server.endless(client, chunk, pause)

        return treat

    def to_itself(server, client):
        head(client)
        client.sendall(answer("302 Found", f"Location: http://127.0.0.1:{server.port}/again\r\nContent-Length: 0\r\n"))

    def asked_first(place):
        def treat(server, client):
            while request := head(client):
                if "authorization" in request.lower():
                    client.sendall(answer("302 Found", f"Location: {place}\r\nContent-Length: 0\r\n"))
                else:
                    client.sendall(answer("401 Unauthorized", 'WWW-Authenticate: Basic realm="a"\r\nContent-Length: 0\r\n'))

        return treat

    def drip(server, client):
        head(client)
        for byte in MULTIPART + part(jpeg) * 100:
            client.sendall(bytes([byte]))
            server.wait(0.01)

    sizes = [(192, 108), (16, 16), (1, 1), (3000, 2000), (193, 109), (108, 192)]
    bomb = gzip.compress(bytes(200 << 20))
    return {
        "says nothing": trap.silent,
        "closes at once": trap.closes,
        "resets the connection": trap.resets,
        "garbage for ever": trap.garbage,
        "a header line without end": endless(b"HTTP/1.1 200 OK\r\nX: ", b"a" * 65536),
        "headers without end": endless(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n" * 10_000),
        "a byte of the header each second": endless(b"HTTP/1.1 200 OK\r\nX: ", b"a", 1),
        "status 401 without a realm": says(answer("401 Unauthorized", "Content-Length: 0\r\n")),
        "status 401 with a realm of a megabyte": says(answer("401 Unauthorized", f'WWW-Authenticate: Digest realm="{"x" * 1_000_000}", nonce=""\r\n')),
        "status 999": says(answer("999 ")),
        "status 200 with a page": says(answer("200 OK", "Content-Type: text/html\r\n", b"<html>" * 10_000)),
        "a redirection to itself": to_itself,
        "a redirection to a file": redirected("file:///etc/passwd"),
        "a redirection to nowhere": redirected(""),
        "a redirection to another port": redirected(f"http://127.0.0.1:{other_port}/stolen"),
        "a redirection to another port, asked for a password before": asked_first(f"http://127.0.0.1:{other_port}/stolen"),
        "multipart without a boundary": says(answer("200 OK", "Content-Type: multipart/x-mixed-replace\r\n", part(jpeg) * 5)),
        "a boundary of 100 kB": says(answer("200 OK", f"Content-Type: multipart/x-mixed-replace; boundary={'b' * 100_000}\r\n", part(jpeg) * 5)),
        "a part's header without end": endless(MULTIPART + BOUNDARY + b"X: ", b"a" * 65536),
        "a part without end": endless(MULTIPART + part(b"", 1 << 40), b"\xff\xd8" + b"a" * 65534),
        "parts of a negative length": pictures(lambda _: part(jpeg, -5)),
        "parts of a length that is too short": pictures(lambda n: part(jpegs[n % len(jpegs)], 100)),
        "parts of garbage": pictures(lambda n: part(jpeg[:200] + bytes(n % 256 for _ in range(2000)))),
        "pictures that are cut": pictures(lambda n: part(jpegs[n % len(jpegs)][: 100 + 97 * n % len(jpeg)])),
        "pictures that say 16000 × 16000": pictures(lambda _: part(resized(jpeg, 16000, 16000))),
        "pictures that say 65535 × 65535": pictures(lambda _: part(resized(jpeg, 65535, 65535))),
        "pictures that say 0 × 0": pictures(lambda _: part(resized(jpeg, 0, 0))),
        "another size with each picture": pictures(lambda n: part(resized(jpeg, *sizes[n % len(sizes)]))),
        "pictures as fast as they go": pictures(lambda n: part(jpegs[n % len(jpegs)]), pause=0),
        "ten pictures, then nothing": pictures(lambda n: part(jpegs[n % len(jpegs)]), count=10),
        "ten pictures, then garbage": pictures(lambda n: part(jpegs[n % len(jpegs)]), count=10, then=trap.garbage),
        "one picture, then it closes": pictures(lambda n: part(jpeg), count=1, then=trap.closes),
        "a picture a byte at a time": drip,
        "a compressed body of 200 MB": says(answer("200 OK", f"Content-Type: image/jpeg\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n", bomb)),
        "chunks of sizes that are none": says(answer("200 OK", "Content-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n", b"zz\r\nffffffffffffffff\r\n-1\r\n")),
    }
