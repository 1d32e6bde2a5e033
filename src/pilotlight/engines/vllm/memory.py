"""Memory one replica will take: from the files' headers, the options and the machine."""

from __future__ import annotations

from collections.abc import Mapping

from pilotlight.core import Footprint
from pilotlight.engines.vllm.options import DEFAULT_LORA_RANK, Options
from pilotlight.engines.vllm.sizing import Sizing, value_bytes
from pilotlight.engines.vllm.variables import is_alone
from pilotlight.engines.vllm.weights import linear_extents
from pilotlight.machine import Machine
from pilotlight.store.checkpoint import Checkpoint
from pilotlight.store.safetensors import DTYPE_BITS

MIB = 2**20

FLOATS = ("F64", "F32", "F16", "BF16")
"""Types that a load may convert; any other is a quantization's and stays."""

# Resident sets without what they share, of vLLM 0.32's processes with a model of nothing;
# measured on two cores with the 135M model, less its weights and cache.
SERVER_BYTES = 630 * MIB
CORE_BYTES = 530 * MIB
WORKER_BYTES = 920 * MIB

PARKED_BYTES = 620 * MIB
"""A host that has imported vLLM and knows no model yet; measured so too."""

FORKED_BYTES = 250 * MIB
"""What an engine that was forked from its server goes on sharing with it; see zygote.py."""

GPU_WORKER_BYTES = 3072 * MIB
"""Host memory of a worker with CUDA's libraries; an estimate, for no GPU was at hand."""

UTILIZATION = 0.92
"""vLLM's own share of a GPU where the options name none."""


def predict(
    checkpoint: Checkpoint, options: Options, sizing: Sizing, machine: Machine, *, gpu: bool
) -> Footprint:
    """Bytes at the peak. On GPUs vLLM takes its share of the memory whatever the model needs."""
    weights = weights_bytes(checkpoint, options)
    if gpu:
        resident = weights + adapter_slots_bytes(checkpoint, options)
        return _on_gpus(weights, resident, options, sizing, machine)
    alone = is_alone(options)
    ranks = options.tensor_parallel_size * options.pipeline_parallel_size
    workers = ranks * options.data_parallel_size
    kv = sizing.kv_bytes
    if kv is None:
        kv = _share(options, machine.ram_bytes) if options.gpu_memory_utilization else 0
    parts = {
        "weights": weights * options.data_parallel_size,
        "kv": kv * workers,
        "process": SERVER_BYTES + workers * WORKER_BYTES + (-FORKED_BYTES if alone else CORE_BYTES),
        # One more is kept empty; see host.py.
        "adapter_slots": adapter_slots_bytes(checkpoint, options, spare=1),
    }
    return Footprint(sum(parts.values()), parts={name: n for name, n in parts.items() if n})


def weights_bytes(checkpoint: Checkpoint, options: Options) -> int:
    """In memory: floating point in the type computed with, quantized types as stored."""
    each = value_bytes(options, checkpoint)
    known = sum(
        count * (each * 8 if kind in FLOATS else DTYPE_BITS[kind]) // 8
        for kind, count in checkpoint.elements.items()
    )
    return known or checkpoint.weights_bytes


def adapter_slots_bytes(checkpoint: Checkpoint, options: Options, spare: int = 0) -> int:
    """Room for one batch's adapters at the highest rank, taken before there is any."""
    if not options.enable_lora:
        return 0
    ranks = ((options.max_loras or 1) + spare) * (options.max_lora_rank or DEFAULT_LORA_RANK)
    return ranks * linear_extents(checkpoint) * value_bytes(options, checkpoint)


def _on_gpus(
    weights: int, resident: int, options: Options, sizing: Sizing, machine: Machine
) -> Footprint:
    ranks = options.tensor_parallel_size * options.pipeline_parallel_size
    workers = ranks * options.data_parallel_size
    asleep = weights if options.sleep_level == 1 else 0
    offloaded = round(((options.cpu_offload_gb or 0) * workers + _kv_ram(options)) * 2**30)
    parts = {
        "process": SERVER_BYTES + CORE_BYTES + workers * GPU_WORKER_BYTES,
        "asleep_weights": asleep * options.data_parallel_size,
        "offloaded": offloaded,
    }
    devices: Mapping[str, int] = {
        f"CUDA{card.index}": _device_bytes(resident // ranks, options, sizing, card.memory_bytes)
        for card in machine.gpus[:workers]
    }
    return Footprint(
        sum(parts.values()), devices, parts={name: n for name, n in parts.items() if n}
    )


def _kv_ram(options: Options) -> float:
    return options.kv_offloading_size or 0.0


def _device_bytes(weights: int, options: Options, sizing: Sizing, memory_bytes: int) -> int:
    if sizing.kv_bytes is None:
        return _share(options, memory_bytes)
    return min(memory_bytes, round(weights * 1.1) + sizing.kv_bytes + 1024 * MIB)


def _share(options: Options, memory_bytes: int) -> int:
    return round((options.gpu_memory_utilization or UTILIZATION) * memory_bytes)
