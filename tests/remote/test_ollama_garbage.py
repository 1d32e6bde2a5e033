"""What answers where an Ollama server should be, and says what no Ollama server would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.engines.base import EngineProcess, ModelJob
from pilotlight.engines.ollama import OllamaEngine
from pilotlight.errors import EngineError, EngineStartError, EngineUnreachableError, SourceError
from pilotlight.fleet.local import LocalFleet

REF = ModelRef("ollama", "small")
TAGS = {"models": [{"name": "small:latest", "size": 1000, "digest": "abc"}]}
SHOWN = {"capabilities": ["completion"], "parameters": "num_ctx 2048"}
PS = {"models": [{"name": "small:latest", "context_length": 2048}]}


class Server:
    """Says by path what it was told to say: JSON, bytes, or nothing at all."""

    def __init__(self) -> None:
        self.says: dict[str, Any] = {
            "/api/version": {"version": "0.12.0"}, "/api/tags": TAGS, "/api/show": SHOWN,
            "/api/ps": PS, "/api/generate": {"done": True},
        }  # fmt: skip
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        said = self.says[request.path]
        if said is None:
            await asyncio.Event().wait()
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        return web.Response(body=body, content_type="application/json")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


def fetching(server: Server, directory: Path, **options: Any) -> Any:
    engine = OllamaEngine(directory)
    return engine.fetch(REF, engine.options({"host": server.url, **options}), None)


ABSENT: dict[str, Any] = {"models": []}
ROWS: list[tuple[str, Any]] = [
    ("not_json", b"{oops\n"),
    ("a_list", b"[1]\n"),
    ("endless", b"x" * 10**6),
    ("sizes", b'{"status": "pulling", "digest": "a", "total": 10, "completed": "many"}\n'),
    ("binary", b"\xff\xfe\n"),
]


@pytest.mark.parametrize("said", [r[1] for r in ROWS], ids=[r[0] for r in ROWS])
async def test_a_pull_of_garbage(server: Server, tmp_path: Path, said: bytes) -> None:
    server.says |= {"/api/tags": ABSENT, "/api/pull": said}
    with pytest.raises((SourceError, EngineUnreachableError)) as caught:
        await fetching(server, tmp_path)
    assert server.url in caught.value.message


TOLD: list[tuple[str, Any]] = [
    ("/api/tags", {"models": 7}),
    ("/api/tags", {"models": ["small:latest"]}),
    ("/api/tags", {"models": [{"name": "small:latest", "size": "large"}]}),
    ("/api/tags", {"models": {"name": "small:latest"}}),
    ("/api/tags", []),
    ("/api/tags", b"<html>"),
    ("/api/tags", b"[" * 100_000),
    ("/api/show", {"model_info": 7}),
    ("/api/show", []),
]


@pytest.mark.parametrize(("path", "said"), TOLD, ids=lambda part: str(part)[:40])
async def test_a_list_or_description_of_garbage(
    server: Server, tmp_path: Path, path: str, said: Any
) -> None:
    server.says[path] = said
    with pytest.raises(SourceError) as caught:
        await fetching(server, tmp_path)
    assert server.url in caught.value.message
    assert "no Ollama server" in caught.value.message


async def loading(server: Server, directory: Path, **options: Any) -> None:
    engine = OllamaEngine(directory)
    given = engine.options({"host": server.url, "timeout": "500ms", **options})
    files: ModelFiles = await engine.fetch(REF, given, None)
    fleet = LocalFleet(directory / "logs")
    job = ModelJob("m", files, given)
    process: EngineProcess = await fleet.launch(engine.command(fleet.seat("r1"), job))
    try:
        await engine.load(process, job)
    finally:
        await process.stop(grace_s=0.0)
        await fleet.close()


@pytest.mark.parametrize("said", [{"models": 7}, {"models": [7]}, [], b"{oops", b"<html>"], ids=str)
async def test_a_context_that_nobody_can_read_is_not_taken_for_kept(
    server: Server, tmp_path: Path, said: Any
) -> None:
    server.says["/api/ps"] = said
    with pytest.raises(EngineStartError, match="context"):
        await loading(server, tmp_path, context=2048)


@pytest.mark.parametrize("path", ["/api/version", "/api/generate", "/api/ps"])
async def test_a_load_that_gets_no_answer(server: Server, tmp_path: Path, path: str) -> None:
    server.says[path] = None
    with pytest.raises(EngineError):
        await loading(server, tmp_path, context=2048)


async def test_what_is_kept_of_a_model_is_never_half_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another gateway may be reading it."""
    await fetching(server, tmp_path)
    [kept] = tmp_path.glob("*.json")
    before = kept.read_text()

    def cut(self: Path, text: str, *_: Any, **__: Any) -> int:
        with self.open("w") as file:
            file.write(text[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", cut)
    server.says["/api/show"] = {"capabilities": ["embedding"]}
    with pytest.raises(SourceError, match="No space left"):
        await fetching(server, tmp_path)
    assert kept.read_text() == before
