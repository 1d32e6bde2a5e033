"""A whole house whose local models are the fake engine's, and whose remote ones are remote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gateway.asgi import Client
from pilotlight import config
from pilotlight.engines.base import EngineProcess, Launch
from pilotlight.engines.registry import FACTORIES
from pilotlight.fleet.remote import RemoteProcess
from pilotlight.gateway.assembly import House, build
from pilotlight.machine import Machine
from pilotlight.testing import FACTORY, FakeFleet, FakeStore

MACHINE = Machine("test cpu", 2, 8 * 2**30, (), frozenset({"avx2"}))
KEY = "sk-very-secret-0123456789"


class MixedFleet(FakeFleet):
    """The fake engine in memory, and real connections to what runs elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.remotes: list[RemoteProcess] = []

    async def launch(self, launch: Launch) -> EngineProcess:  # type: ignore[override]
        if launch.remote is None:
            return await super().launch(launch)
        self.remotes.append(RemoteProcess(launch.remote))
        return self.remotes[-1]


def remote_model(url: str, **options: Any) -> dict[str, Any]:
    return {
        "ref": "openai:big-one",
        "engine": "openai",
        "options": {"base_url": url, "timeout": "5s", **options},
    }


class Street:
    """One house on real time, with its fleet at hand."""

    def __init__(
        self, data_dir: Path, models: Mapping[str, Mapping[str, Any]], **settings: Any
    ) -> None:
        self.fleet = MixedFleet()
        file = data_dir / "pilotlight.yaml"
        tree = {"data_dir": str(data_dir), "memory": 2**30, "models": dict(models), **settings}
        file.write_text(yaml.safe_dump(tree))
        self.settings = config.load(file, environ={})
        self.house: House = build(
            self.settings,
            MACHINE,
            self.fleet,
            factories={**FACTORIES, "fake": FACTORY},
            store=FakeStore(),
        )
        self.client = Client(self.house.app)

    async def metric(self, name: str, **labels: str) -> float:
        """One sample of /metrics; 0 where there is none yet."""
        text = (await self.client.get("/metrics")).body.decode()
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in text.splitlines():
            head, _, value = line.rpartition(" ")
            found, _, rest = head.partition("{")
            if found == name and wanted <= set(rest.rstrip("}").split(",")):
                return float(value)
        return 0.0
