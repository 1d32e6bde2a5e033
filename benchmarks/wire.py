"""How much of a link a download uses, beside one stream and beside huggingface_hub.

    python -m benchmarks.wire [--rounds N] [--rates 100,400,1000]

A link of known speed in network namespaces, an origin of our own at its other end, and each
client as a process of its own, its start not counted. Efficiency is the file's bytes for each byte
the link could have carried, headers included: Ethernet, IP and TCP take 4.4 % of it. Needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import hub_client
from benchmarks.namespaces import SERVER_ADDRESS, Link, link, why_not
from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import ratio, spread

PORT = 8000
FILE_BYTES = {100: 98 * 10**6, 400: 300 * 10**6, 1000: 700 * 10**6}
CAPPED_MBIT, CAPPED_BYTES, DELAY_MS = 400, 300 * 10**6, 50
CONNECTIONS = 16
HUB_PATH = "/models/tiny/resolve/main/model.gguf"


@dataclass(frozen=True, slots=True)
class File:
    path: Path
    size_bytes: int
    sha256: str


def make_file(directory: Path, size_bytes: int) -> File:
    path = directory / f"{size_bytes}.gguf"
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size_bytes, 2**20):
            block = os.urandom(min(2**20, size_bytes - start))
            file.write(block)
            digest.update(block)
    return File(path, size_bytes, digest.hexdigest())


@contextlib.contextmanager
def serving(wire: Link, file: File, *more: str) -> Iterator[None]:
    argv = [*wire.server, sys.executable, "-m", "benchmarks.origin"]
    argv += [str(file.path), SERVER_ADDRESS, str(PORT), *more]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as origin:
        assert origin.stdout is not None
        try:
            assert origin.stdout.readline() == b"ready\n", "the origin doesn't start"
            yield
        finally:
            origin.kill()


def seconds(wire: Link, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    done = subprocess.run(
        [*wire.client, *argv],
        env=None if environment is None else dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{argv[:3]} failed: {done.stderr[-2000:]}")
    return float(done.stdout)


def ours(wire: Link, file: File, directory: Path, connections: int = CONNECTIONS) -> float:
    target = directory / "ours"
    url = f"http://{SERVER_ADDRESS}:{PORT}{HUB_PATH}"
    argv = [sys.executable, "-m", "benchmarks.wire_fetch", url, str(target), file.sha256]
    try:
        return seconds(wire, [*argv, str(connections)])
    finally:
        for left in directory.glob("ours*"):
            left.unlink()


def hubs(wire: Link, directory: Path) -> float:
    home = directory / "hub"
    environment = hub_client.environment(f"http://{SERVER_ADDRESS}:{PORT}", home)
    try:
        return seconds(wire, hub_client.argv(home / "cache"), environment)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def at_rate(mbit: int, rounds: int, directory: Path) -> tuple[list[Figure], dict[str, list[float]]]:
    file = make_file(directory, FILE_BYTES.get(mbit, mbit * 10**6 // 2))
    mine, theirs = [], []
    with link(mbit) as wire, serving(wire, file):
        for turn in range(rounds):  # in turns, and who begins changes
            for which in (0, 1) if turn % 2 else (1, 0):
                if which:
                    mine.append(ours(wire, file, directory))
                else:
                    theirs.append(hubs(wire, directory))
    file.path.unlink()
    best_s = file.size_bytes * 8 / (mbit * 10**6)
    efficiency = spread([best_s / each for each in mine])
    name = f"{mbit} Mbit/s, {file.size_bytes // 10**6} MB"
    figures = [
        Figure(f"{name}: efficiency", "", efficiency, Goal(0.92, at_least=True)),
        Figure(f"{name}: huggingface_hub's", "", spread([best_s / each for each in theirs])),
        Figure(f"{name}: time beside huggingface_hub's", "x", ratio(mine, theirs), Goal(1.0)),
    ]
    return figures, {f"ours_{mbit}_s": mine, f"huggingface_hub_{mbit}_s": theirs}


def capped(rounds: int, directory: Path) -> tuple[list[Figure], dict[str, list[float]]]:
    file = make_file(directory, CAPPED_BYTES)
    cap = CAPPED_MBIT * 10**6 // 8 // 8
    many, one = [], []
    with (
        link(CAPPED_MBIT) as wire,
        serving(wire, file, "--delay-ms", str(DELAY_MS), "--cap", str(cap)),
    ):
        for _ in range(rounds):
            many.append(ours(wire, file, directory))
        one.append(ours(wire, file, directory, connections=1))  # 48 s; it hardly varies
    file.path.unlink()
    speedup = spread([one[0] / each for each in many])
    name = f"{CAPPED_MBIT} Mbit/s, each connection 1/8, {DELAY_MS} ms: beside one stream"
    figures = [Figure(name, "x faster", speedup, Goal(6.0, at_least=True))]
    return figures, {"capped_s": many, "one_stream_s": one}


def run(rates: Sequence[int], rounds: int) -> Report:
    hub_client.install()
    figures: list[Figure] = []
    raw: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        parts = [at_rate(mbit, rounds, directory) for mbit in rates]
        for made, measured in [*parts, capped(rounds, directory)]:
            figures += made
            raw |= measured
    return Report("wire", tuple(figures), raw, {"huggingface_hub": hub_client.version()})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wire", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rates", default="100,400,1000", help="of the link, in Mbit/s")
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/wire.json")
    given = parser.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"skipped: {reason}")
        return 0
    rates = [int(rate) for rate in given.rates.split(",")]
    return run(rates, given.rounds).publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
