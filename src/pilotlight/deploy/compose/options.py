"""What can be set about the compose target alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pilotlight.config import Seconds, setting
from pilotlight.deploy.settings import Common


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeOptions(Common):
    maximum: int | None = setting(1, help="instances at most; there is one server")
    publish: str = setting(
        "127.0.0.1:8080",
        help="IP address and port of the server to answer at; beyond loopback needs an API key",
    )
    program: str | None = setting(
        None,
        help="docker compose, podman compose or podman-compose; else the first one that is there",
        example="docker compose",
    )
    directory: Path | None = setting(
        None,
        help="folder on the server that keeps what runs; else deploy/compose in data_dir",
        example="/srv/pilotlight",
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
        False, help="whether delete removes the volumes too: fetched models and the ledger"
    )
