"""What a workload can say of a setting, and what it must not."""

from __future__ import annotations

from itertools import islice

import pytest

from pilotlight.bench.workloads.registry import KINDS, prepare
from pilotlight.tune.requests import MADE, REPEATING, unjudged, unrepeated


async def test_prompts_that_repeat_are_made_unlike() -> None:
    workload = await prepare("builtin", target=None)
    asks = list(islice(unrepeated(workload, "builtin").asks(7), 200))
    assert len({str(ask.content)[:8] for ask in asks}) == 200, "from the first words on"
    again = list(islice(unrepeated(workload, "builtin").asks(7), 200))
    assert asks == again, "the same for every setting"
    other = islice(unrepeated(workload, "builtin").asks(8), 200)
    assert not {ask.content for ask in asks} & {ask.content for ask in other}
    assert [ask.max_tokens for ask in asks] == [
        ask.max_tokens for ask in islice(workload.asks(7), 200)
    ]


async def test_other_workloads_are_left_alone() -> None:
    workload = await prepare("builtin", target=None)
    assert unrepeated(workload, "jsonl") is workload


@pytest.mark.parametrize(
    ("kind", "axes"),
    [
        ("builtin", {"prefix_cache"}),
        ("fixed", {"prefix_cache", "speculative"}),
        ("shared-prefix", {"speculative"}),
        ("sessions", {"speculative"}),
        ("jsonl", set()),
        ("sharegpt", set()),
    ],
)
def test_what_a_workload_cannot_judge(kind: str, axes: set[str]) -> None:
    assert unjudged(kind) == axes


def test_every_kind_is_known() -> None:
    assert MADE | REPEATING | {"jsonl", "sharegpt"} == set(KINDS)
