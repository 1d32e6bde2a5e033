"""What the weights take in memory: mapped or read, and copied where the CPU has a better layout.

A copy sits beside the mapped original, whose pages count as resident until the
kernel wants them back (ggml-cpu/repack.cpp, amx/amx.cpp).
"""

from __future__ import annotations

from collections.abc import Collection

from pilotlight.store.gguf import GgufHeader, TensorInfo

_AVX2 = frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"})
_AMX = frozenset({"Q4_0", "Q4_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"})
_NEON = frozenset({"Q4_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "MXFP4", "Q8_0"})
_INPUT = "token_embd.weight"
_OUTPUT = "output.weight"
_ROWS = 8
"""Rows are interleaved by eight: a matrix with any left over stays as it is."""


def repacked_types(instruction_sets: Collection[str]) -> frozenset[str]:
    """Types that a build for these instruction sets copies."""
    kinds: frozenset[str] = frozenset()
    if "avx2" in instruction_sets:
        kinds |= _AVX2
    if "amx_int8" in instruction_sets:
        kinds |= _AMX
    if "asimddp" in instruction_sets:
        kinds |= _NEON
    return kinds


def repacked_bytes(tensor: TensorInfo, types: Collection[str], tied: bool) -> int:
    """What the copy of `tensor` takes; embeddings are copied only where they are the output too."""
    is_matrix = len(tensor.shape) in (2, 3) and tensor.name.endswith(".weight")
    looked_up = tensor.name == _INPUT and not tied
    fits = is_matrix and tensor.shape[1] % _ROWS == 0
    return tensor.size_bytes if fits and not looked_up and tensor.type_name in types else 0


def copied_bytes(header: GgufHeader, instruction_sets: Collection[str]) -> int:
    """All that a load copies on these processors, unless it is told not to."""
    types, tied = repacked_types(instruction_sets), is_tied(header)
    return sum(repacked_bytes(tensor, types, tied) for tensor in header.tensors)


def is_tied(header: GgufHeader) -> bool:
    return all(tensor.name != _OUTPUT for tensor in header.tensors)


def tensor_bytes(tensor: TensorInfo, types: Collection[str], tied: bool, mapped: bool) -> int:
    """`tensor` and its copy; without a map the original of a copy is never kept."""
    copy = repacked_bytes(tensor, types, tied)
    keeps_original = mapped or not copy or (tensor.name == _INPUT)
    return copy + (tensor.size_bytes if keeps_original else 0)
