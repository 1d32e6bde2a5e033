"""Pilotlight's bench and GuideLLM on one endpoint under one load: do they say the same?

    python -m benchmarks.guidellm_agreement [MODEL.gguf] [--fake | --url URL] [--rounds 5]

The tools take turns, and the one that goes first changes every round. Both send requests of the
same lengths in closed loop and at a constant rate; no text is sent twice, so that no cache helps
whoever comes second. Names are mapped as docs/measuring.md has it. They agree on a figure where
the interval of the rounds' ratio holds 1; they have to where no client's own time is in it.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from benchmarks.gateway import gateway
from benchmarks.guidellm import ENVIRONMENT, GuideLLM, Question, install
from benchmarks.real_model import DEFAULT_REF
from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import Spread, spread
from benchmarks.upstream import upstream
from pilotlight.bench.ask import Ask
from pilotlight.bench.figures import Estimate
from pilotlight.bench.load import Load
from pilotlight.bench.numbers import Numbers
from pilotlight.bench.report import Stage
from pilotlight.bench.run import run_here
from pilotlight.bench.statistics.ratios import paired
from pilotlight.bench.summarize import summarize
from pilotlight.bench.target import Target

LOADS = ("closed", "constant")
OPEN, BOTH = frozenset({"constant"}), frozenset(LOADS)

HOLDS_ONE = Goal(0.0)
"""How far the interval of the ratio is from 1."""

Rounds = dict[str, dict[str, list[float]]]
"""Figure, tool, rounds."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    url: str
    model: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Figured:
    """One figure in both tools' words; the numbers are in ours already."""

    title: str
    unit: str
    of: Callable[[Numbers], Estimate | None]
    server_alone: frozenset[str] = frozenset()
    """Kinds of load under which no client's own time is in it: there the tools have to agree."""


def _at(name: str, percentile: float) -> Callable[[Numbers], Estimate | None]:
    def of(numbers: Numbers) -> Estimate | None:
        return numbers.percentile(name, percentile)

    return of


FIGURES = (
    Figured("requests/s", "1/s", lambda numbers: numbers.requests_per_s, OPEN),
    Figured("output tokens/s", "tokens/s", lambda numbers: numbers.output_tokens_per_s, OPEN),
    Figured("total tokens/s", "tokens/s", lambda numbers: numbers.total_tokens_per_s, OPEN),
    Figured("TTFT from sending p50", "ms", _at("ttft_from_send_ms", 50)),
    Figured("TTFT from sending p95", "ms", _at("ttft_from_send_ms", 95)),
    Figured("TPOT (GuideLLM's ITL) p50", "ms", _at("tpot_ms", 50), BOTH),
    Figured("end to end p50", "ms", _at("e2e_ms", 50)),
    Figured("end to end p95", "ms", _at("e2e_ms", 95)),
)


WORDS = (
    "river", "stone", "window", "garden", "paper", "silver", "hill", "letter", "bridge", "winter"
)  # fmt: skip


def questions(numbers: Iterator[int], amount: int, answer_tokens: int) -> list[Question]:
    """Of one length, all of them different from their first word on."""
    texts = []
    for number in islice(numbers, amount):
        digits = f"{number:05d}"
        body = " ".join(WORDS[(int(digit) + at) % 10] for at in range(6) for digit in digits)
        texts.append(Question(f"{digits} {body}. Tell me a story.", answer_tokens))
    return texts


def ours(endpoint: Endpoint, load: Load, asked: list[Question]) -> Stage:
    asks = (
        Ask(content=question.text, max_tokens=question.answer_tokens, exact_output=True)
        for question in asked
    )
    target = Target(url=endpoint.url, model=endpoint.model, key=endpoint.key)
    done = run_here(target, asks, load)
    if done.health.was_limit:
        print(f"ours: {done.health.verdict}")
    return summarize([done], load, whole=True)


@dataclass(frozen=True, slots=True)
class Course:
    rounds: int
    requests: int
    max_tokens: int


def measure(
    endpoint: Endpoint, theirs: GuideLLM, load: Load, course: Course, numbers: Iterator[int]
) -> Rounds:
    """`numbers` make the questions, and go on from load to load."""
    found: Rounds = {each.title: {"ours": [], "guidellm": []} for each in FIGURES}
    with tempfile.TemporaryDirectory() as name:
        arms: Mapping[str, Callable[[list[Question]], Stage]] = {
            "ours": lambda asked: ours(endpoint, load, asked),
            "guidellm": lambda asked: theirs.measure(asked, load, Path(name)),
        }
        for number in range(course.rounds):
            for arm in ("ours", "guidellm") if number % 2 == 0 else ("guidellm", "ours"):
                asked = questions(numbers, course.requests, course.max_tokens)
                _keep(found, arm, arms[arm](asked))
            print(f"round {number + 1} of {load.kind}", flush=True)
    return found


def _keep(found: Rounds, arm: str, stage: Stage) -> None:
    if stage.numbers.completed < stage.numbers.requests:
        raise RuntimeError(f"{arm}: {dict(stage.numbers.errors)}")
    for each in FIGURES:
        value = each.of(stage.numbers)
        if value is None:
            raise RuntimeError(f"{arm} doesn't say its {each.title}")
        found[each.title][arm].append(value.value)


def figures(model: str, kind: str, found: Rounds) -> Iterator[Figure]:
    where = f"{model}, {kind}"
    for each in FIGURES:
        arms = found[each.title]
        ratio = paired(arms["guidellm"], arms["ours"])
        low, high = ratio.low or ratio.value, ratio.high or ratio.value
        shown = Spread(ratio.value, low, high, len(arms["ours"]))
        yield Figure(f"{where}, {each.title}: ours", each.unit, spread(arms["ours"]))
        yield Figure(f"{where}, {each.title}: GuideLLM's of ours", "×", shown)
        if kind in each.server_alone:
            apart = max(low - 1, 1 - high, 0.0)
            yield Figure(f"{where}, {each.title}: its distance from 1", "", apart, HOLDS_ONE)


@contextlib.contextmanager
def started(ref: str, concurrency: int) -> Iterator[Endpoint]:
    """A real model, as `pilotlight serve` serves it."""
    options = {"parallel": concurrency, "context": 512}
    models = {"real": {"ref": ref, "options": options, "min": 1, "keep_alive": "forever"}}
    with tempfile.TemporaryDirectory() as name, gateway(Path(name), models) as server:
        yield Endpoint(f"http://127.0.0.1:{server.port}", "real", server.key)


@contextlib.contextmanager
def fake() -> Iterator[Endpoint]:
    """The fake engine itself: its answers take the same time whoever asks."""
    with tempfile.TemporaryDirectory() as name, upstream(Path(name), 5.0) as server:
        yield Endpoint(f"http://127.0.0.1:{server.port}", "fake")


@contextlib.contextmanager
def chosen(given: argparse.Namespace) -> Iterator[Endpoint]:
    if given.url:
        yield Endpoint(given.url, given.model)
        return
    with fake() if given.fake else started(given.ref, given.concurrency) as endpoint:
        yield endpoint


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.guidellm_agreement", description=__doc__
    )
    parser.add_argument("ref", nargs="?", default=DEFAULT_REF, help="a model ref or a .gguf")
    parser.add_argument("--fake", action="store_true", help="the fake engine, 5 ms a token")
    parser.add_argument("--url", help="a server that is there already")
    parser.add_argument("--model", default="real", help="what --url calls it")
    parser.add_argument("--environment", type=Path, default=ENVIRONMENT, help="GuideLLM's own")
    parser.add_argument("--load", action="append", choices=LOADS, default=[], help="else both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--rate", type=float, default=2.0, help="requests/s of the open loop")
    parser.add_argument("--requests", type=int, default=40, help="of one arm in one round")
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/")
    given = parser.parse_args()
    program = install(given.environment)
    loads = (
        Load(kind="closed", concurrency=given.concurrency, requests=given.requests),
        Load(kind="constant", requests_per_s=given.rate, requests=given.requests),
    )
    course, numbers = Course(given.rounds, given.requests, given.max_tokens), count()
    raw: dict[str, Rounds] = {}
    found: list[Figure] = []
    with chosen(given) as endpoint:
        theirs = GuideLLM(program, endpoint.url, endpoint.model, endpoint.key)
        for load in (each for each in loads if each.kind in (given.load or LOADS)):
            rounds = measure(endpoint, theirs, load, course, numbers)
            raw[load.kind] = rounds
            found += figures(endpoint.model, load.kind, rounds)
        versions = {"guidellm": theirs.version()}
    return Report("guidellm_agreement", tuple(found), raw, versions).publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
