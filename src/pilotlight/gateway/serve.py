"""`pilotlight serve`: the house on a socket, from the first byte to a clean exit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotlight.config import Settings
from pilotlight.engines.registry import FACTORIES, Factory
from pilotlight.errors import ConfigError
from pilotlight.fleet.local import LocalFleet
from pilotlight.gateway import logs
from pilotlight.gateway.access import require_keys_beyond_loopback
from pilotlight.gateway.assembly import House, build
from pilotlight.gateway.console import Console
from pilotlight.gateway.keys import KeyStore
from pilotlight.machine import survey

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger(__name__)


def run(
    settings: Settings,
    source: Path | None = None,
    *,
    factories: Mapping[str, Factory] = FACTORIES,
) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code. Blocks.

    Raises:
        ConfigError, EngineOptionError: before anything was started.
    """
    logs.configure(settings.log_level, settings.log_format)
    require_keys_beyond_loopback(settings.host, KeyStore(settings.data_dir / "keys.json"))
    listener = listen(settings.host, settings.port)
    try:
        import uvloop

        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
    except ImportError:
        loop_factory = None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_serve(settings, source, listener, factories))


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises ConfigError when the port is taken or the address isn't ours."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        raise ConfigError(
            f"can't listen on {host}:{port}: {error.strerror or error}",
            hint="choose another port with --port, or --port 0 for a free one",
        ) from None
    return listener


async def _serve(
    settings: Settings,
    source: Path | None,
    listener: socket.socket,
    factories: Mapping[str, Factory],
) -> int:
    fleet = LocalFleet(settings.data_dir / "logs")
    console = Console()
    house = build(
        settings, survey(), fleet, factories=factories, watchers=lambda m: console.beside(m)
    )
    try:
        # The engines start first: their process start hides behind the imports below.
        house.begin()
        await asyncio.sleep(0)
        server = _make_server(house.app, settings)
        url = url_of(settings, listener)
        with announced(settings.data_dir, url):
            console.listening(url, house)
            await _until_stopped(house, server, listener)
    finally:
        await house.close()
        console.close()
    return 0


def url_of(settings: Settings, listener: socket.socket) -> str:
    scheme = "https" if settings.tls_certificate else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


@contextlib.contextmanager
def announced(data_dir: Path, url: str) -> Iterator[None]:
    """While serving, data_dir/server.json tells the command line where."""
    path = data_dir / "server.json"
    data_dir.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"url": url, "pid": os.getpid()}))
    os.replace(partial, path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            if json.loads(path.read_text()).get("pid") == os.getpid():
                path.unlink()


def _make_server(app: Any, settings: Settings) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # signals are ours: they drain before they stop

    return Server(
        uvicorn.Config(
            app,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
        )
    )


async def _until_stopped(house: House, server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until a signal; then no new requests, those in flight finish, and out."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _on_signal, stopping, server)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            log.info("draining: requests in flight get %g s", house.settings.drain)
            house.router.drain()
            await house.router.quiet()
            server.should_exit = True
        await serving
    finally:
        stopped.cancel()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _on_signal(stopping: asyncio.Event, server: uvicorn.Server) -> None:
    """The first asks, the second insists."""
    if stopping.is_set():
        server.force_exit = True
        server.should_exit = True
    stopping.set()
