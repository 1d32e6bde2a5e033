"""What a user's class fetches in `setup()` is fetched in a platform's init phase, never later.

The configuration is the one that every target hands to its instances; the process is the very
program that they run, with a port, and as Lambda's runtime.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy.server.answering import answering
from deploy.server.port import free_port
from deploy.server.releases import ALONE
from instance.lambda_function import url_event
from instance.runtime_api import RuntimeApiServer
from pilotlight.deploy.instance_file import instance_file
from pilotlight.deploy.release import Release
from pilotlight.deploy.server.address import Address
from pilotlight.deploy.server.readiness import Probe

pytestmark = pytest.mark.real

CLASS = Path(__file__).with_name("models.py")
REQUESTS = 3
WEIGHTS = "/weights.bin"
PATIENCE_S = 60.0


@dataclass
class Origin:
    """Where the class has its weights from: counts who asks, and makes them wait until `open`."""

    url: str = ""
    asked: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)
    times: int = 0


@pytest.fixture
def origin() -> Iterator[Origin]:
    found = Origin()

    def status(path: str) -> int:
        found.times += 1
        found.asked.set()
        assert found.open.wait(PATIENCE_S)
        return 200

    with answering(status) as address:
        found.url = f"{address.url}/weights.bin"
        yield found
        found.open.set()


def released(origin: Origin) -> Release[Any]:
    model = {
        "engine": "python",
        "ref": f"python:{CLASS}:Fetching",
        "options": {"kwargs": {"url": origin.url}},
    }
    return Release(
        name="mine",
        serve={"models": {"mine": model}},
        image=None,
        size=ALONE.size,
        scaling=ALONE.scaling,
        options=None,
    )


@asynccontextmanager
async def instance(
    folder: Path, origin: Origin, environ: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m pilotlight.instance`, gone at the end."""
    file = folder / "pilotlight.yaml"
    file.write_text(instance_file(released(origin), drain_s=5))
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PILOTLIGHT_", "AWS_"))}
    variables = {
        "PILOTLIGHT_CONFIG_FILE": str(file),
        "PILOTLIGHT_DATA_DIR": str(folder / "data"),
        "PILOTLIGHT_HOST": "127.0.0.1",
        **environ,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pilotlight.instance",
        env={**clean, **variables}, cwd=folder, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        origin.open.set()
        process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            await process.wait()


def predicted(url: str) -> dict[str, Any]:
    body = json.dumps({"model": "mine", "text": "hello"}).encode()
    asked = urllib.request.Request(f"{url}/v1/predict", body, {"content-type": "application/json"})
    with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
        loaded: dict[str, Any] = json.loads(answer.read())
    return loaded


async def test_a_container_is_ready_only_once_it_has_fetched(
    tmp_path: Path, origin: Origin
) -> None:
    port = free_port()
    probe = Probe(Address("127.0.0.1", port))
    async with instance(tmp_path, origin, {"PORT": str(port)}) as process:
        assert await asyncio.to_thread(origin.asked.wait, PATIENCE_S), "nobody asked, yet it starts"
        await asyncio.to_thread(probe.wait, "/health", PATIENCE_S, lambda: ended(process))
        assert not await asyncio.to_thread(probe.answers, "/ready")
        origin.open.set()
        await asyncio.to_thread(probe.wait, "/ready", PATIENCE_S, lambda: ended(process))
        for _ in range(REQUESTS):
            answer = await asyncio.to_thread(predicted, probe.address.url)
            assert answer["weights"] == WEIGHTS
        assert origin.times == 1


async def test_a_function_asks_for_work_only_once_it_has_fetched(
    tmp_path: Path, origin: Origin
) -> None:
    async with RuntimeApiServer() as api:
        first = api.invoke(predict_event())
        async with instance(tmp_path, origin, {"AWS_LAMBDA_RUNTIME_API": api.address}):
            assert await asyncio.to_thread(origin.asked.wait, PATIENCE_S)
            assert first.streamed is None
            origin.open.set()
            assert json.loads((await first.done()).body)["weights"] == WEIGHTS
            for _ in range(REQUESTS):
                assert (await api.invoke(predict_event()).done()).status == 200
            assert origin.times == 1
        assert api.broken_rules == []


def predict_event() -> dict[str, Any]:
    return url_event(path="/v1/predict", body={"model": "mine", "text": "hello"})


def ended(process: asyncio.subprocess.Process) -> str | None:
    return None if process.returncode is None else f"it ended with {process.returncode}"
