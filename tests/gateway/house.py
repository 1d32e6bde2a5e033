"""A whole house on the fake engine, in memory and on virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pilotlight import config
from pilotlight.gateway.assembly import House, build
from pilotlight.machine import Machine
from pilotlight.testing import FACTORY, FakeFleet, FakeStore, VirtualClock

from .asgi import Client

MACHINE = Machine("test cpu", 2, 8 * 2**30, (), frozenset({"avx2"}))


class Street:
    """One house with its fleet, store and clock at hand."""

    def __init__(
        self, data_dir: Path, models: Mapping[str, Mapping[str, Any]], **settings: Any
    ) -> None:
        self.clock = VirtualClock()
        self.fleet = FakeFleet(sleep=self.clock.sleep)
        absent = frozenset(settings.pop("absent", ()))
        power = settings.pop("power", None)
        self.store = FakeStore(absent=absent)
        file = data_dir / "pilotlight.yaml"
        import yaml

        tree = {
            "data_dir": str(data_dir),
            "memory": 2**30,
            "models": {
                name: {"ref": f"fake:{name}", "engine": "fake", **entry}
                for name, entry in models.items()
            },
            **settings,
        }
        file.write_text(yaml.safe_dump(tree))
        self.settings = config.load(file, environ={})
        self.house: House = build(
            self.settings,
            MACHINE,
            self.fleet,
            factories={"fake": FACTORY},
            store=self.store,
            clock=self.clock,
            power=None if power is None else lambda: power(self),
        )
        self.client = Client(self.house.app)

    @property
    def process(self) -> Any:
        """The last process launched."""
        return self.fleet.processes[-1]

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
