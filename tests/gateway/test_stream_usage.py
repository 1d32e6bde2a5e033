"""Tokens are counted for every stream, and only who asked for usage sees it."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Build

ASKED = {"m": {"options": {"counts": False, "words": 3}}}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "prompt": "hello there", **fields}


async def counted(s: Any) -> float:
    return float(await s.metric("pilotlight_tokens_total", model="m", kind="completion"))


async def test_who_did_not_ask_is_counted_and_sees_no_usage(street: Build) -> None:
    s = await street(ASKED)
    answer = await s.client.chat(stream=True).done()
    assert b'"usage"' not in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert all(event["choices"] for event in answer.events if event != "[DONE]")
    assert await counted(s) == 3


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}])
async def test_no_way_of_not_asking_shows_it(street: Build, options: Any) -> None:
    s = await street(ASKED)
    answer = await s.client.chat(stream=True, stream_options=options).done()
    assert answer.status == 200
    assert b'"usage"' not in answer.body
    assert await counted(s) == 3


async def test_who_asked_sees_it(street: Build) -> None:
    s = await street(ASKED)
    answer = await s.client.chat(stream=True, stream_options={"include_usage": True}).done()
    assert answer.events[-2]["usage"]["completion_tokens"] == 3
    assert answer.events[-2]["choices"] == []
    assert await counted(s) == 3


async def test_usage_in_every_event_is_no_wish_for_it(street: Build) -> None:
    """vLLM's field, which GuideLLM sends always: usage comes to who asked for it, at the end."""
    s = await street(ASKED)
    wish = {"include_usage": True, "continuous_usage_stats": True}
    answer = await s.client.chat(stream=True, stream_options=wish).done()
    assert answer.events[-2]["usage"]["completion_tokens"] == 3
    answer = await s.client.chat(
        stream=True, stream_options={"continuous_usage_stats": True}
    ).done()
    assert b'"usage"' not in answer.body
    assert await counted(s) == 6


async def test_completions_too(street: Build) -> None:
    s = await street(ASKED)
    answer = await s.client.begin("POST", "/v1/completions", body(stream=True)).done()
    assert b'"usage"' not in answer.body
    assert await counted(s) == 3


async def test_other_surfaces_are_counted(street: Build) -> None:
    """Carried by chat, which asks for usage itself."""
    s = await street(ASKED)
    told = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 9}
    answer = await s.client.begin("POST", "/v1/messages", {**told, "stream": True}).done()
    assert answer.status == 200
    assert await counted(s) == 3


async def test_an_engine_that_counts_by_itself_gets_the_very_bytes(street: Build) -> None:
    s = await street({"m": {"options": {"words": 3}}})
    answer = await s.client.chat(stream=True).done()
    assert b'"timings"' in answer.body
    assert b'"usage"' not in answer.body
    assert await counted(s) == 3
