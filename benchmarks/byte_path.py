"""What the gateway adds to a stream, against the upstream asked directly and against LiteLLM.

    python -m benchmarks.byte_path [--rounds 7] [--seconds 3] [--token-delay-ms 0]

All servers run for the whole of it; the arms take turns in each round (direct,
Pilotlight, LiteLLM, direct, …), so what drifts hits all alike and ratios are
taken round by round. Everything shares this machine's cores: an arm through a
gateway has one process more to feed than the direct one.

Without a delay the upstream writes as fast as it can and a busy reader finds
several events at once, which is what a saturated gateway sees. With
``--token-delay-ms 5`` each event travels alone, as from a real engine; then
throughput is the engine's, and the server's processor time a stream tells.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import litellm
from benchmarks.gateway import fake_gateway
from benchmarks.load import Load, Result, measure_apart
from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import Spread, difference, ratio, spread
from benchmarks.upstream import TOKENS, Server, upstream

CONCURRENCY = 16


@dataclass(slots=True)
class Arm:
    """One way to the upstream, and what its rounds measured at each concurrency."""

    name: str
    server: Server
    p50_ms: list[float] = field(default_factory=list)
    ttfb_p50_ms: list[float] = field(default_factory=list)
    streams_per_s: list[float] = field(default_factory=list)
    cpu_us_per_stream: list[float] = field(default_factory=list)

    def round(self, seconds: float) -> None:
        one = self._measure(1, seconds)
        self.p50_ms.append(statistics.median(one.total_ms))
        self.ttfb_p50_ms.append(statistics.median(one.ttfb_ms))
        cpu_s = self.server.program.cpu_s()
        many = self._measure(CONCURRENCY, seconds)
        spent_s = self.server.program.cpu_s() - cpu_s
        self.streams_per_s.append(many.streams_per_s)
        self.cpu_us_per_stream.append(spent_s / (many.streams + 2 * CONCURRENCY) * 1e6)

    def _measure(self, concurrency: int, seconds: float) -> Result:
        load = Load(
            port=self.server.port,
            key=self.server.key,
            concurrency=concurrency,
            seconds=seconds,
            warmup=2 * concurrency,
        )
        result = measure_apart(load)
        check(self.name, result)
        return result

    def as_json(self) -> dict[str, Any]:
        return {
            "p50_ms": self.p50_ms,
            "ttfb_p50_ms": self.ttfb_p50_ms,
            "streams_per_s": self.streams_per_s,
            "cpu_us_per_stream": self.cpu_us_per_stream,
        }


def check(name: str, result: Result) -> None:
    """A fast wrong answer is no result. Raises RuntimeError."""
    if result.errors or not result.streams:
        raise RuntimeError(f"{name}: {len(result.errors)} errors, first {result.errors[:1]}")
    if result.tokens != TOKENS * result.streams:
        raise RuntimeError(
            f"{name}: {result.tokens} tokens in {result.streams} streams of {TOKENS}"
        )


def run(rounds: int, seconds: float, delay_ms: float, with_litellm: bool) -> Report:
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        direct = stack.enter_context(upstream(directory, delay_ms))
        ours = stack.enter_context(fake_gateway(directory, delay_ms))
        arms = {"direct": Arm("direct", direct), "pilotlight": Arm("pilotlight", ours)}
        if with_litellm:
            proxy = stack.enter_context(litellm.proxy(directory, direct))
            arms["litellm"] = Arm("litellm", proxy)
        for number in range(rounds):
            for arm in arms.values():
                arm.round(seconds)
            print(f"round {number + 1} of {rounds} done", flush=True)
        return report(arms, with_goals=delay_ms == 0)


def report(arms: Mapping[str, Arm], *, with_goals: bool) -> Report:
    """The goals are for a gateway at its limit, not for one that waits for tokens."""
    direct, ours = arms["direct"], arms["pilotlight"]
    figures = [
        Figure(
            "added p50 of a stream, concurrency 1", "ms",
            difference(ours.p50_ms, direct.p50_ms), Goal(0.5) if with_goals else None,
        ),
        Figure(
            f"streams/s of direct, concurrency {CONCURRENCY}", "×",
            ratio(ours.streams_per_s, direct.streams_per_s),
            Goal(0.65, at_least=True) if with_goals else None,
        ),
        Figure(
            "added p50 to the first byte, concurrency 1", "ms",
            difference(ours.ttfb_p50_ms, direct.ttfb_p50_ms),
        ),
    ]  # fmt: skip
    versions = {}
    if "litellm" in arms:
        theirs = arms["litellm"]
        versions["litellm"] = litellm.version()
        figures += [
            Figure(
                f"streams/s of LiteLLM, concurrency {CONCURRENCY}", "×",
                ratio(ours.streams_per_s, theirs.streams_per_s),
                Goal(20, at_least=True) if with_goals else None,
            ),
            Figure(
                "LiteLLM's added p50 of a stream, concurrency 1", "ms",
                difference(theirs.p50_ms, direct.p50_ms),
            ),
        ]  # fmt: skip
    for arm in arms.values():
        figures += absolute(arm)
    raw = {name: arm.as_json() for name, arm in arms.items()}
    return Report("byte_path", tuple(figures), raw, versions)


def absolute(arm: Arm) -> list[Figure]:
    shown: list[tuple[str, str, Spread]] = [
        ("p50 of a stream, concurrency 1", "ms", spread(arm.p50_ms)),
        (f"streams, concurrency {CONCURRENCY}", "/s", spread(arm.streams_per_s)),
        ("processor time of its server a stream", "µs", spread(arm.cpu_us_per_stream)),
    ]
    return [Figure(f"{arm.name}: {name}", unit, value) for name, unit, value in shown]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.byte_path", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each arm and concurrency")
    parser.add_argument("--token-delay-ms", type=float, default=0.0)
    parser.add_argument("--without-litellm", action="store_true")
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/byte_path.json")
    given = parser.parse_args()
    with_litellm = not given.without_litellm
    made = run(given.rounds, given.seconds, given.token_delay_ms, with_litellm)
    return made.publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
