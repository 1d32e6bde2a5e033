"""The benchmarks' clock stops at a first token with text, however its engine writes JSON."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def first_token(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent.parent))
    return importlib.import_module("benchmarks.first_token")


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[{"delta":{"content":"Hi"},"index":0}]}\n',
        b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}}]}\n',
        b'data: {"choices":[{"delta":{"content":"\\"Hi"}}]}\n',
        b'data: {"choices":[{"delta":{"content":"\\n"}}]}\n',
        b'data: {"choices": [{"delta": {"reasoning_content": "Hm"}}]}\n',
        b'data: {"choices":[{"delta":{"reasoning":"Hm"}}]}\n',
        b'data: {"choices":[{"delta":{"content":""}}]}\n\ndata: {"choices":[{"delta":{"content":"H',
    ],
)
def test_text_is_a_token(first_token: ModuleType, event: bytes) -> None:
    assert first_token.has_token(event)


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b": keep-alive\n",
        b'data: {"choices":[{"delta":{"role":"assistant","content":null}}]}\n',
        b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n',
        b'data: {"choices":[{"delta":{"content":"","reasoning_content":""}}]}\n',
        b'data: {"choices": [{"delta": {}, "logprobs": {"content": [{"token": "x"}]}}]}\n',
        b'data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"content"}}]}}]}\n',
        b"data: [DONE]\n",
    ],
)
def test_a_role_and_no_text_are_none(first_token: ModuleType, event: bytes) -> None:
    assert not first_token.has_token(event)
