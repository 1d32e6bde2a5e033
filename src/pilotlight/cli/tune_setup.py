"""What `tune` was asked, as a search and the conditions of its trials."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.bench_options import service
from pilotlight.cli.bench_target import recipe_of
from pilotlight.errors import BenchError, EngineMissingError

if TYPE_CHECKING:
    from pilotlight.bench.instruments import Instruments
    from pilotlight.bench.slo import Slo
    from pilotlight.bench.subjects.recipe import Recipe
    from pilotlight.bench.subjects.subject import Subject
    from pilotlight.bench.workloads.workload import Workload
    from pilotlight.config import Settings
    from pilotlight.engines.registry import Engines
    from pilotlight.machine import Machine
    from pilotlight.store.store import Store
    from pilotlight.tune.book import Budget
    from pilotlight.tune.goal import Goal
    from pilotlight.tune.perform import Conditions
    from pilotlight.tune.space import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """`facts` are what trials must share to be compared, as the evidence keeps them."""

    space: Space
    goal: Goal
    budget: Budget
    slo: Slo
    conditions: Conditions
    facts: Mapping[str, Any]
    settings: Settings
    file: Path | None


def task(
    models: Sequence[str], flags: Mapping[str, Any], settings: Settings, file: Path | None
) -> Task:
    """Fetches what isn't here yet, and starts nothing.

    Raises:
        BenchError, ConfigError, ModelRefError, SourceError: it can't be done so.
        EngineError: the default's engine isn't installed, or has no such option.
        click.UsageError: flags that don't go together.
    """
    from pilotlight.bench.workloads.registry import check
    from pilotlight.cli.plan_facts import read_catalog
    from pilotlight.engines.registry import Engines
    from pilotlight.machine import survey
    from pilotlight.store.store import Store
    from pilotlight.tune.book import Budget

    check(flags["workload"])
    budget = Budget.of(flags["budget"], flags["trial"])
    slo = service(flags, read_catalog(settings))
    if slo is None:
        raise click.UsageError("a search needs a service level: leave --slo none out")
    machine = survey()
    engines = Engines(settings.engines, machine)
    store = Store(settings.data_dir / "store", settings.store)
    recipes = _recipes(models, flags, settings, file)
    _fetch(recipes, engines, store)
    goal = _goal(flags, slo, settings)
    conditions = _conditions(recipes[0], flags, slo, goal, (engines, store, machine, settings))
    space = _space(recipes, flags, goal, machine)
    conditions.needs_bytes(space.default)  # an option it doesn't have is said at once
    return Task(
        space=space,
        goal=goal,
        budget=budget,
        slo=slo,
        conditions=conditions,
        facts=_facts(recipes, flags, slo, goal, engines, machine),
        settings=settings,
        file=file,
    )


def _recipes(
    models: Sequence[str], flags: Mapping[str, Any], settings: Settings, file: Path | None
) -> list[Recipe]:
    """Every model in every quantization on every engine; the first of all is the default."""
    return [
        recipe_of(model, {"engine": engine, "options": flags["options"]}, settings, file)
        for engine in flags["engines"] or (None,)
        for model in quantized(models, flags["quantizations"])
    ]


_HUB = re.compile(r"(hf:[^/]+/[^/:@]+(?:@[^/:]+)?)(?:[:/].*)?")


def quantized(models: Sequence[str], quantizations: Sequence[str]) -> Sequence[str]:
    """Each of `models` in each of `quantizations`; as they are without any.

    Raises:
        BenchError: a ref of which only its maker knows where its others are.
    """
    if not quantizations:
        return models
    return [_in(model, name) for model in models for name in quantizations]


def _in(model: str, quantization: str) -> str:
    if found := _HUB.fullmatch(model):
        return f"{found[1]}:{quantization}"
    if ":" in model or "/" in model or model.lower().endswith(".gguf"):
        raise BenchError(
            f"nobody knows where {model!r} is in {quantization}",
            hint="give a ref for each quantization: pilotlight tune REF REF",
        )
    return f"{model.partition('@')[0]}@{quantization}"


def _fetch(recipes: Sequence[Recipe], engines: Engines, store: Store) -> None:
    """Before the clock runs."""
    from pilotlight.cli.pull import Printer
    from pilotlight.core import ModelRef

    refs = {
        ModelRef.parse(recipe.ref)
        for recipe in recipes
        if not engines.get(recipe.engine).owns(ModelRef.parse(recipe.ref))
    }
    printer = Printer()

    async def each() -> None:
        for ref in sorted(refs, key=str):
            await store.resolve(ref, report=printer.report)

    try:
        asyncio.run(each())
    finally:
        printer.close()


def _goal(flags: Mapping[str, Any], slo: Slo, settings: Settings) -> Goal:
    from pilotlight.meter.ledger.rate import Rate
    from pilotlight.tune.goal import Goal

    rate = Rate.of(settings.ledger)
    if flags["aim"] == "cost" and not rate.known:
        raise BenchError(
            "nobody says what this machine costs",
            hint="give --ledger-usd-per-hour, or --ledger-hardware-usd and --ledger-usd-per-kwh",
        )
    users, level = flags["concurrency"], flags["rate"]
    return Goal(
        aim=flags["aim"],
        levels="rate" if users is None else "users",
        level=level if users is None else float(users),
        share=slo.share,
        rate=rate,
    )


def _space(
    recipes: Sequence[Recipe], flags: Mapping[str, Any], goal: Goal, machine: Machine
) -> Space:
    from pilotlight.bench.workloads.registry import check
    from pilotlight.tune.requests import unjudged
    from pilotlight.tune.setting import Setting
    from pilotlight.tune.spaces.registry import draw
    from pilotlight.tune.spaces.terrain import Terrain

    settings = [Setting(ref=one.ref, engine=one.engine, options=one.options) for one in recipes]
    return draw(
        settings,
        Terrain(machine=machine, users=flags["concurrency"]),
        fixed=[text.partition("=")[0] for text in flags["options"]],
        without=unjudged(check(flags["workload"]).kind),
        same_answers=flags["same_answers"],
    )


_World = tuple["Engines", "Store", "Machine", "Settings"]


def _conditions(
    recipe: Recipe, flags: Mapping[str, Any], slo: Slo, goal: Goal, world: _World
) -> Conditions:
    from pilotlight.tune.footprint import predicted_bytes
    from pilotlight.tune.perform import Conditions

    engines, store, machine, settings = world
    return Conditions(
        name=recipe.name,
        slo=slo,
        levels=goal.levels,
        prepare=partial(workload, flags["workload"], flags["seed"]),
        needs_bytes=partial(predicted_bytes, engines=engines, store=store),
        memory_bytes=(settings.memory or machine.ram_bytes) - settings.memory_reserve,
        policy=recipe.policy,
        engines={"llamacpp": _llamacpp(settings)},
        seed=flags["seed"],
    )


def _llamacpp(settings: Settings) -> dict[str, str]:
    """What is started has none of our flags."""
    chosen = settings.engines.llamacpp
    server = {} if chosen.server is None else {"server": str(chosen.server.absolute())}
    return {"prefer": chosen.prefer, **server}


def workload(spec: str, seed: int, subject: Subject) -> Workload:
    from pilotlight.bench.measure import target_of
    from pilotlight.bench.workloads.registry import check, prepare
    from pilotlight.tune.requests import unrepeated

    made = asyncio.run(prepare(spec, target=target_of(subject), seed=seed))
    return unrepeated(made, check(spec).kind)


@contextlib.contextmanager
def instruments(goal: Goal, settings: Settings) -> Iterator[Instruments]:
    """With a meter where joules cost something, and runs while the context does."""
    from pilotlight.bench.instruments import Instruments

    if not goal.priced_by_joules:
        yield Instruments()
        return
    from pilotlight.meter.registry import meter_here

    with meter_here(rated_w=settings.ledger.rated_w) as meter:
        if not meter.series().devices:
            raise BenchError(
                "nothing meters this machine, so what its electricity costs isn't known",
                hint="give --ledger-rated-w, or leave --ledger-usd-per-kwh out",
            )
        yield Instruments(meter=meter)


def _facts(
    recipes: Sequence[Recipe],
    flags: Mapping[str, Any],
    slo: Slo,
    goal: Goal,
    engines: Engines,
    machine: Machine,
) -> dict[str, Any]:
    import msgspec

    return {
        "workload": flags["workload"],
        "seed": flags["seed"],
        "service level": msgspec.to_builtins(slo),
        "load": goal.levels,
        **({"joules": "metered"} if goal.priced_by_joules else {}),
        "machine": machine.fingerprint,
        "builds": {name: _build(engines, name) for name in sorted({r.engine for r in recipes})},
    }


def _build(engines: Engines, name: str) -> str | None:
    try:
        return engines.get(name).build
    except EngineMissingError:
        return None
