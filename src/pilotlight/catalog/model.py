"""Open models by name: their shape as published, and what they are for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pilotlight.catalog.architecture import Architecture
from pilotlight.catalog.row import Count, FieldProblem, Row
from pilotlight.catalog.shape import contradictions

Skill = Literal["chat", "code", "reasoning", "vision", "base"]
Grade = Literal["tiny", "small", "medium", "large", "frontier"]
NativeType = Literal["bf16", "fp16", "fp8", "mxfp4", "int4"]

# Upper ends, in effective parameters.
_GRADES: tuple[tuple[float, Grade], ...] = (
    (1e9, "tiny"),
    (4.5e9, "small"),
    (16e9, "medium"),
    (50e9, "large"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogModel(Row):
    """`parameters` is what the publisher counts; the shape's own sum is in `parameters.count`.

    Vision towers and extra prediction heads are left out of the shape, and of `parameters`.
    """

    title: str
    family: str
    ref: str
    """The publisher's own weights: hf:org/repo."""

    gguf: str | None = None
    """A file in llama.cpp's format, where someone publishes such; `{quant}` is Q4_K_M and so on."""

    parameters: Count
    active_parameters: Count | None = None
    """For each token, embedding left out or not as the publisher does; None: all of them."""

    native: NativeType = "bf16"
    skills: tuple[Skill, ...] = ("chat",)
    license: str
    architecture: Architecture

    def __post_init__(self) -> None:
        for field, expected in contradictions(self.architecture):
            raise FieldProblem(f"architecture.{field}", expected)

    @property
    def spellings(self) -> tuple[str, ...]:
        """Also its publisher's name for it, with and without the scheme and the publisher."""
        repository = self.ref.partition(":")[2]
        return (self.name, *self.aliases, self.ref, repository, repository.rpartition("/")[2])

    def gguf_ref(self, quantization: str) -> str | None:
        return self.gguf and self.gguf.format(quant=quantization.upper())

    @property
    def effective_parameters(self) -> float:
        """The dense model a mixture is about as able as: the geometric mean, a rule of thumb."""
        return math.sqrt(self.parameters * (self.active_parameters or self.parameters))

    @property
    def grade(self) -> Grade:
        """The capability class it is in, by size alone."""
        return next((g for end, g in _GRADES if self.effective_parameters < end), "frontier")
