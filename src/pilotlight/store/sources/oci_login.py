"""Logins for registries, where ``docker login`` and ``podman login`` left them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pilotlight.errors import SourceError

_TIMEOUT_S = 30.0
_HELPER = re.compile(r"[A-Za-z0-9._-]+")
_DOCKER_HUB = "https://index.docker.io/v1/"


async def basic_login(registry: str) -> str | None:
    """The value of a Basic Authorization header for `registry`; None where nobody logged in.

    Raises:
        SourceError: a login is configured and its helper fails.
    """
    names = [registry, f"https://{registry}", f"https://{registry}/v1/", f"https://{registry}/v2/"]
    names += [_DOCKER_HUB] if registry == "docker.io" else []
    for config in _configs(os.environ):
        for name in names:
            if helper := _helper(config, name):
                found = await _ask_helper(helper, name)
            else:
                found = _saved(_mapping(config, "auths").get(name))
            if found:
                return f"Basic {found}"
    return None


def _configs(environ: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    directory = environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    places = [environ.get("REGISTRY_AUTH_FILE"), os.path.join(directory, "config.json")]
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        places.append(os.path.join(runtime, "containers", "auth.json"))
    for place in places:
        try:
            found = json.loads(Path(place).read_bytes()) if place else None
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            yield found


def _mapping(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = config.get(key)
    return found if isinstance(found, dict) else {}


def _saved(entry: object) -> str | None:
    """As it stands in the file: ``auth`` is the user and password in base64 already."""
    if not isinstance(entry, dict):
        return None
    if isinstance(given := entry.get("auth"), str) and given:
        return given
    user, password = entry.get("username"), entry.get("password")
    return _encoded(user, password) if user and password else None


def _encoded(user: object, password: object) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _helper(config: Mapping[str, Any], name: str) -> str | None:
    """The program that keeps this registry's login: its own, else that of all logins made."""
    helper = _mapping(config, "credHelpers").get(name)
    if helper is None and name in _mapping(config, "auths"):
        helper = config.get("credsStore")
    return helper if isinstance(helper, str) and _HELPER.fullmatch(helper) else None


async def _ask_helper(helper: str, name: str) -> str | None:
    program = f"docker-credential-{helper}"
    try:
        process = await asyncio.create_subprocess_exec(
            program, "get",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        raise SourceError(
            f"can't run {program!r}, which keeps the login of {name!r}: {error.strerror}",
            hint="install it, or log in again without a helper",
        ) from error
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            said, _ = await process.communicate(name.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise SourceError(f"{program!r} gives no login of {name!r} in {_TIMEOUT_S:g} s") from None
    return _answered(said) if process.returncode == 0 else None


def _answered(said: bytes) -> str | None:
    try:
        found = json.loads(said)
    except ValueError:
        return None
    entry = found if isinstance(found, dict) else {}
    user, secret = entry.get("Username"), entry.get("Secret")
    return _encoded(user, secret) if user and secret else None
