"""Which layers lie on which accelerator, as llama.cpp would place them, and what that takes.

The constants are llama.cpp's own margin and a CUDA context's usual cost; the
ledger's measurement replaces the whole prediction once a replica has run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pilotlight.engines.llamacpp.options import Options
from pilotlight.machine import Gpu

MARGIN_BYTES = 2**30
"""What llama.cpp's fit leaves free on each device (--fit-target)."""

CONTEXT_BYTES = 450 * 2**20
"""A CUDA context with its kernels, on the device."""

LIBRARIES_BYTES = 600 * 2**20
"""The CUDA libraries and driver, in the process."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one device holds of the model."""

    gpu: Gpu
    layer_bytes: int


def split(layers: Sequence[int], options: Options, gpus: Sequence[Gpu]) -> tuple[Share, ...]:
    """`layers` holds bytes by layer, the output last; llama.cpp offloads from the end."""
    devices = _devices(options, gpus)
    if not devices or options.gpu_layers == 0:
        return ()
    wanted = _wanted(layers, options, devices)
    total = sum(layers[len(layers) - wanted :]) if wanted else 0
    shares = _proportions(options, devices)
    return tuple(
        Share(gpu, round(total * share)) for gpu, share in zip(devices, shares, strict=True)
    )


def _devices(options: Options, gpus: Sequence[Gpu]) -> Sequence[Gpu]:
    if options.device == "none":
        return ()
    if options.split_mode == "none":
        return tuple(gpus[options.main_gpu or 0 :][:1])
    return gpus


def _wanted(layers: Sequence[int], options: Options, devices: Sequence[Gpu]) -> int:
    """How many of the last layers are offloaded."""
    if options.gpu_layers == "all":
        return len(layers)
    if isinstance(options.gpu_layers, int):
        return min(options.gpu_layers, len(layers))
    room = sum(max(gpu.memory_bytes - MARGIN_BYTES - CONTEXT_BYTES, 0) for gpu in devices)
    count = 0
    for layer_bytes in reversed(layers):
        room -= layer_bytes
        if room < 0:
            break
        count += 1
    return count


def _proportions(options: Options, devices: Sequence[Gpu]) -> Sequence[float]:
    given = (options.tensor_split or ())[: len(devices)]
    sizes = [*given, *[0.0] * (len(devices) - len(given))] if any(given) else []
    sizes = sizes or [float(gpu.memory_bytes) for gpu in devices]
    return [part / sum(sizes) for part in sizes]


def moved_bytes(shares: Sequence[Share]) -> int:
    """What the host needn't hold: mapped pages of offloaded layers are given back."""
    return sum(share.layer_bytes for share in shares)


def device_bytes(shares: Sequence[Share], compute_bytes: int) -> Mapping[str, int]:
    """By llama.cpp's device names; each device computes its own layers."""
    return {
        f"CUDA{share.gpu.index}": share.layer_bytes + compute_bytes + CONTEXT_BYTES
        for share in shares
        if share.layer_bytes
    }


def process_bytes(shares: Sequence[Share]) -> int:
    return LIBRARIES_BYTES if shares else 0
