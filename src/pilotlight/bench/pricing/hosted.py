"""At a hosted API: the same tokens at its list price."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.bench.costs import Cost, Served
from pilotlight.bench.pricing.asked import Asked
from pilotlight.bench.pricing.billing import per_mtok
from pilotlight.catalog.api import ApiPrice
from pilotlight.catalog.catalog import Catalog
from pilotlight.planner.cost.rivals import rivals
from pilotlight.planner.traffic import MONTH_S


def hosted(asked: Asked, catalog: Catalog, served: Served) -> Iterator[Cost]:
    """None where tokens weren't counted."""
    rows = [catalog.apis.find(name) for name in asked.apis or rivals(catalog.apis, asked.model)]
    if served.input_tokens is None or served.output_tokens is None:
        return
    for row in rows:
        yield _at(row, served.input_tokens, served.output_tokens, served.requests_per_s, asked)


def _at(row: ApiPrice, prompt: float, answer: float, requests_per_s: float, asked: Asked) -> Cost:
    each = row.usd(prompt, answer)
    line = (
        f"{prompt:,.5g} tokens in × ${row.input_usd_per_mtok:g}/M + {answer:,.5g} out × "
        f"${row.output_usd_per_mtok:g}/M = ${each:.4g} a request"
    )
    same = asked.model is not None and row.model == asked.model
    return Cost(
        kind="api",
        name=row.name,
        title=row.name,
        usd_per_request=each,
        usd_per_output_mtok=per_mtok(each, answer),
        usd_per_total_mtok=per_mtok(each, prompt + answer),
        usd_per_month=each * requests_per_s * MONTH_S,
        arithmetic=(line,),
        source=row.source,
        as_of=row.as_of.isoformat(),
        note=f"{'the same' if same else 'another'} model; list price, no cached prompt; its own "
        "tokenizer may count otherwise",
    )
