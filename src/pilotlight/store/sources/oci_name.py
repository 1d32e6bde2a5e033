"""Names on container registries: ``registry/repository[:tag][@digest]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pilotlight.core import ModelRef
from pilotlight.errors import ModelRefError
from pilotlight.store.address import shown

_HOST = re.compile(r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:]+\])(?::\d+)?")
_PART = r"[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LOOPBACK = re.compile(r"(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?")
_DOCKER_HUB = "docker.io"
_OLLAMA = "registry.ollama.ai"


@dataclass(frozen=True, slots=True)
class OciName:
    registry: str
    repository: str
    reference: str
    """A tag or a digest."""

    @classmethod
    def parse(cls, ref: ModelRef) -> OciName:
        """Of an ``oci:`` ref; a digest wins over a tag beside it."""
        name, at, digest = ref.locator.removeprefix("//").partition("@")
        registry, _, path = name.partition("/")
        path, colon, tag = path.partition(":")
        if registry == _DOCKER_HUB and "/" not in path:
            path = f"library/{path}"
        found = cls(registry, path, digest or tag or "latest")
        if (at and not digest) or (colon and not tag) or not found._valid(_names_host(registry)):
            raise ModelRefError(
                f"{shown(ref)!r} names nothing on a registry",
                hint="write oci:registry.example.com/repository:tag, or @sha256:… for the tag; "
                "Docker Hub is docker.io",
            )
        return found

    @classmethod
    def parse_ollama(cls, ref: ModelRef) -> OciName:
        """Of an ``ollama:`` ref: ``name``, ``namespace/name`` or ``host/namespace/name``."""
        path, colon, tag = ref.locator.removeprefix("//").rpartition(":")
        if not colon or "/" in tag:  # the colon was a port's, or there is none
            path, colon, tag = ref.locator.removeprefix("//"), "", "latest"
        registry, _, rest = path.partition("/") if path.count("/") > 1 else (_OLLAMA, "/", path)
        repository = rest if "/" in rest else f"library/{rest}"
        found = cls(registry, repository, tag)
        if not found._valid(True) or repository.count("/") != 1:
            raise ModelRefError(
                f"{shown(ref)!r} names no model of Ollama's library",
                hint="write ollama:name:tag, ollama:namespace/name:tag or "
                "ollama:host/namespace/name:tag",
            )
        return found

    @property
    def origin(self) -> str:
        """Registries speak TLS; one on this machine needn't, as with Docker."""
        host = "registry-1.docker.io" if self.registry == _DOCKER_HUB else self.registry
        return f"{'http' if _LOOPBACK.fullmatch(host) else 'https'}://{host}"

    def manifest_url(self, reference: str) -> str:
        return f"{self.origin}/v2/{self.repository}/manifests/{reference}"

    def blob_url(self, digest: str) -> str:
        return f"{self.origin}/v2/{self.repository}/blobs/{digest}"

    def __str__(self) -> str:
        mark = "@" if ":" in self.reference else ":"
        return f"{self.registry}/{self.repository}{mark}{self.reference}"

    def _valid(self, host: bool) -> bool:
        reference = _DIGEST if ":" in self.reference else _TAG
        return bool(
            host
            and _HOST.fullmatch(self.registry)
            and _REPOSITORY.fullmatch(self.repository)
            and reference.fullmatch(self.reference)
        )


def _names_host(text: str) -> bool:
    """As Docker tells a host from the first part of a repository's name."""
    return "." in text or ":" in text or text == "localhost"
