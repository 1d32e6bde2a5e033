"""What a model's weights take and when they are read, by the type they are stored in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pilotlight.planner.tensors import Role

METADATA_BYTES = 57
"""Of a GGUF file's header for each token of the vocabulary, with its merges; Llama 3's has 57."""


@dataclass(frozen=True, slots=True)
class WeightGroup:
    """All tensors of one role in one type, such as ``Q4_K``, ``BF16``, ``FP8`` or ``INT4``."""

    role: Role
    type: str
    parameters: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Weights:
    """`groups` add up to the tensors' bytes; `overhead_bytes` is the rest of a GGUF file."""

    groups: tuple[WeightGroup, ...]
    overhead_bytes: int = 0

    @classmethod
    def of(cls, parts: Iterable[WeightGroup], overhead_bytes: int = 0) -> Weights:
        """`parts` put together where role and type are the same."""
        parameters: Counter[tuple[Role, str]] = Counter()
        taken: Counter[tuple[Role, str]] = Counter()
        for part in parts:
            parameters[part.role, part.type] += part.parameters
            taken[part.role, part.type] += part.bytes
        groups = (WeightGroup(*key, count, taken[key]) for key, count in parameters.items())
        return cls(tuple(groups), overhead_bytes)

    @property
    def total_bytes(self) -> int:
        return sum(group.bytes for group in self.groups)

    @property
    def file_bytes(self) -> int:
        return self.total_bytes + self.overhead_bytes

    @property
    def parameters(self) -> int:
        return sum(group.parameters for group in self.groups)

    @property
    def bits_per_weight(self) -> float:
        """Of the whole file, as llama.cpp states it."""
        return 8 * self.total_bytes / self.parameters

    def bytes_of(self, *roles: Role) -> int:
        return sum(group.bytes for group in self.groups if group.role in roles)

    def parameters_of(self, *roles: Role) -> int:
        return sum(group.parameters for group in self.groups if group.role in roles)

    def bytes_by_type(self, *roles: Role) -> Mapping[str, int]:
        """Of `roles`, all of them where none is named."""
        found: Counter[str] = Counter()
        for group in self.groups:
            if not roles or group.role in roles:
                found[group.type] += group.bytes
        return found

    def parameters_by_type(self, *roles: Role) -> Mapping[str, int]:
        found: Counter[str] = Counter()
        for group in self.groups:
            if not roles or group.role in roles:
                found[group.type] += group.parameters
        return found


Format = Literal["gguf", "safetensors"]
