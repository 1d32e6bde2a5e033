"""What Prometheus sees; docs/metrics.md lists every one and a test holds the two together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pilotlight.core import ColdStart, ReplicaState, Usage
from pilotlight.replica.replica import Replica
from pilotlight.store.progress import Progress

if TYPE_CHECKING:
    from pilotlight.meter.ledger.ledger import Ledger
    from pilotlight.router.performer import Performer
    from pilotlight.router.state import State

LATENCIES_S = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 40, 80, 160, 320,
)  # fmt: skip
GAPS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """Counters and histograms filled by requests; gauges read from the router when scraped."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter(
            "requests", "Requests answered, by HTTP status", "model", "operation", "status"
        )
        self.tokens = self._counter(
            "tokens", "Tokens, by kind: prompt, cached (part of prompt) or completion",
            "model", "kind",
        )  # fmt: skip
        self.cancelled = self._counter(
            "cancelled", "Requests whose client left before the end", "model"
        )
        self.broken = self._counter(
            "broken_streams", "Streams that ended in an error event after they had begun", "model"
        )
        self.overflows = self._counter(
            "overflows", "Requests answered by another model, by the one asked", "model", "to"
        )
        self.overflow_usd = self._counter(
            "overflow_usd", "Dollars that overflow cost, by the model asked", "model", "to"
        )
        self.evictions = self._counter(
            "evictions", "Replicas that left memory for another model", "model"
        )
        self.cold_starts = self._counter(
            "cold_starts", "Starts, by what they started from and how they ended",
            "model", "rung", "outcome",
        )  # fmt: skip
        self.queue_s = self._histogram(
            "queue_seconds", "From arrival to a slot on a ready replica", LATENCIES_S
        )
        self.ttft_s = self._histogram(
            "ttft_seconds", "From arrival to the first byte of the answer", LATENCIES_S
        )
        self.itl_s = self._histogram(
            "itl_seconds", "Between streamed events, each read's gap shared by its events", GAPS_S
        )
        self.request_s = self._histogram(
            "request_seconds", "From arrival to the end of the answer", LATENCIES_S
        )
        self.phase_s = Histogram(
            "pilotlight_cold_start_phase_seconds",
            "Phases of cold starts",
            ("model", "phase"),
            buckets=LATENCIES_S,
            registry=self.registry,
        )

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"pilotlight_{name}", help, labels, registry=self.registry)

    def _histogram(self, name: str, help: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(
            f"pilotlight_{name}", help, ("model",), buckets=buckets, registry=self.registry
        )

    def watch(self, state: State, performer: Performer) -> None:
        """Read the gauges from the router from now on."""
        self.registry.register(_Gauges(state, performer))

    def watch_ledger(self, ledger: Ledger) -> None:
        """Read what requests cost from the ledger from now on."""
        from pilotlight.gateway.spent import Spent

        self.registry.register(Spent(ledger))

    def render(self) -> bytes:
        return generate_latest(self.registry)

    def count_tokens(self, model: str, usage: Usage) -> None:
        self.tokens.labels(model, "prompt").inc(usage.prompt_tokens)
        self.tokens.labels(model, "completion").inc(usage.completion_tokens)
        if usage.cached_tokens is not None:
            self.tokens.labels(model, "cached").inc(usage.cached_tokens)

    # router.watchers.Watchers

    def downloading(self, model: str, progress: Progress) -> None:
        """Progress is for people; the finished phase is in the cold start's trace."""

    def loaded(self, model: str, replica: Replica) -> None:
        """Counted when its first token is out, as a cold start."""

    def leaving(self, model: str, reason: str) -> None:
        if reason.startswith("evicted"):
            self.evictions.labels(model).inc()

    def cold_start(self, start: ColdStart) -> None:
        self.cold_starts.labels(start.model, start.rung, start.outcome).inc()
        for phase in start.phases:
            self.phase_s.labels(start.model, phase.name).observe(phase.duration_ms / 1000)


class _Gauges(Collector):
    """Read at scrape time, so a scrape costs a look and wakes nothing."""

    def __init__(self, state: State, performer: Performer) -> None:
        self._state = state
        self._performer = performer

    def collect(self) -> Iterable[Metric]:
        yield self._by_model("queued", "Requests waiting for a slot", lambda m: len(m.queue))
        yield self._in_flight()
        yield self._replicas()
        yield from self._memory()
        standby = GaugeMetricFamily("pilotlight_standbys", "Parked engine processes")
        standby.add_metric((), self._performer.standby_count)
        yield standby

    def _by_model(self, name: str, help: str, value) -> Metric:  # type: ignore[no-untyped-def]
        gauge = GaugeMetricFamily(f"pilotlight_{name}", help, labels=("model",))
        for model in self._state.models.values():
            gauge.add_metric((model.name,), value(model))
        return gauge

    def _in_flight(self) -> Metric:
        gauge = GaugeMetricFamily(
            "pilotlight_in_flight", "Requests on an engine", labels=("model", "replica")
        )
        for replica in self._state.replicas.values():
            gauge.add_metric((replica.model, replica.id), len(replica.in_flight))
        return gauge

    def _replicas(self) -> Metric:
        gauge = GaugeMetricFamily(
            "pilotlight_replicas", "Replicas, by state", labels=("model", "state")
        )
        for model in self._state.models:
            states = [replica.state for replica in self._state.of(model)]
            for state in ReplicaState:
                gauge.add_metric((model, state.value), states.count(state))
        return gauge

    def _memory(self) -> Iterable[Metric]:
        total = GaugeMetricFamily(
            "pilotlight_memory_bytes",
            "Memory for models: capacity, and what replicas are charged",
            labels=("kind",),
        )
        total.add_metric(("capacity",), self._state.capacity_bytes)
        total.add_metric(("charged",), self._state.charged_bytes)
        yield total
        each = GaugeMetricFamily(
            "pilotlight_replica_memory_bytes",
            "Memory of one replica: charged by the ledger, and resident now",
            labels=("model", "replica", "kind"),
        )
        for record in self._state.replicas.values():
            each.add_metric((record.model, record.id, "charged"), record.charged_bytes)
            replica = self._performer.replicas.get(record.id)
            resident = replica.process.memory_bytes() if replica and replica.process else None
            if resident is not None:
                each.add_metric((record.model, record.id, "resident"), resident)
        yield each
