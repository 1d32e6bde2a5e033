"""Every kind of workload: what it asks, and that a seed gives the same again."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

from pilotlight.bench.ask import PATHS, Ask
from pilotlight.bench.target import Target
from pilotlight.bench.tokens.questions import ask_model
from pilotlight.bench.tokens.wording import common_words
from pilotlight.bench.workloads.registry import KINDS, check, prepare
from pilotlight.bench.workloads.workload import Workload
from pilotlight.errors import BenchError
from pilotlight.testing import tokens

from .stub import served


async def used(target: Target, ask: Ask) -> int:
    """The tokens of the whole prompt, as the server's usage says."""
    body = json.loads(ask.body(target.model))
    body |= {"stream": False, "max_tokens": 1}
    del body["stream_options"]
    answer = await ask_model(target, PATHS[ask.kind], body)
    return int(answer["usage"]["prompt_tokens"])


def first(workload: Workload, count: int, seed: int | None = None) -> list[Ask]:
    return list(islice(workload.asks(seed), count))


async def test_the_built_in_set_is_50_prompts_in_four_groups() -> None:
    workload = await prepare("builtin:repeat=no")
    asks = list(workload.asks())
    assert len(asks) == workload.size == 50 == len({ask.content for ask in asks})
    groups = Counter(ask.group for ask in asks)
    assert set(groups) == {"short", "short, bounded", "long", "long, bounded"}
    assert min(groups.values()) >= 12
    assert all((ask.max_tokens is not None) == ("bounded" in ask.group) for ask in asks)


async def test_the_built_in_set_goes_on_in_other_orders() -> None:
    asks = first(await prepare("builtin"), 150)
    rounds = [[ask.content for ask in asks[at : at + 50]] for at in (0, 50, 100)]
    assert rounds[0] != rounds[1] != rounds[2]
    assert set(rounds[0]) == set(rounds[1]) == set(rounds[2])


async def test_answers_can_be_bounded() -> None:
    limits = [ask.max_tokens for ask in first(await prepare("builtin:max_tokens=40"), 50)]
    assert max(limit or 999 for limit in limits) == 40
    assert min(limit or 999 for limit in limits) == 24


@pytest.mark.parametrize("kind", ["chat", "completions"])
async def test_fixed_lengths_are_the_servers_own(target: Target, kind: str) -> None:
    workload = await prepare(f"fixed:input=200,output=32,kind={kind}", target=target)
    asks = first(workload, 3)
    assert [await used(target, ask) for ask in asks] == [200] * 3
    assert {(ask.kind, ask.max_tokens, ask.exact_output) for ask in asks} == {(kind, 32, True)}
    assert len({ask.content for ask in asks}) == 3
    assert workload.size is None


async def test_distributed_lengths(target: Target) -> None:
    text = "distributed:input=lognormal(100,0.5),output=8..16,max_input=150"
    workload = await prepare(text, target=target)
    asks = first(workload, 200)
    lengths = [await used(target, ask) for ask in asks[:5]]
    around = lengths[0] - (asks[0].input_tokens or 0)
    assert lengths == [(ask.input_tokens or 0) + around for ask in asks[:5]]
    assert max(ask.input_tokens or 0 for ask in asks) + around == 150
    assert {ask.max_tokens for ask in asks} == set(range(8, 17))
    assert workload.name == text


async def test_lengths_from_a_file(target: Target, tmp_path: Path) -> None:
    (tmp_path / "lengths.txt").write_text("30\n60\n90\n")
    asked = {"kind": "distributed", "input": f"file({tmp_path}/lengths.txt)", "output": 4}
    asks = first(await prepare(asked, target=target), 60)
    assert {await used(target, ask) for ask in asks} == {30, 60, 90}


async def test_a_prompt_shorter_than_its_template_is_as_short_as_can_be(target: Target) -> None:
    [ask] = first(await prepare("fixed:input=1,output=1", target=target), 1)
    assert ask.input_tokens == 1


async def test_shared_prefixes(target: Target) -> None:
    workload = await prepare("shared-prefix:prefixes=2,prefix=64,suffix=16,output=4", target=target)
    asks = first(workload, 6)
    assert [await used(target, ask) for ask in asks] == [80] * 6
    halves = [tokens.pieces(str(ask.content)) for ask in asks]
    shared = [tuple(pieces[:-16]) for pieces in halves]
    assert shared[0] == shared[2] == shared[4] != shared[1] == shared[3] == shared[5]
    assert len({tuple(pieces[-16:]) for pieces in halves}) == 6
    assert {ask.group for ask in asks} == {"prefix 1", "prefix 2"}


async def test_sessions(target: Target) -> None:
    text = "sessions:turns=2..4,input=10,output=5,system=20,think_s=3,sessions=20"
    workload = await prepare(text, target=target)
    asks = list(workload.asks())
    assert workload.size == len(asks)
    turns = Counter(ask.session for ask in asks)
    assert len(turns) == 20
    assert set(turns.values()) == {2, 3, 4}
    for before, after in pairwise(asks):
        assert after.turn == (before.turn + 1 if after.session == before.session else 0)
    assert len({ask.system for ask in asks}) == 1
    assert all((ask.think_s > 0) == (ask.turn > 0) for ask in asks)
    mean_s = sum(ask.think_s for ask in asks) / sum(ask.turn > 0 for ask in asks)
    assert 1.5 < mean_s < 6


MADE = ["fixed:input=40", "distributed:input=normal(40,9),output=3..9", "sessions:input=9",
        "shared-prefix:prefix=40", "sample:requests=20,max_input=60", "builtin"]  # fmt: skip


@pytest.mark.parametrize("text", MADE)
async def test_a_seed_gives_the_same_again(target: Target, text: str) -> None:
    workload, again = await prepare(text, target=target), await prepare(text, target=target)
    assert first(workload, 20) == first(workload, 20) == first(again, 20)
    assert workload.summary() == again.summary()
    assert first(workload, 20, seed=1) != first(workload, 20, seed=2)
    assert (
        workload.summary().digest != (await prepare(text, target=target, seed=7)).summary().digest
    )


async def test_a_tokenizer_file_counts_instead_of_the_server(
    target: Target, tmp_path: Path
) -> None:
    library = pytest.importorskip("tokenizers", reason="the package 'tokenizers' isn't installed")
    words = {word: at for at, word in enumerate(["[UNK]", *common_words()])}
    made = library.Tokenizer(library.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = library.pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "own.json"))
    workload = await prepare(f"fixed:input=40,tokenizer={tmp_path}/own.json", target=target)
    assert workload.tokenizer == "own.json"
    with pytest.raises(BenchError, match="No such file"):
        await prepare(f"fixed:tokenizer={tmp_path}/none.json", target=target)


async def test_without_a_server_nothing_can_be_made() -> None:
    with pytest.raises(BenchError, match="no server is given to count"):
        await prepare("fixed")


async def test_a_server_that_keeps_end_of_text_is_told_of() -> None:
    def answer(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/tokenize":
            return 200, {"tokens": tokens.pieces(body["content"])}
        if "ignore_eos" in body:
            return 400, {"error": {"message": "unknown field 'ignore_eos'"}}
        return 200, {"usage": {"prompt_tokens": 5 + tokens.count(body["messages"][-1]["content"])}}

    async with served(answer) as target:
        workload = await prepare("fixed:input=20,output=4", target=target)
        assert not first(workload, 1)[0].exact_output
        assert not workload.summary().exact_output
        assert "answers may end sooner" in workload.description
        assert (await prepare("fixed:exact=no", target=target)).description.endswith("of 128")


async def test_a_summary(target: Target) -> None:
    summary = (await prepare("fixed:input=64,output=8", target=target)).summary()
    assert summary.max_tokens is not None
    assert summary.max_tokens.p90 == summary.max_tokens.longest == 8
    assert summary.requests is None
    assert summary.tokenizer == "the server's /tokenize"
    groups = dict((await prepare("builtin")).summary().groups)
    assert sum(groups.values()) == 1000
    assert (await prepare("builtin")).summary().max_tokens is None


@pytest.mark.parametrize(
    ("asked", "words", "hint"),
    [
        ("bulitin", "no workload is called 'bulitin'", "builtin"),
        ("fixed:inptu=3", "no option 'inptu'", "input"),
        ("fixed:input=0", "input='0', expected a whole number from 1", "usage"),
        ("distributed:output=3", "needs 'input'", "lognormal"),
        ("distributed:input=gauss(1,2),output=1", "input='gauss(1,2)'", "whole prompt"),
        ("distributed:input=9..3,output=1", "input='9..3'", "whole prompt"),
        ("distributed:input=normal(nan,1),output=1", "normal(nan,1)", "whole prompt"),
        ("distributed:input=normal(1),output=1", "normal(1)", "whole prompt"),
        ("fixed:input=3,input=4", "'input' twice", ""),
        ("fixed:input=3,4", "'4' where an option is due", "name=value"),
        ({"input": 3}, "has no kind", "fixed"),
        ("jsonl", "needs 'path'", "jsonl:path"),
        ("distributed:input=file(/nowhere),output=1", "can't read the lengths", "one number"),
    ],
)
def test_wrong_ones_are_named(asked: Any, words: str, hint: str) -> None:
    with pytest.raises(BenchError) as raised:
        check(asked)
    assert words in raised.value.message
    assert hint in (raised.value.hint or "")


def test_a_text_and_a_mapping_ask_for_the_same() -> None:
    text = "distributed:input=lognormal(512,0.8),output=uniform(1,9),exact=no"
    mapping = {
        "kind": "distributed", "input": "lognormal(512,0.8)", "output": "uniform(1,9)",
        "exact": False,
    }  # fmt: skip
    assert check(text).text == check(mapping).text == text
    assert check("trace:/some/where.csv").options == {"path": "/some/where.csv"}


@pytest.mark.parametrize("name", KINDS)
def test_every_option_says_what_it_is(name: str) -> None:
    for option in KINDS[name].options:
        assert option.help
        assert option.expected
        assert option.required == (option.name in ("path",) or (name, option.name) in REQUIRED)


REQUIRED = {("distributed", "input"), ("distributed", "output")}
