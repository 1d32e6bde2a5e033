"""The fake engine, which also writes down what it counted for whom, before it says so.

    <directory>/<pid>.log    a line for each answer it counted: id, prompt and completion tokens

The id is the last word of the prompt. A line is in the page cache before its usage goes out, so it
outlives a kill.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from pilotlight.config import EngineSettings
from pilotlight.engines.base import Launch, ModelJob, Seat
from pilotlight.machine import Machine
from pilotlight.testing import server
from pilotlight.testing.answer import Answer
from pilotlight.testing.engine import FakeEngine
from pilotlight.testing.service import Service, Write

DIRECTORY_VARIABLE = "COUNTING_ENGINE_DIRECTORY"

ID_PREFIX = "ask-"
"""Of the ids: a load's own first request has none."""

_USAGE = re.compile(rb'"usage":\{"prompt_tokens":(\d+),"completion_tokens":(\d+)')
_TIMINGS = re.compile(rb'"timings":\{"cache_n":0,"prompt_n":(\d+),.*"predicted_n":(\d+)')
"""A stream that wasn't asked for usage says it in these alone, as llama.cpp's does."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What an engine said of one answer."""

    prompt_tokens: int
    completion_tokens: int


class CountingService(Service):
    """Knows each answer's id while it is performed."""

    def answer(self, path: str, body: bytes | None) -> Answer:
        # A copy: the brain gives equal requests one answer, and ids are told apart by it.
        answer = replace(super().answer(path, body))
        if body is not None:
            _asked[id(answer)] = _id_of(body)
        return answer

    async def perform(self, answer: Answer, write: Write) -> None:
        request = _asked.pop(id(answer), "")

        async def counted(data: bytes) -> None:
            found = _USAGE.search(data) or _TIMINGS.search(data)
            if found and request.startswith(ID_PREFIX):
                os.write(_log(), b"%s %s %s\n" % (request.encode(), *found.groups()))
            await write(data)

        await super().perform(answer, counted)


_asked: dict[int, str] = {}
_logs: list[int] = []


def _id_of(body: bytes) -> str:
    tree = msgspec.json.decode(body)
    text = tree["messages"][-1]["content"] if "messages" in tree else tree["prompt"]
    return str(text).rpartition(" ")[2]


def _log() -> int:
    if not _logs:
        path = Path(os.environ[DIRECTORY_VARIABLE]) / f"{os.getpid()}.log"
        _logs.append(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    return _logs[0]


class CountingEngine(FakeEngine):
    """Launches this program in place of the fake's own."""

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        launch = super().command(seat, job)
        ours = tuple(
            "benchmarks.counting_engine" if word == "pilotlight.testing.server" else word
            for word in launch.argv
        )
        directory = os.environ[DIRECTORY_VARIABLE]
        return replace(launch, argv=ours, env={**launch.env, DIRECTORY_VARIABLE: directory})


def factory(settings: EngineSettings, machine: Machine) -> CountingEngine:
    return CountingEngine()


def read(directory: Path) -> tuple[Mapping[str, Counted], int]:
    """What all engines said, by id, and how many answers they gave more than once.

    The last line of a killed one may be cut short.
    """
    found: dict[str, Counted] = {}
    again = 0
    for path in directory.glob("*.log"):
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                request, prompt, completion = line.split()
                again += request in found
                found[request] = Counted(int(prompt), int(completion))
    return found, again


def main() -> None:
    setattr(server, "Service", CountingService)  # noqa: B010  the program's only seam
    server.main()


if __name__ == "__main__":
    main()
