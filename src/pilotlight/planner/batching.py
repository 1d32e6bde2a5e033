"""Continuous batching: what a request takes when others decode and prefill beside it.

With b sequences decoding, a step takes D(b), and each prompt that comes in adds M(b) to the steps
it shares. Every sequence's OSL - 1 steps see the prompts of the b - 1 others, hence
TPOT = D(b) + (b - 1) / (OSL - 1) · M(b), while prompts leave steps free. Where they come faster
they share steps; and once a chunk of their tokens is in every step, whoever else is in the batch
waits for a turn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pilotlight.planner.requirements import Lengths
from pilotlight.planner.roofline import Batch, Setup


@dataclass(frozen=True, slots=True)
class Service:
    """What one request costs, in seconds, while `sequences` are in the batch."""

    sequences: float
    context: float
    """Tokens behind a sequence, in the mean of its answer."""

    step_s: float
    beside_s: float
    """What its prompt adds to the steps of others."""

    tpot_s: float
    first_s: float
    """From the prompt's turn to its first token."""

    request_s: float
    """From the prompt's turn to its last token."""

    @property
    def requests_per_s(self) -> float:
        """While the batch is kept full."""
        return self.sequences / self.request_s


def service(setup: Setup, lengths: Lengths, sequences: float) -> Service:
    """With so many in the batch, the request itself among them."""
    later = max(lengths.output_tokens - 1, 1)
    most = 1 + later * setup.prompts_per_step(lengths.input_tokens)
    if sequences <= max(most, 2.0):
        return _flowing(setup, lengths, sequences)
    full = _flowing(setup, lengths, max(most, 2.0))
    waited_s = full.request_s * (sequences / full.sequences - 1)
    return replace(
        full,
        sequences=sequences,
        first_s=full.first_s + waited_s,
        request_s=full.request_s + waited_s,
    )


def _flowing(setup: Setup, lengths: Lengths, sequences: float) -> Service:
    """While the steps hold all prompts that come. Kept: every load on a setup asks for the ends."""
    known: dict[object, Service] = setup.services
    key = lengths, sequences
    if key not in known:
        known[key] = _flow(setup, lengths, sequences)
    return known[key]


def _flow(setup: Setup, lengths: Lengths, sequences: float) -> Service:
    later = lengths.output_tokens - 1
    others = sequences - 1.0
    context = lengths.input_tokens + lengths.output_tokens / 2
    step_s = setup.step_s(Batch(sequences=sequences, context=context))
    joined = others > 0 and later > 0  # else no step decodes, and a prompt has it to itself
    if joined:
        beside_s = setup.beside_s(lengths.input_tokens, sequences, context, step_s)
    else:
        beside_s = setup.prefill(lengths.input_tokens).seconds
    prompts = max(others, 0.0) / later if later else 0.0
    crowded_s = setup.crowded_s(lengths.input_tokens, prompts, sequences, context)
    tpot_s = crowded_s or step_s + prompts * beside_s
    shared = setup.prompt_steps(lengths.input_tokens) if setup.mixed and joined else 0
    # Without later tokens to come in between, the prompts of the batch are done one by one.
    turns = 1.0 if later else max(sequences, 1.0)
    first_s = setup.request_s + shared * step_s + turns * beside_s
    return Service(
        sequences=sequences,
        context=context,
        step_s=step_s,
        beside_s=beside_s,
        tpot_s=tpot_s,
        first_s=first_s,
        request_s=first_s + later * tpot_s,
    )


def batch_at(setup: Setup, lengths: Lengths, requests_per_s: float, limit: float) -> Service:
    """The batch that arrivals at this rate keep up, as one of the requests in it sees it.

    By Little's law `requests_per_s`·(OSL - 1)·TPOT sequences decode, and whoever arrives finds
    them there: the batch is one more. `limit` bounds it. The excess of that over the batch falls
    from positive to negative in between; false position finds where, with Illinois' halving.
    """
    arriving = requests_per_s * (lengths.output_tokens - 1)
    low, high = 1.0, float(limit)
    at_low = arriving * service(setup, lengths, low).tpot_s
    found = service(setup, lengths, high)
    at_high = 1.0 + arriving * found.tpot_s - high
    if at_high >= 0 or high <= low:
        return found
    side = 0
    for _ in range(MOST_TRIES):
        tried = low + (high - low) * at_low / (at_low - at_high)
        found = service(setup, lengths, tried)
        excess = 1.0 + arriving * found.tpot_s - tried
        if abs(excess) < TOLERANCE * tried:
            break
        if excess > 0:
            low, at_low, at_high = tried, excess, at_high / (2 if side > 0 else 1)
            side = 1
        else:
            high, at_high, at_low = tried, excess, at_low / (2 if side < 0 else 1)
            side = -1
    return found


MOST_TRIES = 20
TOLERANCE = 5e-4
"""Of the batch."""
