"""vLLM's memory. On GPUs it takes its share at once, and what its weights leave is the cache.

The pool follows vLLM's own profile (gpu_worker.py, determine_available_memory): what it may take,
less weights, less what the largest step needs, less what captured graphs keep.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pilotlight.catalog.architecture import Architecture
from pilotlight.engines.vllm.memory import UTILIZATION, predict
from pilotlight.engines.vllm.options import CACHE_DTYPES, Options
from pilotlight.engines.vllm.sizing import CPU_BLOCK, Sizing, token_bytes
from pilotlight.machine import Gpu, Machine
from pilotlight.planner.kv import layer_bytes, number_bytes, state_bytes
from pilotlight.planner.memory.demand import Fit, Load, Room
from pilotlight.planner.memory.verdict import refused, too_small
from pilotlight.planner.model import PlannedModel
from pilotlight.planner.synthetic import checkpoint_of

MOST = 1024
BLOCK = 16
"""Tokens in a block of the cache on GPUs."""

BATCHED_TOKENS, SMALL_BATCHED_TOKENS = 8192, 2048
"""In one step: vLLM's defaults on GPUs of 70 GiB and more, and below (arg_utils.py)."""

LARGE_GPU_BYTES = 70 * 2**30
PROFILED_SEQUENCES = 256
"""Whose scores are computed in the step that the profile runs (max_num_seqs)."""

NON_TORCH_BYTES = 600 * 2**20
"""A CUDA context and its libraries, of each GPU's memory; an estimate."""

PEER_BYTES = 1536 * 2**20
"""NCCL's and the all-reduce's own buffers, where several GPUs share a layer; an estimate."""

GRAPH_BYTES_PER_LAYER = 17 * 2**20
"""vLLM logs 0.5 to 0.6 GiB for Llama-3.1-8B's 32 layers."""

F32, HALF = 4, 2


@dataclass(frozen=True, slots=True)
class _Rank:
    """One GPU's bytes before any cache."""

    weights: int
    activations: int
    graphs: int
    other: int

    @property
    def total(self) -> int:
        return self.weights + self.activations + self.graphs + self.other


def fit(model: PlannedModel, load: Load, room: Room) -> Fit:
    if objection := _objection(model, load, room):
        return refused(objection)
    return _on_gpus(model, load, room) if room.gpus else _on_cpu(model, load, room)


def _objection(model: PlannedModel, load: Load, room: Room) -> str | None:
    shape, ranks = model.architecture, len(room.gpus)
    if model.format != "safetensors":
        return f"vLLM reads a directory of safetensors, and {model.quantization} is a GGUF file"
    if (load.kv_type or "auto") not in CACHE_DTYPES:
        return f"vLLM has no cache of {load.kv_type!r}; it has {', '.join(CACHE_DTYPES[:6])}"
    if load.sequences > MOST:
        return f"vLLM is planned for at most {MOST} sequences at once, not {load.sequences}"
    if ranks and shape.heads % ranks:
        return f"{shape.heads} heads don't divide among {ranks} GPUs"
    if ranks and shape.kv_heads % ranks and ranks % shape.kv_heads:
        return f"{shape.kv_heads} key heads don't divide among {ranks} GPUs"
    return None


def _on_gpus(model: PlannedModel, load: Load, room: Room) -> Fit:
    """With large steps where they and the load fit, else with small ones, which need less."""
    small = _with_steps(model, load, room, SMALL_BATCHED_TOKENS)
    if min(room.gpus) < LARGE_GPU_BYTES:
        return small
    large = _with_steps(model, load, room, BATCHED_TOKENS)
    return replace(large, sequences=small.sequences) if large.fits else small


def _with_steps(model: PlannedModel, load: Load, room: Room, batched: int) -> Fit:
    ranks = len(room.gpus)
    rank = _rank(model, ranks, batched)
    share = round(UTILIZATION * min(room.gpus))
    pool = share - rank.total
    longest, each = (
        sequence_pool_bytes(model.architecture, tokens, load.kv_type, ranks)
        for tokens in (load.context, load.held or load.context)
    )
    cache = max(longest, each * load.sequences)
    needed = rank.total + cache
    unsaid = Sizing(load.context, load.context, None)
    ram = predict(checkpoint_of(model), _options(load, room), unsaid, _machine(room), gpu=True)
    answer = Fit(
        fits=True,
        reason="",
        ram_bytes=ram.ram_bytes,
        gpu_bytes=(max(needed, share),) * ranks,
        parts=ram.parts,
        gpu_parts=_parts(rank, max(pool, cache)),
        sequences=_fitting(pool, longest, each),
        pool_bytes=max(pool, 0) * ranks,
        gpu_share=1.0,
        arithmetic=_arithmetic(min(room.gpus), rank, pool),
        options={**_engine_options(load, room), "max_num_batched_tokens": batched},
    )
    if needed > share:
        return too_small(answer, "gpu", needed - share)
    over = ram.ram_bytes - room.ram_bytes
    return too_small(answer, "ram", over) if over > 0 else answer


def _fitting(pool: int, longest: int, each: int) -> int:
    return min(pool // max(each, 1), MOST) if pool >= longest else 0


def _parts(rank: _Rank, kv: int) -> dict[str, int]:
    return {
        "weights": rank.weights, "kv": kv, "compute": rank.activations, "graphs": rank.graphs,
        "context": rank.other,
    }  # fmt: skip


def _rank(model: PlannedModel, ranks: int, batched: int) -> _Rank:
    weights = model.weights.total_bytes
    return _Rank(
        weights=-(-weights // ranks),
        activations=_activation_bytes(model.architecture, ranks, batched),
        graphs=GRAPH_BYTES_PER_LAYER * model.architecture.layers,
        other=NON_TORCH_BYTES + (PEER_BYTES if ranks > 1 else 0),
    )


def _activation_bytes(shape: Architecture, ranks: int, batched: int) -> int:
    """Of the profile's step: the widest layer's values, and the scores in 32 bits twice.

    For Llama-3.1-8B 1.15 GiB; vLLM logs 1.19 to 1.26.
    """
    widest = 3 * shape.feed_forward // ranks
    if experts := shape.experts:
        widest = max(widest, experts.used * (3 * experts.width // ranks + shape.hidden))
    values = batched * HALF * (widest + 4 * shape.hidden)
    return values + 2 * F32 * PROFILED_SEQUENCES * shape.vocabulary // ranks


def sequence_pool_bytes(shape: Architecture, tokens: int, kv_type: str | None, ranks: int) -> int:
    """One sequence's blocks on one of `ranks` GPUs; a latent is kept whole on each."""
    number = number_bytes(kv_type)
    each = layer_bytes(shape, number, number)
    if not shape.latent:
        each *= max(shape.kv_heads / ranks, 1) / shape.kv_heads if shape.kv_heads else 0
    return round(each * _columns(shape, tokens)) + -(-state_bytes(shape) // ranks)


def _columns(shape: Architecture, tokens: int) -> int:
    """Tokens times layers, in whole blocks; a window holds one block more than itself."""
    whole = -(-tokens // BLOCK) * BLOCK
    if shape.window is None:
        return shape.attention_layers * whole
    held = min(whole, -(-shape.window.tokens // BLOCK) * BLOCK + BLOCK)
    return (shape.attention_layers - shape.window.layers) * whole + shape.window.layers * held


def _arithmetic(gpu_bytes: int, rank: _Rank, pool: int) -> str:
    gb = 1e9
    return (
        f"vLLM's pool of each GPU: {gpu_bytes / gb:.1f} GB x {UTILIZATION} - weights "
        f"{rank.weights / gb:.1f} - activations {rank.activations / gb:.1f} - graphs "
        f"{rank.graphs / gb:.1f} - other {rank.other / gb:.1f} = {pool / gb:.1f} GB"
    )


def _options(load: Load, room: Room) -> Options:
    return Options(
        max_model_len=load.context,
        max_num_seqs=load.sequences,
        kv_cache_dtype=load.kv_type,
        tensor_parallel_size=max(len(room.gpus), 1),
    )


def _machine(room: Room) -> Machine:
    gpus = tuple(Gpu(index, "planned", size) for index, size in enumerate(room.gpus))
    return Machine("planned", 1, room.ram_bytes, gpus, room.instruction_sets)


def _on_cpu(model: PlannedModel, load: Load, room: Room) -> Fit:
    """The cache is told its size, so that vLLM doesn't take nine tenths of the machine."""
    checkpoint = checkpoint_of(model)
    options = _options(load, room)
    longest, each = (
        round(-(-tokens // CPU_BLOCK) * CPU_BLOCK * token_bytes(options, checkpoint))
        for tokens in (load.context, load.held or load.context)
    )
    pool = max(longest, each * load.sequences)
    sizing = Sizing(load.context, load.context, pool)
    placed = predict(checkpoint, options, sizing, _machine(room), gpu=False)
    spare = room.ram_bytes - (placed.ram_bytes - pool)
    answer = Fit(
        fits=True,
        reason="",
        ram_bytes=placed.ram_bytes,
        parts=placed.parts,
        sequences=_fitting(spare, longest, each),
        pool_bytes=pool,
        arithmetic="vLLM's processes as measured, its weights, and a cache of the load's size",
        options={**_engine_options(load, room), "kv_cache_memory_bytes": pool},
    )
    over = placed.ram_bytes - room.ram_bytes
    return too_small(answer, "ram", over) if over > 0 else answer


def _engine_options(load: Load, room: Room) -> dict[str, Any]:
    options: dict[str, Any] = {"max_model_len": load.context, "max_num_seqs": load.sequences}
    if len(room.gpus) > 1:
        options["tensor_parallel_size"] = len(room.gpus)
    if room.gpus:
        options["gpu_memory_utilization"] = UTILIZATION
    if load.kv_type:
        options["kv_cache_dtype"] = load.kv_type
    return options
