"""Workloads from files: JSON lines, ShareGPT, traces."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from pilotlight.bench.ask import Ask
from pilotlight.bench.target import Target
from pilotlight.bench.workloads.registry import prepare
from pilotlight.errors import BenchError
from pilotlight.testing import tokens

from .test_kinds import used


def written(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    return path


async def asked(path: Path, options: str = "") -> list[Ask]:
    workload = await prepare(f"jsonl:{path}{options}")
    asks = list(workload.asks())
    assert workload.size == len(asks)
    return asks


async def test_lines_in_our_own_fields(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.jsonl",
        {"prompt": "Hello", "max_tokens": 5, "group": "greetings", "temperature": 0.2},
        {"prompt": "def f(", "kind": "completions", "at_s": 1.5},
        {"prompt": [1, 2, 3]},
        {"prompt": "Hi", "system": "Be brief."},
    )
    assert await asked(path, ",max_tokens=9") == [
        Ask(content="Hello", max_tokens=5, group="greetings", fields={"temperature": 0.2}),
        Ask(kind="completions", content="def f(", max_tokens=9, at_s=1.5),
        Ask(kind="completions", content=(1, 2, 3), max_tokens=9),
        Ask(content="Hi", system="Be brief.", max_tokens=9),
    ]


async def test_lines_of_an_openai_batch(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "And now?"},
    ]
    path = written(
        tmp_path / "batch.jsonl",
        {
            "custom_id": "1", "method": "POST", "url": "/v1/chat/completions",
            "body": {"model": "gpt-5", "messages": messages, "max_completion_tokens": 7,
                     "stream": False},
        },
        {"custom_id": "2", "url": "/v1/completions", "body": {"model": "x", "prompt": "Once"}},
    )  # fmt: skip
    chat, bare = await asked(path)
    assert json.loads(chat.body("m")) == {
        "model": "m", "stream": True, "stream_options": {"include_usage": True},
        "max_tokens": 7, "messages": messages,
    }  # fmt: skip
    assert bare == Ask(kind="completions", content="Once")


async def test_sessions_are_kept_together_and_renamed_in_each_round(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.jsonl",
        {"prompt": "a1", "session": "a"},
        {"prompt": "alone"},
        {"prompt": "a2", "session": "a", "turn": 1, "think_s": 2},
        {"turns": ["t1", "t2"], "think_s": 3},
    )
    workload = await prepare(f"jsonl:{path},repeat=yes")
    found = [
        (ask.content, ask.session, ask.turn, ask.think_s) for ask in islice(workload.asks(), 7)
    ]
    assert found == [
        ("a1", "a", 0, 0), ("a2", "a", 1, 2), ("alone", None, 0, 0),
        ("t1", "line 4", 0, 0), ("t2", "line 4", 1, 3),
        ("a1", "a#2", 0, 0), ("a2", "a#2", 1, 2),
    ]  # fmt: skip
    assert workload.size is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", ":1: "),
        ("[]", "not an object"),
        ("{}", "has neither prompt nor messages"),
        ('{"prompt": "a", "messages": []}', "prompt and messages"),
        ('{"messages": []}', "no list of messages"),
        ('{"messages": ["Hi"]}', "'Hi' is no message"),
        ('{"turns": "Hi"}', "'Hi' is no list of turns"),
        ('{"turns": []}', "no list of turns"),
        ('{"prompt": []}', "no list of token ids"),
        ('{"prompt": "a", "max_tokens": 0}', ">= 1"),
        ('{"prompt": "a", "max_tokens": 2.5}', "max_tokens"),
        ('{"prompt": "a", "think_s": -1}', "think_s"),
        ('{"prompt": "a", "at_s": -1}', "at_s"),
        ('{"kind": "completions", "messages": [{"role": "user"}]}', "completions has no messages"),
        ('{"prompt": "a", "kind": "completions", "system": "b"}', "completions has no system"),
        ('{"body": "a"}', ":1: "),
        ('{"prompt": ""}', "no prompt"),
        ('{"prompt": ["a"]}', ":1: "),
        ('{"prompt": "a", "think_s": "long"}', "think_s"),
        ('{"url": "/v1/embeddings", "body": {"prompt": "a"}}', "'/v1/embeddings'"),
    ],
)
async def test_wrong_lines_are_named(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "a.jsonl").write_text(line)
    with pytest.raises(BenchError, match=r"a\.jsonl:1") as raised:
        await asked(tmp_path / "a.jsonl")
    assert words in raised.value.message


async def test_no_file_and_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    for name, words in (("none.jsonl", "can't read"), ("empty.jsonl", "has no request")):
        with pytest.raises(BenchError, match=words):
            await asked(tmp_path / name)


def conversation(*texts: str, first: str = "human") -> dict[str, Any]:
    sides = [first, "gpt" if first == "human" else "human"]
    said = [{"from": sides[at % 2], "value": text} for at, text in enumerate(texts)]
    return {"id": texts[0], "conversations": said}


SHARED = [
    conversation("the cat sat", "on the mat", "and then", "it slept for long"),
    conversation("before", "what now", "well then it is", first="gpt"),
    conversation("no answer came"),
    conversation("the long " * 50, "yes"),
    {"id": "odd"},
]


async def test_first_questions_of_sharegpt(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "shared.json"
    path.write_text(json.dumps(SHARED))
    workload = await prepare(f"sharegpt:{path},max_input=50", target=target)
    found = {ask.content: ask for ask in workload.asks()}
    assert set(found) == {"the cat sat", "what now"}
    ask = found["the cat sat"]
    assert (ask.max_tokens, ask.input_tokens, ask.exact_output) == (3, 3, True)
    assert "2 of 3 conversations" in workload.description


async def test_whole_conversations_of_sharegpt(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "shared.json"
    path.write_text(json.dumps(SHARED))
    workload = await prepare(f"sharegpt:{path},turns=all,max_output=4", target=target)
    talks: dict[str | None, list[Ask]] = {}
    for ask in workload.asks():
        talks.setdefault(ask.session, []).append(ask)
    assert sorted(len(talk) for talk in talks.values()) == [1, 1, 2]
    assert all([ask.turn for ask in talk] == list(range(len(talk))) for talk in talks.values())
    assert all((ask.max_tokens or 9) <= 4 for talk in talks.values() for ask in talk)


@pytest.mark.parametrize(
    "text",
    [
        "{", "{}", "[]", '[{"conversations": []}]', '[{"conversations": 5}]',
        '[{"conversations": ["Hi", "Hello."]}]',
        '[{"conversations": [{"from": [], "value": "a"}]}]',
    ],
)  # fmt: skip
async def test_no_sharegpt_in_the_file(target: Target, tmp_path: Path, text: str) -> None:
    (tmp_path / "shared.json").write_text(text)
    with pytest.raises(BenchError, match=r"is not JSON|holds no conversation"):
        await prepare(f"sharegpt:{tmp_path}/shared.json", target=target)


async def test_the_sample_has_azures_times_lengths_and_attribution(target: Target) -> None:
    workload = await prepare("sample", target=target)
    asks = list(workload.asks())
    assert workload.size == len(asks) == 300
    assert (asks[0].at_s, asks[0].max_tokens) == (0.0, 44)
    assert asks[1].at_s == pytest.approx(4.314579, abs=1e-6)
    assert [await used(target, ask) for ask in asks[:3]] == [374, 396, 879]
    assert "CC BY 4.0" in (workload.source or "")
    code = await prepare("sample:which=code,requests=10,max_input=100", target=target)
    assert code.size == 10
    assert "prompts cut to 100 tokens" in code.description


AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,37,4\n"


async def test_a_trace_of_azures(target: Target, tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text(AZURE + "2023-11-16 18:15:48.1805900,50,6\n")
    asks = list((await prepare(f"trace:{tmp_path}/trace.csv", target=target)).asks())
    assert [(await used(target, ask), ask.max_tokens, ask.at_s) for ask in asks] == [
        (37, 4, 0.0),
        (50, 6, 1.5),
    ]


def mooncake(at_ms: int, tokens: int, blocks: list[int]) -> dict[str, Any]:
    return {"timestamp": at_ms, "input_length": tokens, "output_length": 3, "hash_ids": blocks}


async def test_prompts_of_a_mooncake_trace_share_the_blocks_that_they_shared(
    target: Target, tmp_path: Path
) -> None:
    path = written(
        tmp_path / "trace.jsonl",
        mooncake(0, 1300, [7, 8, 9]),
        mooncake(500, 1100, [7, 8, 10]),
        mooncake(900, 1100, [8, 7, 10]),
        mooncake(950, 1200, [11]),
    )
    workload = await prepare(f"trace:{path}", target=target)
    asks = list(workload.asks())
    assert [await used(target, ask) for ask in asks] == [1300, 1100, 1100, 1200]
    first, second, third, fourth = (tokens.pieces(str(ask.content)) for ask in asks)
    assert first[:1024] == second[:1024]
    assert first[1024:1050] != second[1024:1050]
    assert first[:20] != third[:20]
    assert first[513:1024] == third[1:512], "the same block has the same text wherever it stands"
    assert len(set(fourth[512:])) > 50, "what no block tells is the request's own"
    assert "blocks of 512 tokens" in workload.description


@pytest.mark.parametrize(
    ("text", "words"), [("", "is empty"), ("a,b\n1,2\n", "no column"), (AZURE + "x\n", "line 3")]
)
async def test_wrong_traces_are_named(
    target: Target, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "trace.csv").write_text(text)
    with pytest.raises(BenchError, match=words) as raised:
        await prepare(f"trace:{tmp_path}/trace.csv", target=target)
    assert str(tmp_path) in raised.value.message
    with pytest.raises(BenchError, match="can't read the trace"):
        await prepare(f"trace:{tmp_path}/none.csv", target=target)
