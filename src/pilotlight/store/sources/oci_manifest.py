"""Manifests of OCI and Docker registries: what an artifact or an image is made of.

https://github.com/opencontainers/image-spec/blob/main/manifest.md
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

import msgspec

from pilotlight.errors import SourceError
from pilotlight.store.digest import is_sha256

ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
_UNPACKED = "io.deis.oras.content.unpack"
_NAMES = ("org.cncf.model.filepath", "org.cnai.model.filepath", "org.opencontainers.image.title")
_ARCHITECTURES: Mapping[str, str] = {"x86_64": "amd64", "aarch64": "arm64"}


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """One blob or manifest."""

    digest: str
    size: int
    media_type: str = ""
    annotations: dict[str, str] | None = None
    platform: dict[str, object] | None = None

    @property
    def kind(self) -> str:
        """The media type without its parameters."""
        return self.media_type.partition(";")[0].strip().lower()

    @property
    def name(self) -> str | None:
        """Where its file lies in the model, by whichever convention it was pushed."""
        given = self.annotations or {}
        return next((given[key] for key in _NAMES if given.get(key)), None)

    @property
    def is_archive(self) -> bool:
        packed = self.kind.endswith((".tar", ".tar.gzip", "+gzip", "+zstd", ".tar.zstd"))
        return packed or (self.annotations or {}).get(_UNPACKED) == "true"

    @property
    def sha256(self) -> str | None:
        algorithm, _, value = self.digest.partition(":")
        return value if algorithm == "sha256" and is_sha256(value) else None


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """A manifest, or an index of them for several platforms."""

    layers: list[Descriptor] | None = None
    manifests: list[Descriptor] | None = None


def parse_manifest(body: bytes, what: str) -> Manifest:
    """Raises SourceError for what is none."""
    try:
        found = msgspec.json.decode(body, type=Manifest)
    except msgspec.DecodeError as error:
        raise SourceError(
            f"{what!r} answers no manifest: {error}", hint="check that the host is a registry"
        ) from error
    for each in (*(found.layers or ()), *(found.manifests or ())):
        if each.sha256 is None:
            raise SourceError(f"{what!r} has a digest that can't be verified: {each.digest!r}")
    return found


def choose_platform(manifests: Sequence[Descriptor], what: str) -> Descriptor:
    """The index's manifest for this machine; models have often but one, for none.

    Raises:
        SourceError: none fits, or several.
    """
    real = [each for each in manifests if (each.platform or {}).get("os") != "unknown"]
    machine = _ARCHITECTURES.get(platform.machine(), platform.machine())
    fitting = [each for each in real if (each.platform or {}).get("architecture") == machine]
    candidates = fitting or real
    if len(candidates) != 1:
        raise SourceError(
            f"{what!r} is an index of {len(real)} manifests, {len(fitting)} of them for {machine}",
            hint="name one by its digest, with @sha256:…",
        )
    return candidates[0]
