"""Text of exactly so many tokens, whoever counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.bench.target import Target
from pilotlight.bench.tokens.finding import find_tokenizer
from pilotlight.bench.tokens.library import file_tokenizer
from pilotlight.bench.tokens.served import ServerTokenizer, UsageTokenizer
from pilotlight.bench.tokens.wording import TOO_FEW, Wording, common_words, prepare_wording
from pilotlight.errors import BenchError, ServerRefusedError, ServerUnreachableError
from pilotlight.testing import tokens

from .stub import served


class Counter:
    """Counts by a function, and how often it was asked."""

    source = "a test"

    def __init__(self, count: Callable[[str], int] = tokens.count) -> None:
        self._count = count
        self.counted = 0

    async def count(self, texts: Sequence[str]) -> list[int]:
        self.counted += len(texts)
        return [self._count(text) for text in texts]


def wording() -> Wording:
    return asyncio.run(prepare_wording(Counter()))


@given(st.integers(1, 3000), st.integers())
def test_texts_have_exactly_as_many_tokens(count: int, seed: int) -> None:
    assert tokens.count(wording().text(count, Random(seed))) == count


@given(st.integers(1, 200), st.integers(0, 200), st.integers())
def test_what_is_added_to_a_text_adds_exactly_as_many(first: int, more: int, seed: int) -> None:
    made, random = wording(), Random(seed)
    text = made.text(first, random) + made.more(more, random)
    assert tokens.count(text) == first + more


def test_every_word_is_one_token_and_they_are_found_with_few_questions() -> None:
    counter = Counter()
    found = asyncio.run(prepare_wording(counter))
    assert {tokens.count(f" {word}") for word in found.words} == {1}
    assert len(found.words) >= 400
    assert counter.counted < len(common_words()) / 4


def test_a_vocabulary_of_letters_makes_no_words() -> None:
    with pytest.raises(BenchError, match=r"only \d+ of \d+ common English words") as raised:
        asyncio.run(prepare_wording(Counter(len)))
    assert "builtin" in (raised.value.hint or "")
    assert TOO_FEW > 1


def test_a_tokenizer_that_joins_words_is_found_out() -> None:
    def joining(text: str) -> int:  # pairs of words are one token, once texts get long
        return tokens.count(text) if len(text.split()) < 30 else tokens.count(text) // 2

    with pytest.raises(BenchError, match="joins words"):
        asyncio.run(prepare_wording(Counter(joining)))


async def test_the_server_counts(target: Target) -> None:
    tokenizer = await find_tokenizer(target)
    assert isinstance(tokenizer, ServerTokenizer)
    assert await tokenizer.count(["the cat", "extraordinary", ""]) == [2, 3, 0]


def vllm(path: str, body: dict[str, Any]) -> tuple[int, Any]:
    if path != "/tokenize" or "prompt" not in body:
        return 422, {"error": {"message": "field required: prompt"}}
    assert body["add_special_tokens"] is False
    found = [tokens.token_id(piece) for piece in tokens.pieces(body["prompt"])]
    return 200, {"count": len(found), "max_model_len": 2048, "tokens": found}


async def test_vllm_counts_by_its_own_shape() -> None:
    async with served(vllm, key="secret") as target:
        tokenizer = await find_tokenizer(target)
        assert await tokenizer.count(["the cat"]) == [2]


def chat_only(path: str, body: dict[str, Any]) -> tuple[int, Any]:
    """A template of nine tokens, no /tokenize."""
    if path != "/v1/chat/completions":
        return 404, {"error": {"message": "no such path"}}
    used = 9 + sum(tokens.count(message["content"]) for message in body["messages"])
    return 200, {"choices": [], "usage": {"prompt_tokens": used, "completion_tokens": 1}}


async def test_where_nothing_counts_the_usage_does() -> None:
    async with served(chat_only) as target:
        tokenizer = await find_tokenizer(target)
        assert isinstance(tokenizer, UsageTokenizer)
        assert await tokenizer.count(["the cat", "extraordinary"]) == [2, 3]


@pytest.mark.parametrize(
    ("usage", "words"),
    [(None, "doesn't say"), ({"prompt_tokens": 7}, "counts 7 tokens in 'the' and 7")],
)
async def test_a_usage_that_tells_nothing_is_refused(usage: Any, words: str) -> None:
    def answer(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return (200, {"usage": usage}) if path.endswith("completions") else (404, {})

    async with served(answer) as target:
        with pytest.raises(ServerRefusedError, match=words):
            await find_tokenizer(target)


async def test_a_missing_key_is_no_missing_tokenizer() -> None:
    async with served(vllm, key="secret") as target:
        with pytest.raises(ServerRefusedError, match="no key") as raised:
            await find_tokenizer(Target(url=target.url, model="m"))
    assert "PILOTLIGHT_API_KEY" in (raised.value.hint or "")


async def test_nobody_listens() -> None:
    with pytest.raises(ServerUnreachableError):
        await find_tokenizer(Target(url="http://127.0.0.1:9", model="m"))


async def test_a_tokenizer_file_counts(tmp_path: Path) -> None:
    library = pytest.importorskip("tokenizers", reason="the package 'tokenizers' isn't installed")
    words = {word: at for at, word in enumerate(["[UNK]", "the", "cat"])}
    made = library.Tokenizer(library.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = library.pre_tokenizers.Whitespace()
    made.enable_truncation(1)
    made.save(str(tmp_path / "tokenizer.json"))
    tokenizer = file_tokenizer(tmp_path / "tokenizer.json")
    assert await tokenizer.count(["the cat", "the cat the dog"]) == [2, 4]
    assert tokenizer.source == "tokenizer.json"


def test_no_tokenizer_in_the_file(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the package 'tokenizers' isn't installed")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BenchError, match="is no tokenizer"):
        file_tokenizer(tmp_path / "tokenizer.json")
