"""Hostile requests: bytes to send, or a way to send them."""

PATHS = [
    "/", "/api/streams", "/api/streams/door/timeline", "/snapshot.jpg", "/streams/door/snapshot.jpg", "/healthz", "/metrics", "/api/events",
    "/pictures", "/streams/door.mjpg",
]  # fmt: skip
ENDLESS = ("/api/events", "/pictures", "/streams/door.mjpg")
SEGMENTS = [
    "..", "%2e%2e", "..%2f", "%00", "%ff%fe", "%c0%ae%c0%ae", "%", "%2", "%zz", "%25%30%30", "\\..\\", "//", ";", "*", "\x01", "é", "%0d%0aX:%20y",
    "door%2F..", "a" * 200, "{name}", "<script>", "%F0%9F%8E%AC", "~root", "etc/passwd", ".git/config", "~",
]  # fmt: skip
QUERIES = [
    "fps=0", "fps=-1", "fps=nan", "fps=inf", "fps=1e308", "fps=99999999999999999999", "fps=", "fps=a", "fps=1&fps=2", "stream=", "stream=absent", "stream=door&" * 500,
    "stream=%00", "stream=%ff", "at=-1", "at=1e999", "from=nan&speed=0", "token=", "token=wrong", "token=%00", "token=" + "x" * 5000, "&" * 5000, "=" * 5000,
    "a=b&" * 2000, "?????", "stream[]=door", "%", "since=-1", "callback=alert(1)",
]  # fmt: skip
METHODS = ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "PRI", "get", "GEt", "", "G" * 5000, "GE\x00T", "BREW", "HEAD"]
VERSIONS = ["HTTP/0.9", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1.1", "http/1.1", "HTTP/", "", "RTSP/1.0", "HTTP/1.1 HTTP/1.1"]
HOSTS = [
    "evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", " ", "[::1", "[::1]:x", "127.0.0.1:99999999", "127.1", "2130706433", "0", "localhost:", "LOCALHOST",
    "user@localhost", "localhost@evil.example", "localhost#", "localhost/..", "127.0.0.1\x0b", "\xff\xfe", "a" * 10_000, "localhost, evil.example", "localhost:80:80",
]  # fmt: skip
HEADERS = [
    "X: " + "a" * 20_000, "X" * 20_000 + ": a", "no colon", ": no name", " X: folded", "X : a", "X: a\x00b", "X: a\rb", "X\x00: a", "X: \xff\xfe", "\x80: a",
    "Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 1000000000", "Content-Length: a",
    "Transfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, identity",
    "Expect: 100-continue", "Expect: nonsense", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: a", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk",
    "Connection: close, keep-alive, x, " * 200, "Range: bytes=0-", "Range: bytes=-1", "Range: bytes=5-1", "Range: bytes=0-99999999999999999999", "Range: bytes=" + "0-1," * 1500,
    "Range: lines=1-2", "If-Range: x", "If-Modified-Since: Thu, 01 Jan 99999 00:00:00 GMT", "If-None-Match: *", "Accept-Encoding: gzip;q=99999, *;q=0", "Accept: " + "*/*," * 2000,
    "Cookie: " + "a=b;" * 3000, "Cookie: livelabel-0=" + "0" * 64, "Authorization: Bearer", "Authorization: Bearer wrong", "Authorization: Basic Og==", "Authorization: Bearer \xff",
    "Authorization: " + "Bearer " * 1000, "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: localhost", "X-HTTP-Method-Override: DELETE", "Origin: null", "Host: localhost",
    "Last-Event-ID: 99999999999999999999", "Last-Event-ID: -1\x00", "Via: " + "1.1 a," * 1000, "Max-Forwards: -1", "TE: trailers, deflate;q=0.5", "Proxy-Connection: keep-alive",
]  # fmt: skip
BINARY = [
    b"", b"\0", b"\r\n" * 5000, b"\n", b"GET", b"GET ", b"GET /", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: localhost", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 500,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", b"\x80" * 1000, b"\x05\x01\x00", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\nHost: localhost\n\n", b"GET\t/\tHTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET  /  HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n", b"DESCRIBE rtsp://localhost/ RTSP/1.0\r\nCSeq: 1\r\n\r\n", b"*1\r\n$4\r\nPING\r\n", b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n",
]  # fmt: skip


def request(path="/healthz", method="GET", version="HTTP/1.1", host="localhost", headers=()):
    host = () if host is None else (f"Host: {host}",)
    return "\r\n".join([f"{method} {path} {version}", *host, *headers, "", ""]).encode("latin-1", "replace")


def path(random):
    parts = random.choices([*SEGMENTS, "api", "streams", "door", "recording", "pictures"], k=random.choice((1, 2, 5, 20)))
    text = "/" + "/".join(parts)
    return request(text), f"path {text[:50]!r}"


def long_path(random):
    length = random.choice((1000, 8000, 16_000, 17_000, 65_600, 1_000_000))
    return request("/" + random.choice(("a", "%41", "../", "/")) * length), f"a path of {length}"


def query(random):
    path, text = random.choice(PATHS), random.choice(QUERIES)
    return request(f"{path}?{text}"), f"{path} with {text[:40]!r}"


def method(random):
    name, path = random.choice(METHODS), random.choice(PATHS)
    return request(path, method=name), f"method {name[:20]!r} for {path}"


def version(random):
    name = random.choice(VERSIONS)
    return request(random.choice(PATHS), version=name), f"version {name!r}"


def host(random):
    name = random.choice([*HOSTS, None])
    return request(random.choice(PATHS), host=name), f"Host {name if name is None else name[:30]!r}"


def headers(random):
    chosen = random.choices(HEADERS, k=random.choice((1, 1, 1, 3)))
    path = random.choice(PATHS)
    return request(path, headers=chosen), f"{path} with {' and '.join(repr(one[:40]) for one in chosen)}"


def flood(random):
    count = random.choice((99, 100, 101, 1000, 20_000))
    return request("/", headers=[f"X-{number}: a" for number in range(count)]), f"{count} headers"


def binary(random):
    data = random.choice([*BINARY, random.randbytes(100), random.randbytes(20_000)])
    return data, f"bytes {data[:30]!r}"


def pipelined(random):
    count = random.choice((2, 50, 1000))
    path = random.choice([path for path in PATHS if path not in ENDLESS])
    return request(path) * count, f"{path} {count} times in one"


def damaged(random):
    data = bytearray(request(random.choice(PATHS), headers=["Accept: */*", "Connection: keep-alive"]))
    for _ in range(random.choice((1, 2, 8))):
        data[random.randrange(len(data))] = random.randrange(256)
    return bytes(data), f"a damaged request {bytes(data)[:40]!r}"


KINDS = [path, query, headers, host, method, headers, damaged, binary, long_path, query, version, flood, headers, path, pipelined, damaged]
