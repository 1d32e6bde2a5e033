"""The meter and the prices of a benchmark, as far as they were asked for."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pilotlight.cli.duration import span
from pilotlight.cli.flags import with_options

if TYPE_CHECKING:
    from pilotlight.bench.costs import Costs, Served
    from pilotlight.bench.instruments import Instruments, View
    from pilotlight.bench.pricing import alike
    from pilotlight.bench.pricing.asked import Asked, Container
    from pilotlight.bench.subjects.subject import Subject
    from pilotlight.catalog import Catalog
    from pilotlight.config import LedgerSettings, Settings
    from pilotlight.meter.energy import Energy
    from pilotlight.meter.idle import Idle
    from pilotlight.meter.meter import Meter

_F = TypeVar("_F", bound=Callable[..., Any])

_FLAGS = (
    click.option("--energy/--no-energy", default=True, show_default=True,
                 help="meter what this machine draws while it serves"),
    click.option("--idle", type=span, default="3s", show_default=True, metavar="TIME",
                 help="metered before a model is started, to be subtracted; 0s for none"),
    click.option("--offer", "offers", multiple=True, metavar="NAME",
                 help="price it on this machine of the catalog; may be repeated"
                 "  [default: those like this one]"),
    click.option("--api", "apis", multiple=True, metavar="NAME",
                 help="the same tokens at this API of the catalog; may be repeated"),
    click.option("--study", metavar="VCPUS:GIB",
                 help="price a container of this size as the serverless study did, such as 2:6"),
    click.option("--like", metavar="NAME",
                 help="catalog's name of the model, for APIs that sell the same"),
)  # fmt: skip

SETTINGS = (
    "data_dir", "store.directory", "engines.directory", "catalog", "ledger.rated_w",
    "ledger.usd_per_kwh", "ledger.hardware_usd", "ledger.hardware_years",
)  # fmt: skip
"""What the ledger says of this machine's power and price; what is rented is priced by offers."""


def instrument_flags(function: _F) -> _F:
    return with_options(function, _FLAGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Made before a subject is there, as the baseline has to be."""

    meter: Meter | None
    idle: Idle | None
    prices: Asked
    catalog: Catalog
    view: View

    def for_subject(self, subject: Subject) -> Instruments:
        """Nobody meters a machine that is elsewhere."""
        from pilotlight.bench.instruments import Instruments

        return Instruments(
            meter=self.meter if subject.here else None,
            idle=self.idle,
            price=partial(self._price, subject),
            view=self.view,
        )

    def _price(self, subject: Subject, served: Served, energy: Energy | None) -> Costs:
        from dataclasses import replace

        from pilotlight.bench.pricing.pricing import costs

        where = _hardware(subject, self.catalog)
        return costs(served, energy, replace(self.prices, subject=where), self.catalog)


@contextlib.contextmanager
def tools(
    flags: Mapping[str, Any], settings: Settings, catalog: Catalog, view: View, *, starts: bool
) -> Iterator[Tools]:
    """`starts`: the subject isn't there yet, so that the machine is as it is without it.

    Raises:
        ConfigError: an offer or an API isn't in the catalog.
    """
    prices = _prices(flags, settings.ledger, catalog)
    with contextlib.ExitStack() as closing:
        meter = idle = None
        if flags["energy"]:
            from pilotlight.meter.registry import meter_here

            meter = closing.enter_context(meter_here(rated_w=settings.ledger.rated_w))
            idle = _baseline(meter, flags["idle"], view) if starts and flags["idle"] else None
        yield Tools(meter=meter, idle=idle, prices=prices, catalog=catalog, view=view)


def _baseline(meter: Meter, seconds: float, view: View) -> Idle | None:
    from pilotlight.meter.idle import idle

    if not meter.series().devices:
        return None
    view.say(f"metering this machine at rest for {seconds:g} s")
    begin_s = meter.mark()
    time.sleep(seconds)
    end_s = meter.mark()  # before its series is taken, which else ends with the sample before
    return idle(meter.series(), begin_s, end_s, f"{seconds:g} s before it was started")


def _prices(flags: Mapping[str, Any], ledger: LedgerSettings, catalog: Catalog) -> Asked:
    from pilotlight.bench.pricing.asked import Asked, Owned

    owned = None
    if ledger.hardware_usd is not None:
        owned = Owned(capital_usd=ledger.hardware_usd, years=ledger.hardware_years)
    return Asked(
        model=catalog.models.find(flags["like"]).name if flags["like"] else None,
        usd_per_kwh=ledger.usd_per_kwh,
        owned=owned,
        offers=tuple(catalog.offers.find(name).name for name in flags["offers"]),
        apis=tuple(catalog.apis.find(name).name for name in flags["apis"]),
        study=_container(flags["study"]),
    )


def _container(text: str | None) -> Container | None:
    """Raises click.UsageError: it isn't two numbers."""
    from pilotlight.bench.pricing.asked import Container

    if text is None:
        return None
    sizes = re.fullmatch(r"(\d+\.?\d*):(\d+\.?\d*)", text)
    vcpus, gib = map(float, sizes.groups()) if sizes else (0.0, 0.0)
    if not vcpus or not gib:
        raise click.UsageError(f"--study {text!r} is no size; write vCPUs:GiB, such as 2:6")
    return Container(vcpus=vcpus, memory_gib=gib)


def _hardware(subject: Subject, catalog: Catalog) -> alike.Subject | None:
    """What it runs on; None where that isn't known, or the catalog doesn't know its GPUs: no
    machine without them is like this one."""
    from pilotlight.bench.pricing import alike
    from pilotlight.bench.subjects.footprint import memory_bytes
    from pilotlight.machine import survey

    taken = memory_bytes(subject) if subject.here else None
    if taken is None:
        return None
    machine = survey()
    gpu = catalog.gpus.seek(machine.gpus[0].name) if machine.gpus else None
    if machine.gpus and gpu is None:
        return None
    return alike.Subject(
        vcpus=machine.cores,
        memory_bytes=taken,
        gpu=gpu.name if gpu else None,
        gpus=len(machine.gpus) if gpu else 0,
    )
