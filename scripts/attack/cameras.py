"""Misbehaving cameras: the run continues until it is stopped, within its memory limit, and finalises its files."""
import signal

import http_cameras
import invariants
import rtsp_cameras
from outcome import Outcome
from trap import Trap, head

HTTP, RTSP = 35, 21
CASES = HTTP + RTSP
# Longer than the timeout of a camera, so that it is reconnected.
WATCHED_S = 12
PASSWORD = "attack-hunter2"


def jpegs(lab):
    """Returns the JPEGs of an AVI."""
    data, found, at = lab.seeds.data("avi"), [], 0
    while (start := data.find(b"\xff\xd8\xff", at)) >= 0 and len(found) < 25:
        at = data.find(b"\xff\xd9", start) + 2
        found.append(data[start:at])
    return found


def attack(lab, number):
    folder = lab.folder("cameras", number)
    stolen = []

    def listen(_, client):
        """Requires a password, in HTTP and RTSP."""
        while request := head(client):
            stolen.append(request)
            protocol = "RTSP/1.0" if "RTSP/" in request else "HTTP/1.1"
            sequence = "".join(line + "\r\n" for line in request.split("\r\n") if line.startswith("CSeq"))
            asked = f'{protocol} 401 Unauthorized\r\n{sequence}WWW-Authenticate: Basic realm="a"\r\nContent-Length: 0\r\n\r\n'
            client.sendall(asked.encode("latin-1"))

    with Trap(listen) as other:
        known = http_cameras.behaviours(jpegs(lab), other.port) if number <= HTTP else rtsp_cameras.behaviours(other.port)
        name, treat = list(known.items())[(number - 1) % HTTP]
        kind = "http" if number <= HTTP else "rtsp"
        with Trap(treat) as server:
            (folder / "password").write_text(PASSWORD)
            source = [f"{kind}://127.0.0.1:{server.port}/live", "--user-env", "ATTACK_USER", "--password-file", "password"]
            arguments = ["run", *source, "--output", "video.mkv", "--window", "1", "--name", "door"]
            running = lab.program.spawn(arguments, folder, environment={"ATTACK_USER": "attacker"})
            running.wait(WATCHED_S)
            running.signal(signal.SIGTERM)
            finished = running.finish(20)
            calls = server.calls
    faults = invariants.ended(finished, lab.program.limits, (143,)) + invariants.stderr(finished)
    faults += [] if calls else ["was never contacted"]
    if any("authorization" in text.lower() for text in stolen):
        faults.append("the password was sent to the redirection's target")
    if PASSWORD in finished.stderr + finished.stdout:
        faults.append("the password is shown")
    for path in folder.iterdir():
        if path.suffix == ".mkv":
            faults += invariants.video(path)
        elif path.name.endswith("summary.json"):
            faults += invariants.balance(invariants.strict(path.read_text())["frames"])
    if not list(folder.glob("*.summary.json")):
        faults.append("leaves no summary")
    return Outcome(f"{kind}: {name}", finished.code, faults, finished)
