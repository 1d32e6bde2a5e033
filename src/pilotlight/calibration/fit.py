"""From readings to rates: what is left of each when everything known before is taken off. Pure.

The products of a type at n tokens take what its model took at n, less layers, steps and sequences
as the thin models show them. Since the same numbers are read back at the same n, a prediction for
a model of that width meets the reading exactly; for others it is as good as the time model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pilotlight.calibration.probe import Readings
from pilotlight.calibration.probes import (
    ATTENTIVE,
    CHUNK,
    FEW_WORDS,
    LONG,
    MANY_WORDS,
    NARROW,
    PROMPT,
    SHALLOW,
    SHORT,
    SLOTS,
    TYPES,
    WORDY,
    Probe,
    wide,
)
from pilotlight.catalog.architecture import Architecture
from pilotlight.planner.cpu_speed import LAST_LAYER_SHARE
from pilotlight.planner.rates import BITS, Rate, Rates
from pilotlight.planner.tensors import tensors

ERROR = 0.12
LEAST_S = 1e-7
"""A difference of two readings may come out below zero; no part of a step takes less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Overheads:
    """Seconds, as `Rates` names them."""

    step_s: float
    sequence_s: float
    vocabulary_s: float
    request_s: float
    layer_s: float = 0.0
    width_s: float = 0.0

    def of(self, shape: Architecture, tokens: float, sampled: float) -> float:
        """In one step over so many tokens."""
        each_s = self.sequence_s + self.vocabulary_s * shape.vocabulary
        width_s = self.width_s * shape.hidden * tokens
        return self.step_s + (self.layer_s + width_s) * shape.layers + sampled * each_s


def rates(readings: Mapping[str, Readings], default: Rates, *, measured_on: str) -> Rates:
    """`default` with all that was measured in its place.

    A type that there was no time for keeps its default, moved by as much as the others moved.
    """
    thin = _thin(readings)
    attention = _attention(readings[ATTENTIVE.name], thin)
    overheads = _narrow(readings, thin, attention)
    types = {
        name: _type_rate(wide(name), readings[name], overheads, attention)
        for name in TYPES
        if name in readings
    }
    return replace(
        default,
        types={**_moved(default, types), **types},
        attention=attention,
        step_s=overheads.step_s,
        layer_s=overheads.layer_s,
        width_s=overheads.width_s,
        last_layer_share=LAST_LAYER_SHARE,
        sequence_s=overheads.sequence_s,
        vocabulary_s=overheads.vocabulary_s,
        request_s=overheads.request_s,
        error=ERROR,
        source="measured on this machine",
        as_of=measured_on,
    )


def _thin(readings: Mapping[str, Readings]) -> _Overheads:
    """Of steps, sequences and requests: in two layers without width there is nothing else."""
    shallow, wordy = readings[SHALLOW.name], readings[WORDY.name]
    each_s = _positive(shallow.answers[SLOTS] - shallow.answers[1]) / (SLOTS - 1)
    more_s = wordy.answers[SLOTS] - wordy.answers[1] - _output_s(readings)
    wordy_s = _positive(more_s) / (SLOTS - 1)
    vocabulary_s = _positive(wordy_s - each_s) / (MANY_WORDS - FEW_WORDS)
    return _Overheads(
        step_s=_positive(shallow.answers[1] - each_s),
        sequence_s=_positive(each_s - vocabulary_s * FEW_WORDS),
        vocabulary_s=vocabulary_s,
        # The better of two: a moment's disturbance is as long as all of it.
        request_s=_positive(
            min(found.prompts[SHORT] - found.answers[1] for found in (shallow, wordy))
        ),
    )


def _output_s(readings: Mapping[str, Readings]) -> float:
    """By how much longer the products with many words take for all slots than for one: as much for
    each weight as in a wide layer."""
    alike = wide(WORDY.type)
    found = readings.get(alike.name)
    if found is None:
        return 0.0
    longer_s = _positive(found.answers[SLOTS] - found.answers[1])
    return longer_s * _parameters(WORDY.architecture) / _parameters(alike.architecture)


def _narrow(readings: Mapping[str, Readings], thin: _Overheads, attention: Rate) -> _Overheads:
    """What layers take beside their products, from narrow ones next to wide ones of that type.

    With F operations a second, a prompt of n tokens takes 2·n·P/F + n·layers·width·w, in the wide
    model and in the narrow one: two equations. One token takes bytes/B + layers·l in either.
    """
    few, many = wide(NARROW.type), NARROW
    found = readings.get(few.name)
    if found is None:  # no time for that type: then only its neighbours' sum is known
        return thin
    shapes = few.architecture, many.architecture
    took = [
        _left(each.prompts[CHUNK], _beside(thin, shape, attention))
        for each, shape in zip((found, readings[many.name]), shapes, strict=True)
    ]
    products = [2.0 * CHUNK * _prompt_parameters(shape) for shape in shapes]
    widths = [float(CHUNK * shape.layers * shape.hidden) for shape in shapes]
    width_s = _second(products, widths, took)
    alone = [
        _left(each.answers[1], thin.of(shape, 1, 1))
        for each, shape in zip((found, readings[many.name]), shapes, strict=True)
    ]
    weights = [_parameters(shape) for shape in shapes]
    layer_s = _second(weights, [float(shape.layers) for shape in shapes], alone)
    return replace(thin, layer_s=layer_s, width_s=width_s)


def _second(first: Sequence[float], second: Sequence[float], sums: Sequence[float]) -> float:
    """y of x·first + y·second = sum, twice; at least zero."""
    determinant = first[0] * second[1] - first[1] * second[0]
    return _positive((first[0] * sums[1] - first[1] * sums[0]) / determinant)


def _beside(overheads: _Overheads, shape: Architecture, attention: Rate) -> float:
    """All but the products of a request with a prompt of one chunk."""
    pairs = CHUNK * CHUNK / 2 * _pair_flop(shape)
    once_s = overheads.request_s + overheads.of(shape, CHUNK, 1)
    return once_s + pairs / attention.flop_s(CHUNK)


def _type_rate(probe: Probe, found: Readings, overheads: _Overheads, attention: Rate) -> Rate:
    shape = probe.architecture
    decoding, reading = _parameters(shape), _prompt_parameters(shape)
    points: dict[float, float] = {}
    for count, taken_s in found.answers.items():
        left_s = _left(taken_s, overheads.of(shape, count, count))
        points[float(count)] = 2 * count * decoding / left_s
    for count, taken_s in found.prompts.items():
        known_s = overheads.request_s + overheads.of(shape, count, 1)
        known_s += count * count / 2 * _pair_flop(shape) / attention.flop_s(count)
        points[float(count)] = 2 * count * reading / _left(taken_s, known_s)
    alone_s = _left(found.answers[1], overheads.of(shape, 1, 1))
    size_bytes = decoding * BITS[probe.type] / 8
    return Rate(size_bytes / alone_s, tuple(sorted(points.items())))


def _pair_flop(shape: Architecture) -> float:
    """Operations of all layers for a token and one that it looks at: scores and values."""
    return 4.0 * shape.heads * shape.head_dim * shape.layers


def _attention(found: Readings, thin: _Overheads) -> Rate:
    """Operations a second, from how much longer a step takes behind a long prompt.

    The model's own products are left in the prompt's time: they are a tenth of it.
    """
    shape = ATTENTIVE.architecture
    pair_flop = _pair_flop(shape)
    longer_s = _left(found.long_answers[1], found.answers[1])
    alone = (LONG - PROMPT) * pair_flop / longer_s
    attending_s = _left(found.prompts[LONG], thin.request_s + thin.of(shape, LONG, 1))
    together = LONG * LONG / 2 * pair_flop / attending_s
    token_bytes = 4.0 * shape.kv_heads * shape.head_dim * shape.layers
    read_bytes_s = alone / pair_flop * token_bytes
    return Rate(read_bytes_s, ((1.0, alone), (float(CHUNK), together)))


def _parameters(shape: Architecture) -> float:
    """Multiplied for each token of an answer."""
    return float(sum(each.parameters for each in tensors(shape) if each.role in ("dense", "head")))


def _prompt_parameters(shape: Architecture) -> float:
    """For each token of a prompt: llama.cpp computes the last layer's feed-forward part, and the
    output, for the last token alone."""
    last = f"blk.{shape.layers - 1}.ffn_"
    matrices = (each for each in tensors(shape) if each.role == "dense")
    return float(sum(each.parameters for each in matrices if not each.name.startswith(last)))


def _moved(default: Rates, measured: Mapping[str, Rate]) -> Mapping[str, Rate]:
    """Defaults of the types that weren't measured, by the mean share of those that were."""
    known = [name for name in measured if name in default.types]
    read = _mean([measured[n].read_bytes_s / default.types[n].read_bytes_s for n in known])
    multiplied = _mean([
        measured[n].flop_s(CHUNK) / default.types[n].flop_s(CHUNK) for n in known
    ])  # fmt: skip
    return {
        name: Rate(
            rate.read_bytes_s * read, tuple((n, flop * multiplied) for n, flop in rate.points)
        )
        for name, rate in default.types.items()
    }


def _mean(shares: list[float]) -> float:
    """Geometric, for they are ratios; 1 without any."""
    product = 1.0
    for share in shares:
        product *= share ** (1 / len(shares))
    return product


def _positive(seconds: float) -> float:
    return max(seconds, 0.0)


def _left(taken_s: float, known_s: float) -> float:
    """At least a tenth: more than that isn't overhead, but noise in it."""
    return max(taken_s - known_s, taken_s / 10, LEAST_S)
