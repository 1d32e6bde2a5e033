"""How much memory a setting would take, as its engine predicts it without starting."""

from __future__ import annotations

from pilotlight.core import ModelRef
from pilotlight.engines.registry import Engines
from pilotlight.store.store import Store
from pilotlight.tune.setting import Setting


def predicted_bytes(setting: Setting, engines: Engines, store: Store) -> int | None:
    """RAM; None of a model that isn't in the store, or that its engine keeps itself.

    Raises:
        EngineError: an option it doesn't have, or it isn't installed.
        ConfigError: no such engine.
    """
    engine = engines.get(setting.engine)
    options = engine.options(setting.options)
    ref = ModelRef.parse(setting.ref)
    if engine.owns(ref):
        return None
    files = store.present(ref)
    return None if files is None else engine.predict(files, options).ram_bytes
