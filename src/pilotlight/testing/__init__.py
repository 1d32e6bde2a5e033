"""A deterministic engine for tests and benchmarks, in memory or as a real process."""

from pilotlight.testing.clock import VirtualClock, settle
from pilotlight.testing.engine import FACTORY, FakeEngine, fake_files
from pilotlight.testing.exchange import FakeExchange
from pilotlight.testing.fleet import FakeFleet
from pilotlight.testing.options import FakeOptions
from pilotlight.testing.process import FakeProcess
from pilotlight.testing.store import FakeStore

__all__ = [
    "FACTORY",
    "FakeEngine",
    "FakeExchange",
    "FakeFleet",
    "FakeOptions",
    "FakeProcess",
    "FakeStore",
    "VirtualClock",
    "fake_files",
    "settle",
]
