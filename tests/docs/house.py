"""A whole house on the fake engine, asked over ASGI: what the pages describe, really answered."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import yaml

from pilotlight import config
from pilotlight.gateway.assembly import House, build
from pilotlight.machine import Machine
from pilotlight.meter.meter import Total
from pilotlight.testing import FACTORY, FakeFleet, FakeStore

MODEL = "smollm2:135m"
MACHINE = Machine("test cpu", 2, 8 * 2**30, (), frozenset({"avx2"}))


def drawn() -> Total:
    """A meter's word for a machine that draws 50 W."""
    now_s = time.monotonic()
    gross_j = 50.0 * now_s
    return Total(now_s, {"package-0": gross_j}, gross_j, "measured-rapl")


@asynccontextmanager
async def served(data_dir: Path) -> AsyncIterator[tuple[House, httpx.AsyncClient]]:
    file = data_dir / "pilotlight.yaml"
    tuned = {"options": {"lora": "live"}, "adapters": {"support": "fake:support"}}
    models = {MODEL: {"ref": "fake:m", "engine": "fake", **tuned}}
    ledger = {"usd_per_hour": 1.0}
    tree = {"data_dir": str(data_dir), "memory": 2**30, "models": models, "ledger": ledger}
    file.write_text(yaml.safe_dump(tree))
    settings = config.load(file, environ={})
    house = build(
        settings, MACHINE, FakeFleet(), factories={"fake": FACTORY}, store=FakeStore(), power=drawn
    )
    transport = httpx.ASGITransport(house.app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            house.begin()
            yield house, client
    finally:
        await house.close()


def chat(**fields: object) -> dict[str, object]:
    """A small body that every chat surface takes."""
    messages = [{"role": "user", "content": "Say hello."}]
    return {"model": MODEL, "max_tokens": 8, "messages": messages, **fields}
