"""The time of one engine step: what it reads, what it multiplies, what it says to its peers.

Matrices of each type are bound by reading or by multiplying, whichever takes longer, one after the
other; attention likewise; then come fixed costs of layers, steps and sequences. Splits by layers
run one stage after another; tensor-parallel ranks share a stage and exchange twice a layer.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pilotlight.planner.device import Device
from pilotlight.planner.rates import Rate, Rates
from pilotlight.planner.work import ACTIVATION_BYTES, Matrices, Work

Bottleneck = Literal["bandwidth", "compute", "cache", "network", "overhead"]
_Seconds = tuple[float, float, float, float, float]
"""Of `Parts`, in its order: a search makes millions of these."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Devices that run a share of the layers; `ranks` of them together, by tensor parallelism.

    `head` is whether the output matrix and the sampling are here.
    """

    device: Device
    rates: Rates
    share: float = 1.0
    ranks: int = 1
    head: bool = True


@dataclass(frozen=True, slots=True)
class Parts:
    """Seconds by what bounds them."""

    bandwidth: float = 0.0
    """Reading weights."""

    compute: float = 0.0
    cache: float = 0.0
    """Reading keys and values."""

    network: float = 0.0
    overhead: float = 0.0

    @property
    def seconds(self) -> float:
        return self.bandwidth + self.compute + self.cache + self.network + self.overhead

    @property
    def named(self) -> dict[Bottleneck, float]:
        return {
            "bandwidth": self.bandwidth,
            "compute": self.compute,
            "cache": self.cache,
            "network": self.network,
            "overhead": self.overhead,
        }

    @property
    def bottleneck(self) -> Bottleneck:
        """The largest part."""
        return max(self.named, key=self.named.__getitem__)

    def __add__(self, other: Parts) -> Parts:
        mine, others = self.named.values(), other.named.values()
        return Parts(*map(operator.add, mine, others))

    def scaled(self, factor: float) -> Parts:
        """So many of these."""
        return Parts(*(factor * part for part in self.named.values()))


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step works on."""

    sequences: float = 0.0
    """That decode, one token each."""

    context: float = 0.0
    """Tokens behind each of those."""

    prompt: float = 0.0
    """Tokens of prompts."""

    past: float = 0.0
    """Tokens of the same prompt that earlier steps have done."""

    sampled: float = 0.0
    """Prompts that end in this step."""


@dataclass(frozen=True)
class Setup:
    """A model on its devices; what doesn't depend on the load is computed once."""

    work: Work
    stages: tuple[Stage, ...]

    @cached_property
    def services(self) -> dict[object, Any]:
        """What `batching` worked out for this setup before."""
        return {}

    @cached_property
    def chunk_tokens(self) -> int:
        return min(stage.rates.chunk_tokens for stage in self.stages)

    @cached_property
    def request_s(self) -> float:
        return max(stage.rates.request_s for stage in self.stages)

    @cached_property
    def mixed(self) -> bool:
        return all(stage.rates.mixed for stage in self.stages)

    @cached_property
    def error(self) -> float:
        """The widest interval of any stage."""
        return max(stage.rates.error for stage in self.stages)

    @cached_property
    def tdp_w(self) -> float | None:
        """Of all devices; None if any is unknown."""
        watts = [stage.device.tdp_w for stage in self.stages]
        known = [each for each in watts if each is not None]
        if len(known) < len(watts):
            return None
        return sum(each * stage.ranks for each, stage in zip(known, self.stages, strict=True))

    @cached_property
    def _placed(self) -> tuple[_Placed, ...]:
        return tuple(_Placed(self.work, stage) for stage in self.stages)

    def step(self, batch: Batch) -> Parts:
        """One step, over all stages."""
        stages = [placed.step(batch) for placed in self._placed]
        hops = sum(placed.hop(batch) for placed in self._placed[1:])
        bandwidth, compute, cache, network, overhead = map(sum, zip(*stages, strict=True))
        return Parts(bandwidth, compute, cache, network + hops, overhead)

    def step_s(self, batch: Batch) -> float:
        """As `step`, where only the sum matters."""
        placed = self._placed
        if len(placed) == 1:
            return sum(placed[0].step(batch))
        seconds = sum(sum(each.step(batch)) for each in placed)
        return seconds + sum(each.hop(batch) for each in placed[1:])

    def decode(self, sequences: float, context: float) -> Parts:
        """A step in which so many sequences get one token each."""
        return self.step(Batch(sequences=sequences, context=context))

    def prefill(self, tokens: float) -> Parts:
        """A whole prompt by itself, in as many steps as the engine cuts it into."""
        steps, chunk = self._chunks(tokens)
        return self.step(chunk).scaled(steps)

    def prompt_steps(self, tokens: float) -> int:
        """How many steps a prompt is cut into."""
        return max(1, math.ceil(tokens / self.chunk_tokens))

    def beside_s(self, tokens: float, sequences: float, context: float, step_s: float) -> float:
        """What a prompt adds to the steps of sequences that decode meanwhile, `step_s` each."""
        steps, chunk = self._chunks(tokens)
        if not self.mixed:
            return steps * self.step_s(chunk)
        shared = Batch(sequences, context, chunk.prompt, chunk.past, chunk.sampled)
        return steps * (self.step_s(shared) - step_s)

    def crowded_s(self, tokens: float, prompts: float, sequences: float, context: float) -> float:
        """A step that more than one prompt of so many tokens shares, in the mean.

        0 where there is at most one, or prompts have steps of their own.
        """
        if not self.mixed or prompts <= 1:
            return 0.0
        merged = prompts * tokens
        return self.step_s(Batch(sequences, context, merged, (tokens - merged) / 2, prompts))

    def prompts_per_step(self, tokens: float) -> float:
        """The most prompts that steps finish, each, if a chunk of their tokens is in every one."""
        if not self.mixed:
            return math.inf
        return (
            self.chunk_tokens / tokens
            if tokens < self.chunk_tokens
            else 1 / self.prompt_steps(tokens)
        )

    def _chunks(self, tokens: float) -> tuple[int, Batch]:
        """How many steps a prompt takes, and the mean one of them."""
        steps = self.prompt_steps(tokens)
        each = tokens / steps
        return steps, Batch(prompt=each, past=(steps - 1) / 2 * each, sampled=1 / steps)


class _Placed:
    """A stage with the model's numbers divided over its ranks."""

    def __init__(self, work: Work, stage: Stage) -> None:
        rates, share, ranks = stage.rates, stage.share, stage.ranks
        self._work, self._rates, self._ranks = work, rates, ranks
        self._layers = work.layers * share
        self._dense = _pieces(work.dense, rates, share / ranks)
        self._experts = _pieces(work.experts, rates, share / ranks, rates.expert_share)
        self._head = _pieces(work.head, rates, 1.0 / ranks) if stage.head else ()
        self._cache_share = share / min(ranks, max(work.kv_heads, 1))
        self._pair_share = share / ranks
        self._chosen = work.experts_used / work.expert_count
        layers_s = rates.layer_s * work.layers + rates.expert_layer_s * work.expert_layers
        self._fixed_s = layers_s * share + (rates.step_s if stage.head else 0.0)
        self._token_s = rates.width_s * work.hidden * work.layers * share
        self._passed = 1.0 - (1.0 - rates.last_layer_share) / work.layers
        sequence_s = rates.sequence_s + rates.vocabulary_s * work.vocabulary
        self._sequence_s = sequence_s if stage.head else 0.0
        self._contexts: dict[float, tuple[float, float]] = {}

    def step(self, batch: Batch) -> _Seconds:
        tokens = batch.sequences + batch.prompt
        sampled = batch.sequences + batch.sampled
        passed = batch.sequences + batch.prompt * self._passed
        read, multiply = self._matrices(passed, sampled)
        multiply += self._token_s * tokens
        cache, products = self._attention(batch)
        exchange = self._exchange(tokens) if self._ranks > 1 else 0.0
        fixed = self._fixed_s + self._sequence_s * sampled
        return read, multiply + products, cache, exchange, fixed

    def hop(self, batch: Batch) -> float:
        """Handing the hidden state on to this stage from the one before."""
        size = (batch.sequences + batch.prompt) * self._work.hidden * ACTIVATION_BYTES
        return self._rates.allreduce_s + self._over_the_link_s(size)

    def _matrices(self, tokens: float, sampled: float) -> tuple[float, float]:
        read, multiply = _bound(self._dense, tokens)
        if sampled and self._head:
            more, products = _bound(self._head, max(sampled, 1.0), min(sampled, 1.0))
            read, multiply = read + more, multiply + products
        if self._experts:
            covered = self._work.coverage(tokens)
            more, products = _bound(self._experts, tokens * self._chosen / covered, covered)
            read, multiply = read + more, multiply + products
        return read, multiply

    def _attention(self, batch: Batch) -> tuple[float, float]:
        work, rate = self._work, self._rates.attention
        cache = products = 0.0
        if batch.sequences:
            size, flop = self._looking_back(batch.context)
            read_s = batch.sequences * size / rate.read_bytes_s
            multiply_s = batch.sequences * flop / rate.flop_s(batch.sequences)
            cache, products = (read_s, 0.0) if read_s >= multiply_s else (0.0, multiply_s)
        if batch.prompt:
            flop = work.pairs(batch.prompt, batch.past) * work.prefill_pair_flop
            products += flop * self._pair_share / rate.flop_s(batch.prompt)
        return cache, products

    def _looking_back(self, context: float) -> tuple[float, float]:
        """Bytes and operations of one sequence; a load asks for few contexts, and often."""
        known = self._contexts.get(context)
        if known is None:
            size = self._work.sequence_bytes(context) * self._cache_share
            flop = self._work.visible(context) * self._work.decode_pair_flop * self._pair_share
            known = self._contexts[context] = (size, flop)
        return known

    def _exchange(self, tokens: float) -> float:
        """Two all-reduces a layer among the ranks, by rings: 2(r-1)/r of the bytes on each link."""
        share = 2 * (self._ranks - 1) / self._ranks
        size = tokens * self._work.hidden * ACTIVATION_BYTES * share
        return 2 * self._layers * (self._rates.allreduce_s + self._over_the_link_s(size))

    def _over_the_link_s(self, size_bytes: float) -> float:
        linked = self._rates.link_bytes_s
        return size_bytes / linked if linked else 0.0


_Piece = tuple[float, float, Rate]
"""Parameters, bytes, rate: of one device."""


def _pieces(
    matrices: Sequence[Matrices], rates: Rates, share: float, slowed: float = 1.0
) -> tuple[_Piece, ...]:
    return tuple(
        (
            part.parameters * share,
            part.bytes * share,
            rates.of(part.type, part.bits).slowed(slowed),
        )
        for part in matrices
    )


def _bound(pieces: tuple[_Piece, ...], tokens: float, part: float = 1.0) -> tuple[float, float]:
    """Seconds (reading, multiplying) of `part` of the pieces: each piece counts as one of them."""
    read = multiply = 0.0
    for parameters, size, rate in pieces:
        reading = part * size / rate.read_bytes_s
        products = 2.0 * tokens * part * parameters / rate.flop_s(tokens)
        if reading >= products:
            read += reading
        else:
            multiply += products
    return read, multiply
