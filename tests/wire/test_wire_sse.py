"""Framing and reading of event streams, however the chunks are cut."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.gateway.wire.sse import COMMENT, Event, EventReader, Framer, comment


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def test_a_whole_event_is_passed_on_as_it_came(recorded: Callable[[str], bytes]) -> None:
    chunk = recorded("chat.sse")
    assert Framer().feed(chunk) is chunk


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_partial_event_waits(newline: bytes) -> None:
    framer, end = Framer(), newline * 2
    assert framer.feed(b"data: 1" + end + b"data: 2") == b"data: 1" + end
    assert framer.feed(newline) == b""
    assert framer.feed(newline + b"d") == b"data: 2" + end
    assert framer.end() == b"d"
    assert framer.end() == b""


def test_a_boundary_at_the_very_start() -> None:
    framer = Framer()
    assert framer.feed(b"\n\ndata") == b"\n\n"
    assert framer.end() == b"data"


STREAM = (
    b'data: {"a": 1}\n\n: note\n\nevent: x\r\ndata: 1\r\ndata: 2\r\n\r\nid: 5\ndata: \xc3\xa9\n\n'
)


@given(st.lists(st.integers(0, 500)))
def test_framing_loses_nothing_and_never_cuts_an_event(cuts: list[int]) -> None:
    framer = Framer()
    sent = [framer.feed(piece) for piece in pieces(STREAM, cuts)]
    assert b"".join(sent) + framer.end() == STREAM
    assert all(each.endswith((b"\n\n", b"\r\n\r\n")) for each in sent if each)


@given(st.lists(st.integers(0, 500)))
def test_events_are_the_same_for_every_cut(cuts: list[int]) -> None:
    reader = EventReader()
    events = [event for piece in pieces(STREAM, cuts) for event in reader.feed(piece)]
    assert events == [Event('{"a": 1}'), Event("1\n2", "x"), Event("é")]


def test_lone_carriage_returns_end_lines_too() -> None:
    reader = EventReader()
    assert reader.feed(b"data: 1\rdata:2\r\r") == []  # the last one may be half of \r\n
    assert reader.feed(b"data: 3\n\n") == [Event("1\n2"), Event("3")]


def test_a_comment_is_an_event_that_clients_skip() -> None:
    assert COMMENT == b": keep-alive\n\n"
    assert EventReader().feed(COMMENT) == []
    with pytest.raises(ValueError, match="one line"):
        comment("a\ndata: forged")
