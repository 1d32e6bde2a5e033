"""vLLM's ways of reading weights that need more than vLLM itself, by its model_loader package.

vLLM would find out in the middle of a load, and say so in a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pilotlight.errors import EngineOptionError


@dataclass(frozen=True, slots=True)
class Loader:
    """What a load format asks for."""

    package: str
    """Its distribution; as a module it has underscores."""

    to_gpu: bool = False
    """Whether it reads into a GPU's memory and nowhere else."""

    locked: bool = True
    """Whether an install for GPUs brings it along."""


_STREAMER = Loader("runai-model-streamer")
LOADERS: Mapping[str, Loader] = {
    "runai_streamer": _STREAMER,
    "runai_streamer_sharded": _STREAMER,
    "fastsafetensors": Loader("fastsafetensors", to_gpu=True),
    "instanttensor": Loader("instanttensor", to_gpu=True),
    "tensorizer": Loader("tensorizer", locked=False),
    "modelexpress": Loader("modelexpress", locked=False),
}


def check_loader(load_format: str | None, root: Path, *, gpu: bool) -> None:
    """Raises EngineOptionError where the environment at `root` can't read weights so."""
    loader = LOADERS.get(load_format or "")
    if loader is None:
        return
    if loader.to_gpu and not gpu:
        raise EngineOptionError(
            f"the vllm option 'load_format' is {load_format!r}, which reads into a GPU's memory, "
            "and this vLLM computes on the processor",
            hint="leave it out: files that the store just fetched are in memory still",
        )
    if not _has(root, loader.package):
        raise EngineOptionError(
            f"the vllm option 'load_format' is {load_format!r}, and its package "
            f"{loader.package!r} isn't in the engine's environment",
            hint="install the engine again: pilotlight engines install vllm --force"
            if gpu and loader.locked
            else f"run: python -m pip --python {root}/bin/python install {loader.package}",
        )


def _has(root: Path, package: str) -> bool:
    module = package.replace("-", "_")
    return any(root.glob(f"lib/python*/site-packages/{module}/__init__.py"))
