"""The flags that say what a plan is asked for, and the requirements they make."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.flags import with_options
from pilotlight.errors import PlanError

if TYPE_CHECKING:
    from pilotlight.catalog import Catalog
    from pilotlight.planner.requirements import Limits, Requirements, ServiceLevel
    from pilotlight.planner.traffic import Traffic

_Function = Callable[..., Any]

HERE = "this-machine"
"""What `--here` adds, by the name that --platform knows it by."""

DEFAULT_SLO = "chat-relaxed"
PER_USER_HOUR = 20.0
"""Requests of one user in an hour of work unless told: one every three minutes."""

_LOAD = (
    click.option("--rps", type=float, metavar="N", help="requests a second  [default: 1]"),
    click.option("--users", type=float, metavar="N", help="people at work, instead of --rps"),
    click.option(
        "--per-user-hour",
        type=float,
        metavar="N",
        help=f"requests of each of --users in an hour  [default: {PER_USER_HOUR:g}]",
    ),
    click.option("--hours", type=float, metavar="H",
                 help="hours a day with traffic  [default: 24]"),
    click.option(
        "--profile",
        metavar="LIST",
        help="requests a second for each hour of a day (24) or week (168), instead of --rps",
    ),
    click.option(
        "--trace",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="arrivals and lengths from a trace (Azure's CSV, Mooncake's JSON lines)",
    ),
    click.option("--input", "input_tokens", type=float, metavar="N",
                 help="tokens of a mean prompt  [default: 512]"),
    click.option("--output", "output_tokens", type=float, metavar="N",
                 help="tokens of a mean answer  [default: 128]"),
    click.option("--context", type=int, metavar="N", help="tokens the longest request may use"),
)  # fmt: skip
_SERVICE = (
    click.option("--slo", metavar="NAME",
                 help=f"service level of that name in the catalog  [default: {DEFAULT_SLO}]"),
    click.option("--ttft", type=float, metavar="MS", help="time to first token at most"),
    click.option("--tpot", type=float, metavar="MS", help="time for each further token at most"),
    click.option("--percentile", type=float, metavar="P",
                 help="of the requests that keep it  [default: the service level's]"),
    click.option("--mode", type=click.Choice(("interactive", "batch")), metavar="interactive|batch",
                 help="batch: it only has to get done  [default: interactive]"),
)  # fmt: skip
_LIMITS = (
    click.option("--platform", "platforms", multiple=True, metavar="NAME",
                 help="only this platform, provider or offer; may be repeated"),
    click.option("--gpu", "gpus", multiple=True, metavar="NAME",
                 help="only this GPU, none for processors alone; may be repeated"),
    click.option("--engine", "engines", multiple=True, metavar="NAME",
                 help="only this engine; may be repeated"),
    click.option("--quantization", "quantizations", multiple=True, metavar="NAME",
                 help="only this quantization; may be repeated"),
    click.option("--region", "regions", multiple=True, metavar="NAME",
                 help="only prices of this region; may be repeated"),
    click.option("--private", is_flag=True, help="only machines of your own"),
    click.option("--budget", type=float, metavar="USD", help="dollars a month at most"),
    click.option("--batch", type=int, metavar="N", help="requests at once in a replica, at most"),
    click.option("--kv-type", metavar="TYPE",
                 help="of the cache, in the engine's word: q8_0 (llamacpp), fp8 (vllm)"),
    click.option("--max-gpus", type=int, metavar="N", help="GPUs of one replica  [default: 8]"),
    click.option("--min-bits", type=float, metavar="BITS",
                 help="bits of a weight at least  [default: 4]"),
    click.option("--free-tier", is_flag=True, help="count what an account has free each month"),
    click.option("--no-scale-to-zero", is_flag=True, help="never without a running replica"),
)  # fmt: skip
_ALL = (*_LOAD, *_SERVICE, *_LIMITS)

NAMES: tuple[str, ...] = (
    "rps", "users", "per_user_hour", "hours", "profile", "trace", "input_tokens", "output_tokens",
    "context", "slo", "ttft", "tpot", "percentile", "mode", "platforms", "gpus", "engines",
    "quantizations", "regions", "private", "budget", "batch", "kv_type", "max_gpus", "min_bits",
    "free_tier", "no_scale_to_zero",
)  # fmt: skip
"""The parameters that these options make, all absent or empty unless given."""


def requirement_flags(function: _Function) -> _Function:
    return with_options(function, _ALL)


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `flags` that are requirements and were given, as plain data that JSON keeps."""
    found = {name: flags[name] for name in NAMES if _is_given(flags.get(name))}
    return {name: str(v) if isinstance(v, Path) else v for name, v in found.items()}


def _is_given(value: Any) -> bool:
    return not (value is None or value is False or value == ())


def requirements(asked: Mapping[str, Any], catalog: Catalog) -> Requirements:
    """What was asked for, checked against the catalog's names. Reads the trace, if there is one.

    Raises:
        PlanError, ConfigError: a value can't be, or a name is unknown.
    """
    from pilotlight.planner.requirements import Requirements, ServiceLevel

    mode = asked.get("mode", _usual_mode(asked, catalog))
    service = _service(asked, catalog)
    if mode == "batch":
        service = ServiceLevel(percentile=service.percentile, source=service.source)
    return Requirements(
        traffic=_traffic(asked),
        service=service,
        mode=mode,
        context=asked.get("context"),
        limits=_limits(asked, catalog),
        free_tier=asked.get("free_tier", False),
    )


def _traffic(asked: Mapping[str, Any]) -> Traffic:
    from pilotlight.planner.traffic import hourly, steady

    _check_together(asked)
    lengths = (asked.get("input_tokens", 512.0), asked.get("output_tokens", 128.0))
    if "trace" in asked:
        return _traced(asked)
    if "profile" in asked:
        return hourly(_rates(asked["profile"]), *lengths)
    rate = asked.get("rps", 1.0)
    if "users" in asked:
        rate = asked["users"] * asked.get("per_user_hour", PER_USER_HOUR) / 3600
    _check_load(asked, rate)
    return steady(rate, *lengths, asked.get("hours", 24.0))


def _check_together(asked: Mapping[str, Any]) -> None:
    """Of flags that say the same, one; of those that say more of another, both."""
    sources = [name for name in ("rps", "users", "profile", "trace") if name in asked]
    if len(sources) > 1:
        raise PlanError(
            f"--{sources[0]} and --{sources[1]} both say the load", hint="give one of them"
        )
    if "per_user_hour" in asked and "users" not in asked:
        raise PlanError(
            f"--per-user-hour {asked['per_user_hour']:g} of how many users?",
            hint="say it with --users, such as --users 30",
        )
    for source in ("profile", "trace"):
        if "hours" in asked and source in asked:
            raise PlanError(
                f"--hours {asked['hours']:g} and --{source} both say when requests come",
                hint=f"leave --hours out: --{source} has a rate for each hour",
            )


def _check_load(asked: Mapping[str, Any], rate: float) -> None:
    if not (math.isfinite(rate) and rate > 0):
        names = [name for name in ("rps", "users", "per_user_hour") if name in asked]
        said = " and ".join(f"--{name.replace('_', '-')} {asked[name]!r}" for name in names)
        raise PlanError(
            f"{said} is no load: there is nothing to plan for",
            hint="give more than 0; --rps 0.01 is a request every 100 seconds",
        )
    hours = asked.get("hours", 24.0)
    if not 0 < hours <= 24:
        raise PlanError(f"a day hasn't {hours!r} hours", hint="give --hours above 0, up to 24")


def _traced(asked: Mapping[str, Any]) -> Traffic:
    from dataclasses import replace

    from pilotlight.planner.traces import parse_trace
    from pilotlight.planner.traffic import from_trace

    path = Path(asked["trace"])
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"can't read {str(path)!r}: {error}", hint="give a trace's file") from None
    traffic = from_trace(parse_trace(lines))
    tokens = {name: asked[name] for name in ("input_tokens", "output_tokens") if name in asked}
    return replace(traffic, **tokens)


def _rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise PlanError(
            f"--profile {text!r} isn't a list of numbers", hint="give 24 or 168, such as 0,0,1.5,…"
        ) from None


def _usual_mode(asked: Mapping[str, Any], catalog: Catalog) -> str:
    """A service level that bounds nothing is one for work that only has to get done."""
    row = catalog.slos.find(asked.get("slo", DEFAULT_SLO))
    limited = "ttft" in asked or "tpot" in asked
    return "interactive" if row.interactive or limited else "batch"


def _service(asked: Mapping[str, Any], catalog: Catalog) -> ServiceLevel:
    """A named level, with single limits over it; limits alone are a level of their own."""
    from pilotlight.planner.requirements import ServiceLevel

    ttft_ms, tpot_ms = asked.get("ttft"), asked.get("tpot")
    if (ttft_ms is not None or tpot_ms is not None) and "slo" not in asked:
        percentile = asked.get("percentile", 95.0)
        return ServiceLevel(ttft_ms=ttft_ms, tpot_ms=tpot_ms, percentile=percentile)
    row = catalog.slos.find(asked.get("slo", DEFAULT_SLO))
    return ServiceLevel(
        ttft_ms=row.ttft_ms if ttft_ms is None else ttft_ms,
        tpot_ms=row.tpot_ms if tpot_ms is None else tpot_ms,
        percentile=asked.get("percentile", row.percentile),
        source=row.name,
    )


def _limits(asked: Mapping[str, Any], catalog: Catalog) -> Limits:
    from pilotlight.planner.engine_facts import ENGINES
    from pilotlight.planner.requirements import Limits

    quantizations = tuple(
        catalog.quantizations.find(q).name for q in asked.get("quantizations", ())
    )
    bits = min((catalog.quantizations[q].bits_per_weight for q in quantizations), default=4.0)
    for engine in asked.get("engines", ()):
        if engine not in ENGINES:
            raise PlanError(
                f"no plan can be made for the engine {engine!r}", hint=f"use {', '.join(ENGINES)}"
            )
    return Limits(
        platforms=tuple(_platform(name, catalog) for name in asked.get("platforms", ())),
        gpus=tuple(
            "none" if name == "none" else catalog.gpus.find(name).name
            for name in asked.get("gpus", ())
        ),
        engines=tuple(asked.get("engines", ())),
        quantizations=quantizations,
        regions=tuple(_region(name, catalog) for name in asked.get("regions", ())),
        usd_per_month=asked.get("budget"),
        max_gpus=asked.get("max_gpus", 8),
        private=asked.get("private", False),
        # Whoever names a quantization has decided on its bits.
        min_bits=asked.get("min_bits", min(bits, 4.0)),
        scale_to_zero=not asked.get("no_scale_to_zero", False),
        concurrency=asked.get("batch"),
        kv_type=asked.get("kv_type"),
    )


def _region(name: str, catalog: Catalog) -> str:
    known = dict.fromkeys(row.region for row in catalog.platforms.values() if row.region)
    if name not in known:
        raise PlanError(
            f"no prices of the region {name!r} are known",
            hint=f"known are {', '.join(known)}; add platforms of another in a catalog file",
        )
    return name


def _platform(name: str, catalog: Catalog) -> str:
    """An offer's or a platform's own name, or a provider's as it is written there."""
    providers = {row.provider.lower(): row.provider for row in catalog.platforms.values()}
    if name == HERE:
        return name
    offer = catalog.offers.seek(name)
    if offer is not None:
        return offer.name
    return providers.get(name.lower()) or catalog.platforms.find(name).name
