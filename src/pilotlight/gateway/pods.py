"""Whether any model runs in pods, and if so, the fleet that looks after them.

What talks to a cluster is imported where there is one: nobody else's start has to wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from pilotlight.config import Settings
from pilotlight.errors import EngineMissingError
from pilotlight.fleet.base import Fleet
from pilotlight.router.catalogue import Catalogue
from pilotlight.router.clock import LoopClock

log = logging.getLogger(__name__)

IN_PODS = "kubernetes"
"""The engine whose processes are pods."""


def fleet_of(settings: Settings, local: Fleet, is_shutting_down: Callable[[], bool]) -> Fleet:
    """`local`, with a cluster's pods beside it where a model runs in some.

    Raises:
        ConfigError: one does, and there is no cluster to be found.
    """
    if not any(model.engine == IN_PODS for model in settings.models.values()):
        return local
    from pilotlight.fleet.kubernetes import PodFleet, find

    return PodFleet(local, find(), LoopClock(), is_shutting_down)


def look_after_pods(fleet: Fleet, catalogue: Catalogue) -> None:
    """Those that an earlier gateway left, too. On the running event loop."""
    models = {name: model for name, model in catalogue.settings.items() if model.engine == IN_PODS}
    if not models:
        return
    from pilotlight.engines.kubernetes import KubernetesEngine
    from pilotlight.fleet.kubernetes import PodFleet

    engine = catalogue.engine_named(IN_PODS)
    if not (isinstance(fleet, PodFleet) and isinstance(engine, KubernetesEngine)):
        return  # a test's own
    for name, model in models.items():
        try:
            fleet.look_after(engine.pods(engine.options(model.options)))
        except EngineMissingError as error:  # said again, to whoever asks for it
            log.warning("model %s: %s", name, error.one_line())
