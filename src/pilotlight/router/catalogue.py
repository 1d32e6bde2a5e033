"""The served models by name: configured ones at once, more of each once its files are here."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pilotlight.config import ModelSettings
from pilotlight.core import Capabilities, Footprint, ModelFiles, ModelRef
from pilotlight.engines import system_prompts
from pilotlight.engines.base import Engine, Library, ModelJob, Remembers, SystemPrompts
from pilotlight.engines.registry import Engines
from pilotlight.errors import ConfigError, PilotlightError, UnknownModelError
from pilotlight.replica.measured import Measured, Measurements, key_of
from pilotlight.router.adapters import DesiredAdapters
from pilotlight.router.files import Files, as_pinned
from pilotlight.router.foresight import Foresight
from pilotlight.router.overlays import Overlays, heavier
from pilotlight.router.state import Resolved
from pilotlight.store.progress import Report, Watch

ASLEEP_BYTES = 96 * 2**20
"""A process with its libraries and no model, until one was measured (llama.cpp's wheel: 61 MB)."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a client's name for a model means: a served model, perhaps with an adapter."""

    model: str
    adapter: str | None = None

    def __str__(self) -> str:
        return self.model if self.adapter is None else f"{self.model}:{self.adapter}"


@dataclass(frozen=True, slots=True)
class Served:
    """A model whose files are here: the job for its engine and what is known about it."""

    job: ModelJob
    engine: Engine
    capabilities: Capabilities
    context: int | None
    slots: int
    predicted: Footprint
    measured: Measured
    key: str

    @property
    def ram_bytes(self) -> int:
        """What a replica is charged before it runs: measured before predicted."""
        return self.measured.peak_bytes or self.predicted.ram_bytes


def nothing_of(ref: ModelRef) -> ModelFiles:
    """The files of a model that isn't kept here at all."""
    return ModelFiles(ref, Path(os.devnull), 0)


class Catalogue:
    """Every configured model; never answers "unknown" because a model is merely cold."""

    def __init__(
        self,
        models: Mapping[str, ModelSettings],
        engines: Engines,
        store: Files,
        measurements: Measurements,
        adapters: DesiredAdapters,
        machine: str,
        prompts: Path,
    ) -> None:
        """`prompts` is the directory where engines keep what they computed of system prompts."""
        self.settings = dict(models)
        self.adapters = adapters
        self.overlays = Overlays(adapters, store)
        self._names = {alias: name for name, m in models.items() for alias in (name, *m.aliases)}
        self._engines = engines
        self._store = store
        self._measurements = measurements
        self._machine = machine
        self._served: dict[str, Served] = {}
        self._describing = asyncio.Lock()
        """Else who began first could end last, and tell of files or adapters of before."""

        self._options = {
            name: engines.get(m.engine).options(m.options) for name, m in models.items()
        }
        self._prompts = {name: self._read_prompts(name, prompts) for name in models}
        self._refs = {name: ModelRef.parse(m.ref) for name, m in models.items()}
        self._elsewhere = {name for name in models if self.engine(name).owns(self._refs[name])}
        """Models that their engine keeps itself: nothing of them is fetched to here."""

    def __iter__(self) -> Iterator[str]:
        return iter(self.settings)

    def name_of(self, asked: Any) -> str:
        """The served name for a model's name or alias. Raises UnknownModelError."""
        name = self._known(asked)
        if name is None:
            raise self._unknown(asked, list(self._names), ", ".join(self))
        return name

    def find(self, asked: Any) -> Named:
        """The same, and ``model:adapter`` where the model has that adapter."""
        name = self._known(asked)
        if name is not None:
            return Named(name)
        base, colon, adapter = asked.rpartition(":") if isinstance(asked, str) else ("", "", "")
        model = self._known(base) if colon else None
        if model is None:
            raise self._unknown(asked, list(self._names), ", ".join(self))
        adapters = self.adapters.of(model)
        if adapter not in adapters:
            known = [f"{model}:{name}" for name in adapters]
            raise self._unknown(asked, known, ", ".join([model, *known]))
        return Named(model, adapter)

    def _known(self, asked: Any) -> str | None:
        if not isinstance(asked, str):
            return None
        # Ollama's clients add :latest.
        return self._names.get(asked) or self._names.get(asked.removesuffix(":latest"))

    def _unknown(self, asked: Any, names: list[str], served: str) -> UnknownModelError:
        close = difflib.get_close_matches(str(asked), names, n=1)
        return UnknownModelError(
            f"no model {asked!r} is served here",
            param="model",
            hint=f"did you mean {close[0]!r}?" if close else f"served: {served}",
        )

    def _read_prompts(self, name: str, directory: Path) -> SystemPrompts | None:
        settings = self.settings[name]
        prompts = system_prompts.read(settings.system_prompts, directory)
        if prompts is not None and not isinstance(self.engine(name), Remembers):
            raise ConfigError(
                f"models.{name}.system_prompts is set, and the engine {settings.engine!r} can't "
                "keep what it computed of them",
                hint=f"remove models.{name}.system_prompts; requests send theirs as ever",
            )
        return prompts

    def engine(self, name: str) -> Engine:
        return self._engines.get(self.settings[name].engine)

    def engine_named(self, engine: str) -> Engine:
        return self._engines.get(engine)

    def served(self, name: str) -> Served | None:
        """What is known of the model's files; None while they were never here."""
        return self._served.get(name)

    def look(self, name: str) -> Served | None:
        """Use the files if the store has them already; touches no network."""
        files = self._present(name)
        if files is not None and name not in self._served:
            self.overlays.look(name)
            self._served[name] = self._describe(name, files)
        return self._served.get(name)

    def is_whole(self, name: str) -> bool:
        """Whether nothing of the model is left to fetch: neither files nor an adapter."""
        return name in self._served and self.overlays.look(name)

    def _present(self, name: str) -> ModelFiles | None:
        ref = self._refs[name]
        if name not in self._elsewhere:
            return as_pinned(self._store, ref, self.settings[name].digest)
        return None if isinstance(self.engine(name), Library) else nothing_of(ref)

    async def fetch(
        self,
        name: str,
        report: Report | None = None,
        foreseen: Callable[[Served], None] | None = None,
        watch: Watch | None = None,
    ) -> ModelFiles:
        """Have the files here, verified, and what can be had of its adapters.

        `foreseen` is called at most once, with what the model's header told before the rest
        was here. What is loaded from the files named there has to wait for its bytes, of which
        `watch` is told.

        Raises:
            StoreError; EngineError of an engine that keeps its models itself.
        """

        def foresee(files: ModelFiles) -> None:
            try:
                self.overlays.look(name)
                self._served[name] = self._describe(name, files)
            except PilotlightError:
                return  # said when all of it is here
            if foreseen is not None:
                foreseen(self._served[name])

        foresight = Foresight(self._refs[name], foresee)

        def watched(path: Path, verified_bytes: int) -> None:
            if watch is not None:
                watch(path, verified_bytes)
            foresight.watch(path, verified_bytes)

        files = await self._fetch(name, report, watched)
        await self.overlays.fetch(name, report)
        return files

    def hold(self, job: ModelJob) -> ExitStack:
        """Keep the job's files where they are; close it to let them go. Raises StoreError."""
        with ExitStack() as stack:
            for files in (job.files, *(adapter.files for adapter in job.adapters)):
                if not self.engine(job.name).owns(files.ref):
                    stack.callback(self._store.hold(files).release)
            return stack.pop_all()

    def forget(self, name: str) -> None:
        """What was foreseen of it did not come."""
        self._served.pop(name, None)

    async def _fetch(self, name: str, report: Report | None, watch: Watch) -> ModelFiles:
        ref, engine = self._refs[name], self.engine(name)
        if name in self._elsewhere:
            if isinstance(engine, Library):
                return await engine.fetch(ref, self._options[name], report)
            return nothing_of(ref)
        pin = self.settings[name].digest
        return await self._store.resolve(ref, digest=pin, report=report, watch=watch)

    async def describe(self, name: str, files: ModelFiles) -> Served:
        """Read the headers of the files and of the adapters. Raises EngineError, ModelFormatError.

        An adapter that is removed meanwhile is not in what comes of it.
        """
        async with self._describing:
            self._served[name] = await asyncio.to_thread(self._describe, name, files)
            return self._served[name]

    def _describe(self, name: str, files: ModelFiles) -> Served:
        engine, options = self.engine(name), self._options[name]
        capabilities = engine.capabilities(files, options)
        bare = ModelJob(name, files, options, system_prompts=self._prompts[name])
        job = self.overlays.over(bare, engine, capabilities)
        key = key_of(job, engine.build, self._machine)
        return Served(
            job=job,
            engine=engine,
            capabilities=capabilities,
            context=engine.context(files, options),
            slots=engine.slots(options),
            predicted=heavier(engine.predict(files, options), job.adapters),
            measured=self._measurements.get(key),
            key=key,
        )

    async def describe_again(self, name: str) -> Served | None:
        """After a change of its adapters; None of a model that was forgotten meanwhile.

        Raises:
            EngineError, ModelFormatError.
        """
        async with self._describing:
            if name in self._served:
                files = self._served[name].job.files
                served = await asyncio.to_thread(self._describe, name, files)
                if name in self._served:
                    self._served[name] = served
            return self._served.get(name)

    def resolved(self, name: str, capacity_bytes: int) -> Resolved:
        """The router's view of a served model."""
        served = self._served[name]
        too_big = served.predicted.ram_bytes > capacity_bytes
        # What ran here once does fit, even when its measured peak was all there is.
        ram_bytes = served.ram_bytes if too_big else min(served.ram_bytes, capacity_bytes)
        return Resolved(
            ram_bytes=ram_bytes,
            asleep_bytes=served.measured.asleep_bytes or ASLEEP_BYTES,
            slots=served.slots,
            can_sleep=served.capabilities.sleep,
            load_s=served.measured.load_s,
            what_fits=self._what_fits(name, capacity_bytes) if too_big else None,
        )

    def _what_fits(self, name: str, capacity_bytes: int) -> str | None:
        """The largest halving of slots, then context, that fits; in the engine's own options."""
        served, given = self._served[name], dict(self.settings[name].options)
        context, slots = served.context, served.slots
        while context and context > 512:
            slots, context = (slots // 2, context) if slots > 1 else (slots, context // 2)
            options = served.engine.options({**given, "parallel": slots, "context": context})
            smaller = served.engine.predict(served.job.files, options)
            if heavier(smaller, served.job.adapters).ram_bytes <= capacity_bytes:
                return f"it would fit with parallel: {slots} and context: {context}"
        return "not even one slot with a small context fits: choose a smaller quantization or model"

    def measure(self, name: str, **news: Any) -> None:
        """Remember what a load of this model really took."""
        served = self._served[name]
        measured = replace(served.measured, **news)
        self._served[name] = replace(served, measured=measured)
        self._measurements.put(served.key, measured)
