"""Several namespaces around a switch, each on a shaped link of its own: a small data centre.

Needs root and iproute2, as `benchmarks.namespaces` does.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

_NETWORK = "10.213.8"
_HUB = "switch"


@dataclass(frozen=True, slots=True)
class Host:
    """`inside` before a command runs it there."""

    name: str
    address: str
    inside: tuple[str, ...]

    def sent_bytes(self) -> int:
        """All that its link has carried from it, headers included."""
        path = "/sys/class/net/wire0/statistics/tx_bytes"
        done = subprocess.run([*self.inside, "cat", path], capture_output=True, check=True)
        return int(done.stdout)


@contextlib.contextmanager
def star(hosts: int, mbit_per_s: int) -> Iterator[list[Host]]:
    """So many hosts, each at this rate both ways, in bits on the wire."""
    names = [f"pl{os.getpid()}{number}" for number in range(hosts)]
    hub = f"pl{os.getpid()}{_HUB}"
    try:
        _run("ip", "netns", "add", hub)
        inside_hub = ("ip", "netns", "exec", hub)
        _run(*inside_hub, "ip", "link", "add", "bridge0", "type", "bridge")
        _run(*inside_hub, "ip", "link", "set", "bridge0", "up")
        yield [_join(name, hub, number, mbit_per_s) for number, name in enumerate(names)]
    finally:
        for name in (*names, hub):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _join(name: str, hub: str, number: int, mbit_per_s: int) -> Host:
    port, inside, inside_hub = (
        f"port{number}",
        ("ip", "netns", "exec", name),
        ("ip", "netns", "exec", hub),
    )
    address = f"{_NETWORK}.{number + 1}"
    _run("ip", "netns", "add", name)
    _run("ip", "link", "add", "wire0", "netns", name, "type", "veth", "peer", port, "netns", hub)
    _run(*inside_hub, "ip", "link", "set", port, "master", "bridge0")
    _run(*inside, "ip", "address", "add", f"{address}/24", "dev", "wire0")
    for where, device in ((inside, "lo"), (inside, "wire0"), (inside_hub, port)):
        _run(*where, "ip", "link", "set", device, "up")
    burst = max(64_000, mbit_per_s * 1000 // 8 * 5)
    for where, device in ((inside, "wire0"), (inside_hub, port)):
        _run(*where, "tc", "qdisc", "add", "dev", device, "root", "tbf", "rate",
             f"{mbit_per_s}mbit", "burst", str(burst), "latency", "100ms")  # fmt: skip
    return Host(name, address, inside)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True)
