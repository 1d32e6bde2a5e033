"""The one place where the doctor touches the machine."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psutil

from pilotlight.config import Settings
from pilotlight.doctor.facts import Facts, KeysFile, PortState
from pilotlight.doctor.programs import find_server, find_wheel
from pilotlight.engines.environments import installed
from pilotlight.machine import survey
from pilotlight.meter.registry import described, open_sources
from pilotlight.redact import without_credentials

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def gather(settings: Settings, running_url: str | None, environ: Mapping[str, str]) -> Facts:
    """Blocks for as long as the engine's programs take to say who they are."""
    memory = psutil.virtual_memory()
    files, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    llamacpp = settings.engines.llamacpp
    machine = survey()
    energy, refused = _energy()
    return Facts(
        machine=machine,
        system_ram_bytes=int(memory.total),
        available_ram_bytes=min(int(memory.available), machine.ram_bytes),
        data_dir=settings.data_dir,
        data_dir_problem=_write_problem(_existing(settings.data_dir)),
        disk_free_bytes=shutil.disk_usage(_existing(settings.data_dir)).free,
        engine_prefer=llamacpp.prefer,
        server=find_server(llamacpp.server, settings.engines.directory),
        server_configured=llamacpp.server is not None,
        wheel=find_wheel(),
        installed=_installed(settings.engines.directory),
        host=settings.host,
        port=settings.port,
        port_state=_port_state(settings.host, settings.port, running_url),
        open_files=files,
        open_files_limit=most_files,
        energy=energy,
        energy_refused=refused,
        keys=_keys_file(settings.data_dir / "keys.json"),
        proxies=_proxies(environ),
    )


def _energy() -> tuple[str, tuple[str, ...]]:
    found = open_sources()
    for source in found.sources:
        source.close()
    return described(found.devices), found.refused


def _installed(directory: Path | None) -> tuple[str, ...]:
    found = installed(directory) if directory else []
    return tuple(f"{each.name} {each.version} ({each.record.variant})" for each in found)


def _existing(path: Path) -> Path:
    """The directory itself, or the nearest above it that is there: `serve` makes the rest."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def _write_problem(directory: Path) -> str | None:
    """Tried, not read from permission bits: mounts and quotas have a say too."""
    try:
        with tempfile.TemporaryFile(dir=directory):
            return None
    except OSError as error:
        return error.strerror


def _port_state(host: str, port: int, running_url: str | None) -> PortState:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return PortState.UNUSABLE
        ours = running_url is not None and running_url.rstrip("/").endswith(f":{port}")
        return PortState.OURS if ours else PortState.TAKEN
    return PortState.FREE


def _keys_file(path: Path) -> KeysFile | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return KeysFile(path, stat.S_IMODE(status.st_mode), status.st_uid == os.getuid())


def _proxies(environ: Mapping[str, str]) -> dict[str, str]:
    named = {name.lower(): value for name, value in environ.items() if value}
    return {name: without_credentials(named[name]) for name in _PROXIES if name in named}
