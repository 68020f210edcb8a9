"""Hosts with addresses of their own, joined by a bridge. A host's link can be cut."""
import subprocess

SUBNET = "10.77.0"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def make():
    """Makes the network: in a network namespace and a mount namespace of this process."""
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    ip("link", "set", "lo", "up")
    ip("link", "add", "br0", "type", "bridge")
    ip("address", "add", f"{SUBNET}.1/24", "dev", "br0")
    ip("link", "set", "br0", "up")


class Host:
    def __init__(self, name, number):
        self.name, self.address = name, f"{SUBNET}.{number}"
        ip("netns", "add", name)
        ip("link", "add", f"v-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", f"v-{name}", "master", "br0", "up")
        for words in (["address", "add", f"{self.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
            ip("-n", name, *words)

    def start(self, command, **options):
        return subprocess.Popen(["ip", "netns", "exec", self.name, *map(str, command)], **options)

    def cut(self):
        ip("link", "set", f"v-{self.name}", "down")

    def join(self):
        ip("link", "set", f"v-{self.name}", "up")
