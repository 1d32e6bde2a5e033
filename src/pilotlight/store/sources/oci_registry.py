"""One name on one registry, by the distribution API: logins, manifests, blobs.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from pilotlight.errors import SourceError
from pilotlight.store.address import exact_url, redacted
from pilotlight.store.client import Answer, Client
from pilotlight.store.network import Network
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Description
from pilotlight.store.sources.oci_login import basic_login
from pilotlight.store.sources.oci_manifest import (
    ACCEPT,
    Descriptor,
    Manifest,
    choose_platform,
    parse_manifest,
)
from pilotlight.store.sources.oci_name import OciName

_CHALLENGE = re.compile(r"(\w+)\s+(.*)", re.DOTALL)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_UNAUTHORIZED = frozenset({401})


class _Token(msgspec.Struct, frozen=True):
    """Docker's own registries say `token`, OAuth's say `access_token`."""

    token: str = ""
    access_token: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A manifest's layers, at a digest, and what the registry wants to see with each request."""

    layers: tuple[Descriptor, ...]
    digest: str
    headers: Mapping[str, str]


class OciRegistry:
    def __init__(self, name: OciName, retry: Retry) -> None:
        self._name = name
        self._retry = retry
        self._network = Network.from_environment()

    async def artifact(self) -> Artifact:
        """Raises SourceError: the registry refuses, or its answer isn't what the digest says."""
        async with Client(self._network) as client:
            headers = await self._log_in(client)
            manifest, digest = await self._manifest(client, self._name.reference, headers)
            if manifest.manifests:
                chosen = choose_platform(manifest.manifests, str(self._name))
                manifest, digest = await self._manifest(client, chosen.digest, headers)
        return Artifact(tuple(manifest.layers or ()), digest, headers)

    def describe(
        self, layer: Descriptor, file_name: str, headers: Mapping[str, str]
    ) -> Description:
        """The layer as a file; a registry's token lasts for minutes, so it can be renewed."""

        async def renew() -> Description:
            async with Client(self._network) as client:
                return self.describe(layer, file_name, await self._log_in(client))

        return Description(
            url=self._name.blob_url(layer.digest),
            file_name=file_name,
            size_bytes=layer.size,
            sha256=layer.sha256,
            headers=headers,
            hints=self._hints(),
            network=self._network,
            renew=renew if headers else None,
        )

    async def _manifest(
        self, client: Client, reference: str, headers: Mapping[str, str]
    ) -> tuple[Manifest, str]:
        url = self._name.manifest_url(reference)
        answer = await self._ask(client, "GET", url, {"Accept": ACCEPT, **headers})
        digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        if ":" in reference and reference != digest:
            raise SourceError(
                f"{redacted(url)!r} answers a manifest with {digest}",
                hint="the registry or something on the way changed it; don't use it",
            )
        return parse_manifest(answer.body, redacted(url)), digest

    async def _log_in(self, client: Client) -> dict[str, str]:
        """The headers that the registry wants; it says so to whoever comes without.

        Asked with GET: not every registry answers HEAD.
        """
        url = self._name.manifest_url(self._name.reference)
        answer = await self._ask(client, "GET", url, {"Accept": ACCEPT}, allowed=_UNAUTHORIZED)
        if answer.status not in _UNAUTHORIZED:
            return {}
        challenge = _CHALLENGE.match(answer.headers.get("WWW-Authenticate", ""))
        scheme = challenge[1].lower() if challenge else ""
        login = await basic_login(self._name.registry)
        if challenge and scheme == "bearer":
            asked = dict(_PARAMETER.findall(challenge[2]))
            return {"Authorization": f"Bearer {await self._token(client, asked, login)}"}
        # Without one the registry refuses the next request, with a hint.
        return {"Authorization": login} if scheme == "basic" and login else {}

    async def _token(self, client: Client, asked: Mapping[str, str], login: str | None) -> str:
        realm = asked.get("realm", "")
        if not realm.startswith("https://") and not self._is_plain(realm):
            raise SourceError(
                f"{self._name.registry!r} sends logins to {redacted(realm)!r}, without TLS",
                hint="use a registry whose tokens come over https",
            )
        scope = asked.get("scope") or f"repository:{self._name.repository}:pull"
        query = {"scope": scope, **({"service": asked["service"]} if "service" in asked else {})}
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
        answer = await self._ask(client, "GET", url, {"Authorization": login} if login else {})
        try:
            found = msgspec.json.decode(answer.body, type=_Token)
        except msgspec.DecodeError as error:
            raise SourceError(f"{redacted(url)!r} answers no token: {error}") from error
        return found.token or found.access_token

    def _is_plain(self, realm: str) -> bool:
        """A registry on this machine may have its tokens made here, without TLS."""
        if not realm.startswith("http://") or not self._name.origin.startswith("http://"):
            return False
        return exact_url(realm).host == exact_url(self._name.origin).host

    async def _ask(
        self,
        client: Client,
        method: str,
        url: str,
        headers: Mapping[str, str],
        allowed: frozenset[int] = frozenset(),
    ) -> Answer:
        return await self._retry.persist(
            lambda: client.ask(method, url, headers, hints=self._hints(), allowed=allowed)
        )

    def _hints(self) -> Mapping[int, str]:
        login = f"log in with `docker login {self._name.registry}`"
        return {
            401: f"{login}, and check that {self._name.repository!r} exists there",
            403: f"{login} with an account that may read {self._name.repository!r}",
            404: f"check the spelling of {str(self._name)!r}",
        }
