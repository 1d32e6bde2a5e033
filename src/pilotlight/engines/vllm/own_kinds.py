"""Values that only vLLM's options have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.engines.llamacpp.kinds import Kind, whole
from pilotlight.engines.vllm.variables import OWNED

_PREFIXES = ("VLLM_", "NCCL_", "TORCH", "OMP_", "KMP_", "CUDA_", "PYTORCH_", "GLOO_", "RAY_")


def whole_of(*numbers: int) -> Kind:
    def parse(raw: Any) -> int:
        number = int(whole().parse(raw))
        if number not in numbers:
            raise ValueError
        return number

    return Kind(f"one of {', '.join(map(str, numbers))}", parse)


def words() -> Kind:
    def parse(raw: Any) -> tuple[str, ...]:
        items = raw.split(",") if isinstance(raw, str) else raw
        found = tuple(str(item).strip() for item in items)
        if not all(found):
            raise ValueError
        return found

    return Kind("a list of texts", parse)


def variables() -> Kind:
    """Not any variable: one for the loader or the interpreter would be code, not a setting."""

    def parse(raw: Any) -> tuple[tuple[str, str], ...]:
        if not isinstance(raw, Mapping):
            raise ValueError
        found = tuple((str(name), str(value)) for name, value in raw.items())
        if any(name in OWNED or not name.startswith(_PREFIXES) for name, _ in found):
            raise ValueError
        return found

    known = ", ".join(f"{prefix}…" for prefix in _PREFIXES)
    return Kind(f"names and values of variables {known}, and none that is set here", parse)
