"""The runtime as a process: how it ends, how it is killed, and what an hour of ice does to it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from .lambda_function import chat, url_event
from .runtime_api import RuntimeApiServer

pytestmark = pytest.mark.real

TESTS = Path(__file__).parents[1]
EXIT_S = 0.5
"""What Lambda gives a function with an extension of its own before it is killed."""


def in_time(asked_s: float) -> bool:
    """Whether it is, on cores of its own: with more to run than cores, all takes as much longer."""
    crowded = os.getloadavg()[0] / (os.cpu_count() or 1)
    return time.monotonic() - asked_s < EXIT_S * max(1.0, crowded)


class Program:
    def __init__(self, process: asyncio.subprocess.Process, api: RuntimeApiServer) -> None:
        self.process = process
        self.api = api

    @property
    def engines(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        async with asyncio.timeout(20):
            return await self.process.wait()

    async def words(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()


Start = Callable[..., Awaitable[Program]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts it against a strict Runtime API; whatever is left at the end is killed."""
    programs: list[Program] = []
    async with RuntimeApiServer() as api:

        async def begin(
            model: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
        ) -> Program:
            file = tmp_path / "pilotlight.yaml"
            (tmp_path / "m.gguf").write_bytes(b"GGUF")
            entry = {"ref": f"file:{tmp_path}/m.gguf", "engine": "fake", "min": 1, **(model or {})}
            file.write_text(yaml.safe_dump({"data_dir": str(tmp_path), "models": {"m": entry}}))
            clean = {k: v for k, v in os.environ.items() if not k.startswith("PILOTLIGHT_")}
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "instance.lambda_program",
                str(file),
                cwd=TESTS,
                env={**clean, "AWS_LAMBDA_RUNTIME_API": api.address, **(environ or {})},
                stderr=asyncio.subprocess.PIPE,
            )
            programs.append(Program(process, api))
            return programs[-1]

        yield begin
        for program in programs:
            if program.process.returncode is None:
                program.send(signal.SIGKILL)
                await program.process.wait()
    assert api.broken_rules == []


async def until_gone(processes: list[psutil.Process]) -> None:
    async with asyncio.timeout(5):
        while any(process.is_running() for process in processes):
            await asyncio.sleep(0.01)


async def test_sigterm_ends_it_in_time_and_its_engine_too(start: Start) -> None:
    program = await start()
    await program.api.until_asked()
    engines = program.engines
    assert engines
    asked_s = time.monotonic()
    program.send(signal.SIGTERM)
    assert await program.ended() == 0
    assert in_time(asked_s)
    await until_gone(engines)


async def test_sigterm_during_an_answer_ends_it_in_order(start: Start) -> None:
    program = await start({"options": {"token_delay_ms": 50.0, "words": 1000}})
    invoked = program.api.invoke(chat(stream=True))
    await (await invoked.begun()).has(b"data: ")
    engines, asked_s = program.engines, time.monotonic()
    program.send(signal.SIGTERM)
    await invoked.done()
    assert b'"code":"draining"' in invoked.body
    assert invoked.told["errorType"] == "Pilotlight.DrainingError"
    assert await program.ended() == 0
    assert in_time(asked_s)
    await until_gone(engines)


async def test_killed_mid_response_it_leaves_a_broken_answer_and_no_engine(start: Start) -> None:
    program = await start({"options": {"token_delay_ms": 20.0, "words": 1000}})
    invoked = program.api.invoke(chat(stream=True))
    await (await invoked.begun()).has(b"data: ")
    engines = program.engines
    program.send(signal.SIGKILL)
    await invoked.done()
    assert invoked.broken
    assert b"[DONE]" not in invoked.body
    await until_gone(engines)


async def test_a_frozen_process_finds_its_model_where_it_was(start: Start) -> None:
    """Stopped for longer than the model's keep_alive, which on its own clock has jumped past."""
    program = await start({"min": 0, "keep_alive": "300ms", "stall": "300ms"})
    assert (await program.api.invoke(chat()).done()).status == 200
    await program.api.until_asked(2)
    (engine,) = program.engines
    for process in (psutil.Process(program.process.pid), engine):
        process.suspend()
    await asyncio.sleep(0.6)
    for process in (psutil.Process(program.process.pid), engine):
        process.resume()
    invoked = await program.api.invoke(chat(stream=True)).done()
    assert invoked.status == 200
    assert b"[DONE]" in invoked.body
    assert [process.pid for process in program.engines] == [engine.pid]


async def test_an_init_that_fails_is_reported_before_it_exits(start: Start) -> None:
    program = await start({"options": {"fail_load": "no such tensor"}, "max_crashes": 1})
    error = await program.api.until_init_error()
    assert "no such tensor" in error["errorMessage"]
    assert await program.ended() == 1
    assert "init failed" in await program.words()


async def test_code_of_the_users_own_is_set_up_in_init(start: Start, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    program = await start({"ref": f"python:{tmp_path}/own.py:Own", "engine": "python"})
    await program.api.until_asked()
    assert (tmp_path / "set up").read_text() == "once"
    (tmp_path / "set up").unlink()
    event = url_event(path="/v1/predict", body={"model": "m", "say": "hi"})
    invoked = await program.api.invoke(event).done()
    assert invoked.json["said"] == "hi"
    assert not (tmp_path / "set up").exists()


OWN = """
from pathlib import Path

class Own:
    def setup(self):
        Path(__file__).with_name("set up").write_text("once")

    def predict(self, request):
        return {"said": request["say"]}
"""


async def test_a_wrong_variable_is_reported(start: Start) -> None:
    program = await start(environ={"PILOTLIGHT_LAMBDA_MODE": "chunky"})
    error = await program.api.until_init_error()
    assert error["errorType"] == "Pilotlight.ConfigError"
    assert "'chunky'" in error["errorMessage"]
    assert await program.ended() != 0


async def test_how_the_environment_came_to_be_stands_in_the_log(start: Start) -> None:
    program = await start(environ={"AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency"})
    invoked = await program.api.invoke(url_event("GET", "/health")).done()
    assert invoked.headers["x-pilotlight-initialization"] == "provisioned-concurrency"
    program.send(signal.SIGTERM)
    assert await program.ended() == 0
    assert "provisioned-concurrency, answers are streamed" in await program.words()
