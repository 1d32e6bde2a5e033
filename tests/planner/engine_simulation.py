"""An engine with continuous batching, step by step, against which the closed forms are checked.

Each step takes what the roofline says for what is in it: all sequences that decode, and of the
waiting prompts as many tokens as a chunk holds. Answers' lengths follow a geometric distribution.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass

from pilotlight.planner.requirements import Lengths
from pilotlight.planner.roofline import Batch, Setup


@dataclass(slots=True)
class Request:
    due_s: float
    answer_tokens: int
    prompted: int = 0
    """Of its prompt's tokens."""

    answered: int = 0
    first_s: float = 0.0
    end_s: float = 0.0


def poisson(requests_per_s: float, lengths: Lengths, count: int, seed: int) -> list[Request]:
    """So many arrivals, from a generator of its own."""
    generator, now_s, requests = random.Random(seed), 0.0, []
    for _ in range(count):
        now_s += generator.expovariate(requests_per_s)
        drawn = generator.expovariate(1 / (lengths.output_tokens - 1.5))
        requests.append(Request(now_s, 2 + math.floor(drawn)))
    return requests


def run(setup: Setup, lengths: Lengths, requests: list[Request], places: int) -> list[Request]:
    """Work all of them off; the ones returned are those after a fifth, when it runs steadily."""
    arriving, waiting = deque(requests), deque[Request]()
    decoding: list[Request] = []
    now_s = 0.0
    while arriving or waiting or decoding:
        if not waiting and not decoding:
            now_s = max(now_s, arriving[0].due_s)
        while arriving and arriving[0].due_s <= now_s:
            waiting.append(arriving.popleft())
        prompts = _admit(setup, lengths, waiting, places - len(decoding))
        now_s += _step_s(setup, lengths, decoding, prompts)
        _answer(decoding, now_s)
        for each, tokens in prompts:
            each.prompted += tokens
        while waiting and waiting[0].prompted >= lengths.input_tokens:
            begun = waiting.popleft()
            begun.first_s, begun.answered = now_s, 1
            decoding.append(begun)
        decoding[:] = [each for each in decoding if each.answered < each.answer_tokens]
    return requests[len(requests) // 5 :]


def _admit(
    setup: Setup, lengths: Lengths, waiting: deque[Request], places: int
) -> list[tuple[Request, int]]:
    """Whose prompts go into the next step, and how much of each."""
    admitted, left = [], setup.chunk_tokens
    for each in list(waiting)[:places]:
        tokens = min(left, lengths.input_tokens - each.prompted)
        if tokens == 0:
            break
        admitted.append((each, tokens))
        left -= tokens
    return admitted


def _step_s(
    setup: Setup, lengths: Lengths, decoding: list[Request], prompts: list[tuple[Request, int]]
) -> float:
    behind = sum(lengths.input_tokens + each.answered for each in decoding)
    tokens = sum(count for _, count in prompts)
    ending = sum(each.prompted + count >= lengths.input_tokens for each, count in prompts)
    context = behind / len(decoding) if decoding else 0.0
    past = prompts[0][0].prompted if len(prompts) == 1 else 0
    return setup.step_s(Batch(len(decoding), context, tokens, past, ending))


def _answer(decoding: list[Request], now_s: float) -> None:
    for each in decoding:
        each.answered += 1
        if each.answered == each.answer_tokens:
            each.end_s = now_s


def ttft_s(requests: list[Request], setup: Setup, percentile: float) -> float:
    """From when a request was due."""
    waits = sorted(each.first_s - each.due_s for each in requests)
    return _at(waits, percentile) + setup.request_s


def tpot_s(requests: list[Request], percentile: float) -> float:
    """Of answers long enough for a mean."""
    means = sorted(
        (each.end_s - each.first_s) / (each.answer_tokens - 1)
        for each in requests
        if each.answer_tokens > 8
    )
    return _at(means, percentile)


def _at(ordered: list[float], percentile: float) -> float:
    return ordered[min(int(len(ordered) * percentile / 100), len(ordered) - 1)]
