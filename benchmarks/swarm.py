"""Four nodes that pull one file at once: what the origin sends, and when the last one is done.

    python -m benchmarks.swarm [--rounds N] [--mbit RATE] [--megabytes SIZE]

Origin and nodes are processes in network namespaces around a switch, each on a link of the given
rate; one of the nodes is the tracker too. A node alone, without any of this, is the measure. In
the second half one of the four is killed half-way. Needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.namespaces import why_not
from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import spread
from benchmarks.star import Host, star
from benchmarks.swarm_node import PORT
from benchmarks.wire import File, make_file

NODES = 4
ORIGIN_PORT = 8000
SENT_GOAL, TIME_GOAL = Goal(1.3), Goal(1.5)


@dataclass(frozen=True, slots=True)
class Pull:
    """One round: how long each living node took, and what the origin sent for the file's bytes."""

    seconds: tuple[float, ...]
    sent: float


@dataclass(frozen=True, slots=True)
class Site:
    origin: Host
    nodes: Sequence[Host]
    file: File
    directory: Path

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        argv = [*self.origin.inside, sys.executable, "-m", "benchmarks.origin"]
        argv += [str(self.file.path), self.origin.address, str(ORIGIN_PORT)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as origin:
            assert origin.stdout is not None
            try:
                assert origin.stdout.readline() == b"ready\n", "the origin doesn't start"
                yield
            finally:
                origin.kill()

    def pull(self, nodes: int, *, together: bool, kill_after_s: float | None = None) -> Pull:
        """The last of the nodes is the one that is killed."""
        with contextlib.ExitStack() as stack:
            running = [
                stack.enter_context(self._node(host, together)) for host in self.nodes[:nodes]
            ]
            before = self.origin.sent_bytes()
            for node in running:
                _tell(node)
            if kill_after_s is not None:
                time.sleep(kill_after_s)
                running.pop().kill()
            seconds = tuple(_hear(node) for node in running)
            sent = (self.origin.sent_bytes() - before) / self.file.size_bytes
            return Pull(seconds, sent)

    @contextlib.contextmanager
    def _node(self, host: Host, together: bool) -> Iterator[subprocess.Popen[str]]:
        directory = self.directory / host.name
        directory.mkdir()
        url = f"http://{self.origin.address}:{ORIGIN_PORT}/model.gguf"
        argv = [*host.inside, sys.executable, "-m", "benchmarks.swarm_node", str(directory)]
        argv += [host.address, url, str(self.file.size_bytes), self.file.sha256]
        if together:
            argv += ["--tracker", f"http://{self.nodes[0].address}:{PORT}"]
        pipe = subprocess.PIPE
        with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as node:
            try:
                assert node.stdout is not None
                assert node.stdout.readline() == "ready\n", "a node doesn't start"
                yield node
            finally:
                node.kill()
                shutil.rmtree(directory)


def _tell(node: subprocess.Popen[str]) -> None:
    assert node.stdin is not None
    node.stdin.write("go\n")
    node.stdin.flush()


def _hear(node: subprocess.Popen[str]) -> float:
    assert node.stdout is not None
    said = node.stdout.readline()
    if not said:
        raise RuntimeError("a node failed; its words are above")
    return float(said)


def run(rounds: int, mbit: int, size_bytes: int) -> Report:
    with tempfile.TemporaryDirectory() as name, star(NODES + 1, mbit) as hosts:
        directory = Path(name)
        site = Site(hosts[0], hosts[1:], make_file(directory, size_bytes), directory)
        with site.serving():
            alone, four, less = _rounds(site, rounds)
    what = f"{NODES} nodes, {size_bytes // 10**6} MB at {mbit} Mbit/s"
    one_s = spread([max(pull.seconds) for pull in alone]).median
    figures = [
        Figure("one node alone", "s", spread([max(pull.seconds) for pull in alone])),
        *_figures(what, four, one_s),
        *_figures(f"{what}, one killed half-way", less, one_s),
    ]
    raw = {
        name: [{"seconds": pull.seconds, "sent": pull.sent} for pull in pulls]
        for name, pulls in (("alone", alone), ("four", four), ("one_killed", less))
    }
    return Report("swarm", tuple(figures), raw)


def _rounds(site: Site, rounds: int) -> tuple[list[Pull], list[Pull], list[Pull]]:
    """In turns, so that whatever else the machine does meets all of them."""
    alone, four, less = [], [], []
    for _ in range(rounds):
        alone.append(site.pull(1, together=False))
        four.append(site.pull(NODES, together=True))
        half_s = max(four[-1].seconds) / 2
        less.append(site.pull(NODES, together=True, kill_after_s=half_s))
    return alone, four, less


def _figures(what: str, pulls: Sequence[Pull], one_s: float) -> list[Figure]:
    lasted = spread([max(pull.seconds) / one_s for pull in pulls])
    return [
        Figure(f"{what}: origin's bytes", "x the file", spread([p.sent for p in pulls]), SENT_GOAL),
        Figure(f"{what}: the last node", "x one node's time", lasted, TIME_GOAL),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.swarm", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mbit", type=int, default=200, help="rate of each link")
    parser.add_argument("--megabytes", type=int, default=300, help="size of the file")
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/swarm.json")
    given = parser.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"skipped: {reason}")
        return 0
    return run(given.rounds, given.mbit, given.megabytes * 10**6).publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
