"""The real thing: its own environment, the real 135M model, real processes and sockets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilotlight.core import ModelFiles, ModelRef, Operation
from pilotlight.engines import environments
from pilotlight.engines.base import EngineProcess, ModelJob, Seat
from pilotlight.engines.transformers import TransformersEngine
from pilotlight.engines.transformers.launch import HOST
from pilotlight.errors import (
    ContextTooLongError,
    EngineStartError,
    UnsupportedParameterError,
)
from pilotlight.fleet.local import LocalFleet
from pilotlight.testing.conformance import CHECKS, SOCKET_CHECKS, Check, Subject

from . import checkpoints

pytestmark = [pytest.mark.real, pytest.mark.engines]

GIVEN = {"context": 1024, "parallel": 2, "threads": 1}


def kill(process: EngineProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("check", CHECKS + SOCKET_CHECKS, ids=lambda check: check.__name__)
async def test_it_conforms(
    check: Check,
    real_engine: TransformersEngine,
    fleet: LocalFleet,
    smol: ModelFiles,
    tmp_path: Path,
) -> None:
    alien = checkpoints.write(tmp_path / "alien", {**checkpoints.LLAMA, "model_type": "nonesuch"})
    broken = ModelJob("broken", alien, real_engine.options(GIVEN))
    await check(Subject(real_engine, fleet, smol, GIVEN, kill, broken=broken, long_tokens=60))


@asynccontextmanager
async def running(
    fleet: LocalFleet, engine: TransformersEngine, job: ModelJob
) -> AsyncIterator[EngineProcess]:
    process = await fleet.launch(engine.command(fleet.seat("r1"), job))
    try:
        await engine.load(process, job)
        yield process
    finally:
        await process.stop(grace_s=2.0)


def job(engine: TransformersEngine, files: ModelFiles, **given: Any) -> ModelJob:
    return ModelJob("smol", files, engine.options({**GIVEN, **given}))


async def ask(process: EngineProcess, path: str, **body: Any) -> tuple[int, Any]:
    status, answer = await process.client.fetch(path, msgspec.json.encode(body), timeout_s=60.0)
    return status, msgspec.json.decode(answer)


CHAT = "/v1/chat/completions"
COUNT = [{"role": "user", "content": "Count from one to ten in words."}]
REPEAT = [{"role": "user", "content": "Repeat: go go go go go go go"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
    for name in ("get_weather", "get_time")
]


async def test_a_batch_answers_as_generate_does(engines_directory: Path) -> None:
    """Rows that come and go in one batch, sliding windows, and what can't be joined."""
    python = environments.require(engines_directory, "transformers").python
    program = Path(__file__).with_name("against_generate.py")
    done = await asyncio.create_subprocess_exec(
        str(python), "-I", str(program), str(HOST),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await done.communicate()
    assert done.returncode == 0, errors.decode()[-2000:]
    found = json.loads(out)
    assert set(found) == {"llama", "gpt2", "bloom", "sliding", "recurrent", "seq2seq"}
    for family, (ours, theirs) in found.items():
        assert ours == theirs, family
        assert len({token for answer in ours for token in answer}) > 5, "it says one thing only"


async def test_every_declared_operation_answers(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    bodies: dict[Operation, dict[str, Any]] = {
        Operation.CHAT: {"messages": COUNT, "max_tokens": 2},
        Operation.COMPLETIONS: {"prompt": "Hi", "max_tokens": 2},
        Operation.TOKENIZE: {"content": "Hi", "with_pieces": True},
        Operation.DETOKENIZE: {"tokens": [28120]},
        Operation.EMBEDDINGS: {"input": ["Hi", [28120]]},
    }
    wanted = job(real_engine, smol, embedding=True)
    assert real_engine.capabilities(smol, wanted.options).operations == set(bodies)
    async with running(fleet, real_engine, wanted) as process:
        for operation, body in bodies.items():
            status, answer = await ask(
                process, real_engine.endpoint(operation), model="smol", **body
            )
            assert status == 200, (operation, answer)
        vectors = [item["embedding"] for item in answer["data"]]
        assert sum(value * value for value in vectors[0]) == pytest.approx(1.0, abs=1e-3)
        assert len(vectors) == 2
        assert vectors[0] != vectors[1]
        status, answer = await ask(process, "/v1/embeddings", input="flame " * 1100)
        assert isinstance(
            real_engine.error(status, msgspec.json.encode(answer)), ContextTooLongError
        )


TINY = """
import sys, transformers
kind, target = sys.argv[1:]
if kind == "encoder":
    config = transformers.BertConfig(
        vocab_size=49152, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=64,
    )
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(target)
else:
    config = transformers.T5Config(
        vocab_size=49152, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        decoder_start_token_id=0,
    )
    transformers.T5ForConditionalGeneration(config).save_pretrained(target)
"""


async def tiny(engines_directory: Path, smol: ModelFiles, kind: str, target: Path) -> ModelFiles:
    """A model of another kind, its weights random, with the real model's tokenizer."""
    python = environments.require(engines_directory, "transformers").python
    made = await asyncio.create_subprocess_exec(str(python), "-I", "-c", TINY, kind, str(target))
    assert await made.wait() == 0
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (target / name).symlink_to(smol.path / name)
    return ModelFiles(ModelRef("file", str(target)), target, 1)


async def test_an_encoder_serves_vectors_and_nothing_else(
    engines_directory: Path, real_engine: TransformersEngine, fleet: LocalFleet,
    smol: ModelFiles, tmp_path: Path,
) -> None:  # fmt: skip
    files = await tiny(engines_directory, smol, "encoder", tmp_path / "bert")
    wanted = job(real_engine, files)
    assert real_engine.context(files, wanted.options) == 64
    async with running(fleet, real_engine, wanted) as process:
        path, body = real_engine.canary(wanted)
        assert (await process.client.fetch(path, body))[0] == 200
        status, answer = await ask(process, path, input=["one", "two"], encoding_format="base64")
        assert status == 200, answer
        one, two = (struct.unpack("<32f", b64decode(i["embedding"])) for i in answer["data"])
        assert sum(x * x for x in one) == pytest.approx(1.0, abs=1e-3)
        assert one != two
        status, answer = await ask(process, path, input="flame " * 70)
        error = real_engine.error(status, msgspec.json.encode(answer))
        assert isinstance(error, ContextTooLongError)
        assert (await ask(process, CHAT, messages=COUNT))[0] == 404


async def test_an_encoder_decoder_completes(
    engines_directory: Path, real_engine: TransformersEngine, fleet: LocalFleet,
    smol: ModelFiles, tmp_path: Path,
) -> None:  # fmt: skip
    files = await tiny(engines_directory, smol, "seq2seq", tmp_path / "t5")
    wanted = job(real_engine, files)
    async with running(fleet, real_engine, wanted) as process:
        asked = {"prompt": ["one", "two"], "max_tokens": 5, "ignore_eos": True, "seed": 1}
        status, answer = await ask(process, "/v1/completions", **asked)
        assert status == 200, answer
        assert answer["usage"]["completion_tokens"] == 10
        assert {choice["finish_reason"] for choice in answer["choices"]} == {"length"}


DECLARED: dict[str, Any] = {
    "top_k": 5, "min_p": 0.1, "typical_p": 0.9, "repetition_penalty": 1.1, "min_tokens": 2,
    "ignore_eos": True, "stop_token_ids": [5], "chat_template_kwargs": {"anything": 1},
    "add_generation_prompt": True, "continue_final_message": False,
}  # fmt: skip


async def test_declared_fields_are_taken_and_others_named(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    wanted = job(real_engine, smol)
    declared = real_engine.capabilities(smol, wanted.options).parameters
    assert declared[Operation.CHAT] == set(DECLARED) | {
        "tool_choice.function",
        "response_format.schema",
    }
    told = {"messages": COUNT, "max_tokens": 3}
    async with running(fleet, real_engine, wanted) as process:
        status, answer = await ask(process, CHAT, **told, **DECLARED)
        assert status == 200, answer
        prompt = {n: v for n, v in DECLARED.items() if n in declared[Operation.COMPLETIONS]}
        status, answer = await ask(process, "/v1/completions", prompt="Hi", max_tokens=3, **prompt)
        assert status == 200, answer
        status, answer = await ask(process, CHAT, **told, mirostat=2)
        error = real_engine.error(status, msgspec.json.encode(answer))
        assert isinstance(error, UnsupportedParameterError)
        assert error.param == "mirostat"
        status, answer = await ask(process, "/v1/completions", prompt=[10**6])
        assert status == 400
        assert answer["error"]["param"] == "prompt[0]"
        long = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "one, two"}]
        status, answer = await ask(
            process, CHAT, messages=long, continue_final_message=True, max_tokens=2
        )
        assert status == 200, answer


async def test_sampling_fields_are_honoured(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    """Each field that changes what temperature 0 answers, does; those of chance do by a seed."""
    async with running(fleet, real_engine, job(real_engine, smol)) as process:

        async def said(**fields: Any) -> Any:
            given = {"messages": REPEAT, "max_tokens": 16, "temperature": 0, **fields}
            status, answer = await ask(process, CHAT, **given)
            assert status == 200, answer
            return answer

        def text(answer: Any) -> str:
            return str(answer["choices"][0]["message"]["content"])

        plain = text(await said())
        assert text(await said()) == plain
        first = (await ask(process, "/tokenize", content=plain))[1]["tokens"][0]
        changes: dict[str, Any] = {
            "repetition_penalty": 3.0,
            "frequency_penalty": 2.0,
            "presence_penalty": 2.0,
            "logit_bias": {str(first): -100},
            "stop": [plain[4:7]],
            "stop_token_ids": [first],
            "max_tokens": 3,
        }
        for name, value in changes.items():
            assert text(await said(**{name: value})) != plain, name
        assert text(await said(stop=[plain[4:7]])) == plain[: plain.index(plain[4:7])]

        chance = {"temperature": 1.5, "seed": 5}
        drawn = text(await said(**chance))
        assert drawn == text(await said(**chance))
        assert drawn != text(await said(temperature=1.5, seed=6))
        for name, value in {"top_k": 1, "top_p": 0, "min_p": 1, "typical_p": 0.01}.items():
            assert text(await said(**chance, **{name: value})) != drawn, name
        assert text(await said(**chance, top_k=1)) == plain

        both = (await said(**chance, n=2))["choices"]
        assert [choice["index"] for choice in both] == [0, 1]
        assert both[0]["message"]["content"] == drawn != both[1]["message"]["content"]


async def test_a_silent_request_is_sampled_as_the_model_advises(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles, tmp_path: Path
) -> None:
    for file in smol.path.iterdir():
        (tmp_path / file.name).symlink_to(file)
    advice = {**json.loads((smol.path / "generation_config.json").read_text()), "top_k": 1}
    (tmp_path / "generation_config.json").unlink()
    (tmp_path / "generation_config.json").write_text(json.dumps({**advice, "do_sample": True}))
    advised = ModelFiles(ModelRef("file", str(tmp_path)), tmp_path, smol.size_bytes)
    asked: dict[str, Any] = {"messages": REPEAT, "max_tokens": 12}
    async with running(fleet, real_engine, job(real_engine, advised, seed=3)) as process:
        answers = [await ask(process, CHAT, **asked, **more) for more in ({}, {"temperature": 0})]
        silent, greedy = (answer["choices"][0]["message"]["content"] for _, answer in answers)
        assert silent == greedy
        _, wild = await ask(process, CHAT, **asked, top_k=0, temperature=1.9)
        assert wild["choices"][0]["message"]["content"] != greedy


async def test_logprobs_are_the_models_own(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    async with running(fleet, real_engine, job(real_engine, smol)) as process:
        asked = {"messages": COUNT, "temperature": 0, "logprobs": True, "top_logprobs": 3}
        _, answer = await ask(process, CHAT, max_tokens=4, **asked)
        told = answer["choices"][0]["logprobs"]["content"]
        assert len(told) == 4
        for token in told:
            top = token["top_logprobs"]
            assert len(top) == 3
            assert token["logprob"] == top[0]["logprob"] <= 0, "greedy takes the likeliest"
            assert bytes(token["bytes"]).decode() == token["token"]
        completion = {"prompt": "Hi there", "max_tokens": 2, "temperature": 0, "logprobs": 2}
        _, older = await ask(process, "/v1/completions", **completion)
        found = older["choices"][0]["logprobs"]
        assert len(found["tokens"]) == len(found["token_logprobs"]) == 2
        assert len(found["top_logprobs"][0]) == 2


async def test_an_answer_keeps_to_its_schema(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    schema = {"name": "answer", "schema": TOOLS[0]["function"]["parameters"]}
    shape = {"type": "json_schema", "json_schema": schema}
    async with running(fleet, real_engine, job(real_engine, smol)) as process:
        status, answer = await ask(
            process, CHAT, messages=COUNT, max_tokens=40, temperature=1.2, response_format=shape
        )
        assert status == 200, answer
        found = json.loads(answer["choices"][0]["message"]["content"])
        assert found["city"] in ("Oslo", "Rome")
        loose = {"type": "json_object", "schema": TOOLS[0]["function"]["parameters"]}
        status, answer = await ask(
            process, CHAT, messages=COUNT, max_tokens=40, response_format=loose
        )
        assert status == 200, answer
        assert set(json.loads(answer["choices"][0]["message"]["content"])) == {"city"}
        broken = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": 7}}}
        status, answer = await ask(process, CHAT, messages=COUNT, response_format=broken)
        assert status == 400
        assert answer["error"]["param"] == "response_format"


async def test_a_tool_that_must_be_called_is(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    template = Path(__file__).parents[1] / "real" / "chatml-tools.jinja"
    wanted = job(real_engine, smol, chat_template_file=str(template))
    assert real_engine.capabilities(smol, wanted.options).tools
    one = {"type": "function", "function": {"name": "get_time"}}
    async with running(fleet, real_engine, wanted) as process:
        asked = {"messages": COUNT, "tools": TOOLS, "max_tokens": 60}
        for choice, names in (("required", {"get_weather", "get_time"}), (one, {"get_time"})):
            status, answer = await ask(process, CHAT, tool_choice=choice, **asked)
            assert status == 200, answer
            told = answer["choices"][0]
            assert told["finish_reason"] == "tool_calls"
            [call] = told["message"]["tool_calls"]
            assert call["function"]["name"] in names
            assert json.loads(call["function"]["arguments"])["city"] in ("Oslo", "Rome")
        result = {"role": "tool", "tool_call_id": call["id"], "content": "noon"}
        again = [*COUNT, told["message"], result]
        status, answer = await ask(process, CHAT, **{**asked, "messages": again, "max_tokens": 4})
        assert status == 200, answer


async def test_what_nobody_waits_for_is_not_computed(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    async with running(fleet, real_engine, job(real_engine, smol)) as process:
        body = msgspec.json.encode({"prompt": "Hi", "max_tokens": 900, "ignore_eos": True})
        fetching = asyncio.ensure_future(
            process.client.fetch("/v1/completions", body, timeout_s=60.0)
        )
        while (await real_engine.progress(process) or 0) < 5:
            assert not fetching.done()
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)
        still = -1
        while (now := await real_engine.progress(process) or 0) != still:
            still = now
            _, answer = await ask(process, "/tokenize", content="Hi")
            assert answer["tokens"]
        assert still < 200, "the abandoned answer went on to its end"


@pytest.mark.parametrize(
    "given", [{}, {"parallel": 4}, {"dtype": "float32"}, {"attn_implementation": "eager"}], ids=str
)
async def test_predicted_memory_is_close_to_the_measured(
    given: dict[str, Any], real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    sized = job(real_engine, smol, **given)
    predicted = real_engine.predict(smol, sized.options).ram_bytes
    async with running(fleet, real_engine, sized) as process:
        prompt = [100 + number % 1000 for number in range(1000)]
        asked = [
            ask(process, "/v1/completions", prompt=prompt, max_tokens=8, top_p=0.9)
            for _ in range(sized.options.parallel)
        ]
        assert {status for status, _ in await asyncio.gather(*asked)} == {200}
        measured = process.peak_memory_bytes()
    assert measured is not None
    assert predicted == pytest.approx(measured, rel=0.12)


async def test_sleep_gives_the_memory_back(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    """To little more than a parked process takes; and what is asleep can take another model."""
    parked = await fleet.launch(real_engine.command(fleet.seat("p1"), None))
    await parked.receive()
    bare = parked.memory_bytes() or 0
    await parked.stop(grace_s=1.0)
    wanted = job(real_engine, smol, dtype="float32")
    async with running(fleet, real_engine, wanted) as process:
        path, body = real_engine.canary(wanted)
        assert (await process.client.fetch(path, body))[0] == 200
        awake = process.memory_bytes() or 0
        await real_engine.unload(process)
        asleep = process.memory_bytes() or awake
        assert asleep - bare < (awake - bare) / 3


async def test_a_load_that_fails_leaves_a_host_that_can_load(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles, tmp_path: Path
) -> None:
    alien = checkpoints.write(tmp_path / "alien", {**checkpoints.LLAMA, "model_type": "nonesuch"})
    process = await fleet.launch(real_engine.command(fleet.seat("r1"), None))
    with pytest.raises(EngineStartError) as caught:
        await real_engine.load(process, job(real_engine, alien))
    assert "nonesuch" in caught.value.last_words
    assert "install transformers" in str(caught.value.hint)
    good = job(real_engine, smol)
    await real_engine.load(process, good)
    path, body = real_engine.canary(good)
    assert (await process.client.fetch(path, body))[0] == 200


async def test_a_model_with_holes_is_refused(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles, tmp_path: Path
) -> None:
    """transformers would fill them with noise and answer noise."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((smol.path / name).read_bytes())
    holed = checkpoints.write(tmp_path, {**checkpoints.LLAMA, "vocab_size": 49152})
    with pytest.raises(EngineStartError) as caught:
        async with running(fleet, real_engine, job(real_engine, holed)):
            pass
    assert "lacks weights" in caught.value.last_words


async def test_cut_weights_are_named(
    real_engine: TransformersEngine, fleet: LocalFleet, smol: ModelFiles, tmp_path: Path
) -> None:
    for file in smol.path.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[: 2**20])
    cut = ModelFiles(ModelRef("file", str(tmp_path)), tmp_path, 1)
    with pytest.raises(EngineStartError) as caught:
        async with running(fleet, real_engine, job(real_engine, cut)):
            pass
    assert "model.safetensors" in caught.value.last_words
    assert "fetch" in str(caught.value.hint)


async def test_the_host_ends_with_its_owner(
    real_engine: TransformersEngine, tmp_path: Path
) -> None:
    """The end of stdin is the owner's end, whatever the host is doing."""
    seat = Seat(tmp_path, tmp_path / "e.sock", "s")
    launch = real_engine.command(seat, None)
    host = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", 'exec 3>&1; exec "$@"', "sh", *launch.argv),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL, env={**os.environ, **launch.env},
    )  # fmt: skip
    assert host.stdin is not None
    host.stdin.close()
    async with asyncio.timeout(60):
        out, _ = await host.communicate()
    assert host.returncode == 0
    assert out == b'{"event": "parked"}\n'
