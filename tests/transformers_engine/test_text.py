"""Text from tokens, in whole characters and up to a stop; and answers taken apart."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.engines.transformers.host.parts import Call, Content, Part, Parts, Thought
from pilotlight.engines.transformers.host.text import Stops, TextStream


def decode(tokens: list[int]) -> str:
    """A tokenizer whose tokens are bytes."""
    return bytes(tokens).decode(errors="replace")


@given(st.text(), st.text())
def test_a_stream_is_the_text_in_whole_characters(prompt: str, text: str) -> None:
    stream = TextStream(decode, list(prompt.encode()))
    pieces = [stream.push(token) for token in text.encode()]
    assert "".join(pieces) + stream.flush() == text
    assert all("\ufffd" not in piece for piece in pieces if "\ufffd" not in text)


def test_half_a_character_comes_out_at_the_end() -> None:
    stream = TextStream(decode, [])
    assert [stream.push(token) for token in "é".encode()[:1]] == [""]
    assert stream.flush() == "\ufffd"


@given(st.lists(st.text("ab", max_size=3), max_size=8), st.lists(st.text("ab"), max_size=3))
def test_stops_cut_where_the_first_begins(chunks: list[str], words: list[str]) -> None:
    stops, whole = Stops(words), "".join(chunks)
    out = "".join(map(stops.push, chunks))
    found = [whole.find(word) for word in words if word and word in whole]
    if stops.hit:
        assert found
        # The first to be whole ends the answer; another may have begun before it.
        assert any(whole.startswith(out + word) for word in words if word)
        assert stops.push("more") == ""
    else:
        assert not found
        assert out + stops.flush() == whole


ANSWER = "<think>\nfirst\n</think>\n\nSaid.\n<tool_call>\n{json}\n</tool_call>".replace(
    "{json}", json.dumps({"name": "f", "arguments": {"x": "<think>"}})
)


def merged(parts: Sequence[Part]) -> list[Part]:
    """Neighbours of one kind as one, as clients join them."""
    made: list[Part] = []
    for part in parts:
        last = made[-1] if made else None
        if isinstance(part, Content) and isinstance(last, Content):
            made[-1] = Content(last.text + part.text)
        elif isinstance(part, Thought) and isinstance(last, Thought):
            made[-1] = Thought(last.text + part.text)
        else:
            made.append(part)
    return made


@given(st.lists(st.integers(0, len(ANSWER))))
def test_parts_are_the_same_however_the_text_is_cut(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(ANSWER)]
    parts = Parts(thinks=True, calls=True)
    found = [
        part for start, end in itertools.pairwise(ends) for part in parts.push(ANSWER[start:end])
    ]
    thought, content, call = merged(found + parts.flush())
    assert isinstance(thought, Thought)
    assert thought.text.strip() == "first"
    assert isinstance(content, Content)
    assert content.text.strip() == "Said."
    assert call == Call("f", '{"x": "<think>"}')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<tool_call>{\"name\": \"f\"}", [Call("f", "{}")]),
        ("<tool_call>no json</tool_call>", [Content("<tool_call>no json</tool_call>")]),
        ("<tool_call>{\"name\": \"f", [Content("<tool_call>{\"name\": \"f")]),
        ("a <b> c", [Content("a <b> c")]),
        ("ends with <tool", [Content("ends with <tool")]),
    ],
)  # fmt: skip
def test_what_is_no_whole_call_is_shown(text: str, expected: list[Part]) -> None:
    parts = Parts(thinks=False, calls=True)
    assert merged(parts.push(text) + parts.flush()) == expected


def test_marks_nobody_asked_for_are_text() -> None:
    parts = Parts(thinks=False, calls=False)
    assert merged(parts.push(ANSWER) + parts.flush()) == [Content(ANSWER)]


def test_a_thought_the_prompt_opened() -> None:
    parts = Parts(thinks=True, calls=False, region="thought")
    assert merged(parts.push("so</think>yes") + parts.flush()) == [Thought("so"), Content("yes")]
