"""``https:`` and ``http:``: one file at an address, ``#sha256=<hex>`` behind it where known."""

from __future__ import annotations

from pathlib import Path

from pilotlight.core import ModelRef
from pilotlight.errors import ModelRefError
from pilotlight.store.address import exact_url, file_name, redacted, without_login
from pilotlight.store.digest import is_sha256
from pilotlight.store.network import Network
from pilotlight.store.sources.base import Description, Listing


class WebSource:
    def local(self, ref: ModelRef) -> Path | None:
        return None

    async def describe(self, ref: ModelRef) -> Listing:
        """Asks nobody: size and validators come with the bytes themselves."""
        address, _, fragment = str(ref).partition("#")
        if not _has_host(address):
            raise ModelRefError(
                f"{address!r} is no address of a file", hint="write https://host/path/model.gguf"
            )
        url, headers = without_login(address)
        return Listing.of(
            Description(
                url=url,
                file_name=file_name(url),
                sha256=_sha256(fragment, url),
                headers=headers,
                network=Network.from_environment(),
            )
        )


def _has_host(address: str) -> bool:
    try:
        return bool(exact_url(address).host)
    except ValueError:
        return False


def _sha256(fragment: str, url: str) -> str | None:
    if not fragment:
        return None
    key, _, value = fragment.partition("=")
    if key != "sha256" or not is_sha256(value.lower()):
        raise ModelRefError(
            f"{fragment!r} after {redacted(url)!r} is no checksum",
            hint="write #sha256=<64 hex digits>, or nothing",
        )
    return value.lower()
