"""On a machine of one's own: its power alone, and with what the machine cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from pilotlight.bench.costs import Cost, Served
from pilotlight.bench.pricing.asked import Owned
from pilotlight.bench.pricing.billing import billed, of_month
from pilotlight.catalog.billing import OwnedBilling
from pilotlight.catalog.catalog import Catalog
from pilotlight.catalog.platform import Offer, Platform, Rentable
from pilotlight.meter.energy import Energy
from pilotlight.planner.traffic import HOURS_PER_MONTH

PLATFORM = "own"


def own_platform(catalog: Catalog, usd_per_kwh: float | None) -> Platform:
    """The catalog's rule for such a machine, at the tariff asked for."""
    own = catalog.platforms.find(PLATFORM)
    if usd_per_kwh is None:
        return own
    billing = replace(_rule(own), usd_per_kwh=usd_per_kwh)
    return replace(own, billing=billing, source="the tariff as given", as_of=date.today())


def _rule(own: Platform) -> OwnedBilling:
    assert isinstance(own.billing, OwnedBilling)
    return own.billing


def electricity(served: Served, energy: Energy | None, own: Platform) -> Iterator[Cost]:
    """Nothing but the power: what an answer costs on a machine that is there anyway."""
    if energy is None or energy.mean_w is None:
        return
    rule = _rule(own)
    usd = energy.mean_w * rule.overhead / 1000 * HOURS_PER_MONTH * rule.usd_per_kwh
    overhead = f" × {rule.overhead:g}" if rule.overhead != 1 else ""
    line = (
        f"{energy.mean_w:,.4g} W{overhead} × {HOURS_PER_MONTH:g} h × ${rule.usd_per_kwh:g}/kWh "
        f"= ${usd:,.4g}"
    )
    cost = of_month(
        served,
        usd,
        kind="electricity",
        name="electricity",
        title=f"electricity at ${rule.usd_per_kwh:g}/kWh",
        lines=(line,),
        source=f"{energy.source} power; {own.source}",
        as_of=own.as_of.isoformat(),
        note="gross: what the machine draws at rest is in it",
    )
    yield replace(cost, energy_source=energy.source)


def owned(
    served: Served, energy: Energy | None, asked: Owned | None, own: Platform
) -> Iterator[Cost]:
    """The machine's price over its years, a place for it, and its power."""
    if asked is None:
        return
    watts = None if energy is None else energy.mean_w
    note = "" if watts is not None else "without power, for nobody knows what it draws"
    cost = billed(Rentable(own, _offer(asked, own, watts)), served, "own", note)
    title = f"a machine for ${asked.capital_usd:,.6g} over {asked.years:g} years"
    source = None if energy is None or watts is None else energy.source
    yield replace(cost, title=title, energy_source=source)


def _offer(asked: Owned, own: Platform, watts: float | None) -> Offer:
    """Watts were measured at this very load: there is nothing to reckon between rest and full."""
    return Offer(
        name="own-machine",
        source="as given",
        as_of=own.as_of,
        platform=own.name,
        vcpus=1,
        memory_gib=1,
        cpu="",
        capital_usd=asked.capital_usd,
        years=asked.years,
        load_w=watts,
        idle_w=watts,
    )
