"""This machine as one more place to run: what it has, what it draws, how fast it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, cast

from pilotlight.cli.plan_options import HERE as NAME
from pilotlight.config import Settings
from pilotlight.errors import PlanError

if TYPE_CHECKING:
    from pilotlight.catalog import Catalog
    from pilotlight.catalog.hardware import Cpu, Gpu, InstructionSet
    from pilotlight.catalog.platform import Offer, Platform
    from pilotlight.machine import Machine
    from pilotlight.planner.plan import Answer, Plan
    from pilotlight.planner.rates import Rates
    from pilotlight.planner.search import Facts

_SOURCE = "this machine, as its system describes it"


def with_this_machine(known: Facts, catalog: Catalog, settings: Settings) -> Facts:
    """Looks at the machine and at its calibration. Blocks for milliseconds.

    Raises:
        PlanError: it has a GPU that the catalog doesn't know.
    """
    from pilotlight.catalog.platform import Rentable
    from pilotlight.machine import survey

    machine = survey()
    build = _build(machine, settings)
    cpu, gpu = _cpu(machine, build), _gpu(machine, catalog)
    rentable = Rentable(_platform(catalog), _offer(machine, cpu, gpu))
    return replace(
        known,
        cpus={**known.cpus, NAME: cpu},
        rented=(*known.rented, rentable),
        rates={**known.rates, **_measured(machine, build, settings)},
    )


def _measured(machine: Machine, build: str, settings: Settings) -> Mapping[str, Rates]:
    """What `pilotlight calibrate` found; nothing where it wasn't run on this machine as it is, or
    of another build of llama.cpp."""
    from pilotlight.calibration.kept import kept_rates

    rates = kept_rates(settings.data_dir, machine, build)
    return {} if rates is None else {NAME: rates}


def _cpu(machine: Machine, build: str) -> Cpu:
    """As calibration sees it, so that a plan before and after differ by what was measured alone."""
    from pilotlight.calibration.here import device_of
    from pilotlight.catalog.hardware import Cpu
    from pilotlight.meter.rating import WATTS_PER_CORE

    seen = device_of(machine, build)
    return Cpu(
        name=NAME,
        title=machine.cpu,
        vendor="amd" if "AMD" in machine.cpu else "intel",
        cores=machine.cores,
        channels=machine.cores,
        memory_mt_s=seen.bandwidth_bytes_s / machine.cores / 8 / 1e6,
        instructions=cast("InstructionSet", seen.instructions or "avx2"),
        clock_ghz=(seen.clock_hz or _CLOCK_HZ) / 1e9,
        tdp_w=WATTS_PER_CORE * machine.cores,
        source=_SOURCE,
        as_of=date.today(),
    )


_CLOCK_HZ = 2.5e9
"""Of a server's processor that nobody knows more of."""


def _build(machine: Machine, settings: Settings) -> str:
    """Of the llama.cpp that would run here; empty where there is none yet."""
    from pilotlight.engines.registry import Engines
    from pilotlight.errors import EngineError

    try:
        return Engines(settings.engines, machine).get("llamacpp").build
    except EngineError:
        return ""


def _gpu(machine: Machine, catalog: Catalog) -> Gpu | None:
    if not machine.gpus:
        return None
    name = machine.gpus[0].name
    found = catalog.gpus.seek(name) or catalog.gpus.seek(name.removeprefix("NVIDIA "))
    if found is None:
        raise PlanError(
            f"the catalog has no GPU {name!r}, which this machine has",
            hint="add a row for it: docs/catalog.md",
        )
    return found


def _platform(catalog: Catalog) -> Platform:
    """One's own like any other, but there is one of it and it is there already."""
    own = catalog.platforms.find("own")
    return replace(
        own,
        name=NAME,
        title="This machine",
        limits=replace(own.limits, instances=1, scale_to_zero=False),
    )


def _offer(machine: Machine, cpu: Cpu, gpu: Gpu | None) -> Offer:
    from pilotlight.catalog.platform import GIB, Offer

    gpus = len(machine.gpus) if gpu else 0
    return Offer(
        name=NAME,
        platform=NAME,
        vcpus=machine.cores,
        threads_per_core=1,
        memory_gib=machine.ram_bytes / GIB,
        cpu=NAME,
        gpu=gpu.name if gpu else None,
        gpus=gpus,
        capital_usd=0,  # it is there already: what it cost is no reason for or against
        years=1,
        load_w=cpu.tdp_w + (gpu.tdp_w * gpus if gpu else 0),
        source=_SOURCE,
        as_of=date.today(),
    )


def with_engines_answer(answer: Answer, settings: Settings) -> Answer:
    """The best plan for this machine with the memory that its engine itself asks for, where the
    engine and the model's file are here. One that doesn't fit by that word makes place for the
    next."""
    from pilotlight.cli.engine_answer import llamacpp_answer
    from pilotlight.core import ModelRef
    from pilotlight.machine import survey
    from pilotlight.planner.engine_word import with_footprint

    machine = survey()
    while (best := _first_here(answer)) is not None:
        d = best.deployment
        if d.ref is None or d.engine != "llamacpp":
            return answer
        found = llamacpp_answer(settings, ModelRef.parse(d.ref), d.options, machine)
        if found is None:
            return answer
        known = len(answer.plans)
        answer = with_footprint(answer, best, found)
        if len(answer.plans) == known:
            return answer
    return answer


def _first_here(answer: Answer) -> Plan | None:
    return next((plan for plan in answer.plans if plan.deployment.offer == NAME), None)
