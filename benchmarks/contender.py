"""The engines that are compared side by side: how each is found here and set up like the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pilotlight.config import EngineSettings
from pilotlight.core import ModelFiles
from pilotlight.engines import environments
from pilotlight.engines.base import Engine
from pilotlight.engines.registry import Engines
from pilotlight.engines.vllm.sizing import token_bytes
from pilotlight.machine import survey
from pilotlight.store.checkpoint import read_checkpoint


@dataclass(frozen=True, slots=True)
class Contender:
    """One program that an engine's name may stand for."""

    name: str
    title: str
    kind: str
    """The engine's name in a configuration."""

    prefer: str = "auto"
    """Which of llama.cpp's two programs."""

    apart: bool = False
    """Whether it lives in an environment of its own, named as the kind is."""

    def settings(self, base: EngineSettings) -> EngineSettings:
        return replace(base, llamacpp=replace(base.llamacpp, prefer=self.prefer))

    def engine(self, base: EngineSettings) -> Engine:
        """Raises EngineMissingError with the command that installs it."""
        if self.apart:
            assert base.directory is not None, "config.load gives it its default"
            environments.require(base.directory, self.kind)
        return Engines(self.settings(base), survey()).get(self.kind)


CONTENDERS: Mapping[str, Contender] = {
    each.name: each
    for each in (
        Contender("llamacpp-wheel", "llama.cpp, xllamacpp wheel", "llamacpp", prefer="wheel"),
        Contender("llama-server", "llama.cpp, llama-server", "llamacpp", prefer="server"),
        Contender("vllm", "vLLM", "vllm", apart=True),
        Contender("transformers", "transformers", "transformers", apart=True),
    )
}


def options(engine: Engine, files: ModelFiles, slots: int, context: int) -> dict[str, Any]:
    """Every engine works on `slots` requests of `context` tokens at once, so none ever queues."""
    same: dict[str, Any] = {"parallel": slots, "context": context}
    if engine.name != "vllm":
        return same
    # On a CPU vLLM's cache would by default hold four such requests and preempt the others.
    each = token_bytes(engine.options(same), read_checkpoint(files.path))
    return {**same, "kv_cache_memory_bytes": round(each * context * (slots + 1))}
