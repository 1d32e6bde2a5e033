"""A whole function on the fake engine: real HTTP to a strict Runtime API, virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from pilotlight import config
from pilotlight.gateway.assembly import House, build
from pilotlight.gateway.signals import Stop
from pilotlight.instance.lambda_clock import AwakeClock
from pilotlight.instance.lambda_environment import Environment
from pilotlight.instance.lambda_runtime import live
from pilotlight.machine import Machine
from pilotlight.testing import FACTORY, FakeFleet, FakeProcess, FakeStore, VirtualClock, settle

from .runtime_api import Invoked, RuntimeApiServer

MACHINE = Machine("test cpu", 2, 8 * 2**30, (), frozenset({"avx2"}))
URL = "abc.lambda-url.eu-west-1.on.aws"


def url_event(
    method: str = "POST",
    path: str = "/v1/chat/completions",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    *,
    signed: bool = True,
    **fields: Any,
) -> dict[str, Any]:
    """What a function URL sends; by default AWS has checked its caller's signature."""
    context: dict[str, Any] = {
        "accountId": "anonymous",
        "apiId": "abc",
        "domainName": URL,
        "domainPrefix": "abc",
        "http": {
            "method": method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": "203.0.113.7",
            "userAgent": "test",
        },
        "requestId": "id",
        "routeKey": "$default",
        "stage": "$default",
        "time": "12/Mar/2020:19:03:58 +0000",
        "timeEpoch": 1583348638390,
    }
    if signed:
        context["authorizer"] = {"iam": {"accessKey": "AKIA", "userArn": "arn:aws:iam::1:user/u"}}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": URL, "content-type": "application/json", **(headers or {})},
        "requestContext": context,
        **({} if body is None else {"body": body if isinstance(body, str) else json.dumps(body)}),
        "isBase64Encoded": False,
        **fields,
    }


def chat(text: str = "hello there", *, model: str = "m", **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return url_event(body={"model": model, "messages": messages, **fields})


class FakeFunction:
    """One environment of it; `ended` is its exit code."""

    def __init__(
        self, data_dir: Path, api: RuntimeApiServer, models: Mapping[str, Any], **settings: Any
    ) -> None:
        self.api = api
        self.time = VirtualClock()
        self.clock = AwakeClock(self.time)
        self.fleet = FakeFleet(sleep=self.time.sleep)
        self.store = FakeStore(absent=frozenset(settings.pop("absent", ())))
        self.store.fail = settings.pop("fetch_fails", None)
        self.stop = Stop()
        self.house: House | None = None
        mode = settings.pop("mode", "stream")
        initialization = settings.pop("initialization", "on-demand")
        age_s: float = settings.pop("age_s", 0.0)
        self.environment = Environment(api=api.address, mode=mode, initialization=initialization)
        data_dir.mkdir(exist_ok=True)
        file = data_dir / "pilotlight.yaml"
        models = {
            name: {"ref": f"fake:{name}", "engine": "fake", "min": 1, **entry}
            for name, entry in models.items()
        }
        tree = {"data_dir": str(data_dir), "memory": 2**30, "models": models, **settings}
        file.write_text(yaml.safe_dump(tree))
        self.settings = config.load(file, environ={})
        self.ended: asyncio.Task[int] = asyncio.create_task(
            live(self.environment, self._build, self.clock, self.stop, self.time.now, lambda: age_s)
        )

    def _build(self, closing: AsyncExitStack) -> House:
        self.house = build(
            self.settings,
            MACHINE,
            self.fleet,
            factories={"fake": FACTORY},
            store=self.store,
            clock=self.clock,
        )
        closing.push_async_callback(self.house.close)
        return self.house

    @property
    def process(self) -> FakeProcess:
        """The last one launched."""
        return self.fleet.processes[-1]

    def deadline_ms(self, in_s: float) -> int:
        return round((self.time.now() + in_s) * 1000)

    async def pass_time(self, duration_s: float) -> None:
        await settle()
        self.time.advance(duration_s)
        await settle()

    @property
    def in_flight(self) -> int:
        """Requests that hold a slot."""
        assert self.house is not None
        return sum(len(record.in_flight) for record in self.house.router.state.replicas.values())

    async def until_generated(self) -> None:
        """Until the engine has made all of the last answer, whoever takes it."""
        while self.process.exchanges[-1].outcome is None:
            await settle()

    async def ask(self, event: Mapping[str, Any] | bytes, **about: Any) -> Invoked:
        """One invocation to its end."""
        return await self.api.invoke(event, **about).done()


@asynccontextmanager
async def function(
    tmp_path: Path, models: Mapping[str, Any] | None = None, **settings: Any
) -> AsyncIterator[FakeFunction]:
    """Up for a test; then it is stopped, and nothing may be left or have broken a rule."""
    async with RuntimeApiServer() as api:
        made = FakeFunction(tmp_path, api, {"m": {}} if models is None else models, **settings)
        try:
            yield made
        finally:
            made.stop.asked.set()
            async with asyncio.timeout(10):
                await made.ended
        assert made.fleet.alive == []
        assert api.broken_rules == []
