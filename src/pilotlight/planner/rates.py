"""How fast one engine runs on one device: the time model's constants, and where they are from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilotlight.store.ggml_types import GGML_TYPES

Points = tuple[tuple[float, float], ...]
"""(tokens multiplied at once, operations a second), in rising order of tokens."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Weights of one type: a step of n tokens over P weights in B bytes takes
    max(B / read_bytes_s, 2·n·P / flop_s(n)).

    One point is a plain roofline. More of them describe kernels that need many tokens to be fast:
    between points the rate follows a power law, outside it is flat.
    """

    read_bytes_s: float
    points: Points

    def flop_s(self, tokens: float) -> float:
        """The rate at which so many tokens are multiplied at once."""
        points = self.points
        if len(points) == 1 or tokens <= points[0][0]:
            return points[0][1]
        for (low, slow), (high, fast) in itertools.pairwise(points):
            if tokens <= high:
                along = math.log(tokens / low) / math.log(high / low)
                return float(slow * (fast / slow) ** along)
        return points[-1][1]

    def seconds(self, parameters: float, size_bytes: float, tokens: float) -> float:
        """For one pass of `tokens` over the weights."""
        multiply_s = 2.0 * tokens * parameters / self.flop_s(tokens)
        return max(size_bytes / self.read_bytes_s, multiply_s)

    def slowed(self, share: float) -> Rate:
        """With so much of its operations a second, reading as before."""
        if share == 1.0:
            return self
        return Rate(self.read_bytes_s, tuple((n, flop_s * share) for n, flop_s in self.points))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """One engine on one device.

    `types` are ggml's and safetensors' names, upper case (`Q4_K`, `BF16`, `F8_E4M3`). `error` is
    the half width of the interval that goes with every prediction, as a share of it.
    """

    device: str
    engine: str
    types: Mapping[str, Rate]
    attention: Rate
    """Reading the cache, and multiplying with it."""

    expert_share: float = 1.0
    """Of a type's operations a second, in products of few tokens with each of many experts."""

    step_s: float = 0.0
    """Each step, whatever is in it: scheduling, launching, synchronising."""

    layer_s: float = 0.0
    """Each layer of a step: kernels too small to fill the device."""

    expert_layer_s: float = 0.0
    """Each layer with experts, beside that: routing tokens and grouping them."""

    width_s: float = 0.0
    """Each token of a step, for each layer and number of its hidden width: norms, activations and
    sums, on processors where those aren't free beside the products."""

    last_layer_share: float = 1.0
    """Of the last layer, what a prompt's tokens pass: llama.cpp computes its feed-forward part for
    the last of them alone."""

    sequence_s: float = 0.0
    """Each sequence in a step: sampling, detokenizing, a streamed event."""

    vocabulary_s: float = 0.0
    """Each sequence in a step, for each entry of the vocabulary that sampling looks at."""

    request_s: float = 0.0
    """Each request before its first token: HTTP, tokenizing, scheduling."""

    allreduce_s: float = 0.0
    """Each exchange between tensor-parallel ranks, before its bytes."""

    link_bytes_s: float | None = None
    chunk_tokens: int = 512
    """Of a prompt, in one step."""

    mixed: bool = True
    """Whether a prompt's tokens share steps with sequences that decode, and so their weights."""

    error: float = 0.3
    source: str
    as_of: str | None = None

    def of(self, weight_type: str, bits: float | None = None) -> Rate:
        """The type's own rate; for one never measured, that of the nearest width in bits."""
        own = self.types.get(weight_type)
        if own is not None:
            return own
        width = bits if bits is not None else BITS.get(weight_type, 16.0)
        nearest = min(self.types, key=lambda name: abs(BITS.get(name, 16.0) - width))
        return self.types[nearest]

    def to_json(self) -> dict[str, Any]:
        """A plain document, for a calibration kept in a file."""
        document: dict[str, Any] = {name: getattr(self, name) for name in SCALARS}
        document["types"] = {name: _rate_document(rate) for name, rate in self.types.items()}
        document["attention"] = _rate_document(self.attention)
        return document


SCALARS = (
    "device", "engine", "expert_share", "step_s", "layer_s", "expert_layer_s",
    "width_s", "last_layer_share", "sequence_s",
    "vocabulary_s", "request_s", "allreduce_s", "link_bytes_s", "chunk_tokens", "mixed", "error",
    "source", "as_of",
)  # fmt: skip


def from_json(document: Mapping[str, Any]) -> Rates:
    """What `Rates.to_json` wrote; KeyError, TypeError or ValueError where it didn't write this."""
    return Rates(
        **{name: document[name] for name in SCALARS},
        types={name: _rate(rate) for name, rate in document["types"].items()},
        attention=_rate(document["attention"]),
    )


def _rate_document(rate: Rate) -> dict[str, Any]:
    return {"read_bytes_s": rate.read_bytes_s, "points": [list(point) for point in rate.points]}


def _rate(document: Mapping[str, Any]) -> Rate:
    points = tuple((float(tokens), float(flop_s)) for tokens, flop_s in document["points"])
    if not points:
        raise ValueError("a rate without points")
    return Rate(float(document["read_bytes_s"]), points)


BITS: Mapping[str, float] = {
    **{
        kind.name: 8 * kind.block_bytes / kind.block_weights
        for kind in GGML_TYPES.values()
        if kind.name not in ("I8", "I16", "I32", "I64", "F64")
    },
    "FP8": 8.0, "F8_E4M3": 8.0, "F8_E5M2": 8.0, "INT8": 8.0, "INT4": 4.16, "NF4": 4.5,
}  # fmt: skip
"""Of a weight by its type, scales and zeros counted: ggml's, and those of safetensors."""
