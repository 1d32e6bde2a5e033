from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pilotlight.core import Capabilities, Operation
from pilotlight.gateway.translate.base import Context

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], bytes]:
    """Bytes as an engine sent them; see data/README.md."""
    return lambda name: (DATA / name).read_bytes()


@pytest.fixture
def context() -> Context:
    """A request that came at 10.0 s, waited half a second for a load, and ends at 12.0 s."""
    return Context(
        model="smollm2",
        request_id="req1",
        started_s=10.0,
        now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        clock_s=lambda: 12.0,
        load_s=lambda: 0.5,
    )


@pytest.fixture
def plain() -> Capabilities:
    """An engine with the core fields and nothing more."""
    return Capabilities(operations=frozenset({Operation.CHAT, Operation.COMPLETIONS}))


@pytest.fixture
def able() -> Capabilities:
    """An engine and model that can all there is."""
    chat = frozenset(
        {
            "top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n", "mirostat",
            "mirostat_tau", "mirostat_eta", "n_keep", "reasoning_effort", "chat_template_kwargs",
            "reasoning_budget_tokens", "parallel_tool_calls", "grammar",
        }
    )  # fmt: skip
    return Capabilities(
        operations=frozenset({Operation.CHAT, Operation.COMPLETIONS, Operation.EMBEDDINGS}),
        parameters={
            Operation.CHAT: chat,
            Operation.COMPLETIONS: frozenset({"top_k", "json_schema"}),
        },
        tools=True,
        vision=True,
        thinking=True,
    )
