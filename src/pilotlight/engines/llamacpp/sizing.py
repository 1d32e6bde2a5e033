"""The numbers llama.cpp runs one model with: its own rounding, worked out before it does."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pilotlight.engines.llamacpp.options import UBATCH, Options
from pilotlight.errors import EngineOptionError
from pilotlight.store.gguf import GgufHeader, read_header

CONTEXT_STEP = 256
"""llama_context rounds a sequence's context up to this (llama-context.cpp)."""

DEFAULT_CONTEXT = 4096
BATCH = 2048

ENCODERS = frozenset({
    "bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "neo-bert",
    "eurobert", "modern-bert", "gemma-embedding", "t5encoder",
})  # fmt: skip
"""Architectures that embed and can't generate (llama_model::create_memory gives them no cache)."""

RANK = "rank"
_HEADS = ("cls.weight", "cls.output.weight")
_POOLING = {0: "none", 1: "mean", 2: "cls", 3: "last", 4: RANK}  # enum llama_pooling_type


@dataclass(frozen=True, slots=True)
class Sizing:
    """`context` is one request's share of the `n_ctx` tokens all slots have together."""

    context: int
    slots: int
    n_ctx: int
    batch: int
    ubatch: int
    embeds: bool
    generates: bool
    pooling: str | None
    """None where the model's own stands."""

    @property
    def ranks(self) -> bool:
        """Whether it scores documents instead of embedding them."""
        return self.embeds and self.pooling == RANK


def header_of(path: Path) -> GgufHeader:
    """The header of the file as it is now; kept, for every question starts with it."""
    status = path.stat() if path.exists() else None
    return _header(path, status.st_mtime_ns if status else 0, status.st_size if status else 0)


@lru_cache(maxsize=64)
def _header(path: Path, modified_ns: int, size_bytes: int) -> GgufHeader:
    return read_header(path)


def size(options: Options, header: GgufHeader) -> Sizing:
    generates = header.architecture not in ENCODERS
    own_pooling = _POOLING.get(header.number("pooling_type") or 0)
    embeds = options.embedding if options.embedding is not None else _embeds(header)
    pooling = options.pooling or (RANK if own_pooling == RANK else None)  # which it wants said
    if pooling == RANK:
        _reject_headless(header)
        embeds, generates = True, False
    if embeds and pooling is None and own_pooling == "none":
        pooling = "mean"  # without any, the OpenAI endpoint refuses every request
    trained = _trained(options, header)
    context = min(options.context or DEFAULT_CONTEXT, trained or sys.maxsize)
    rounded = -(-context // CONTEXT_STEP) * CONTEXT_STEP
    batch, ubatch = options.batch_size or BATCH, options.ubatch_size or UBATCH
    if embeds and (pooling or own_pooling) != "last":
        # Pooling over all tokens needs them in one computation; llama.cpp refuses longer inputs.
        batch = ubatch = options.ubatch_size or max(rounded, UBATCH)
    return Sizing(
        context=min(rounded, trained or rounded),
        slots=options.parallel,
        n_ctx=rounded * options.parallel,
        batch=max(batch, ubatch),
        ubatch=ubatch,
        embeds=embeds,
        generates=generates and not (embeds and options.embedding is None),
        pooling=pooling,
    )


def _reject_headless(header: GgufHeader) -> None:
    """Without a head to score with, llama.cpp would take an embedding's first number for it."""
    if not any(tensor.name in _HEADS for tensor in header.tensors):
        raise EngineOptionError(
            f"the option 'pooling' is {RANK!r}, and this model has no head that ranks",
            hint="leave pooling out, or take a reranking model",
        )


def _embeds(header: GgufHeader) -> bool:
    """A generating architecture whose file names a pooling was trained to embed."""
    return header.architecture in ENCODERS or bool(header.number("pooling_type"))


def _trained(options: Options, header: GgufHeader) -> int | None:
    """What llama.cpp caps a slot's context at; a stretched model overrides its header's word."""
    if options.override_kv and ".context_length=" in options.override_kv:
        return None
    return header.context_length
