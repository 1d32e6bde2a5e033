"""The flags that say what a benchmark does, and the experiment they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pilotlight.cli.duration import duration, span
from pilotlight.cli.flags import with_options

if TYPE_CHECKING:
    from pilotlight.bench.experiment import Experiment
    from pilotlight.bench.load import Load
    from pilotlight.bench.profile.profile import Kind, Profile
    from pilotlight.bench.slo import Slo
    from pilotlight.catalog import Catalog

_F = TypeVar("_F", bound=Callable[..., Any])

DEFAULT_SLO = "chat-relaxed"
DEFAULT_DURATION_S = 30.0
DEFAULT_WORKLOAD = "builtin"
KINDS = ("closed", "constant", "poisson", "gamma", "ramp", "replay", "sweep", "goodput")

_TAKES: Mapping[str, frozenset[str]] = {
    "closed": frozenset({"concurrency"}),
    "constant": frozenset({"rate", "most_at_once"}),
    "poisson": frozenset({"rate", "most_at_once"}),
    "gamma": frozenset({"rate", "most_at_once", "burstiness"}),
    "ramp": frozenset({"rate", "to_rate", "most_at_once"}),
    "replay": frozenset({"speed", "most_at_once"}),
    "sweep": frozenset({"concurrency"}),
    "goodput": frozenset({"rate", "most_at_once"}),
}
"""Which flags mean something for which arrivals; the rest are refused, not ignored."""

SCHEDULED = ("constant", "poisson", "gamma")
"""Which arrivals have one rate."""

_SHAPES = ("concurrency", "rate", "to_rate", "burstiness", "speed", "most_at_once")

_WORKLOAD = (
    click.option("--workload", metavar="SPEC",
                 help="what is asked: builtin, fixed:input=512,output=128, jsonl:FILE, trace:FILE, "
                 "...; see docs/bench.md  [default: builtin]"),
    click.option("--arrivals", type=click.Choice(KINDS), metavar="KIND",
                 help=f"how requests come: {', '.join(KINDS)}"
                 "  [default: closed; poisson with --rate]"),
    click.option("--concurrency", type=click.IntRange(1), multiple=True, metavar="N",
                 help="users of a closed loop, each asks again when answered; may be repeated; "
                 "of a sweep: at most  [default: 1]"),
    click.option("--rate", type=click.FloatRange(0, min_open=True), multiple=True, metavar="N",
                 help="requests a second; may be repeated; where a ramp or a search begins"),
    click.option("--to-rate", type=click.FloatRange(0, min_open=True), metavar="N",
                 help="requests a second where a ramp ends"),
    click.option("--burstiness", type=click.FloatRange(0, min_open=True), metavar="N",
                 help="squared coefficient of variation of gamma's gaps; 1 is Poisson"),
    click.option("--speed", type=click.FloatRange(0, min_open=True), metavar="N",
                 help="how many times faster than its trace a replay is  [default: 1]"),
    click.option("--most-at-once", type=click.IntRange(1), metavar="N",
                 help="requests in flight at most; the others wait, and their wait is counted"),
    click.option("--duration", type=span, metavar="TIME",
                 help="of each stage  [default: 30s, or a trace's]"),
    click.option("--requests", type=click.IntRange(1), metavar="N",
                 help="of each stage, at most"),
    click.option("--warmup", type=click.IntRange(0), metavar="N",
                 help="requests before each run that don't count"
                 "  [default: one a user, 2 at least]"),
    click.option("--runs", type=click.IntRange(1), metavar="N", default=1, show_default=True,
                 help="of each stage, at least"),
    click.option("--most-runs", type=click.IntRange(1), metavar="N",
                 help="go on up to so many runs until the figures are stable"),
    click.option("--within", type=click.FloatRange(0, 1, min_open=True), metavar="SHARE",
                 default=0.05, show_default=True,
                 help="how near the throughput's bounds are to it when it counts as stable"),
    click.option("--seed", type=int, default=0, show_default=True, metavar="N",
                 help="of prompts and arrivals: the same seed asks the same"),
    click.option("--timeout", type=duration, default="10m", show_default=True, metavar="TIME",
                 help="after which a request is an error"),
)  # fmt: skip
_SERVICE = (
    click.option("--slo", metavar="NAME",
                 help="service level of that name in the catalog, or none"
                 f"  [default: {DEFAULT_SLO}]"),
    click.option("--ttft", type=click.FloatRange(0, min_open=True), metavar="MS",
                 help="time to first token at most, from when it was due"),
    click.option("--tpot", type=click.FloatRange(0, min_open=True), metavar="MS",
                 help="time for each further token at most"),
    click.option("--e2e", type=click.FloatRange(0, min_open=True), metavar="MS",
                 help="time of the whole answer at most"),
    click.option("--share", type=click.FloatRange(0, 100, min_open=True), metavar="PERCENT",
                 help="of the requests that keep it  [default: the service level's, or 95]"),
)  # fmt: skip


def experiment_flags(function: _F) -> _F:
    return with_options(service_flags(function), _WORKLOAD)


def service_flags(function: _F) -> _F:
    return with_options(function, _SERVICE)


def experiment(flags: Mapping[str, Any], catalog: Catalog) -> Experiment:
    """Raises:
    click.UsageError: flags that don't go together.
    BenchError: a load that can't be.
    ConfigError: no service level of that name.
    """
    from pilotlight.bench.arrivals import check
    from pilotlight.bench.experiment import Experiment
    from pilotlight.bench.profile.repeats import Repeats

    most = flags["most_runs"] or flags["runs"]
    if most < flags["runs"]:
        raise click.UsageError(f"--most-runs {most} is below --runs {flags['runs']}")
    if not flags["timeout"]:
        raise click.UsageError("--timeout is 0: every request would be an error")
    planned, level = profile(flags), service(flags, catalog)
    for load in planned.loads:
        check(load)
    if planned.kind == "goodput" and level is None:
        raise click.UsageError("--arrivals goodput needs a service level: leave --slo none out")
    return Experiment(
        workload=flags["workload"] or DEFAULT_WORKLOAD,
        profile=planned,
        slo=level,
        repeats=Repeats(least=flags["runs"], most=most, within=flags["within"]),
        seed=flags["seed"],
        timeout_s=flags["timeout"],
    )


def profile(flags: Mapping[str, Any]) -> Profile:
    from pilotlight.bench.profile.profile import Profile
    from pilotlight.bench.profile.sweep import Climb

    kind: Kind = flags["arrivals"] or _usual(flags)
    _check(kind, flags)
    rates, users = flags["rate"], flags["concurrency"]
    if kind == "sweep":
        climb = Climb(most=max(users)) if users else Climb()
        return Profile(kind=kind, loads=(_load(flags, "closed", users=1),), climb=climb)
    if kind == "goodput":
        load = _load(flags, "poisson", rate=1.0)
        return Profile(kind=kind, loads=(load,), start_per_s=rates[0] if rates else None)
    if kind == "closed":
        return Profile(kind=kind, loads=tuple(_load(flags, kind, users=n) for n in users or (1,)))
    return Profile(kind=kind, loads=tuple(_load(flags, kind, rate=r) for r in rates or (None,)))


def _usual(flags: Mapping[str, Any]) -> Kind:
    """What nobody said: a trace has times of its own, a rate wants a schedule."""
    if flags["to_rate"] is not None:
        return "ramp"
    if flags["rate"]:
        return "poisson"
    traced = (flags["workload"] or "").partition(":")[0] in ("trace", "sample")
    return "replay" if traced and not flags["concurrency"] else "closed"


def _check(kind: str, flags: Mapping[str, Any]) -> None:
    for name in _SHAPES:
        if flags[name] not in (None, ()) and name not in _TAKES[kind]:
            raise click.UsageError(
                f"--{name.replace('_', '-')} means nothing for --arrivals {kind}"
            )
    if kind in SCHEDULED and not flags["rate"]:
        raise click.UsageError(f"--arrivals {kind} needs --rate")
    if kind == "ramp" and (flags["to_rate"] is None or len(flags["rate"]) > 1):
        raise click.UsageError("--arrivals ramp needs --to-rate, and one --rate at most")
    if kind in ("sweep", "goodput") and len(flags["rate"]) + len(flags["concurrency"]) > 1:
        raise click.UsageError(f"--arrivals {kind} takes one bound, not several")


def _load(
    flags: Mapping[str, Any], kind: str, *, users: int | None = None, rate: float | None = None
) -> Load:
    from pilotlight.bench.load import Load

    bounded = flags["duration"] is not None or flags["requests"] is not None
    usual_s = None if kind == "replay" else DEFAULT_DURATION_S
    warmup = flags["warmup"]
    load = Load(
        kind=kind,  # type: ignore[arg-type]
        concurrency=users,
        requests_per_s=rate,
        duration_s=flags["duration"] if bounded else usual_s,
        requests=flags["requests"],
        most_at_once=flags["most_at_once"],
        warmup_requests=_usual_warmup(kind, users) if warmup is None else warmup,
        seed=flags["seed"],
    )
    shape = {"to_requests_per_s": "to_rate", "burstiness": "burstiness", "speed": "speed"}
    given = {field: flags[name] for field, name in shape.items() if flags[name] is not None}
    return replace(load, **given)


def _usual_warmup(kind: str, users: int | None) -> int:
    """A replay has none: its first requests are its own."""
    return 0 if kind == "replay" else max(2, users or 0)


def service(flags: Mapping[str, Any], catalog: Catalog) -> Slo | None:
    """A named level with single limits over it; limits alone are a level of their own."""
    from pilotlight.bench.slo import Slo

    limits = {f"{name}_ms": flags[name] for name in ("ttft", "tpot", "e2e")}
    given = {name: value for name, value in limits.items() if value is not None}
    share = None if flags["share"] is None else flags["share"] / 100
    if flags["slo"] == "none" and (given or share):
        raise click.UsageError("--slo none has no limits: leave it out")
    if flags["slo"] == "none":
        return None
    if given and flags["slo"] is None:
        return Slo(**given, share=share or 0.95)
    row = catalog.slos.find(flags["slo"] or DEFAULT_SLO)
    named = {"ttft_ms": row.ttft_ms, "tpot_ms": row.tpot_ms, **given}
    found = Slo(
        name=row.name, **named, share=share or row.percentile / 100, source=row.source or row.name
    )
    if not given and share is None:
        return found
    return replace(found, name=f"{row.name}, changed", source=f"{row.name}, but for what was asked")
