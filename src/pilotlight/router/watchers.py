"""Who wants to know what happens to replicas: metrics, the terminal, later the ledger."""

from __future__ import annotations

from typing import Protocol

from pilotlight.core import ColdStart
from pilotlight.replica.replica import Replica
from pilotlight.store.progress import Progress


class Watchers(Protocol):
    def downloading(self, model: str, progress: Progress) -> None: ...

    def loaded(self, model: str, replica: Replica) -> None: ...

    def leaving(self, model: str, reason: str) -> None: ...

    def cold_start(self, start: ColdStart) -> None: ...
