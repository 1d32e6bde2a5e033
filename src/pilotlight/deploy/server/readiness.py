"""Whether a server on this machine is ready, asked until it is or can't become so."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pilotlight.deploy.server.address import Address
from pilotlight.errors import DeployError

_POLL_S = 0.2
_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks `/ready`, `/health` at an address; both are open to everybody and wake nothing."""

    address: Address

    def answers(self, path: str) -> bool:
        parts = urlsplit(self.address.url)
        connection = http.client.HTTPConnection(
            str(parts.hostname), self.address.port, timeout=_ANSWER_S
        )
        try:
            connection.request("GET", path, headers={"connection": "close"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def refuse_stranger(self, key: str) -> None:
        """Raises DeployError: nothing of ours runs, and yet somebody answers there."""
        if self.answers("/health") or self.answers("/"):
            raise DeployError(
                f"something else answers at {self.address} already",
                hint=f"choose another port: --set {key}={self.address.host}:PORT",
            )

    def wait(self, path: str, timeout_s: float, trouble: Callable[[], str | None]) -> float:
        """Until it answers; the seconds that took. `trouble` says why it never will, if so.

        Raises:
            DeployError: in trouble, or out of time.
        """
        began_s = time.monotonic()
        while not self.answers(path):
            waited_s = time.monotonic() - began_s
            if said := trouble():
                raise DeployError(f"it doesn't become ready: {said}")
            if waited_s >= timeout_s:
                raise DeployError(
                    f"it isn't ready after {timeout_s:g} s",
                    hint="its log says what it waits for; give it longer with `ready`",
                )
            time.sleep(_POLL_S)
        return time.monotonic() - began_s
