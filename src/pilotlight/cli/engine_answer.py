"""What an installed engine itself says of a model's memory on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pilotlight.config import Settings
from pilotlight.core import Footprint, ModelRef
from pilotlight.machine import Machine


def llamacpp_answer(
    settings: Settings, ref: ModelRef, given: Mapping[str, Any], machine: Machine
) -> Footprint | None:
    """llama.cpp's, for the model's file and the options `given`. Blocks for a fraction of a second.

    None where the model isn't on this node, or no llama-fit-params is, or it has no answer: then
    the formula stands.
    """
    from pilotlight.engines.llamacpp import fit_tool, memory
    from pilotlight.engines.llamacpp.options import complete
    from pilotlight.errors import EngineCrashedError
    from pilotlight.planner.memory.llamacpp import PROCESS_BYTES
    from pilotlight.store.store import Store

    tool = fit_tool.find(_server(settings))
    files = Store(settings.data_dir / "store", settings.store).present(ref)
    if tool is None or files is None or files.path.suffix.lower() != ".gguf":
        return None
    host = memory.Host(PROCESS_BYTES, machine.instruction_sets, machine.gpus)
    try:
        return fit_tool.footprint(tool, files.path, complete(given, machine), host)
    except EngineCrashedError:
        return None


def _server(settings: Settings) -> Path | None:
    from pilotlight.engines.llamacpp.choice import unconfigured_servers

    configured = settings.engines.llamacpp.server
    if configured is not None:
        return configured.expanduser().absolute()
    return next(unconfigured_servers(settings.engines.directory), None)
