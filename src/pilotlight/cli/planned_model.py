"""From a model ref to what a plan needs to know: the headers of its files, here or far away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from pilotlight.config import Settings
from pilotlight.core import ModelRef
from pilotlight.store.address import shown

if TYPE_CHECKING:
    from pilotlight.planner.model import PlannedModel
    from pilotlight.store.store import Store


def planned_model(settings: Settings, ref: ModelRef, name: str | None = None) -> PlannedModel:
    """Reads the model's headers on this node, else its first bytes over the network. Blocks.

    Raises:
        SourceError, ModelRefError, ModelFormatError, StoreError: they can't be read.
        PlanError: they don't say what a plan needs.
    """
    from pilotlight.store.store import Store

    store = Store(settings.data_dir / "store", settings.store)
    called = name or shown(ref)
    files = store.present(ref)
    if files is not None:
        return _on_node(files.path, called, ref)
    return asyncio.run(_far_away(store, ref, called))


def _on_node(path: Path, name: str, ref: ModelRef) -> PlannedModel:
    from pilotlight.engines.vllm.weights import tensors_of
    from pilotlight.planner.configs import from_checkpoint
    from pilotlight.planner.headers import from_gguf
    from pilotlight.store.checkpoint import read_checkpoint
    from pilotlight.store.gguf import join_parts, read_header
    from pilotlight.store.parts import parts_of

    if path.suffix.lower() == ".gguf":
        return from_gguf(name, join_parts([*map(read_header, parts_of(path))]), str(ref))
    checkpoint = read_checkpoint(path)
    return from_checkpoint(name, checkpoint.config, tensors_of(checkpoint), str(ref))


async def _far_away(store: Store, ref: ModelRef, name: str) -> PlannedModel:
    from pilotlight.planner.configs import from_checkpoint
    from pilotlight.planner.headers import from_gguf

    found = await store.peek(ref)
    if found.header is not None:
        return from_gguf(name, found.header, str(ref))
    return from_checkpoint(name, found.config or {}, found.tensors, str(ref))
