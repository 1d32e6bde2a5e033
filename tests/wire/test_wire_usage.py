"""Tokens read from the ends of answers that a real engine gave."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.core import Operation, Usage
from pilotlight.gateway.wire.usage import HEAD_BYTES, TAIL_BYTES, usage_of


@pytest.mark.parametrize(
    ("operation", "name", "expected"),
    [
        (Operation.CHAT, "chat.json", Usage(37, 12, 0)),
        (Operation.CHAT, "chat_usage.sse", Usage(37, 12, 36)),
        (Operation.CHAT, "chat.sse", Usage(37, 12, 36)),  # from timings alone
        (Operation.CHAT, "chat_tools.json", Usage(528, 31, 527)),
        (Operation.COMPLETIONS, "completions.json", Usage(3, 5, 0)),
        (Operation.COMPLETIONS, "completions.sse", Usage(3, 5, 2)),
        (Operation.EMBEDDINGS, "embeddings.json", Usage(3, 0)),
        (Operation.RESPONSES, "responses.json", Usage(33, 8, 0)),
        (Operation.RESPONSES, "responses.sse", Usage(33, 8, 32)),
        (Operation.MESSAGES, "messages.json", Usage(24, 8, 3)),
        (Operation.MESSAGES, "messages.sse", Usage(24, 8, 23)),
    ],
)
def test_recorded_answers(
    operation: Operation, name: str, expected: Usage, recorded: Callable[[str], bytes]
) -> None:
    answer = recorded(name)
    found = usage_of(operation, answer[-TAIL_BYTES:], answer[:HEAD_BYTES])
    assert found == expected


def test_a_long_messages_stream_counts_its_prompt_in_the_head(
    recorded: Callable[[str], bytes],
) -> None:
    answer = recorded("messages.sse")
    assert usage_of(Operation.MESSAGES, answer[-300:]) is None
    assert usage_of(Operation.MESSAGES, answer[-300:], answer[:400]) == Usage(24, 8, 23)


def test_big_embeddings_count_before_their_vectors() -> None:
    head = b'{"object":"list","usage":{"prompt_tokens":7,"total_tokens":7},"data":[{"embedding":['
    tail = b"0.25," * 900 + b"1]}]}"
    assert usage_of(Operation.EMBEDDINGS, tail) is None
    assert usage_of(Operation.EMBEDDINGS, tail, head) == Usage(7, 0)


def test_a_null_usage_is_not_the_last_word() -> None:
    tail = (
        b'data: {"usage":{"prompt_tokens":2,"completion_tokens":3}}\n\n'
        b'data: {"choices":[],"usage":null}\n\ndata: [DONE]\n\n'
    )
    assert usage_of(Operation.CHAT, tail) == Usage(2, 3)


def test_the_model_cannot_forge_a_count() -> None:
    text = rb'"content":"\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":9}"'
    assert usage_of(Operation.CHAT, b"{" + text + b"}") is None
    real = b'{"usage":{"prompt_tokens":1,"completion_tokens":2},' + text + b"}"
    assert usage_of(Operation.CHAT, real) == Usage(1, 2)


def test_anthropic_counts_what_it_wrote_to_its_cache() -> None:
    tail = (
        b'{"usage":{"input_tokens":1,"cache_creation_input_tokens":10,'
        b'"cache_read_input_tokens":100,"output_tokens":5}}'
    )
    assert usage_of(Operation.MESSAGES, tail) == Usage(111, 5, 100)


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b'"usage":',
        b'"usage":{"prompt_tokens":',
        b'"usage":{"prompt_tokens":-1,"completion_tokens":2}',
        b'"usage":{"prompt_tokens":true,"completion_tokens":2}',
        b'"usage":[1]',
        b'"timings":{"prompt_n":"1","predicted_n":2}',
    ],
)
def test_garbage_counts_nothing(tail: bytes) -> None:
    assert usage_of(Operation.CHAT, tail) is None


@given(st.binary(max_size=200), st.integers(0, 400))
def test_no_bytes_make_it_fail(noise: bytes, cut: int) -> None:
    tail = b'x"usage": {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {}}'
    usage_of(Operation.CHAT, tail[cut:] + noise)
    usage_of(Operation.MESSAGES, noise + tail[:cut], noise)


@pytest.mark.parametrize("operation", [Operation.TOKENIZE, Operation.COUNT_TOKENS])
def test_operations_that_use_no_tokens(
    operation: Operation, recorded: Callable[[str], bytes]
) -> None:
    assert usage_of(operation, recorded("count_tokens.json")) is None
