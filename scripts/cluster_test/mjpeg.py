"""Cameras: serves pictures in a loop as MJPEG, each path from another one on. Usage: mjpeg.py FOLDER ADDRESS PORT RATE"""
import http.server
import sys
import time
from pathlib import Path

FOLDER, ADDRESS, PORT, RATE = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
PICTURES = [path.read_bytes() for path in sorted(FOLDER.glob("*.jpg"))]
APART = 37


class Camera(http.server.BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self):
        self.connection.settimeout(self.timeout)
        number = int(self.path.strip("/").split(".")[0])
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        while True:
            # All viewers see the same picture at the same moment.
            picture = PICTURES[(int(time.time() * RATE) + APART * number) % len(PICTURES)]
            try:
                self.wfile.write(b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(picture), picture))
            except OSError:
                return
            time.sleep(1 / RATE)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer((ADDRESS, PORT), Camera).serve_forever()
