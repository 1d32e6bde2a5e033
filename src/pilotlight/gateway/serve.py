"""`pilotlight serve`: the house on a socket, from the first byte to a clean exit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pilotlight.config import Settings
from pilotlight.engines.registry import FACTORIES, Factory
from pilotlight.errors import ConfigError
from pilotlight.fleet.local import LocalFleet
from pilotlight.gateway import logs
from pilotlight.gateway.access import require_keys_beyond_loopback
from pilotlight.gateway.assembly import House, build
from pilotlight.gateway.console import Console
from pilotlight.gateway.electricity import Electricity
from pilotlight.gateway.keys import KeyStore
from pilotlight.gateway.pods import fleet_of, look_after_pods
from pilotlight.gateway.signals import Stop, either, held
from pilotlight.machine import survey

if TYPE_CHECKING:
    from pilotlight.gateway.server import Server

log = logging.getLogger(__name__)


def run(
    settings: Settings,
    *,
    factories: Mapping[str, Factory] = FACTORIES,
) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code. Blocks, on the main thread.

    Raises:
        ConfigError, EngineOptionError: before anything was started.
    """
    logs.configure(settings.log_level, settings.log_format)
    with held():
        _check(settings)
        with (
            listen(settings.host, settings.port) as listener,
            asyncio.Runner(loop_factory=_loop_factory()) as runner,
        ):
            return runner.run(_serve(settings, listener, factories))


def _check(settings: Settings) -> None:
    """What can be wrong outside the configuration itself. Raises ConfigError."""
    require_keys_beyond_loopback(settings.host, KeyStore(settings.data_dir / "keys.json"))
    if settings.tls_certificate and settings.tls_key:
        from pilotlight.gateway.tls import check_certificate

        check_certificate(settings.tls_certificate, settings.tls_key)
    try:
        # Whoever makes it first decides its mode: it holds keys, logs and the server's address.
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"can't make data_dir {str(settings.data_dir)!r}: {error.strerror}",
            hint="choose another with --data-dir",
        ) from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


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
    listener: socket.socket,
    factories: Mapping[str, Factory],
) -> int:
    stop = Stop()
    console = Console()
    machine = survey()
    with stop.listening():
        async with contextlib.AsyncExitStack() as closing:
            closing.callback(console.close)
            local = LocalFleet(settings.data_dir / "logs")
            fleet = fleet_of(settings, local, stop.asked.is_set)
            closing.push_async_callback(fleet.close)
            electricity = Electricity(settings.ledger)
            closing.callback(electricity.close)
            house = build(
                settings,
                machine,
                fleet,
                factories=factories,
                watchers=console.beside,
                power=electricity.total,
            )
            closing.push_async_callback(house.close)
            look_after_pods(fleet, house.catalogue)
            await _begin(house, electricity, listener, stop, console)
    return 0


async def _begin(
    house: House,
    electricity: Electricity,
    listener: socket.socket,
    stop: Stop,
    console: Console,
) -> None:
    # The engines start first: their process start hides behind the imports below.
    house.begin()
    await asyncio.sleep(0)
    house.books.begin()
    from pilotlight.gateway.server import make_server

    electricity.begin()

    server = make_server(house.app, house.settings)
    url = url_of(house.settings, listener)
    house.listens(listener.getsockname()[1])
    with announced(house.settings.data_dir, url):
        console.listening(url, house)
        await _until_stopped(house, server, listener, stop)


def url_of(settings: Settings, listener: socket.socket) -> str:
    scheme = "https" if settings.tls_certificate else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


@contextlib.contextmanager
def announced(data_dir: Path, url: str) -> Iterator[None]:
    """While serving, data_dir/server.json tells the command line where."""
    path = data_dir / "server.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"url": url, "pid": os.getpid()}))
    os.replace(partial, path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            if json.loads(path.read_text()).get("pid") == os.getpid():
                path.unlink()


async def _until_stopped(house: House, server: Server, listener: socket.socket, stop: Stop) -> None:
    """Serve until a signal; then no new requests, those in flight finish, and out.

    A second signal cuts short whatever is being waited for.
    """
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    await either(stop.asked, serving)
    if not serving.done():
        await _drain(house, stop)
        server.should_exit = True
        await either(stop.insisted, serving)
        if stop.insisted.is_set():
            log.warning("stopping at once")
            server.cut()
    await serving


async def _drain(house: House, stop: Stop) -> None:
    log.info("draining: requests in flight get %g s", house.settings.drain)
    house.router.drain()
    quiet = asyncio.ensure_future(house.router.quiet())
    await either(stop.insisted, quiet)
    quiet.cancel()
