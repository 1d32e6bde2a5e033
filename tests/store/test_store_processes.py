"""Several real processes and one model: they wait for each other, and survive a kill."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from gguf_writer import large_model
from model_server import Hold, ModelServer, Page, sha256

MODEL = large_model(6 * 2**20)
PROGRAM = Path(__file__).with_name("fetching_process.py")
Start = Callable[[str], Awaitable[Process]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    running: list[Process] = []

    async def start_one(ref: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(PROGRAM), str(tmp_path / "store"), ref, stdout=PIPE
        )
        running.append(process)
        return process

    yield start_one
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said(process: Process, phase: str, least_bytes: int = 0) -> None:
    """Until the process reports `phase` with so many bytes."""
    assert process.stdout is not None
    while line := (await process.stdout.readline()).decode():
        name, _, value = line.strip().partition(" ")
        if name == phase and int(value) >= least_bytes:
            return
    raise AssertionError(f"ended without reporting {phase} {least_bytes}")


async def result(process: Process) -> str:
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().splitlines()[-1].removeprefix("path ")


async def test_two_processes_fetch_one_file_once(start: Start, server: ModelServer) -> None:
    gate = asyncio.Event()
    page = Page(MODEL, faults=[Hold(2 * 2**20, gate)])
    ref = server.add("/tiny.gguf", page)
    first, second = await start(ref), await start(ref)
    await asyncio.gather(said(first, "download"), said(second, "download"))
    gate.set()
    one, other = await asyncio.gather(result(first), result(second))
    assert one == other
    assert Path(one).read_bytes() == MODEL
    assert len(server.requests) == 1


@pytest.mark.parametrize("hashed", [True, False])
async def test_a_killed_fetch_is_continued_by_another_process(
    start: Start, server: ModelServer, hashed: bool
) -> None:
    page = Page(MODEL, {"ETag": '"one"'}, faults=[Hold(4 * 2**20, asyncio.Event())])
    ref = server.add("/tiny.gguf", page) + (f"#sha256={sha256(MODEL)}" if hashed else "")
    killed = await start(ref)
    await said(killed, "download", 2 * 2**20)
    killed.send_signal(signal.SIGKILL)
    await killed.wait()
    path = await result(await start(ref))
    assert Path(path).read_bytes() == MODEL
    continued = server.requests[1].headers["Range"]
    assert int(continued.removeprefix("bytes=").removesuffix("-")) >= 2 * 2**20


async def test_a_waiting_process_takes_over_from_a_killed_one(
    start: Start, server: ModelServer
) -> None:
    page = Page(MODEL, {"ETag": '"one"'}, faults=[Hold(3 * 2**20, asyncio.Event())])
    ref = server.add("/tiny.gguf", page)
    holder = await start(ref)
    await said(holder, "download", 2 * 2**20)
    waiter = await start(ref)
    await said(waiter, "download", 2 * 2**20)
    holder.kill()
    assert Path(await result(waiter)).read_bytes() == MODEL
    assert [one.headers.get("Range") is None for one in server.requests] == [True, False]
