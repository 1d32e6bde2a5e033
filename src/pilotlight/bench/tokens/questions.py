"""Single questions to a served model, before a run or beside it: never in a measured one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pilotlight.bench.object_answer import object_answer
from pilotlight.bench.once import ask_once
from pilotlight.bench.target import Target

AT_ONCE = 4
"""Questions in flight, so that a small server isn't drowned."""


async def ask_model(target: Target, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object it answers to `body` and the model's name.

    Raises:
        ServerUnreachableError: no connection, or no answer in the target's time.
        ServerRefusedError: an error of the server's, or an answer that is no JSON object.
    """
    told = msgspec.json.encode({"model": target.model, **body})
    status, data = await ask_once(target, "POST", path, told)
    return object_answer(f"{target.where} ({path})", status, data)


async def ask_all(
    target: Target, path: str, bodies: Sequence[Mapping[str, Any]], *, at_once: int = AT_ONCE
) -> list[dict[str, Any]]:
    """The answers in the order of `bodies`, a few at once. Raises as `ask_model` does."""
    gate = asyncio.Semaphore(at_once)

    async def one(body: Mapping[str, Any]) -> dict[str, Any]:
        async with gate:
            return await ask_model(target, path, body)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(body)) for body in bodies]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]
