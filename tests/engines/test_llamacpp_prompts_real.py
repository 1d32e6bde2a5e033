"""System prompts with both programs and the real model: kept, restored, and really reused."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.gguf_lora import write_lora
from pilotlight.core import ModelFiles
from pilotlight.engines.base import Adapter, Engine, EngineProcess, ModelJob, SystemPrompts
from pilotlight.engines.llamacpp.engine import LlamacppEngine
from pilotlight.engines.llamacpp.prompt_prefix import shared_prefix
from pilotlight.errors import ContextTooLongError, EngineError
from pilotlight.fleet.local import LocalFleet
from pilotlight.store.gguf import read_header

pytestmark = pytest.mark.real

PROMPT = " ".join(f"Rule {number}: be kind, brief and precise." for number in range(1, 16))
OTHER = " ".join(f"Fact {number}: the sea is deep and wide." for number in range(1, 16))
SLOTS = 2
GIVEN = {"context": 1024, "parallel": SLOTS, "threads": 1}


@dataclass(frozen=True, slots=True)
class Kit:
    engine: LlamacppEngine
    fleet: LocalFleet
    files: ModelFiles
    directory: Path

    def job(self, *texts: str, **given: Any) -> ModelJob:
        options = self.engine.options({**GIVEN, **given})
        prompts = SystemPrompts(texts or (PROMPT,), self.directory)
        return ModelJob("smol", self.files, options, system_prompts=prompts)

    @asynccontextmanager
    async def running(self, job: ModelJob) -> AsyncIterator[EngineProcess]:
        process = await self.fleet.launch(self.engine.command(self.fleet.seat("r1"), job))
        try:
            await self.engine.load(process, job)
            path, body = self.engine.canary(job)
            await process.client.fetch(path, body)  # as a replica does, before it recalls
            yield process
        finally:
            await process.stop(grace_s=2.0)

    async def recalled(self, job: ModelJob) -> int:
        async with self.running(job) as process:
            return await self.engine.recall(process, job)

    @property
    def states(self) -> list[Path]:
        return sorted((self.directory / "llamacpp").glob("*.state"))


@pytest.fixture(params=["wheel", "server"])
def kit(
    request: pytest.FixtureRequest,
    make_engine: Callable[[str], Engine],
    fleet: LocalFleet,
    smollm: ModelFiles,
    tmp_path: Path,
) -> Kit:
    engine = make_engine(request.param)
    assert isinstance(engine, LlamacppEngine)
    return Kit(engine, fleet, smollm, tmp_path / "prompts")


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    prompt_tokens: int
    reused_tokens: int
    chances: str
    """Every token's alternatives with their probabilities: equal for equal states alone."""


async def chat(
    process: EngineProcess, system: str = PROMPT, user: str = "Name a colour.", **fields: Any
) -> Answer:
    body = {
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
        "max_tokens": 8,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 3,
        **fields,
    }
    return await sent(process, json.dumps(body).encode())


async def sent(process: EngineProcess, payload: bytes) -> Answer:
    status, body = await process.client.fetch("/v1/chat/completions", payload, timeout_s=60.0)
    assert status == 200, body
    said = json.loads(body)
    choice: Mapping[str, Any] = said["choices"][0]
    return Answer(
        choice["message"]["content"],
        said["usage"]["prompt_tokens"],
        said["timings"]["cache_n"],
        json.dumps(choice["logprobs"]),
    )


async def test_a_kept_prompt_is_reused_after_the_next_load_and_answers_the_same(kit: Kit) -> None:
    job = kit.job()
    async with kit.running(job) as process:
        assert await kit.engine.recall(process, job) == 0
        computed = await chat(process)
        assert computed.reused_tokens > 0.85 * computed.prompt_tokens
    (state,) = kit.states
    async with kit.running(job) as process:
        assert await kit.engine.recall(process, job) == computed.reused_tokens
        assert await chat(process) == computed
    assert kit.states == [state]


async def test_what_is_restored_is_what_the_engine_had(kit: Kit) -> None:
    """Bit for bit: the same tokens, read in the same batches and never saved, guess the same."""
    job = kit.job()
    async with kit.running(job) as process:
        await kit.engine.recall(process, job)
        restored = await chat(process)
    bare = replace(job, system_prompts=None)
    async with kit.running(bare) as process:
        assert await kit.engine.recall(process, bare) == 0
        prefix = await shared_prefix(process, PROMPT)
        body = json.dumps({"prompt": prefix.tokens, "n_predict": 0, "cache_prompt": True})
        assert (await process.client.fetch("/completion", body.encode(), timeout_s=60))[0] == 200
        own = await chat(process)
    assert own == restored
    assert own.reused_tokens == len(prefix.tokens)


async def test_every_slot_has_it(kit: Kit) -> None:
    job = kit.job()
    await kit.recalled(job)
    async with kit.running(job) as process:
        tokens = await kit.engine.recall(process, job)
        questions = ("Name a colour.", "What is water?")
        answers = await asyncio.gather(
            *(chat(process, user=user, max_tokens=24, ignore_eos=True) for user in questions)
        )
    assert [answer.reused_tokens for answer in answers] == [tokens] * SLOTS


async def test_prompts_take_turns_over_the_slots(kit: Kit) -> None:
    job = kit.job(PROMPT, OTHER)
    await kit.recalled(job)
    async with kit.running(job) as process:
        tokens = await kit.engine.recall(process, job)
        answers = [await chat(process, system) for system in (PROMPT, OTHER)]
    assert sum(answer.reused_tokens for answer in answers) == tokens
    assert len(kit.states) == 2


async def test_prompts_beyond_the_slots_are_left_out_and_named(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    await kit.recalled(kit.job(PROMPT, OTHER, "Be brief."))
    assert len(kit.states) == SLOTS
    assert "3 system prompts and 2 slots" in caplog.text


@pytest.mark.parametrize("at", [3, 5000, -1])
async def test_a_flipped_bit_costs_one_prefill_and_nothing_else(at: int, kit: Kit) -> None:
    job = kit.job()
    await kit.recalled(job)
    (state,) = kit.states
    good = state.read_bytes()
    content = bytearray(good)
    content[at] ^= 1
    state.write_bytes(content)
    async with kit.running(job) as process:
        assert await kit.engine.recall(process, job) == 0
        answer = await chat(process)
    assert answer.reused_tokens > 0.85 * answer.prompt_tokens
    assert [path.name for path in kit.states] == [state.name]
    assert state.read_bytes() == good
    assert await kit.recalled(job) == answer.reused_tokens


async def test_a_file_the_engine_refuses_is_made_anew(kit: Kit) -> None:
    """Whole by its hash, and none of llama.cpp's."""
    job = kit.job()
    await kit.recalled(job)
    (state,) = kit.states
    shelf, key = state.parent, state.name.partition(".")[0]
    state.unlink()
    (shelf / "x").write_bytes(b"no state at all")
    alien = shelf / f"{key}.{_sha256(shelf / 'x')}.state"
    (shelf / "x").rename(alien)
    assert await kit.recalled(job) == 0
    assert kit.states == [state]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "given",
    [
        {"kv_unified": True},
        {"cache_type_k": "q8_0", "cache_type_v": "q8_0", "flash_attention": "on"},
        {"speculative": "ngram-simple"},
        {"cache_ram": "64MiB", "cache_reuse": 64, "context_shift": True},
    ],
    ids=str,
)
async def test_other_options_have_states_of_their_own(given: dict[str, Any], kit: Kit) -> None:
    await kit.recalled(kit.job())
    job = kit.job(**given)
    assert await kit.recalled(job) == 0
    async with kit.running(job) as process:
        tokens = await kit.engine.recall(process, job)
        assert (await chat(process)).reused_tokens == tokens > 0
    assert len(kit.states) == 2


async def test_a_process_that_was_unloaded_has_them_again(kit: Kit) -> None:
    if not kit.engine.standby:
        pytest.skip("this program can't unload")
    job = kit.job()
    async with kit.running(job) as process:
        await kit.engine.recall(process, job)
        await kit.engine.unload(process)
        await kit.engine.load(process, job)
        tokens = await kit.engine.recall(process, job)
        assert (await chat(process)).reused_tokens == tokens > 0


async def test_adapters_never_start_from_the_bare_models_state(kit: Kit, tmp_path: Path) -> None:
    files = write_lora(tmp_path / "lora.gguf", read_header(kit.files.path), seed=1)
    job = replace(kit.job(), adapters=(Adapter("pirate", files),))

    async def ask(process: EngineProcess, adapter: str | None) -> Answer:
        messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": "Hi."}]
        body = {"messages": messages, "max_tokens": 8, "temperature": 0, "logprobs": True}
        return await sent(process, kit.engine.address(json.dumps(body).encode(), job, adapter))

    async with kit.running(replace(job, system_prompts=None)) as process:
        alone = await ask(process, "pirate")
    await kit.recalled(job)
    async with kit.running(job) as process:
        tokens = await kit.engine.recall(process, job)
        bare = await ask(process, None)
        pirate = await ask(process, "pirate")
    assert bare.reused_tokens == tokens > 0
    assert pirate == alone
    assert pirate.reused_tokens == 0
    assert pirate.text != bare.text


async def test_a_prompt_beyond_the_context_is_refused_and_the_model_answers(kit: Kit) -> None:
    job = kit.job(PROMPT * 8)
    async with kit.running(job) as process:
        with pytest.raises(ContextTooLongError):
            await kit.engine.recall(process, job)
        assert (await chat(process)).text
    assert not kit.states


async def test_a_guessing_model_is_refused_by_name(kit: Kit) -> None:
    guess = {"method": "draft", "model": str(kit.files.path)}
    with pytest.raises(EngineError, match="draft"):
        await kit.recalled(kit.job(speculative=guess))
