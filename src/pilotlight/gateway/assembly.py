"""Puts the house together: the one place that knows every part by its class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pilotlight.config import Settings
from pilotlight.engines.base import Engine, Parks
from pilotlight.engines.registry import FACTORIES, Engines, Factory
from pilotlight.fleet.base import Fleet
from pilotlight.gateway.access import Access
from pilotlight.gateway.adapters import AdapterEndpoints
from pilotlight.gateway.admin import AdminEndpoints
from pilotlight.gateway.admission import Admission
from pilotlight.gateway.app import Gateway
from pilotlight.gateway.books import Books, NoBooks
from pilotlight.gateway.inference import Inference
from pilotlight.gateway.keys import KeyStore
from pilotlight.gateway.listing import ListingEndpoints
from pilotlight.gateway.metrics import Metrics
from pilotlight.gateway.overflow import Overflow
from pilotlight.gateway.peers import PeerEndpoints
from pilotlight.gateway.prices import bills
from pilotlight.gateway.routes import InferenceEndpoints, build_routes
from pilotlight.gateway.spending import Spending
from pilotlight.gateway.status import StatusEndpoints, is_loaded
from pilotlight.machine import Machine
from pilotlight.meter.ledger.ledger import open_ledger
from pilotlight.meter.ledger.power import Total
from pilotlight.replica.measured import Measurements
from pilotlight.router.adapters import DesiredAdapters
from pilotlight.router.adapting import Adapting
from pilotlight.router.capacity import capacity_bytes
from pilotlight.router.catalogue import ASLEEP_BYTES, Catalogue
from pilotlight.router.clock import Clock, LoopClock
from pilotlight.router.core import RouterCore
from pilotlight.router.files import Files
from pilotlight.router.performer import Performer
from pilotlight.router.router import Router
from pilotlight.router.warmth import Warmth
from pilotlight.router.watchers import Watchers
from pilotlight.store.page_cache import PageCache
from pilotlight.store.peers.company import Peers, peers_of
from pilotlight.store.peers.holdings import Holdings
from pilotlight.store.peers.wire import Address
from pilotlight.store.store import Store, places


@dataclass(frozen=True, slots=True)
class House:
    """Everything that `serve` runs, wired. `app` is the ASGI application."""

    settings: Settings
    app: Gateway
    router: Router
    performer: Performer
    catalogue: Catalogue
    metrics: Metrics
    keys: KeyStore
    adapting: Adapting
    warmth: Warmth | None
    peers: Peers | None = None
    """This node among others; None where it is alone."""

    books: Books | NoBooks = field(default_factory=NoBooks)

    @property
    def keyed(self) -> bool:
        """Whether callers need a key."""
        return self.keys.any()

    def listens(self, port: int) -> None:
        """From now on other nodes reach this one."""
        if self.peers is not None:
            scheme = "https" if self.settings.tls_certificate else "http"
            self.peers.listens(Address(self.settings.store.peer_url, port, scheme))

    def begin(self) -> None:
        """Bring up what `min` and `standby` promise. Call it on the running event loop."""
        for name in self.catalogue:
            self.performer.look(name)
        self.router.tick()
        self.performer.fill_standbys()
        if self.warmth is not None:
            self.warmth.begin()

    async def close(self) -> None:
        """Stop every process, and write down all that was; nothing is left behind."""
        await self.adapting.close()
        if self.peers is not None:
            await self.peers.close()
        if self.warmth is not None:
            await self.warmth.close()
        await self.performer.close()
        await self.books.close()


def build(
    settings: Settings,
    machine: Machine,
    fleet: Fleet,
    *,
    factories: Mapping[str, Factory] = FACTORIES,
    store: Files | None = None,
    clock: Clock | None = None,
    watchers: Callable[[Metrics], Watchers] = lambda metrics: metrics,
    power: Callable[[], Total] | None = None,
) -> House:
    """Wire the house for `settings`. Raises ConfigError and EngineOptionError; starts nothing.

    `power` is what this machine's meter says, on the clock's time.
    """
    clock = clock or LoopClock()
    keys = KeyStore(settings.data_dir / "keys.json")
    engines = Engines(settings.engines, machine, factories)
    peers = peers_of(settings.store)
    files = store or Store(settings.data_dir / "store", settings.store, peers=peers)
    catalogue = _catalogue(settings, engines, files, machine)
    metrics = Metrics()
    capacity = _capacity_bytes(settings, engines, machine)
    performer = Performer(
        catalogue, fleet, capacity_bytes=capacity, clock=clock, watchers=watchers(metrics)
    )
    router = _router(settings, performer, clock)
    metrics.watch(router.state, performer)
    books = _books(settings, router, catalogue, metrics, clock, power)
    adapting = Adapting(catalogue, router, performer)
    admin = AdminEndpoints(router, performer, catalogue, adapting, clock.now)
    routes = build_routes(
        _inference(settings, router, performer, adapting, metrics, engines, books, clock),
        ListingEndpoints(catalogue, router, admin, adapting, clock.now),
        StatusEndpoints(router.state, metrics),
        admin,
        AdapterEndpoints(catalogue, adapting),
        _peers(settings, clock),
    )
    access = Access(keys, settings.host, settings.allowed_hosts, settings.cors_origins)
    app = Gateway(routes, access, metrics)
    warmth = _warmth(settings, performer, router, clock)
    return House(
        settings, app, router, performer, catalogue, metrics, keys, adapting, warmth, peers, books
    )


def _catalogue(settings: Settings, engines: Engines, files: Files, machine: Machine) -> Catalogue:
    return Catalogue(
        settings.models,
        engines,
        files,
        Measurements(settings.data_dir / "measurements.json"),
        DesiredAdapters(settings.models, settings.data_dir / "adapters.json"),
        machine.fingerprint,
        settings.data_dir / "prompts",
    )


def _peers(settings: Settings, clock: Clock) -> PeerEndpoints | None:
    """For other nodes, if there are any: without a secret nobody gets a byte."""
    if settings.store.peer_secret is None:
        return None
    return PeerEndpoints(
        settings.store.peer_secret,
        Holdings(places(settings.data_dir / "store", settings.store)),
        clock.now,
        send_timeout_s=settings.send_timeout,
    )


def _warmth(
    settings: Settings, performer: Performer, router: Router, clock: Clock
) -> Warmth | None:
    if not settings.store.warm:
        return None
    is_coming = performer.arrivals.is_coming
    cache = PageCache(settings.store.warm)
    return Warmth(performer.catalogue, router.state, is_coming, cache, clock)


def _capacity_bytes(settings: Settings, engines: Engines, machine: Machine) -> int:
    standbys_bytes = sum(
        model.standby * _parked_bytes(engines.get(model.engine))
        for model in settings.models.values()
        if model.standby
    )
    return capacity_bytes(settings.memory, settings.memory_reserve, standbys_bytes, machine)


def _parked_bytes(engine: Engine) -> int:
    return engine.parked_bytes if isinstance(engine, Parks) else ASLEEP_BYTES


def _router(settings: Settings, performer: Performer, clock: Clock) -> Router:
    core = RouterCore(
        settings.models,
        capacity_bytes=performer.capacity_bytes,
        swap_patience_s=settings.swap_patience,
        drain_s=settings.drain,
    )
    router = Router(core, performer, clock)
    performer.connect(router.post, router.is_busy)
    return router


def _inference(
    settings: Settings,
    router: Router,
    performer: Performer,
    adapting: Adapting,
    metrics: Metrics,
    engines: Engines,
    books: Books | NoBooks,
    clock: Clock,
) -> InferenceEndpoints:
    catalogue = performer.catalogue
    admission = Admission(catalogue, lambda model: is_loaded(router.state, model), adapting.require)
    overflow = Overflow(
        settings.models,
        catalogue,
        admission,
        router.state,
        Spending(settings.data_dir / "overflow.json"),
        metrics,
        bills(settings.models, engines),
    )
    inference = Inference(
        router,
        performer,
        admission,
        metrics,
        books,
        comment_interval_s=settings.keepalive_comment,
        send_timeout_s=settings.send_timeout,
        timing_headers=settings.timing_headers,
        clock=clock,
    )
    return InferenceEndpoints(admission, overflow, inference, metrics, settings.max_body)


def _books(
    settings: Settings,
    router: Router,
    catalogue: Catalogue,
    metrics: Metrics,
    clock: Clock,
    power: Callable[[], Total] | None,
) -> Books | NoBooks:
    ledger = open_ledger(settings.data_dir, settings.ledger, now=clock.now, total=power)
    if ledger is None:
        return NoBooks()
    metrics.watch_ledger(ledger)
    with_headers = settings.ledger.headers
    return Books(ledger, router.state, catalogue.served, clock, with_headers=with_headers)
