"""Adapters over the real 135M model in both programs: each answers as itself, whoever asks beside.

What runs beside a request changes how llama.cpp rounds, and with that now and then a
greedy word. So all are made to say the same words, and what is compared is how likely
each found them: rounding moves that a little, another adapter or its keys a lot.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from adapters.gguf_lora import LORA, write, write_lora, zeros
from pilotlight.core import ModelFiles, Operation
from pilotlight.engines.base import Adapter, Adapts, Engine, EngineProcess, ModelJob
from pilotlight.engines.llamacpp.engine import LlamacppEngine
from pilotlight.errors import AdapterError, EngineStartError
from pilotlight.fleet.local import LocalFleet
from pilotlight.store.gguf import read_header

pytestmark = pytest.mark.real

GIVEN = {"context": 512, "parallel": 1, "threads": 1}
NAMES = (None, "pirate", "poet")
SEA, SKY = "Tell me about the sea.", "Why is the sky blue?"

FORCED = 3426
"""The token " sea" of this model."""

NOISE, OTHER = 0.75, 1.0
"""Logarithms of probabilities: within the first it is the same voice, beyond the second not.

Among requests of one adapter alone, rounding came to 0.5 at most; two voices are 3.8 apart.
"""

Voice = tuple[float, ...]

Make = Callable[[str], Engine]


@dataclass(frozen=True, slots=True)
class Kit:
    """One program, the model, and two adapters that fit it."""

    engine: LlamacppEngine
    fleet: LocalFleet
    model: ModelFiles
    adapters: tuple[Adapter, ...]

    def job(self, **given: Any) -> ModelJob:
        options = self.engine.options({**GIVEN, **given})
        job = ModelJob("smollm2:135m", self.model, options, self.adapters)
        for adapter in self.adapters:
            self.engine.check_adapter(job, adapter)
        return job


@pytest.fixture(scope="module")
def adapters(smollm: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> tuple[Adapter, ...]:
    directory, model = tmp_path_factory.mktemp("adapters"), read_header(smollm.path)
    return tuple(
        Adapter(name, write_lora(directory / f"{name}.gguf", model, seed=seed))
        for name, seed in (("pirate", 1), ("poet", 12))
    )


@pytest.fixture(params=["wheel", "server"])
def kit(
    request: pytest.FixtureRequest,
    make_engine: Make,
    fleet: LocalFleet,
    smollm: ModelFiles,
    adapters: tuple[Adapter, ...],
) -> Kit:
    engine = make_engine(request.param)
    assert isinstance(engine, LlamacppEngine)
    assert isinstance(engine, Adapts)
    return Kit(engine, fleet, smollm, adapters)


@asynccontextmanager
async def running(kit: Kit, job: ModelJob) -> AsyncIterator[EngineProcess]:
    process = await kit.fleet.launch(kit.engine.command(kit.fleet.seat("r1"), job))
    try:
        await kit.engine.load(process, job)
        yield process
    finally:
        await process.stop(grace_s=2.0)


async def sent(
    kit: Kit, process: EngineProcess, operation: Operation, payload: bytes
) -> Mapping[str, Any]:
    path = kit.engine.endpoint(operation)
    status, body = await process.client.fetch(path, payload, timeout_s=120.0)
    answer: dict[str, Any] = json.loads(body)
    assert status == 200, answer
    return answer


def question(text: str, **fields: Any) -> dict[str, Any]:
    """One whose answer is given, so that what was thought of each of its tokens compares."""
    told = [{"role": "user", "content": text}]
    forced = {"logit_bias": {str(FORCED): 100}, "max_tokens": 4, "temperature": 0}
    return {"messages": told, "logprobs": True, "top_logprobs": 2, **forced, **fields}


def heard(choices: Iterable[Mapping[str, Any]]) -> Voice:
    content = [token for choice in choices for token in choice["logprobs"]["content"]]
    assert [token["token"] for token in content] == [" sea"] * 4
    return tuple(token["logprob"] for token in content)


def apart(one: Voice, other: Voice) -> float:
    return max(abs(mine - yours) for mine, yours in zip(one, other, strict=True))


def distinct(voices: Iterable[Voice]) -> bool:
    return all(apart(one, other) > OTHER for one, other in combinations(voices, 2))


async def voice(
    kit: Kit, process: EngineProcess, job: ModelJob, adapter: str | None, text: str = SEA
) -> Voice:
    payload = json.dumps(question(text)).encode()
    if job.adapters:
        payload = kit.engine.address(payload, job, adapter)
    answer = await sent(kit, process, Operation.CHAT, payload)
    return heard(answer["choices"])


async def voices(kit: Kit, process: EngineProcess, job: ModelJob) -> dict[str | None, Voice]:
    return {name: await voice(kit, process, job, name) for name in NAMES}


async def test_each_answers_as_itself_and_the_model_as_ever(kit: Kit) -> None:
    job = kit.job()
    plain = replace(job, adapters=())
    async with running(kit, plain) as process:
        bare = {text: await voice(kit, process, plain, None, text) for text in (SEA, SKY)}
    async with running(kit, job) as process:
        for text in (SEA, SKY):
            answers = [await voice(kit, process, job, name, text) for name in NAMES]
            assert apart(answers[0], bare[text]) < NOISE
            assert distinct(answers)


async def test_one_slot_goes_from_one_to_the_other(kit: Kit) -> None:
    """Its keys and values are the last one's; the same prompt must not go on from them.

    Without a list llama.cpp does go on from them, and counts the prompt as cached: the
    second half of the test holds that this is still so, for only that is what lists are for.
    """
    job = kit.job()
    async with running(kit, job) as process:
        first = await voices(kit, process, job)
        for name in (*reversed(NAMES), None, "pirate", None, "poet", "pirate"):
            assert apart(await voice(kit, process, job, name), first[name]) < NOISE, name

        unlisted = json.dumps(question(SEA)).encode()
        answer = await sent(kit, process, Operation.CHAT, unlisted)
        assert answer["timings"]["cache_n"] > 0
        assert apart(heard(answer["choices"]), first[None]) > OTHER
        assert apart(await voice(kit, process, job, "pirate"), first["pirate"]) < NOISE
        assert apart(await voice(kit, process, job, None), first[None]) < NOISE


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ({}, (SEA, SKY)),
        ({"kv_unified": True}, (SEA, SKY)),
        # Between two prompts it reuses what they share in other places, which is never exact.
        ({"cache_reuse": 8}, (SEA,)),
    ],
    ids=str,
)
async def test_mixed_traffic_answers_as_each_does_alone(
    kit: Kit, given: dict[str, Any], texts: tuple[str, ...]
) -> None:
    job = kit.job(parallel=4, **given)
    async with running(kit, job) as process:
        alone = {
            (name, text): await voice(kit, process, job, name, text)
            for name in NAMES
            for text in texts
        }
        asked = [*alone, *reversed(alone), *alone]
        answers = await asyncio.gather(*(voice(kit, process, job, *one) for one in asked))
    pairs = zip(asked, answers, strict=True)
    assert [one for one, answer in pairs if apart(answer, alone[one]) > NOISE] == []


async def test_several_choices_are_all_the_adapters(kit: Kit) -> None:
    """llama.cpp gives the slots of the others a copy of what the first one computed."""
    job = kit.job(parallel=4)
    async with running(kit, job) as process:
        first = await voices(kit, process, job)
        for name in (*NAMES, *reversed(NAMES)):
            payload = json.dumps(question(SEA, n=3)).encode()
            addressed = kit.engine.address(payload, job, name)
            answer = await sent(kit, process, Operation.CHAT, addressed)
            found = [heard([choice]) for choice in answer["choices"]]
            assert len(found) == 3
            assert max(apart(one, first[name]) for one in found) < NOISE


async def certain(kit: Kit, process: EngineProcess, job: ModelJob, name: str | None) -> str:
    """The start of the greedy answer, as far as no token had a rival."""
    words = ""
    answer = await free(kit, process, job, name, logprobs=True, top_logprobs=2)
    for token in answer["logprobs"]["content"]:
        best, second = token["top_logprobs"]
        if best["logprob"] - second["logprob"] < OTHER:
            break
        words += token["token"]
    return words


async def free(
    kit: Kit, process: EngineProcess, job: ModelJob, name: str | None, **fields: Any
) -> Mapping[str, Any]:
    told = [{"role": "user", "content": SEA}]
    body = {"messages": told, "max_tokens": 5, "temperature": 0, **fields}
    payload = kit.engine.address(json.dumps(body).encode(), job, name)
    choice: Mapping[str, Any] = (await sent(kit, process, Operation.CHAT, payload))["choices"][0]
    return choice


@pytest.mark.parametrize("method", ["draft", "ngram-simple"])
async def test_guesses_are_checked_with_the_adapter_on(kit: Kit, method: str) -> None:
    """The draft model has no adapter, so most of what it guesses is wrong."""
    settings: dict[str, dict[str, Any]] = {
        "draft": {"model": str(kit.model.path)},
        "ngram-simple": {"ngram_size": 2},
    }
    job = kit.job()
    async with running(kit, job) as process:
        words = {name: await certain(kit, process, job, name) for name in NAMES}
    assert len({word[:2] for word in words.values() if len(word) > 1}) == len(NAMES)
    guessing = kit.job(parallel=2, speculative={"method": method, **settings[method]})
    async with running(kit, guessing) as process:
        asked = [*NAMES, *reversed(NAMES), *NAMES]
        answers = await asyncio.gather(*(free(kit, process, guessing, name) for name in asked))
    for name, answer in zip(asked, answers, strict=True):
        assert answer["message"]["content"].startswith(words[name])


async def test_adapters_lie_over_those_that_are_always_on(kit: Kit, tmp_path: Path) -> None:
    files = write_lora(tmp_path / "on.gguf", read_header(kit.model.path), seed=9)
    job, bare = kit.job(lora={"path": str(files.path), "scale": 0.5}), kit.job()
    async with running(kit, replace(job, adapters=())) as process:
        base = await voice(kit, process, replace(job, adapters=()), None)
    async with running(kit, bare) as process:
        without = await voices(kit, process, bare)
    async with running(kit, job) as process:
        answers = await voices(kit, process, job)
        again = await voice(kit, process, job, None)
    assert max(apart(answers[None], base), apart(again, base)) < NOISE
    assert distinct([*answers.values(), *without.values()])


async def test_completions_and_streams_are_addressed_too(kit: Kit) -> None:
    job = kit.job()
    body = {**question(SEA), "model": "smollm2:135m:pirate", "prompt": "The", "logprobs": 2}
    del body["messages"]

    async def completed(adapter: str | None, **fields: Any) -> bytes:
        payload = kit.engine.address(json.dumps({**body, **fields}).encode(), job, adapter)
        path = kit.engine.endpoint(Operation.COMPLETIONS)
        status, answer = await process.client.fetch(path, payload, timeout_s=120.0)
        assert status == 200, answer
        return answer

    async with running(kit, job) as process:
        whole = {name: json.loads(await completed(name)) for name in NAMES}
        lines = (await completed("poet", stream=True)).split(b"\n\n")
    found = {name: heard(answer["choices"]) for name, answer in whole.items()}
    assert distinct(found.values())
    events = [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]
    streamed = [choice for event in events for choice in event["choices"]]
    assert apart(heard(c for c in streamed if c.get("logprobs")), found["poet"]) < NOISE
    # llama.cpp says its own name for the model, whatever the request calls it.
    assert {answer["model"] for answer in (*whole.values(), *events)} == {job.name}


async def test_messages_know_no_adapters(kit: Kit) -> None:
    """llama.cpp rebuilds them field by field, without the list: the bare model answers, or
    goes on from an adapter's keys and values. So whoever has adapters carries them by chat.
    """
    job = kit.job()
    body = {"messages": [{"role": "user", "content": SEA}], "max_tokens": 5, "temperature": 0}

    async def written(name: str | None) -> Any:
        payload = kit.engine.address(json.dumps(body).encode(), job, name)
        return (await sent(kit, process, Operation.MESSAGES, payload))["content"][0]["text"]

    async with running(kit, job) as process:
        message = await written("pirate")
        assert message == await written(None)
        chat = await free(kit, process, job, "pirate")
        assert chat["message"]["content"] != message


async def test_what_no_adapter_changes_ignores_them(kit: Kit) -> None:
    """Tokens are the model's; so are embeddings, whatever was asked of the slot before."""
    job = kit.job(embedding=True)
    bodies: dict[Operation, dict[str, Any]] = {
        Operation.TOKENIZE: {"content": SEA},
        Operation.DETOKENIZE: {"tokens": [28120]},
        Operation.COUNT_TOKENS: {"messages": [{"role": "user", "content": SEA}]},
        Operation.EMBEDDINGS: {"input": SEA},
    }

    async def answers(adapter: str | None) -> list[Mapping[str, Any]]:
        payloads = {
            operation: kit.engine.address(json.dumps(body).encode(), job, adapter)
            for operation, body in bodies.items()
        }
        return [await sent(kit, process, *item) for item in payloads.items()]

    async with running(kit, job) as process:
        before = await answers(None)
        first = await voices(kit, process, job)
        assert await answers(None) == before
        assert await answers("pirate") == before
        for name in reversed(NAMES):
            assert apart(await voice(kit, process, job, name), first[name]) < NOISE


async def test_a_wrong_file_is_refused_before_it_is_loaded(kit: Kit, tmp_path: Path) -> None:
    name = "blk.0.attn_q.weight"
    tensors = {f"{name}.lora_a": zeros(2048, 4), f"{name}.lora_b": zeros(4, 2048)}
    wrong = Adapter("wrong", write(tmp_path / "wrong.gguf", LORA, tensors))
    job = kit.job()
    with pytest.raises(AdapterError, match="576 × 576 in the model") as caught:
        kit.engine.check_adapter(job, wrong)
    assert "trained on this very model" in str(caught.value.hint)
    with pytest.raises(AdapterError, match="a model of its own"):
        kit.engine.check_adapter(job, Adapter("base", kit.model))
    with pytest.raises(EngineStartError, match="incorrect shape"):  # which llama.cpp agrees with
        async with running(kit, replace(job, adapters=(*kit.adapters, wrong))):
            pass


async def test_a_file_that_changed_since_its_check_is_named(kit: Kit, tmp_path: Path) -> None:
    path = tmp_path / "short.gguf"
    path.write_bytes(kit.adapters[0].files.path.read_bytes())
    short = Adapter("short", replace(kit.adapters[0].files, path=path))
    job = replace(kit.job(), adapters=(short,))
    kit.engine.check_adapter(job, short)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(EngineStartError, match="corrupted or incomplete") as caught:
        async with running(kit, job):
            pass
    assert "add it again" in str(caught.value.hint)


async def test_a_standby_is_given_them_with_the_model(
    make_engine: Make, fleet: LocalFleet, smollm: ModelFiles, adapters: tuple[Adapter, ...]
) -> None:
    """Also the second time, with others: what was loaded before is forgotten with the model."""
    engine = make_engine("wheel")
    assert isinstance(engine, LlamacppEngine)
    kit = Kit(engine, fleet, smollm, adapters)
    both = kit.job()
    poet = replace(both, adapters=adapters[1:])
    async with running(kit, both) as process:
        first = await voices(kit, process, both)
        await engine.unload(process)
        await engine.load(process, poet)
        assert apart(await voice(kit, process, poet, "poet"), first["poet"]) < NOISE
        assert apart(await voice(kit, process, poet, None), first[None]) < NOISE
