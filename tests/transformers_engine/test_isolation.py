"""One request's misfortune is nobody else's: clients that leave, answers that can't be made."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from pilotlight.core import ModelFiles
from pilotlight.engines.transformers import TransformersEngine
from pilotlight.fleet.local import LocalFleet

from .test_real import CHAT, COUNT, ask, job, running

pytestmark = [pytest.mark.real, pytest.mark.engines]

EMBEDDINGS, COMPLETIONS = "/v1/embeddings", "/v1/completions"
NOT_A_NUMBER = {"prompt": "Hi", "logit_bias": {"5": 1e39}, "max_tokens": 4}
"""A bias that no float32 holds: there is no choosing a token by it."""


async def test_vectors_that_nobody_waits_for_any_more(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    """Their future is cancelled, and the thread that computes must live on."""
    async with running(fleet, real_engine, job(real_engine, smol, embedding=True)) as process:
        texts = ["a flame that waits " * 8] * 60
        leaving = asyncio.ensure_future(
            process.client.fetch(EMBEDDINGS, msgspec.json.encode({"input": texts}), timeout_s=60)
        )
        before = await real_engine.progress(process) or 0
        while (await real_engine.progress(process) or 0) < before + 3:
            assert not leaving.done(), "a long list is no sign of life for its whole length"
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        status, _ = await ask(process, EMBEDDINGS, input="Hi")
        assert status == 200
        assert (await real_engine.progress(process) or 0) < before + 40, "it went on to its end"


async def test_an_answer_goes_on_beside_a_long_list_of_vectors(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    async with running(fleet, real_engine, job(real_engine, smol, embedding=True)) as process:
        texts = ["a flame that waits " * 8] * 40
        embedding = asyncio.ensure_future(ask(process, EMBEDDINGS, input=texts))
        status, _ = await ask(process, COMPLETIONS, prompt="Hi", max_tokens=4, temperature=0)
        assert status == 200
        assert not embedding.done(), "the answer waited for all the vectors"
        status, answer = await embedding
        assert (status, len(answer["data"])) == (200, 40)


async def test_an_answer_that_can_not_be_chosen_ends_alone(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    async with running(fleet, real_engine, job(real_engine, smol)) as process:
        asked = {"prompt": "Hi", "max_tokens": 100, "ignore_eos": True, "temperature": 0}
        other = asyncio.ensure_future(ask(process, COMPLETIONS, **asked))
        while (await real_engine.progress(process) or 0) < 5:
            assert not other.done()
        status, answer = await ask(process, COMPLETIONS, **NOT_A_NUMBER)
        assert status == 500
        assert "no numbers" in answer["error"]["message"]
        status, whole = await other
        assert (status, whole["usage"]["completion_tokens"]) == (200, 100)


async def test_a_schema_goes_before_a_least_length(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    """A value that is whole has no further token, whatever was asked of its length."""
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"],
              "additionalProperties": False}  # fmt: skip
    shape = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    async with running(fleet, real_engine, job(real_engine, smol)) as process:
        for temperature in (0, 1.0):
            status, answer = await ask(
                process, CHAT, messages=COUNT, response_format=shape, min_tokens=60,
                max_tokens=80, temperature=temperature, seed=1,
            )  # fmt: skip
            assert status == 200, answer
            assert set(msgspec.json.decode(answer["choices"][0]["message"]["content"])) == {"a"}
