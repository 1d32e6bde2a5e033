"""The HTTP server: uvicorn as we set it, on our protocol. Imports uvicorn, so import it late."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import uvicorn

from pilotlight.config import Settings
from pilotlight.gateway.app import Gateway
from pilotlight.gateway.protocol import EdgeProtocol

KEEP_ALIVE_S = 75
LAST_ANSWERS_S = 5
"""At shutdown, for the requests that no engine works on: the drain is over by then."""


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are ours: they drain before they stop

    def cut(self) -> None:
        """Stop now: every connection is dropped, and requests on them see clients that left."""
        self.should_exit = True
        for connection in list(self.server_state.connections):
            if isinstance(connection, EdgeProtocol):
                connection.cut()


def make_server(app: Gateway, settings: Settings) -> Server:
    return Server(
        uvicorn.Config(
            app,
            loop="none",
            http=EdgeProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=LAST_ANSWERS_S,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
        )
    )
