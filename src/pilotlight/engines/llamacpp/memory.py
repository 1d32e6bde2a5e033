"""Memory one replica will take: from the files' headers, the options and the machine.

llama.cpp can answer this itself (llama-fit-params), but neither llama-server nor
the wheel has that on board, so it is a formula, held against measured peaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pilotlight.core import Footprint
from pilotlight.engines.llamacpp import offload, weights
from pilotlight.engines.llamacpp.cache import LayerCache, layers
from pilotlight.engines.llamacpp.compute import compute_bytes
from pilotlight.engines.llamacpp.options import Options
from pilotlight.engines.llamacpp.sizing import Sizing, header_of, size
from pilotlight.machine import Gpu
from pilotlight.store.gguf import GgufHeader

TOKEN_BYTES, MERGE_BYTES = 213, 190
"""What one entry of the vocabulary and one merge take as the tokenizer's maps; measured."""


@dataclass(frozen=True, slots=True)
class Host:
    """What the prediction needs of the machine and the program: `gpus` only where it uses them."""

    process_bytes: int
    instruction_sets: frozenset[str]
    gpus: tuple[Gpu, ...]


@dataclass(frozen=True, slots=True)
class Demand:
    """One model's bytes before anybody asks where they lie."""

    layers: tuple[int, ...]
    """Weights and cache of each layer."""

    cache_bytes: int
    snapshots_bytes: int
    weights_bytes: int
    compute_bytes: int
    tokenizer_bytes: int


def predict(header: GgufHeader, options: Options, host: Host) -> Footprint:
    """Bytes at the peak: every slot full, the working memory touched."""
    return footprint(_demand(header, options, size(options, header), host), options, host)


def footprint(demand: Demand, options: Options, host: Host) -> Footprint:
    """`demand` laid out over the host and its GPUs."""
    split = offload.split(demand.layers, options, host.gpus)
    parts = {
        "weights": demand.weights_bytes,
        "kv": demand.cache_bytes,
        "snapshots": demand.snapshots_bytes,
        "compute": demand.compute_bytes,
        "tokenizer": demand.tokenizer_bytes,
        "process": host.process_bytes + offload.process_bytes(split),
        "prompt_cache": options.cache_ram,
        **_companions(options, host),
    }
    parts = {name: count for name, count in parts.items() if count}
    moved = offload.moved_bytes(split)
    return Footprint(
        ram_bytes=max(sum(parts.values()) - moved, 0),
        gpu_bytes=offload.device_bytes(split, demand.compute_bytes),
        source="formula",
        parts={**parts, **({"offloaded": -moved} if moved else {})},
    )


def _demand(header: GgufHeader, options: Options, sizing: Sizing, host: Host) -> Demand:
    caches = layers(header, options, sizing)
    by_layer = weights_by_layer(header)
    own = [by_layer.get(index, 0) + cache.bytes for index, cache in enumerate(caches)]
    return Demand(
        layers=(*own, by_layer.get(len(caches), 0)),
        cache_bytes=sum(cache.bytes for cache in caches),
        snapshots_bytes=options.context_checkpoints * sum(_snapshots(caches)),
        weights_bytes=resident_weights(header, options, host),
        compute_bytes=compute_bytes(header, options, sizing),
        tokenizer_bytes=tokenizer_bytes(header),
    )


def _snapshots(caches: tuple[LayerCache, ...]) -> list[int]:
    return [cache.snapshot_bytes for cache in caches]


def resident_weights(header: GgufHeader, options: Options, host: Host) -> int:
    """On a GPU machine nothing is copied: llama.cpp uses the GPU's host buffers instead."""
    wanted = options.repack is not False and not host.gpus
    types = weights.repacked_types(host.instruction_sets) if wanted else frozenset()
    tied, mapped = weights.is_tied(header), options.mmap is not False
    return sum(weights.tensor_bytes(tensor, types, tied, mapped) for tensor in header.tensors)


def weights_by_layer(header: GgufHeader) -> Mapping[int, int]:
    """Bytes by layer; the output counts as one more, as llama.cpp counts it."""
    count = header.block_count or 0
    found: dict[int, int] = {}
    for tensor in header.tensors:
        prefix, _, rest = tensor.name.partition(".")
        if prefix == "blk":
            index = int(rest.partition(".")[0])
        elif prefix == "token_embd" and not weights.is_tied(header):
            continue  # looked up on the CPU, always
        else:
            index = count
        found[index] = found.get(index, 0) + tensor.size_bytes
    return found


def tokenizer_bytes(header: GgufHeader) -> int:
    merges = header.arrays.get("tokenizer.ggml.merges")
    tokens = header.vocabulary_size or 0
    return tokens * TOKEN_BYTES + (merges.length if merges else 0) * MERGE_BYTES


def _companions(options: Options, host: Host) -> dict[str, int]:
    """Files that are loaded beside the model."""
    parts = {"adapters": sum(_file_weights(adapter.path) for adapter in options.lora)}
    if options.mmproj:
        parts["vision"] = _file_weights(options.mmproj)
    if options.speculative and options.speculative.model:
        parts["draft"] = _draft(options.speculative.model, options, host)
    return parts


def _file_weights(path: Path) -> int:
    return header_of(path).weights_bytes


def _draft(path: Path, options: Options, host: Host) -> int:
    """A draft model shares the process and the target's context, slots and batches."""
    header = header_of(path)
    demand = _demand(header, options, size(options, header), host)
    return sum((
        demand.weights_bytes, demand.cache_bytes, demand.compute_bytes, demand.tokenizer_bytes,
    ))  # fmt: skip
