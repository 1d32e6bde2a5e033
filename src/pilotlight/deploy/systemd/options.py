"""What can be set about the systemd target alone."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from pilotlight.config import Bytes, Seconds, setting
from pilotlight.deploy.settings import Common


def _requirement() -> str:
    return f"pilotlight[llamacpp]=={version('pilotlight')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemdOptions(Common):
    needs_image: ClassVar[bool] = False

    maximum: int | None = setting(1, help="instances at most; there is one server")
    disk: Bytes | None = setting(
        Bytes(20 * 10**9), help="room for models and the ledger below /var/lib; not enforced"
    )
    models: str | None = setting(
        "fetch", help="where it has the weights from: fetch (kept on its disk) or mount"
    )
    listen: str = setting(
        "127.0.0.1:8080",
        help="IP address and port of the server to answer at; beyond loopback needs an API key",
    )
    root: Path = setting(
        Path("/"),
        help="root of the system that it is installed into; another than / is not started",
    )
    package: str = setting(
        _requirement,
        help="what pip installs: a requirement, or the path of a wheel",
        shown="pilotlight[llamacpp], this version",
    )
    python: Path = setting(
        Path("/usr/bin/python3"), help="interpreter of the virtual environments; 3.11 or newer"
    )
    cache: Path | None = setting(
        None,
        help="folder on the server with a store of models, for models: mount",
        example="/srv/models",
    )
    env_file: Path | None = setting(
        None,
        help="file on the server with further variables as NAME=value, such as tokens; stays there",
        example="/etc/pilotlight/chat.env",
    )
    ready: Seconds = setting(
        Seconds(300.0), help="time after which an update that isn't ready is taken back"
    )
    purge: bool = setting(
        False, help="whether delete removes the state too: fetched models and the ledger"
    )
