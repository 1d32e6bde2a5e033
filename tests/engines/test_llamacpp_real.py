"""Both programs with the real 135M model: real processes, real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pilotlight.config import LlamacppSettings
from pilotlight.core import ModelFiles, Operation
from pilotlight.engines.base import Engine, EngineProcess, ModelJob, Seat
from pilotlight.engines.llamacpp import choose
from pilotlight.engines.llamacpp.wheel import WheelEngine
from pilotlight.errors import EngineStartError, UnsupportedParameterError
from pilotlight.fleet.local import LocalFleet
from pilotlight.machine import survey
from pilotlight.testing.conformance import CHECKS, SOCKET_CHECKS, Check, Subject

from .headers import write_gguf

pytestmark = pytest.mark.real

GIVEN = {"context": 1024, "parallel": 2, "threads": 1}
PROGRAMS = ("wheel", "server")

Make = Callable[[str], Engine]


def kill(process: EngineProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)


def job(engine: Engine, files: ModelFiles, **given: Any) -> ModelJob:
    return ModelJob("smol", files, engine.options({**GIVEN, **given}))


@asynccontextmanager
async def running(fleet: LocalFleet, engine: Engine, job: ModelJob) -> AsyncIterator[EngineProcess]:
    process = await fleet.launch(engine.command(fleet.seat("r1"), job))
    try:
        await engine.load(process, job)
        yield process
    finally:
        await process.stop(grace_s=2.0)


async def ask(process: EngineProcess, path: str, **body: Any) -> tuple[int, Any]:
    status, answer = await process.client.fetch(path, json.dumps(body).encode(), timeout_s=60.0)
    return status, json.loads(answer)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("check", CHECKS + SOCKET_CHECKS, ids=lambda check: check.__name__)
async def test_it_conforms(
    check: Check,
    program: str,
    make_engine: Make,
    fleet: LocalFleet,
    smollm: ModelFiles,
    tmp_path: Path,
) -> None:
    engine = make_engine(program)
    alien = write_gguf(tmp_path / "alien.gguf", general__architecture="nonesuch")
    await check(
        Subject(engine, fleet, smollm, GIVEN, kill, broken=job(engine, alien), long_tokens=200)
    )


@pytest.mark.parametrize("program", PROGRAMS)
async def test_every_declared_operation_answers(
    program: str, make_engine: Make, fleet: LocalFleet, smollm: ModelFiles
) -> None:
    engine = make_engine(program)
    told = {"role": "user", "content": "Say hi."}
    bodies: dict[Operation, dict[str, Any]] = {
        Operation.CHAT: {"messages": [told], "max_tokens": 2},
        Operation.COMPLETIONS: {"prompt": "Hi", "max_tokens": 2},
        Operation.MESSAGES: {"messages": [told], "max_tokens": 2},
        Operation.COUNT_TOKENS: {"messages": [told]},
        Operation.TOKENIZE: {"content": "Hi"},
        Operation.DETOKENIZE: {"tokens": [28120]},
        Operation.EMBEDDINGS: {"input": "Hi"},
    }
    embedding = job(engine, smollm, embedding=True)
    assert engine.capabilities(smollm, embedding.options).operations == set(bodies)
    async with running(fleet, engine, embedding) as process:
        for operation, body in bodies.items():
            status, answer = await ask(process, engine.endpoint(operation), model="smol", **body)
            assert status == 200, (operation, answer)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_undeclared_operations_do_not(
    program: str, make_engine: Make, fleet: LocalFleet, smollm: ModelFiles
) -> None:
    engine = make_engine(program)
    chat = job(engine, smollm)
    assert Operation.EMBEDDINGS not in engine.capabilities(smollm, chat.options).operations
    async with running(fleet, engine, chat) as process:
        status, answer = await process.client.fetch("/v1/embeddings", b'{"input": "Hi"}')
        assert isinstance(engine.error(status, answer), UnsupportedParameterError)
        for closed in ("/props", "/metrics", "/slots/0?action=erase", "/tools"):
            assert (await process.client.fetch(closed, b"{}"))[0] >= 400, closed


# A field that changes what temperature 0 answers, or what the answer carries.
CHANGES: dict[str, Any] = {
    "n_predict": 2,
    "grammar": 'root ::= "yes"',
    "json_schema": {"type": "object"},
    "logit_bias": {"28": -100, "19": -100, "198": -100, "57": -100, "5345": -100},
    "repeat_penalty": 3.0,
    "dry_multiplier": 5.0,
    "mirostat": 2,
    "samplers": ["temperature"],
    "n_probs": 3,
}


@pytest.mark.parametrize("program", PROGRAMS)
async def test_declared_parameters_are_honoured(
    program: str, make_engine: Make, fleet: LocalFleet, smollm: ModelFiles
) -> None:
    engine = make_engine(program)
    chat = job(engine, smollm)
    declared = engine.capabilities(smollm, chat.options).parameters[Operation.CHAT]
    assert set(CHANGES) <= declared
    async with running(fleet, engine, chat) as process:

        async def said(**fields: Any) -> str:
            told = [{"role": "user", "content": "Repeat: go go go go go go go"}]
            given = {"messages": told, "max_tokens": 24, "temperature": 0, "seed": 1, **fields}
            status, answer = await ask(process, "/v1/chat/completions", **given)
            assert status == 200, answer
            return json.dumps(answer["choices"])

        plain = await said()
        assert await said() == plain
        assert "logprobs" in await said(n_probs=3)
        assert '"yes"' in await said(grammar=CHANGES["grammar"])
        for name in ("n_predict", "json_schema", "repeat_penalty", "dry_multiplier"):
            assert await said(**{name: CHANGES[name]}) != plain, name


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_slots_context_is_the_one_promised(
    program: str, make_engine: Make, fleet: LocalFleet, smollm: ModelFiles
) -> None:
    engine = make_engine(program)
    for given in ({"context": 300, "parallel": 3}, {"context": 700, "kv_unified": True}):
        odd = job(engine, smollm, **given)
        async with running(fleet, engine, odd) as process:
            _, body = await process.client.fetch("/slots")
            slots = json.loads(body)
            assert len(slots) == engine.slots(odd.options)
            assert {slot["n_ctx"] for slot in slots} == {engine.context(smollm, odd.options)}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    "given",
    [{}, {"context": 4096, "parallel": 4}, {"repack": "off"}],
    ids=str,
)
async def test_predicted_memory_is_close_to_the_measured(
    given: dict[str, Any],
    program: str,
    make_engine: Make,
    fleet: LocalFleet,
    smollm: ModelFiles,
) -> None:
    engine = make_engine(program)
    sized = job(engine, smollm, **given)
    predicted = engine.predict(smollm, sized.options).ram_bytes
    async with running(fleet, engine, sized) as process:
        prompt = [100 + number % 1000 for number in range(600)]  # more than one micro-batch
        status, answer = await ask(
            process, "/completion", prompt=prompt, n_predict=1, cache_prompt=False
        )
        assert status == 200, answer
        measured = process.peak_memory_bytes()
    assert measured is not None
    assert predicted == pytest.approx(measured, rel=0.08)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("content", "words"),
    [(b"plainly no model", "GGUF"), (b"GGUF\x03\x00\x00\x00", "")],
    ids=["no model", "cut"],
)
async def test_a_file_that_is_no_model_says_so(
    content: bytes,
    words: str,
    program: str,
    make_engine: Make,
    fleet: LocalFleet,
    smollm: ModelFiles,
    tmp_path: Path,
) -> None:
    engine = make_engine(program)
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    broken = ModelJob("broken", ModelFiles(smollm.ref, path, len(content)), engine.options({}))
    with pytest.raises(EngineStartError, match="broken") as caught:
        async with running(fleet, engine, broken):
            pass
    assert words in caught.value.last_words
    assert caught.value.last_words


@pytest.mark.parametrize("program", PROGRAMS)
async def test_an_unknown_architecture_is_named_with_the_next_step(
    program: str, make_engine: Make, fleet: LocalFleet, tmp_path: Path
) -> None:
    engine = make_engine(program)
    alien = write_gguf(tmp_path / "alien.gguf", general__architecture="nonesuch")
    with pytest.raises(EngineStartError) as caught:
        async with running(fleet, engine, job(engine, alien)):
            pass
    assert "unknown model architecture: 'nonesuch'" in caught.value.last_words
    assert "update" in str(caught.value.hint)
    assert "exiting due to" not in caught.value.last_words


async def test_a_host_can_be_unloaded_the_moment_it_is_ready(
    make_engine: Make, fleet: LocalFleet, smollm: ModelFiles
) -> None:
    """The wheel's destructor hung where its server's loop had not started yet."""
    engine = make_engine("wheel")
    wanted = job(engine, smollm)
    async with asyncio.timeout(60), running(fleet, engine, wanted) as process:
        for _ in range(5):
            await engine.unload(process)
            await engine.load(process, wanted)


async def test_a_host_survives_a_failed_load(
    make_engine: Make, fleet: LocalFleet, smollm: ModelFiles, tmp_path: Path
) -> None:
    engine = make_engine("wheel")
    alien = write_gguf(tmp_path / "alien.gguf", general__architecture="nonesuch")
    process = await fleet.launch(engine.command(fleet.seat("r1"), None))
    with pytest.raises(EngineStartError):
        await engine.load(process, job(engine, alien))
    await engine.load(process, job(engine, smollm))
    path, body = engine.canary(job(engine, smollm))
    assert (await process.client.fetch(path, body))[0] == 200


async def test_sleep_gives_the_memory_back(
    make_engine: Make, fleet: LocalFleet, smollm: ModelFiles
) -> None:
    engine = make_engine("wheel")
    async with running(fleet, engine, job(engine, smollm)) as process:
        awake = process.memory_bytes() or 0
        await engine.unload(process)
        assert (process.memory_bytes() or awake) < awake / 2


@pytest.mark.parametrize(
    "name", ["cache_type_k", "lora", "speculative", "tensor_split", "seed", "pooling", "mmproj"]
)
def test_the_wheel_has_the_parameters_we_set(name: str, tmp_path: Path) -> None:
    """host.py assigns them in a process of its own, which then reads them back."""
    engine = choose(LlamacppSettings(prefer="wheel"), survey())
    assert isinstance(engine, WheelEngine)
    file = tmp_path / "file"
    file.touch()
    given: dict[str, Any] = {
        "cache_type_k": "q8_0", "lora": [{"path": str(file), "scale": 0.5}],
        "speculative": {"method": "draft", "model": str(file), "cache_type_k": "q4_0"},
        "tensor_split": [3, 1], "seed": 7, "pooling": "cls", "mmproj": str(file),
    }  # fmt: skip
    files = write_gguf(tmp_path / "model.gguf", llama__context_length=8192)
    params = engine.params(ModelJob("m", files, engine.options({name: given[name]})))
    read_back = assigned(engine, params)
    expected = {
        "cache_type_k": ("cache_type_k", "GGML_TYPE_Q8_0"),
        "lora": ("lora_adapters", f"[CommonAdapterLoraInfo(path='{file}', scale=0.5)]"),
        "speculative": ("speculative.types", "[<COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE>]"),
        "tensor_split": ("tensor_split", "[3.0, 1.0, 0.0"),
        "seed": ("sampling.seed", "7"),
        "pooling": ("pooling_type", "LLAMA_POOLING_TYPE_CLS"),
        "mmproj": ("mmproj.path", str(file)),
    }[name]
    assert read_back[expected[0]].startswith(expected[1])


def test_the_wheel_takes_every_parameter_that_any_option_sets(tmp_path: Path) -> None:
    """One assignment of all of them: a renamed parameter or member fails here, by name."""
    from .test_llamacpp_options import samples

    engine = choose(LlamacppSettings(prefer="wheel"), survey())
    assert isinstance(engine, WheelEngine)
    values = samples.__wrapped__(tmp_path)  # type: ignore[attr-defined]
    for name in ("device", "override_kv", "chat_template_file"):
        del values[name]
    files = write_gguf(tmp_path / "model.gguf", llama__context_length=8192)
    params = engine.params(ModelJob("m", files, engine.options(values)))
    assert set(assigned(engine, params)) == set(params)


READ_BACK = """
import enum, json, os, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import host, xllamacpp

host.watch_stdin = lambda on: None
params = json.load(sys.stdin)
made = host.Host(xllamacpp, "/nonexistent/e.sock", "s").common_params(params)

def shown(value):
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, list) and value and isinstance(value[0], enum.Enum):
        return "[" + ", ".join(f"<{member.name}>" for member in value) + "]"
    return str(value)

found = {}
for path in params:
    value = made
    for name in path.split("."):
        value = getattr(value, name)
    found[path] = shown(value)
print(json.dumps(found))
"""


def assigned(engine: WheelEngine, params: dict[str, Any]) -> dict[str, str]:
    """What each parameter is in the wheel after the host's own code assigned it."""
    launch = engine.command(Seat(Path("/nonexistent"), Path("/nonexistent/e.sock"), "s"), None)
    host, site = Path(launch.argv[3]), launch.argv[4]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", READ_BACK, str(host.parent), site],
        input=json.dumps(params), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


PARENT = """
import os, subprocess, sys
argv = sys.argv[1:]
child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=sys.stdout, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
if os.environ["ORDER"]:
    child.stdin.write(os.environ["ORDER"].encode() + b"\\n")
    child.stdin.flush()
if os.environ["CLOSE"]:
    child.stdin.close()
sys.stdin.read()
"""


def parent(engine: WheelEngine, directory: Path, *, order: str = "", close: str = "") -> Any:
    """A process that runs the host as a gateway would; the host's channel is its stdout."""
    launch = engine.command(Seat(directory, directory / "e.sock", "s"), None)
    argv = ["/bin/sh", "-c", 'exec 3>&1; exec "$@"', "sh", *launch.argv]
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **launch.env, "ORDER": order, "CLOSE": close},
    )


def gone(pid: int, within_s: float = 10.0) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within_s)[0])
    finally:
        os.close(descriptor)


@pytest.fixture
def wheel(make_engine: Make) -> WheelEngine:
    engine = make_engine("wheel")
    assert isinstance(engine, WheelEngine)
    return engine


def test_the_host_dies_with_a_killed_parent(wheel: WheelEngine, tmp_path: Path) -> None:
    with parent(wheel, tmp_path) as owner:
        pid = int(owner.stdout.readline())
        assert json.loads(owner.stdout.readline()) == {"event": "parked"}
        owner.kill()
        assert gone(pid)


async def test_the_host_sees_the_end_of_its_channel_even_while_loading(
    wheel: WheelEngine, smollm: ModelFiles, tmp_path: Path
) -> None:
    """The parent lives on and only closes the channel, right after it ordered a load."""
    params = wheel.params(job(wheel, smollm))
    order = json.dumps({"op": "load", "params": params})
    with parent(wheel, tmp_path, order=order, close="yes") as owner:
        pid = int(owner.stdout.readline())
        assert gone(pid)
        assert owner.poll() is None
        assert b"ready" not in owner.stdout.read1()
        owner.kill()


async def test_an_interrupt_from_the_terminal_does_not_end_it(
    wheel: WheelEngine, fleet: LocalFleet, smollm: ModelFiles
) -> None:
    async with running(fleet, wheel, job(wheel, smollm)) as process:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGINT)
        status, _ = await process.client.fetch(*wheel.canary(job(wheel, smollm)))
        assert status == 200


async def test_a_standby_needs_no_model_and_little_memory(
    wheel: WheelEngine, fleet: LocalFleet
) -> None:
    process = await fleet.launch(wheel.command(fleet.seat("r1"), None))
    assert await asyncio.wait_for(process.receive(), 10) == {"event": "parked"}
    assert (process.memory_bytes() or 0) < 80 * 2**20
