"""What one server can't be asked for."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.deploy.compose.options import ComposeOptions
from pilotlight.deploy.release import Release
from pilotlight.deploy.server.address import Address
from pilotlight.deploy.server.endings import endless
from pilotlight.deploy.server.instances import one_instance
from pilotlight.deploy.server.refs import local_paths
from pilotlight.deploy.violation import Violation

PRIVILEGED = 1024
"""Ports below it need a capability where the network is the host's, and it has none."""


def broken(release: Release[ComposeOptions]) -> Iterator[Violation]:
    """Raises ConfigError: `publish` is no address."""
    address = Address.parse(release.options.publish, "compose.publish")
    yield from one_instance(release, "compose")
    yield from _image(release)
    yield from _models(release)
    yield from _refs(release)
    yield from _env_file(release)
    if not address.loopback and not release.keys:
        yield Violation(
            "an API key for any address beyond loopback (docs/security.md)",
            f"compose.publish {address} and no key",
            "run `pilotlight keys create --name me`, or set compose.publish: "
            f"127.0.0.1:{address.port}",
        )
    elif address.port < PRIVILEGED and not release.keys:
        yield Violation(
            f"ports of {PRIVILEGED} and more without an API key, for it listens there itself",
            f"compose.publish {address}",
            f"set compose.publish: {address.host}:8080, or run `pilotlight keys create --name me`",
        )
    yield from endless(release, "compose")


def _env_file(release: Release[ComposeOptions]) -> Iterator[Violation]:
    path = release.options.env_file
    if path is not None and not path.is_absolute():
        yield Violation(
            "a whole path of the server, for compose looks beside its own file",
            f"compose.env_file {str(path)!r}",
            f"set compose.env_file: /etc/pilotlight/{path.name}",
        )


def _image(release: Release[ComposeOptions]) -> Iterator[Violation]:
    if release.image is None:
        yield Violation(
            "an image that the server runs",
            "none",
            "make one with `pilotlight deploy image`, or set image: REGISTRY/NAME@sha256:…",
        )


def _refs(release: Release[ComposeOptions]) -> Iterator[Violation]:
    if release.models == "image":
        return  # the image has them, or was never built
    for model, path in local_paths(release.serve):
        yield Violation(
            "models that the container can get",
            f"models.{model} is the server's own file {path!r}",
            "set models: image, which copies it into the image",
        )


def _models(release: Release[ComposeOptions]) -> Iterator[Violation]:
    cache = release.options.cache
    if release.models == "mount" and cache is None:
        yield Violation(
            "a folder with models where they are mounted (models: mount)",
            "no compose.cache",
            "set compose.cache: /srv/models, filled by `pilotlight pull --store-directory "
            "/srv/models REF`",
        )
    elif cache is not None and release.models != "mount":
        yield Violation(
            "compose.cache only where models are mounted",
            f"models: {release.models}",
            "set models: mount, or leave compose.cache out",
        )
    elif cache is not None and (not cache.is_absolute() or ":" in str(cache)):
        yield Violation(
            "a whole path without colons for a folder that is mounted",
            f"compose.cache {str(cache)!r}",
            f"set compose.cache: /srv/{cache.name.replace(':', '-')}",
        )
