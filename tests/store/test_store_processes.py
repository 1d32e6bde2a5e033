"""Several real processes and one model: they wait for each other, and survive a kill."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from gguf_writer import gguf, large_model
from model_server import Hold, ModelServer, Page, sha256
from repository import COMMIT, publish

from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.store.store import Store

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
            _kill(process)
        await process.wait()


def _kill(process: Process) -> None:
    """asyncio's own kill reaps a process that has just ended, and then nobody knows how it did."""
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)


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
    assert int(continued.removeprefix("bytes=").partition("-")[0]) >= 2 * 2**20


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
    starts = [
        one.headers["Range"].removeprefix("bytes=").partition("-")[0] for one in server.requests
    ]
    assert starts[0] == "0"
    assert int(starts[1]) >= 2 * 2**20


async def test_two_processes_fetch_each_file_of_a_model_once(
    start: Start, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.origin)
    parts = {f"big-Q4_0-0000{n}-of-00002.gguf": gguf(fill=n) for n in (1, 2)}
    publish(server, parts)
    first, second = await asyncio.gather(*(start("hf:org/repo:Q4_0") for _ in range(2)))
    one, other = await asyncio.gather(result(first), result(second))
    assert one == other
    assert contents(Path(one).parent) == [*parts.values()]
    for name in parts:
        assert len(server.asked("GET", f"/org/repo/resolve/{COMMIT}/{name}")) == 1


async def test_kills_at_any_moment_leave_nothing_wrong(
    start: Start, server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later and later, so that the kills fall from the first byte to the last sync."""
    monkeypatch.setenv("HF_ENDPOINT", server.origin)
    ref = "hf:org/repo:Q4_0"
    parts = {f"m-Q4_0-0000{n}-of-00003.gguf": large_model(n * 7 * 2**20) for n in (1, 2, 3)}
    publish(server, parts)
    store = Store(tmp_path / "store", StoreSettings(hf_endpoint=server.origin))
    for more in range(1, 9):
        process = await start(ref)
        await said(process, "resolve")
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), more * 0.04)
        if process.returncode is None:
            _kill(process)
        await process.wait()
        for sha in store.keeping.blobs:
            if store.keeping.blobs.trusted(sha):
                assert sha256(store.keeping.blobs.path(sha).read_bytes()) == sha
        if files := store.present(ModelRef.parse(ref)):
            assert contents(files.path.parent) == [*parts.values()]
            store.keeping.remove(store.keeping.find(ref))
    last = await result(await start(ref))
    assert contents(Path(last).parent) == [*parts.values()]


def contents(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(directory.iterdir())]
