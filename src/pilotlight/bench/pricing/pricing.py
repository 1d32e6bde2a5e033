"""Every way to pay for the tokens of a stage, side by side."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.bench.costs import Cost, Costs, Served
from pilotlight.bench.pricing.asked import Asked
from pilotlight.bench.pricing.hosted import hosted
from pilotlight.bench.pricing.own import electricity, own_platform, owned
from pilotlight.bench.pricing.platforms import chosen, is_fixed, on
from pilotlight.bench.pricing.study import study_costs
from pilotlight.bench.pricing.turns import turns
from pilotlight.catalog.catalog import Catalog
from pilotlight.meter.energy import Energy


def costs(served: Served, energy: Energy | None, asked: Asked, catalog: Catalog) -> Costs:
    """Raises ConfigError: an offer or an API that is asked for isn't in the catalog."""
    own = own_platform(catalog, asked.usd_per_kwh)
    rented, refused = chosen(asked, catalog, served)
    machines = [*owned(served, energy, asked.owned, own)]
    platforms = [on(each, served) for each in rented]
    apis = [*hosted(asked, catalog, served)]
    ways = [
        *electricity(served, energy, own),
        *machines,
        *sorted(platforms, key=_usd),
        *sorted(apis, key=_usd),
        *(study_costs(served, asked.study) if asked.study else ()),
    ]
    by_the_hour = {each.offer.name for each in rented if is_fixed(each)}
    machines += [way for way in platforms if way.name in by_the_hour]
    return Costs(
        served=served,
        ways=tuple(ways),
        turns=tuple(turns(machines, apis, served)),
        notes=(*refused, *_unknown(served, energy)),
    )


def _usd(cost: Cost) -> float:
    return cost.usd_per_request or 0.0


def _unknown(served: Served, energy: Energy | None) -> Iterator[str]:
    if energy is None or energy.mean_w is None:
        yield "no electricity is priced: nothing said what the machine draws"
    if served.total_tokens is None:
        yield "nothing is priced by the token: the server counted none"
