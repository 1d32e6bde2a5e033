"""The adapters of each model as they are on this node: fetched and checked, or refused and why."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from pilotlight.config import AdapterSettings
from pilotlight.core import Capabilities, Footprint, ModelFiles, ModelRef
from pilotlight.engines.base import Adapter, Adapts, Engine, ModelJob
from pilotlight.errors import AdapterError, EngineError, PilotlightError, StoreError
from pilotlight.router.adapters import DesiredAdapters
from pilotlight.router.files import Files, as_pinned
from pilotlight.store.progress import Report

log = logging.getLogger(__name__)


class Overlays:
    """A wrong adapter costs its model nothing: the model is served without it."""

    def __init__(self, desired: DesiredAdapters, store: Files) -> None:
        self.desired = desired
        self._store = store
        self._files: dict[str, dict[str, ModelFiles]] = {}
        self._errors: dict[str, dict[str, PilotlightError]] = {}

    def error(self, model: str, name: str) -> PilotlightError | None:
        """Why the adapter isn't served; None while nothing is wrong with it."""
        return self._errors.get(model, {}).get(name)

    def refuse(self, model: str, name: str, error: PilotlightError) -> None:
        """Serve the model without it, from now on."""
        self._files.get(model, {}).pop(name, None)
        self._errors.setdefault(model, {})[name] = error
        log.error("adapter %s of model %s: %s", name, model, error.one_line())

    def forget(self, model: str, name: str) -> None:
        self._files.get(model, {}).pop(name, None)
        self._errors.get(model, {}).pop(name, None)

    def look(self, model: str) -> bool:
        """Take what the store has already; whether that is all there is to have."""
        found = self._files.setdefault(model, {})
        for name, adapter in self._missing(model).items():
            if files := as_pinned(self._store, ModelRef.parse(adapter.ref), adapter.digest):
                found[name] = files
        return not self._missing(model)

    async def fetch(self, model: str, report: Report | None = None) -> None:
        """Have every adapter's files here; what can't be had is refused and remembered."""
        for name, adapter in self._missing(model).items():
            try:
                self.accept(model, name, await self.obtain(adapter, report))
            except StoreError as error:
                self.refuse(model, name, error)

    async def obtain(self, adapter: AdapterSettings, report: Report | None = None) -> ModelFiles:
        """Raises StoreError, ModelRefError."""
        ref = ModelRef.parse(adapter.ref)
        return await self._store.resolve(ref, digest=adapter.digest, report=report)

    def accept(self, model: str, name: str, files: ModelFiles) -> None:
        self.forget(model, name)
        self._files.setdefault(model, {})[name] = files

    def _missing(self, model: str) -> Mapping[str, AdapterSettings]:
        known = self._files.get(model, {}).keys() | self._errors.get(model, {}).keys()
        desired = self.desired.of(model)
        return {name: adapter for name, adapter in desired.items() if name not in known}

    def over(self, job: ModelJob, engine: Engine, can: Capabilities) -> ModelJob:
        """`job` with the adapters that are here and fit. Reads their headers."""
        fitting = []
        for name, files in sorted(self._files.get(job.name, {}).items()):
            adapter = Adapter(name, files, stamp_of(files))
            try:
                check(adapter, job, engine, can)
            except (EngineError, StoreError) as error:
                self.refuse(job.name, name, error)
            else:
                fitting.append(adapter)
        return replace(job, adapters=tuple(fitting))


def check(adapter: Adapter, job: ModelJob, engine: Engine, can: Capabilities) -> None:
    """Raises AdapterError: the engine, the model or the file is not one for this."""
    if isinstance(engine, Adapts):
        engine.check_adapter(job, adapter)
    if not can.lora or not isinstance(engine, Adapts):
        raise AdapterError(
            f"model {job.name!r} on {engine.name} takes no adapters",
            hint="llamacpp and vllm lay adapters over models that generate text",
        )


def stamp_of(files: ModelFiles) -> str:
    """Its digest; of files that nobody hashed, what changes when they are written again."""
    if files.digest is not None:
        return files.digest
    paths = sorted(files.path.iterdir()) if files.path.is_dir() else [files.path]
    found = [(path.name, path.stat()) for path in paths]
    return repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in found])


def heavier(footprint: Footprint, adapters: Iterable[Adapter]) -> Footprint:
    """With the adapters' bytes, which are held beside the model's."""
    extra = sum(adapter.files.size_bytes for adapter in adapters)
    if not extra:
        return footprint
    parts = {**footprint.parts, "adapters": footprint.parts.get("adapters", 0) + extra}
    return replace(footprint, ram_bytes=footprint.ram_bytes + extra, parts=parts)
