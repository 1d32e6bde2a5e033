"""One loaded model with its two threads: one that computes and one that talks HTTP."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from typing import Any

import uvicorn

from .api import Api
from .asgi import Application
from .generation import Generation
from .loading import Job, Loaded, load


class Serving:
    """Answers on `path` once it is made. Raises what loading the model does."""

    def __init__(self, job: dict[str, Any], path: str, secret: str) -> None:
        loaded = load(Job(**job))
        self._generation = generation_of(loaded)
        application = Application(Api(loaded, self._generation).routes(), secret)
        self._path = path
        self._listener = _listen(path)
        self._server = uvicorn.Server(
            uvicorn.Config(
                application,
                lifespan="off",
                log_level="warning",
                access_log=False,
                timeout_keep_alive=3600,  # the gateway keeps its connections
                timeout_graceful_shutdown=1,
            )
        )
        self._generation.start()
        self._thread = threading.Thread(target=self._talk, name="http", daemon=True)
        self._thread.start()

    def _talk(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._listener]))

    def close(self) -> None:
        """Returns when both threads have ended and the socket is gone."""
        os.unlink(self._path)
        self._server.should_exit = True
        self._thread.join()
        self._generation.stop()


def generation_of(loaded: Loaded) -> Generation:
    job = loaded.job
    return Generation(loaded.model, parallel=job.parallel, piece=job.prefill)


def _listen(path: str) -> socket.socket:
    """Connections wait in it until the server runs, so nobody is refused from here on."""
    if os.path.lexists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(1024)
    return listener
