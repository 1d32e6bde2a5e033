"""A running vLLM's adapters made those of a job, through its own endpoints.

One way for a start, for a wake and for a change while it serves: the process is
asked what it has, gets what it lacks, and then loses what is no longer wanted. Adapters
on the command line (``--lora-modules``) would do for the first of these alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pilotlight.engines.base import Adapter, EngineClient, ModelJob
from pilotlight.engines.vllm.adapter_names import name_of
from pilotlight.errors import AdapterError, EngineError

TIMEOUT_S = 60.0
"""For one adapter: vLLM reads its file between two steps of the model."""


async def exchange(client: EngineClient, job: ModelJob) -> None:
    """Have `job`'s adapters in the process, and no others.

    Whatever is unloaded answers those of its requests that vLLM has already.

    Raises:
        AdapterError: vLLM refused one; the process has those that it had before.
        EngineError: it answered something else than it should.
    """
    present = await _present(client)
    wanted = {name_of(job, adapter): adapter for adapter in job.adapters}
    came: list[str] = []
    try:
        for name, adapter in wanted.items():
            if name not in present:
                await _load(client, name, job, adapter)
                came.append(name)
    except AdapterError:
        await _unload(client, came)
        raise
    await _unload(client, present - wanted.keys())


async def drop(client: EngineClient) -> None:
    """Unload all of them. Raises EngineError."""
    await _unload(client, await _present(client))


async def _present(client: EngineClient) -> set[str]:
    """By their names in vLLM; what it lists without a parent is the model itself."""
    status, body = await client.fetch("/v1/models")
    if status != 200:
        raise _odd(status, "/v1/models", body)
    return {card["id"] for card in json.loads(body)["data"] if card.get("parent")}


async def _load(client: EngineClient, name: str, job: ModelJob, adapter: Adapter) -> None:
    asked = {"lora_name": name, "lora_path": str(adapter.files.path)}
    try:
        status, body = await _post(client, "/v1/load_lora_adapter", asked)
    except TimeoutError:
        status, body = 0, f"no answer in {TIMEOUT_S:.0f} s".encode()
    if status != 200:
        raise AdapterError(
            f"vLLM refused adapter {adapter.name!r} of {job.name!r}: {_words(body)}",
            hint="mend the adapter, or serve the model without it",
        )


async def _unload(client: EngineClient, names: Iterable[str]) -> None:
    for name in sorted(names):
        status, body = await _post(client, "/v1/unload_lora_adapter", {"lora_name": name})
        if status not in (200, 404):  # gone is gone
            raise _odd(status, "/v1/unload_lora_adapter", body)


async def _post(client: EngineClient, path: str, asked: Any) -> tuple[int, bytes]:
    return await client.fetch(path, json.dumps(asked).encode(), timeout_s=TIMEOUT_S)


def _odd(status: int, path: str, body: bytes) -> EngineError:
    return EngineError(f"vLLM answered {status} to {path}: {_words(body)}")


def _words(body: bytes) -> str:
    try:
        told = str(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        told = body.decode(errors="replace")
    return told[:500]
