"""The generic command for real: a program on a loopback port, from its start to its end."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles
from pilotlight.engines.base import EngineProcess, ModelJob
from pilotlight.engines.presets import PRESETS, PresetEngine
from pilotlight.errors import EngineStartError
from pilotlight.fleet.local import LocalFleet
from pilotlight.testing import conformance, fake_files
from pilotlight.testing.conformance import Check, Subject, loaded

SERVER = [sys.executable, "-m", "pilotlight.testing.server", "--port", "{port}"]
OPTIONS = '{"context": 256, "words": 400, "token_delay_ms": 1.0, "ram_bytes": 4096}'
FAKE: dict[str, Any] = {
    "command": [*SERVER, "--model", "{name}", "--options", OPTIONS],
    "environment": {"FAKE_ENGINE_SECRET": "{secret}"},
    "context": 256,
    "parallel": 4,
    "memory": "4KiB",
}
# OpenAI's API has neither tokenizing nor a path that shows it.
LEFT_OUT = (conformance.text_survives_tokenize_and_detokenize,)
CHECKS = [check for check in conformance.CHECKS if check not in LEFT_OUT]


def kill(process: EngineProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[LocalFleet]:
    made = LocalFleet(tmp_path / "logs")
    yield made
    await made.close()


def subject_of(fleet: LocalFleet, files: ModelFiles, given: dict[str, Any], **more: Any) -> Subject:
    return Subject(PresetEngine(PRESETS["command"]), fleet, files, given, kill, **more)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_conformance(check: Check, fleet: LocalFleet) -> None:
    given = {key: value for key, value in FAKE.items() if key != "ready"}
    ready = {**given, "ready": "/health"}
    await check(subject_of(fleet, fake_files("m"), ready, long_tokens=200))


async def test_its_port_asks_for_the_secret(fleet: LocalFleet) -> None:
    subject = subject_of(fleet, fake_files("m"), FAKE)
    launch = subject.engine.command(subject.seat(), subject.job)
    process = await fleet.launch(launch)
    await subject.engine.load(process, subject.job)
    path, body = subject.chat(max_tokens=1)
    reader, writer = await asyncio.open_connection("127.0.0.1", launch.seat.port)
    writer.write(f"POST {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    assert b" 401 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    await process.stop()


@pytest.mark.parametrize(
    ("program", "says", "hint"),
    [
        ("import sys; sys.exit('RuntimeError: CUDA out of memory')", "CUDA out of memory",
         "gpu_memory_fraction"),
        ("import nothing_of_that_name", "No module named", "environment it is installed in"),
        ("raise OSError(98, 'Address already in use')", "Address already in use", "ask again"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL", "want of memory"),
        ("print('bye')", "bye | it ended: exit code 0", "its whole log"),
    ],
)  # fmt: skip
async def test_one_that_ends_instead_of_starting(
    fleet: LocalFleet, program: str, says: str, hint: str
) -> None:
    engine = PresetEngine(PRESETS["command"])
    options = engine.options({"command": [sys.executable, "-c", program]})
    job = ModelJob("m", fake_files("m"), options)
    process = await fleet.launch(engine.command(fleet.seat("r1"), job))
    with pytest.raises(EngineStartError) as caught:
        await engine.load(process, job)
    assert says in caught.value.message
    assert hint in str(caught.value.hint)


@pytest.fixture
def llama_server() -> str:
    found = os.environ.get("LLAMA_SERVER") or shutil.which("llama-server")
    if found is None:
        pytest.skip("no llama-server: set LLAMA_SERVER")
    return found


@pytest.mark.real
async def test_a_llama_server_on_a_port(
    fleet: LocalFleet, llama_server: str, smollm: ModelFiles
) -> None:
    given = {
        "command": [
            llama_server, "--model", "{model}", "--alias", "{name}", "--host", "127.0.0.1",
            "--port", "{port}", "--ctx-size", "512", "--parallel", "1", "--threads", "1",
            "--metrics", "--no-webui", "--no-warmup",
        ],
        "environment": {"LLAMA_API_KEY": "{secret}"},
        "metrics": "/metrics",
        "counters": ["llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total"],
        "parallel": 1,
        "context": 512,
    }  # fmt: skip
    subject = subject_of(fleet, smollm, given)
    await conformance.chat_counts_its_tokens(subject)
    await conformance.stream_ends_with_usage_and_done(subject)
    await conformance.progress_grows_with_work(subject)
    await conformance.context_overflow_has_its_own_error(subject)
    async with loaded(subject) as process:
        before = await subject.engine.progress(process)
        await asyncio.gather(*(process.client.fetch(*subject.chat(max_tokens=9)) for _ in "ab"))
        after = await subject.engine.progress(process)
        assert before is not None
        assert after is not None
        assert after - before > 18, "tokens, not heartbeats"


async def test_a_port_that_somebody_else_answers_at(fleet: LocalFleet) -> None:
    """Between the choice of a port and its use it can be taken, by a server that is well."""
    engine = PresetEngine(PRESETS["command"])
    options = engine.options({"command": [sys.executable, "-c", "import time; time.sleep(60)"]})
    job = ModelJob("m", fake_files("m"), options)
    launch = engine.command(fleet.seat("r1"), job)

    async def well(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(well, "127.0.0.1", launch.seat.port):
        process = await fleet.launch(launch)
        with pytest.raises(EngineStartError, match=f"process {os.getpid()} listens") as caught:
            await engine.load(process, job)
        await process.stop(grace_s=0.0)
    assert "ask again" in str(caught.value.hint)
