"""Two network namespaces and a shaped link between them: a network whose speed is known.

Needs root and iproute2. The link is a veth pair, each end behind a token bucket (tbf); netem
isn't everywhere, so delays belong into the server.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

SERVER_ADDRESS, CLIENT_ADDRESS = "10.213.7.1", "10.213.7.2"


@dataclass(frozen=True, slots=True)
class Link:
    """Run a command in one of the namespaces by putting this before it."""

    server: tuple[str, ...]
    client: tuple[str, ...]


def why_not() -> str | None:
    """Why no link can be made here; None if one can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("ip", "tc") if shutil.which(name) is None]
    if missing:
        return f"{' and '.join(missing)} of iproute2 not found"
    probe = f"pilotlight-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if made.returncode:
        return f"network namespaces can't be made: {made.stderr.strip()}"
    _run("ip", "netns", "del", probe)
    return None


@contextlib.contextmanager
def link(mbit_per_s: int) -> Iterator[Link]:
    """Both ways at this rate, in bits on the wire: Ethernet, IP and TCP headers count."""
    server, client = f"plserver{os.getpid()}", f"plclient{os.getpid()}"
    try:
        for name in (server, client):
            _run("ip", "netns", "add", name)
        _run("ip", "link", "add", "wire0", "netns", server, "type", "veth", "peer", "wire0",
             "netns", client)  # fmt: skip
        for name, address in ((server, SERVER_ADDRESS), (client, CLIENT_ADDRESS)):
            _bring_up(name, address, mbit_per_s)
        yield Link(("ip", "netns", "exec", server), ("ip", "netns", "exec", client))
    finally:
        for name in (server, client):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _bring_up(name: str, address: str, mbit_per_s: int) -> None:
    inside = ("ip", "netns", "exec", name)
    _run(*inside, "ip", "address", "add", f"{address}/24", "dev", "wire0")
    for device in ("lo", "wire0"):
        _run(*inside, "ip", "link", "set", device, "up")
    # A bucket of 5 ms, and a queue as deep as a home router's.
    burst = max(64_000, mbit_per_s * 1000 // 8 * 5)
    _run(*inside, "tc", "qdisc", "add", "dev", "wire0", "root", "tbf", "rate",
         f"{mbit_per_s}mbit", "burst", str(burst), "latency", "100ms")  # fmt: skip


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True)
