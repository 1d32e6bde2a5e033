from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.engines.base import EngineProcess, ModelJob
from pilotlight.engines.python.engine import PythonEngine
from pilotlight.fleet.local import LocalFleet

SERVED = Path(__file__).with_name("served.py")


def files_of(kind: str, file: Path | str = SERVED) -> ModelFiles:
    """What the catalogue says of a ref whose bytes are the engine's own affair."""
    return ModelFiles(ModelRef("python", f"{file}:{kind}"), Path(os.devnull), 0)


def job(kind: str, file: Path | str = SERVED, **given: Any) -> ModelJob:
    return ModelJob("mine", files_of(kind, file), PythonEngine().options(given))


def kill(process: EngineProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[LocalFleet]:
    fleet = LocalFleet(tmp_path / "logs")
    yield fleet
    await fleet.close()


@asynccontextmanager
async def running(fleet: LocalFleet, job: ModelJob) -> AsyncIterator[EngineProcess]:
    engine = PythonEngine()
    process = await fleet.launch(engine.command(fleet.seat("r1"), job))
    try:
        await engine.load(process, job)
        yield process
    finally:
        await process.stop(grace_s=2.0)


async def ask(process: EngineProcess, path: str, **body: Any) -> tuple[int, Any]:
    status, answer = await process.client.fetch(path, json.dumps(body).encode(), timeout_s=20.0)
    return status, json.loads(answer)


async def predict(process: EngineProcess, **body: Any) -> Any:
    status, answer = await ask(process, "/v1/predict", **body)
    assert status == 200, answer
    return answer
