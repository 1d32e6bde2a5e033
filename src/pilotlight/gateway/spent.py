"""What requests cost, as Prometheus sees it: sums of the ledger's thread, read at a scrape."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pilotlight.meter.ledger.entry import MICRO, PICO
from pilotlight.meter.ledger.ledger import Ledger
from pilotlight.meter.ledger.sums import Books, Group, IdleSums, Sums

_WHO = ("key", "model", "adapter")


class Spent(Collector):
    """Counts from the server's start, a moment behind."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterable[Metric]:
        totals = self._ledger.totals()
        yield _tokens(totals)
        yield _engine_s(totals)
        yield _joules(totals)
        yield _usd(totals)
        yield from _idle(totals)
        yield GaugeMetricFamily(
            "pilotlight_ledger_refused",
            "Requests that the disk doesn't take into the ledger",
            value=self._ledger.refused,
        )


def _counter(name: str, help: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"pilotlight_{name}", help, labels=labels)


def _who(group: Group) -> tuple[str, str, str]:
    return group.key, group.model, group.adapter


def _by_who(totals: Books) -> dict[tuple[str, str, str], Sums]:
    found: dict[tuple[str, str, str], Sums] = {}
    for group, sums in totals.groups.items():
        who = _who(group)
        found[who] = found[who].plus(sums) if who in found else sums
    return found


def _tokens(totals: Books) -> Metric:
    metric = _counter("spent_tokens", "Tokens by who asked", *_WHO, "kind")
    for who, sums in _by_who(totals).items():
        metric.add_metric((*who, "prompt"), sums.prompt_tokens)
        metric.add_metric((*who, "cached"), sums.cached_tokens)
        metric.add_metric((*who, "completion"), sums.completion_tokens)
        metric.add_metric((*who, "broken_off"), sums.event_tokens)
    return metric


def _engine_s(totals: Books) -> Metric:
    metric = _counter("spent_engine_seconds", "Seconds on an engine by who asked", *_WHO)
    for who, sums in _by_who(totals).items():
        metric.add_metric(who, sums.engine_ms / 1000)
    return metric


def _joules(totals: Books) -> Metric:
    metric = _counter("spent_joules", "Joules by who asked", *_WHO, "source")
    found: dict[tuple[str, ...], int] = {}
    for group, sums in totals.groups.items():
        if group.source:
            labels: tuple[str, ...] = (*_who(group), group.source)
            found[labels] = found.get(labels, 0) + sums.energy_uj + sums.load_uj
    for labels, amount in found.items():
        metric.add_metric(labels, amount / MICRO)
    return metric


def _usd(totals: Books) -> Metric:
    metric = _counter("spent_usd", "Dollars by who asked", *_WHO, "basis")
    found: dict[tuple[str, ...], int] = {}
    for group, sums in totals.groups.items():
        if group.basis:
            labels: tuple[str, ...] = (*_who(group), group.basis)
            found[labels] = found.get(labels, 0) + sums.cost_picousd + sums.load_picousd
    for labels, amount in found.items():
        metric.add_metric(labels, amount / PICO)
    return metric


def _idle(totals: Books) -> Iterable[Metric]:
    joules = _counter("idle_joules", "Joules of times that nobody used", "source")
    for group, sums in totals.idle.items():
        if group.source:
            joules.add_metric((group.source,), sums.energy_uj / MICRO)
    yield joules
    whole = IdleSums()
    for sums in totals.idle.values():
        whole = whole.plus(sums)
    usd = _counter("idle_usd", "Dollars of times that nobody used")
    if whole.cost_picousd:
        usd.add_metric((), whole.cost_picousd / PICO)
    yield usd
    seconds = _counter("idle_seconds", "Seconds that nobody used")
    seconds.add_metric((), whole.seconds_ms / 1000)
    yield seconds
