"""An Ollama server as its API is documented, with the fake engine's mind behind it.

Written from https://github.com/ollama/ollama/blob/main/docs/api.md, since no Ollama server is in
any package index; test_ollama_server.py holds it to what the official client expects.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from pilotlight.testing import FakeOptions
from pilotlight.testing.brain import Brain

DEFAULT_KEEP_ALIVE_S = 300
FOR_EVER = datetime(2318, 1, 1, tzinfo=UTC)


@dataclass
class Model:
    """One model of the registry or of the server's disk."""

    name: str
    capabilities: tuple[str, ...] = ("completion", "tools")
    size: int = 1000
    parameters: str = 'num_ctx                        2048\nstop    "</s>"'
    layers: tuple[tuple[str, int], ...] = (("sha256:aaa", 700), ("sha256:bbb", 300))

    @property
    def digest(self) -> str:
        return (self.name.encode().hex() * 64)[:64]

    @property
    def details(self) -> dict[str, Any]:
        return {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
                "parameter_size": "135M", "quantization_level": "Q4_0"}  # fmt: skip


@dataclass
class Ollama:
    """State, and every request it was asked."""

    registry: dict[str, Model] = field(default_factory=dict)
    installed: dict[str, Model] = field(default_factory=dict)
    loaded: dict[str, datetime] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    context_length: int = 4096
    load_error: str | None = None
    break_pull: bool = False
    lists_capabilities: bool = True
    pull_gate: asyncio.Event | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bodies(self, path: str) -> list[Any]:
        return [body for asked, body in self.asked if asked == path]

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._noting])
        app.add_routes([
            web.get("/api/version", self._version), web.get("/api/tags", self._tags),
            web.get("/api/ps", self._ps), web.post("/api/show", self._show),
            web.post("/api/pull", self._pull), web.post("/api/generate", self._generate),
            web.post("/api/embed", self._embed), web.delete("/api/delete", self._delete),
            web.post("/v1/chat/completions", self._openai),
            web.post("/v1/completions", self._openai), web.post("/v1/embeddings", self._openai),
        ])  # fmt: skip
        return app

    @web.middleware
    async def _noting(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.read()
        self.asked.append((request.path, json.loads(body) if body else None))
        response: web.StreamResponse = await handler(request)
        return response

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "0.12.0"})

    async def _tags(self, request: web.Request) -> web.Response:
        return web.json_response({"models": [
            {"name": m.name, "model": m.name, "modified_at": "2026-05-04T14:56:49.277302595-07:00",
             "size": m.size, "digest": m.digest, "details": m.details}
            for m in self.installed.values()
        ]})  # fmt: skip

    async def _ps(self, request: web.Request) -> web.Response:
        return web.json_response({"models": [
            {"name": name, "model": name, "size": self.installed[name].size, "size_vram": 0,
             "digest": self.installed[name].digest, "details": self.installed[name].details,
             "expires_at": expires.isoformat(), "context_length": self.context_length}
            for name, expires in self.loaded.items()
        ]})  # fmt: skip

    async def _show(self, request: web.Request) -> web.Response:
        model = self._find(await request.json())
        if model is None:
            return self._missing(await request.json())
        shown = {
            "modelfile": "FROM x", "parameters": model.parameters, "details": model.details,
            "template": "{{ .Prompt }}" + ("{{ .Tools }}" if "tools" in model.capabilities else ""),
            "model_info": {"general.architecture": "llama", "llama.context_length": 8192},
            "modified_at": "2026-05-04T14:56:49Z",
        }  # fmt: skip
        if "embedding" in model.capabilities:
            shown["model_info"]["bert.pooling_type"] = 1  # type: ignore[index]
        if self.lists_capabilities:
            shown["capabilities"] = list(model.capabilities)
        return web.json_response(shown)

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        name = _full(body["model"])
        if body.get("stream") is False:
            self.installed[name] = self.registry[name]
            return web.json_response({"status": "success"})
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)

        async def say(**row: Any) -> None:
            await response.write(json.dumps(row).encode() + b"\n")

        await say(status="pulling manifest")
        model = self.registry.get(name)
        if model is None:
            await say(error="pull model manifest: file does not exist")
            return response
        for digest, size in model.layers:
            for done in (None, size // 2, size):
                more = {} if done is None else {"completed": done}
                await say(status=f"pulling {digest[7:]}", digest=digest, total=size, **more)
            if self.pull_gate is not None:
                await self.pull_gate.wait()
            if self.break_pull:
                return response
        for status in ("verifying sha256 digest", "writing manifest", "success"):
            await say(status=status)
        self.installed[name] = model
        return response

    async def _delete(self, request: web.Request) -> web.Response:
        return web.Response() if self.installed.pop(_full((await request.json())["model"]), None) \
            else web.json_response({"error": "model not found"}, status=404)  # fmt: skip

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        model = self._find(body)
        if model is None:
            return self._missing(body)
        if "completion" not in model.capabilities:
            return web.json_response(
                {"error": f'"{model.name}" does not support generate'}, status=400
            )
        if self.load_error is not None:
            return web.json_response({"error": self.load_error}, status=500)
        assert not body.get("prompt"), "only loads are needed here"
        reason = self._keep(model, body.get("keep_alive", DEFAULT_KEEP_ALIVE_S))
        return web.json_response({
            "model": body["model"], "created_at": "2026-05-04T14:56:49Z", "response": "",
            "done": True, "done_reason": reason,
        })  # fmt: skip

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        model = self._find(body)
        if model is None:
            return self._missing(body)
        self._keep(model, body.get("keep_alive", DEFAULT_KEEP_ALIVE_S))
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = [[0.1, 0.2] for text in texts if text]
        return web.json_response({"model": body["model"], "embeddings": vectors})

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw)
        if not isinstance(body.get("messages", []), list):
            error = {"message": "json: cannot unmarshal", "type": "invalid_request_error"}
            return web.json_response({"error": error}, status=400)
        model = self._find(body)
        if model is None:
            error = {"message": f"model '{body.get('model')}' not found", "type": "not_found_error",
                     "param": None, "code": None}  # fmt: skip
            return web.json_response({"error": error}, status=404)
        self.loaded.setdefault(
            model.name, datetime.now(UTC) + timedelta(seconds=DEFAULT_KEEP_ALIVE_S)
        )
        answer = Brain(str(body["model"]), FakeOptions()).answer(request.path, raw)
        response = web.StreamResponse(
            status=answer.status, headers={"Content-Type": answer.content_type}
        )
        await response.prepare(request)
        for chunk in answer.chunks:
            await response.write(chunk.data)
        return response

    def _keep(self, model: Model, keep_alive: Any) -> str:
        """Seconds as a number; negative is for ever, 0 lets go. Says what it was."""
        if keep_alive == 0:
            self.loaded.pop(model.name, None)
            return "unload"
        ends = datetime.now(UTC) + timedelta(seconds=max(keep_alive, 0))
        self.loaded[model.name] = FOR_EVER if keep_alive < 0 else ends
        return "load"

    def _find(self, body: Any) -> Model | None:
        return self.installed.get(_full(str(body.get("model"))))

    def _missing(self, body: Any) -> web.Response:
        return web.json_response({"error": f"model '{body.get('model')}' not found"}, status=404)


def _full(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


@asynccontextmanager
async def ollama_server(*registry: Model) -> AsyncIterator[Ollama]:
    made = Ollama(registry={model.name: model for model in registry})
    runner = web.AppRunner(made.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()
