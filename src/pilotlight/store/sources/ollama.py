"""``ollama:name[:tag]``: models of Ollama's library, or of another registry that speaks as it does.

Only for other engines: Ollama itself has its models in its own store; see `Engine.owns`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pilotlight.core import ModelRef
from pilotlight.errors import SourceError
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Listing
from pilotlight.store.sources.oci_manifest import Descriptor
from pilotlight.store.sources.oci_name import OciName
from pilotlight.store.sources.oci_registry import OciRegistry

_MODEL = "model.gguf"
_PREFIX = "application/vnd.ollama.image."
# Licenses and example messages stay behind: no engine reads them.
_FILES: Mapping[str, str] = {
    "model": _MODEL,
    "projector": "mmproj.gguf",
    "adapter": "adapter.gguf",
    "template": "template.txt",
    "system": "system.txt",
    "params": "params.json",
}


class OllamaSource:
    def __init__(self, retry: Retry) -> None:
        self._retry = retry

    def local(self, ref: ModelRef) -> Path | None:
        OciName.parse_ollama(ref)
        return None

    async def describe(self, ref: ModelRef) -> Listing:
        name = OciName.parse_ollama(ref)
        registry = OciRegistry(name, self._retry)
        artifact = await registry.artifact()
        layers = files_of(artifact.layers, str(name))
        files = [registry.describe(layers[each], each, artifact.headers) for each in layers]
        return Listing(tuple(files), artifact.digest, _MODEL)


def files_of(layers: Sequence[Descriptor], what: str) -> Mapping[str, Descriptor]:
    """Layers by the name that their kind has here.

    Raises:
        SourceError: none of them is a model in GGUF, or two are of one kind.
    """
    kinds = [(layer.kind.removeprefix(_PREFIX), layer) for layer in layers]
    files = {_FILES[kind]: layer for kind, layer in kinds if kind in _FILES}
    counts = Counter(kind for kind, _ in kinds if kind in _FILES)
    twice = [kind for kind, count in counts.items() if count > 1]
    if _MODEL not in files or twice:
        there = ", ".join(sorted({kind for kind, _ in kinds})) or "none"
        raise SourceError(
            f"{what!r} isn't one model in one GGUF file; its layers are {there}",
            hint="serve it with engine: ollama",
        )
    return files
