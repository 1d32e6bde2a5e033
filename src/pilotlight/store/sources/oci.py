"""``oci:registry/repository[:tag][@digest]``: models kept as artifacts on container registries.

As pushed with ORAS, ModelPack's tools or Docker's: one layer a file, named by an annotation,
or one GGUF without a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pilotlight.core import ModelRef
from pilotlight.errors import SourceError
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Listing
from pilotlight.store.sources.contents import choose
from pilotlight.store.sources.oci_manifest import Descriptor
from pilotlight.store.sources.oci_name import OciName
from pilotlight.store.sources.oci_registry import OciRegistry


class OciSource:
    def __init__(self, retry: Retry) -> None:
        self._retry = retry

    def local(self, ref: ModelRef) -> Path | None:
        OciName.parse(ref)
        return None

    async def describe(self, ref: ModelRef) -> Listing:
        name = OciName.parse(ref)
        registry = OciRegistry(name, self._retry)
        artifact = await registry.artifact()
        layers = files_of(artifact.layers, str(name))
        choice = choose(layers, str(name), how="push each alone; it holds {files}")
        files = [registry.describe(layers[each], each, artifact.headers) for each in choice.names]
        return Listing(tuple(files), artifact.digest, choice.entry)


def files_of(layers: Sequence[Descriptor], what: str) -> Mapping[str, Descriptor]:
    """Layers that are files, by name.

    Raises:
        SourceError: there are none; says what the layers are instead.
    """
    plain = [layer for layer in layers if not layer.is_archive]
    files = {layer.name: layer for layer in plain if layer.name}
    unnamed = [layer for layer in plain if not layer.name and "gguf" in layer.kind]
    files.update({_part(index, len(unnamed)): layer for index, layer in enumerate(unnamed)})
    if files:
        return files
    kinds = ", ".join(sorted({layer.media_type for layer in layers})) or "none"
    packed = any(layer.is_archive for layer in layers)
    raise SourceError(
        f"{what!r} has no layer that is a model's file; it has {kinds}",
        hint="push the files themselves, not archives of them, such as with oras push"
        if packed
        else "push the model with oras, which names each file",
    )


def _part(index: int, count: int) -> str:
    """Unnamed layers of one model are its parts, in order."""
    return "model.gguf" if count == 1 else f"model-{index + 1:05}-of-{count:05}.gguf"
