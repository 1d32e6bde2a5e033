"""What an ended answer said and when: by the read that brought each event, not by its bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilotlight.bench.generator.exchange import Exchange
from pilotlight.bench.generator.stream import Reading, kind_of, read


def event(**tree: Any) -> bytes:
    return b"data: " + json.dumps(tree).encode() + b"\n\n"


def delta(**fields: Any) -> bytes:
    return event(choices=[{"index": 0, "delta": fields}])


FINISH = event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
USAGE = event(choices=[], usage={"prompt_tokens": 5, "completion_tokens": 2})
DONE = b"data: [DONE]\n\n"


def answered(*pieces: bytes, status: int = 200, complete: bool = True) -> Exchange:
    """Each piece in a read of its own, a second after the one before, from 1."""
    exchange = Exchange(b"", 0.0)
    exchange.status, exchange.complete = status, complete
    exchange.pieces = list(pieces)
    exchange.stamps = [float(number) for number in range(1, len(pieces) + 1)]
    return exchange


def told(*pieces: bytes, **more: Any) -> Reading:
    return read(answered(*pieces, **more))


def test_the_first_token_is_the_first_with_content() -> None:
    """Neither the role, nor a comment that keeps the connection open, is one."""
    found = told(b": loading\n\n", delta(role="assistant", content=""), delta(content="Hi"), DONE)
    assert (found.first_s, found.last_s, found.error) == (3.0, 3.0, None)


def test_gaps_are_between_reads_with_content() -> None:
    found = told(delta(content="a"), b": ping\n\n", delta(content="b"), delta(content="c"), DONE)
    assert found.gaps_ms == (2000.0, 1000.0)
    assert found.text == "abc"


def test_events_of_one_read_are_one_moment() -> None:
    found = told(delta(content="a") + delta(content="b"), delta(content="c"), FINISH + DONE)
    assert found.gaps_ms == (1000.0,)
    assert found.finish_reason == "stop"


def test_an_event_is_here_when_the_end_of_its_line_is() -> None:
    whole = delta(content="Hi")
    found = told(whole[:9], whole[9:-2], whole[-2:] + DONE)
    assert found.first_s == 3.0


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"tool_calls": [{"index": 0, "function": {"name": "f"}}]},
        {"refusal": "no"},
    ],
)
def test_whatever_the_model_generates_is_content(fields: dict[str, Any]) -> None:
    assert told(delta(role="assistant"), delta(**fields), DONE).first_s == 2.0


def test_completions_have_text() -> None:
    found = told(event(choices=[{"text": "Hi"}]), event(choices=[{"text": ""}]), DONE)
    assert (found.text, found.last_s) == ("Hi", 1.0)


def test_lines_may_end_as_windows_ends_them() -> None:
    found = told(delta(content="Hi").replace(b"\n", b"\r\n"), DONE.replace(b"\n", b"\r\n"))
    assert (found.text, found.error) == ("Hi", None)


def test_usage_is_the_servers() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4}
    usage["prompt_tokens_details"] = {"cached_tokens": 7}  # type: ignore[assignment]
    found = told(delta(content="Hi"), event(choices=[], usage=usage), DONE)
    assert (found.input_tokens, found.output_tokens, found.cached_tokens) == (9, 4, 7)


def test_the_last_usage_counts_where_each_event_has_one() -> None:
    first = event(
        choices=[{"delta": {"content": "a"}}], usage={"prompt_tokens": 5, "completion_tokens": 1}
    )
    assert told(first, USAGE, DONE).output_tokens == 2


def test_llamacpps_timings_stand_in_for_usage() -> None:
    timings = {"prompt_n": 3, "cache_n": 4, "predicted_n": 6}
    found = told(event(choices=[{"delta": {"content": "a"}}], timings=timings), DONE)
    assert (found.input_tokens, found.output_tokens, found.cached_tokens) == (7, 6, 4)


def test_unknown_counts_are_none() -> None:
    found = told(delta(content="Hi"), DONE)
    assert (found.input_tokens, found.output_tokens, found.cached_tokens) == (None, None, None)


def test_an_empty_answer_is_an_answer() -> None:
    found = told(delta(role="assistant", content=""), FINISH, DONE)
    assert (found.error, found.first_s) == (None, None)


def test_an_answer_in_one_piece_came_with_its_last_read() -> None:
    whole = json.dumps({
        "choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2},
    }).encode()  # fmt: skip
    found = told(whole[:20], whole[20:])
    assert (found.first_s, found.text, found.output_tokens) == (2.0, "Hi", 2)
    assert found.error is None


def test_an_answer_without_done_or_reason_is_broken_off() -> None:
    assert told(delta(content="Hi")).error == "broken-off"


def test_a_finish_reason_ends_an_answer_too() -> None:
    assert told(delta(content="Hi"), FINISH).error is None


@pytest.mark.parametrize(
    "body", [b"", b"<html>Hello</html>", b"data: {no json\n\n", b'data: {"choices": 5}\n\n', b"{]"]
)
def test_what_is_no_completion_is_malformed(body: bytes) -> None:
    found = told(body, DONE)
    assert found.error == "malformed"
    assert found.message


def test_an_error_within_a_stream_is_of_its_code() -> None:
    found = told(delta(content="Hi"), event(error={"code": 503, "message": "gone\nnow"}))
    assert (found.error, found.message) == ("rate-limited", "gone now")


def test_an_error_within_a_stream_without_a_code_broke_it_off() -> None:
    found = told(delta(content="Hi"), event(error={"message": "crashed", "code": "engine"}), DONE)
    assert (found.error, found.message, found.first_s) == ("broken-off", "crashed", 1.0)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "refused"), (401, "refused"), (404, "refused"), (429, "rate-limited"),
        (503, "rate-limited"), (500, "server"), (502, "server"), (302, "malformed"),
        (204, "malformed"),
    ],
)  # fmt: skip
def test_a_status_says_what_kind_of_error_it_is(status: int, kind: str) -> None:
    assert kind_of(status) == kind


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "no such model"}}', "no such model"),
        (b'{"error": "no such model"}', "no such model"),
        (b'{"message": "no such model"}', "no such model"),
        (b"Bad Gateway", "Bad Gateway"),
        (b"", "502"),
    ],
)
def test_an_errors_own_words_are_kept(body: bytes, words: str) -> None:
    assert told(body, status=502).message == words


def test_what_came_before_a_connection_broke_is_kept() -> None:
    exchange = answered(delta(content="Hi"), complete=False)
    exchange.failure = "broken-off", "the connection closed midway"
    found = read(exchange)
    assert (found.error, found.first_s, found.text) == ("broken-off", 1.0, "Hi")


def test_a_long_answer_is_read_in_steps() -> None:
    from pilotlight.bench.generator.stream import reading

    exchange = answered(*[delta(content="x")] * 1000, DONE)
    steps = sum(1 for _ in reading(exchange))
    assert steps > 10
