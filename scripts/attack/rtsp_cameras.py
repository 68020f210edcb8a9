"""RTSP cameras that misbehave at one stage of the session."""
import random
import struct

from trap import head

SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track\r\n"
SETUP = "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"


def reply(request, status="200 OK", headers="", body=b""):
    sequence = next((line.split(":")[1].strip() for line in request.split("\r\n") if line.lower().startswith("cseq")), "0")
    length = f"Content-Length: {len(body)}\r\n" if body and "Content-Length" not in headers else ""
    return f"RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n{headers}{length}\r\n".encode("latin-1") + body


def camera(**stages):
    """A correct camera except for the given stages: bytes to send, or a function of the request."""

    def treat(server, client):
        while request := head(client):
            verb = request.split(" ")[0].lower()
            answers = {
                "options": reply(request, headers="Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"),
                "describe": reply(request, headers="Content-Type: application/sdp\r\n", body=SDP.encode()),
                "setup": reply(request, headers=SETUP),
                "play": reply(request, headers="Session: 1\r\n"),
            }
            given = stages.get(verb, answers.get(verb, reply(request)))
            given = given(server, request) if callable(given) else given
            if given is None:
                return
            client.sendall(given)
            if verb in ("options", "describe", "setup") and "forever" in stages and stages["forever"][0] == verb:
                server.endless(client, stages["forever"][1])
            if verb == "play":
                after = stages.get("then")
                if after:
                    after(server, client)
                server.wait()

    return treat


def described(sdp):
    return lambda _, request: reply(request, headers="Content-Type: application/sdp\r\n", body=sdp.encode("latin-1"))


def packets(make, pause=0.01):
    """Sends interleaved packets endlessly."""

    def then(server, client):
        source = random.Random(1)
        number = 0
        while not server.stopped.is_set():
            payload = make(source, number)
            client.sendall(b"$\0" + struct.pack(">H", len(payload) & 0xFFFF) + payload)
            number += 1
            server.wait(pause)

    return then


def rtp(number, payload, time=None):
    return struct.pack(">BBHII", 0x80, 0x80 | 96, number & 0xFFFF, (number * 3600 if time is None else time) & 0xFFFFFFFF, 7) + payload


def behaviours(other_port):
    status = lambda text, headers="": lambda _, request: reply(request, text, headers)
    return {
        "silent at DESCRIBE": camera(describe=lambda server, _: server.wait()),
        "closes at SETUP": camera(setup=lambda *_: None),
        "a header line without end": camera(options=b"RTSP/1.0 200 OK\r\nX: ", forever=("options", b"a" * 65536)),
        "headers without end": camera(options=b"RTSP/1.0 200 OK\r\n", forever=("options", b"X: a\r\n" * 10_000)),
        "401 for ever": camera(describe=status("401 Unauthorized", 'WWW-Authenticate: Digest realm="a", nonce="b"\r\n')),
        "a redirection to itself": camera(describe=lambda server, r: reply(r, "302 Moved", f"Location: rtsp://127.0.0.1:{server.port}/x\r\n")),
        "a redirection to another port": camera(describe=status("302 Moved", f"Location: rtsp://127.0.0.1:{other_port}/stolen\r\n")),
        "a redirection to a file": camera(describe=status("302 Moved", "Location: file:///etc/passwd\r\n")),
        "a body of 4 GB": camera(describe=status("200 OK", "Content-Type: application/sdp\r\nContent-Length: 4294967290\r\n"), forever=("describe", b"a" * 65536)),
        "a body of negative length": camera(describe=status("200 OK", "Content-Type: application/sdp\r\nContent-Length: -1\r\n")),
        "a description of garbage": camera(describe=described("\xff\xfe\x00" * 5000)),
        "a description without media": camera(describe=described("v=0\r\n")),
        "a description of 5,000 media": camera(describe=described(SDP + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t\r\n" * 5000)),
        "a description with impossible numbers": camera(describe=described(SDP.replace("96 H264/90000", "96 H264/-1").replace("video 0", "video 99999999999"))),
        "parameters of the codec that are none": camera(describe=described(SDP + "a=fmtp:96 sprop-parameter-sets=" + "A" * 100_000 + ",====\r\n")),
        "impossible channels": camera(setup=status("200 OK", "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=900-99999\r\n")),
        "a session's name of a megabyte": camera(setup=status("200 OK", f"Session: {'s' * 1_000_000}\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n")),
        "plays nothing": camera(),
        "packets of garbage": camera(then=packets(lambda source, n: source.randbytes(source.randrange(1500)))),
        "packets of garbage in H.264": camera(then=packets(lambda source, n: rtp(n, source.randbytes(1000)))),
        "times that jump": camera(then=packets(lambda source, n: rtp(n, b"\x65" + source.randbytes(500), source.getrandbits(32)))),
    }
