"""A compiled model's shapes, met before the first request does: each new one takes a minute.

Prompts of one piece and of two, answers alone and in company, rows that come and go.
"""

from __future__ import annotations

import queue

from .generation import Generation
from .loading import Loaded
from .row import Emit, Failure, Piece, Row
from .sampling import Sampler, Sampling

MOST_ROWS = 4
STEPS = 6


def warm_up(loaded: Loaded, generation: Generation) -> None:
    """Raises RuntimeError where the model can't compute what it was compiled to."""
    said: queue.SimpleQueue[Piece | Failure] = queue.SimpleQueue()
    lengths = _lengths(loaded)
    _answer(loaded, generation, lengths[:1], said)
    _answer(loaded, generation, lengths, said)


def _lengths(loaded: Loaded) -> list[int]:
    job = loaded.job
    rows = [3 + 8 * index for index in range(min(job.parallel, MOST_ROWS))]
    wanted = [*rows, job.prefill + 7]
    return [min(length, max(1, job.context - STEPS * (MOST_ROWS + 1))) for length in wanted]


def _answer(
    loaded: Loaded,
    generation: Generation,
    lengths: list[int],
    said: queue.SimpleQueue[Piece | Failure],
) -> None:
    for index, length in enumerate(lengths):
        generation.submit(_row(loaded, [0] * length, STEPS * (1 + index), said.put))
    under_way = len(lengths)
    while under_way:
        what = said.get()
        if isinstance(what, Failure):
            raise RuntimeError(what.message)
        under_way -= what.finish is not None


def _row(loaded: Loaded, prompt: list[int], limit: int, emit: Emit) -> Row:
    sampler = Sampler(Sampling(temperature=0), prompt, [])
    return Row(prompt, sampler, loaded.decode, limit=limit, ends=[], stop=[], emit=emit)
