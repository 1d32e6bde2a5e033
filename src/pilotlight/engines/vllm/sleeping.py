"""Sleep and wake through vLLM's development endpoints, which only the gateway can reach.

Level 1 keeps the weights in RAM; level 2 drops them, and a wake reads them from
the disk again. Both give the GPU's memory back.
https://docs.vllm.ai/en/latest/features/sleep_mode.html
"""

from __future__ import annotations

import json

from pilotlight.engines.base import EngineClient
from pilotlight.errors import EngineError

TIMEOUT_S = 300.0
"""A wake from level 2 reads all weights."""


async def sleep(client: EngineClient, level: int) -> None:
    """Free the GPU's memory. Raises EngineError when vLLM refuses."""
    await _post(client, f"/sleep?level={level}")


async def is_asleep(client: EngineClient) -> bool:
    status, body = await client.fetch("/is_sleeping")
    return status == 200 and bool(json.loads(body).get("is_sleeping"))


async def wake(client: EngineClient, level: int) -> None:
    """Have the model back as it was. Raises EngineError when vLLM refuses."""
    if level < 2:
        await _post(client, "/wake_up")
        return
    await _post(client, "/wake_up?tags=weights")
    await _post(client, "/collective_rpc", {"method": "reload_weights"})
    await _post(client, "/wake_up?tags=kv_cache")


async def _post(client: EngineClient, path: str, body: object = None) -> None:
    raw = b"" if body is None else json.dumps(body).encode()
    status, answer = await client.fetch(path, raw, timeout_s=TIMEOUT_S)
    if status != 200:
        shown = answer[:300].decode(errors="replace")
        raise EngineError(f"vLLM answered {status} to {path}: {shown}")
