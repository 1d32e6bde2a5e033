"""What a unit on one server can't be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pilotlight.deploy.release import Release
from pilotlight.deploy.server.address import Address
from pilotlight.deploy.server.endings import endless
from pilotlight.deploy.server.instances import one_instance
from pilotlight.deploy.server.refs import hidden, local_paths
from pilotlight.deploy.systemd.options import SystemdOptions
from pilotlight.deploy.violation import Violation

HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""What ProtectHome and PrivateTmp hide."""

PRIVILEGED = 1024
"""Ports below it need a capability, and the unit has none."""


def broken(release: Release[SystemdOptions]) -> Iterator[Violation]:
    """Raises ConfigError: `listen` is no address."""
    address = Address.parse(release.options.listen, "systemd.listen")
    yield from one_instance(release, "systemd")
    yield from _models(release)
    yield from _refs(release)
    yield from _paths(release)
    yield from _seen(release)
    if not address.loopback and not release.keys:
        yield Violation(
            "an API key for any address beyond loopback (docs/security.md)",
            f"systemd.listen {address} and no key",
            "run `pilotlight keys create --name me`, or set systemd.listen: "
            f"127.0.0.1:{address.port}",
        )
    if address.port < PRIVILEGED:
        yield Violation(
            f"ports of {PRIVILEGED} and more for a unit without capabilities",
            f"systemd.listen {address}",
            f"set systemd.listen: {address.host}:8080 and put a proxy with TLS before it",
        )
    yield from endless(release, "systemd")


def _models(release: Release[SystemdOptions]) -> Iterator[Violation]:
    cache = release.options.cache
    if release.models == "image":
        yield Violation(
            "models: fetch or mount, for there is no image",
            "models: image",
            "set systemd.models: fetch",
        )
    elif release.models == "mount" and cache is None:
        yield Violation(
            "a folder with models where they are mounted (models: mount)",
            "no systemd.cache",
            "set systemd.cache: /srv/models",
        )
    elif release.models == "fetch" and cache is not None:
        yield Violation(
            "systemd.cache only where models are mounted",
            f"models: {release.models}",
            "set systemd.models: mount, or leave systemd.cache out",
        )


def _refs(release: Release[SystemdOptions]) -> Iterator[Violation]:
    for model, path in local_paths(release.serve):
        if hidden(path, HIDDEN):
            yield Violation(
                "whole paths outside of homes and /tmp, which the service can't see",
                f"models.{model} {path!r}",
                f"move it, such as to /srv/pilotlight/{Path(path).name}, and name that",
            )


def _seen(release: Release[SystemdOptions]) -> Iterator[Violation]:
    """What the service itself opens."""
    for key, path in {"python": release.options.python, "cache": release.options.cache}.items():
        if path is not None and path.is_absolute() and hidden(str(path), HIDDEN):
            yield Violation(
                "whole paths outside of homes and /tmp, which the service can't see",
                f"systemd.{key} {str(path)!r}",
                "set systemd.python: /usr/bin/python3" if key == "python"
                else f"move it, such as to /srv/{path.name}, and name that",
            )  # fmt: skip


def _paths(release: Release[SystemdOptions]) -> Iterator[Violation]:
    options = release.options
    paths = {"root": options.root, "python": options.python, "cache": options.cache,
             "env_file": options.env_file}  # fmt: skip
    for key, path in paths.items():
        # A unit's line ends with its path, and a percent sign begins a specifier.
        if path is not None and not (path.is_absolute() and not set(str(path)) & set(" \"'\\%\n")):
            yield Violation(
                "whole paths without blanks, quotes or percent signs in a unit",
                f"systemd.{key} {str(path)!r}",
                f"set systemd.{key}: /srv/{path.name.replace(' ', '-')}",
            )
