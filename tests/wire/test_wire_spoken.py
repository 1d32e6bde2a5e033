"""How much of a broken stream was said, and whether it was broken at all."""

from __future__ import annotations

import pytest

from pilotlight.gateway.wire.spoken import has_ended, spoken_events

ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":null}}]}\n\n'
TEXT = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"completion_tokens":2}}\n\n'
PLAIN = b'data: {"choices":[{"text":"hi"}]}\n\n'
TOOL = b'data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}\n\n'
THOUGHT = b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n'
START = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
BLOCK = b'event: content_block_start\ndata: {"type":"content_block_start","index":0}\n\n'
DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{}}\n\n'
CREATED = b'event: response.created\ndata: {"type":"response.created"}\n\n'
OUTPUT = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta"}\n\n'


@pytest.mark.parametrize(
    ("head", "events", "said"),
    [
        (TEXT, 1, 1),
        (ROLE, 1, 0),
        (ROLE, 5, 4),
        (ROLE + TEXT, 5, 4),
        (PLAIN, 3, 3),
        (ROLE + TOOL, 2, 1),
        (ROLE + THOUGHT, 2, 1),
        (START + BLOCK, 6, 4),
        (START + BLOCK + DELTA, 6, 4),
        (CREATED + OUTPUT, 4, 3),
        (b": ping\n\n" + TEXT, 2, 1),
        (ROLE.replace(b"\n", b"\r\n") + TEXT, 2, 1),
        (b"data: not JSON\n\n", 2, 2),
        (b'data: {"choices":[7]}\n\n', 2, 2),
        (ROLE[:40], 0, 0),
        (b"", 0, 0),
    ],
)
def test_events_that_say_something(head: bytes, events: int, said: int) -> None:
    assert spoken_events(head, b"", events) == said


@pytest.mark.parametrize(
    ("tail", "events", "said"),
    [
        (TEXT + STOP, 4, 2),
        (TEXT + STOP + USAGE, 5, 2),
        (TEXT + STOP + USAGE + b"data: [DONE]\n\n", 6, 2),
        (TEXT + STOP.replace(b"\n", b"\r\n"), 4, 2),
        (TEXT + STOP + USAGE[:9], 4, 2),
        (b'x"}}]}\n\n' + TEXT, 3, 2),
        (ROLE, 1, 0),
    ],
)
def test_the_events_behind_the_last_token_say_nothing(tail: bytes, events: int, said: int) -> None:
    assert spoken_events(ROLE + TEXT, tail, events) == said


def test_of_a_message_neither_its_blocks_end_nor_why_it_stopped() -> None:
    end = DELTA + b'data: {"type":"content_block_stop"}\n\ndata: {"type":"message_delta"}\n\n'
    assert spoken_events(START + BLOCK + DELTA, end, 6) == 2


@pytest.mark.parametrize(
    ("tail", "ended"),
    [
        (TEXT + b"data: [DONE]\n\n", True),
        (b"data: [DONE]\n\n", True),
        (TEXT, False),
        (DELTA + b'event: message_stop\ndata: {"type":"message_stop"}\n\n', True),
        (OUTPUT + b"event: response.completed\ndata: {}\n\n", True),
        (b'data: {"choices":[{"delta":{"content":"data: [DONE]"}}]}\n\n', False),
        (b"", False),
    ],
)
def test_the_end_of_a_stream(tail: bytes, ended: bool) -> None:
    assert has_ended(tail) == ended
