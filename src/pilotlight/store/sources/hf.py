"""``hf:org/repo[@revision]/path/file.gguf``: a file on the Hugging Face hub or a mirror of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.errors import ModelRefError
from pilotlight.store.address import file_name
from pilotlight.store.client import Answer, Client
from pilotlight.store.digest import is_sha256
from pilotlight.store.network import Network
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Description
from pilotlight.store.sources.hub_cache import cache_directory, cached_file

_LINKED_ETAG = "X-Linked-ETag"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository at a revision."""

    repository: str
    revision: str
    path: str

    @classmethod
    def parse(cls, ref: ModelRef) -> HubFile:
        organisation, _, rest = ref.locator.partition("/")
        name, _, path = rest.partition("/")
        name, at, revision = name.partition("@")
        parts = [organisation, name, *path.split("/"), *unquote(revision or "main").split("/")]
        if (at and not revision) or any(part in ("", ".", "..") for part in parts):
            raise ModelRefError(
                f"{str(ref)!r} names no file of a repository",
                hint="write hf:org/repo/path/file.gguf, with @revision after repo if you like",
            )
        # A revision such as refs/pr/1 is written with %2F, as in the hub's own addresses.
        return cls(f"{organisation}/{name}", unquote(revision) or "main", path)

    def url(self, endpoint: str, revision: str) -> str:
        where = f"{quote(self.repository)}/resolve/{quote(revision, safe='')}/{quote(self.path)}"
        return f"{endpoint.rstrip('/')}/{where}"


class HubSource:
    def __init__(self, settings: StoreSettings, retry: Retry) -> None:
        self._endpoint = settings.hf_endpoint
        self._configured_token = settings.hf_token
        self._retry = retry

    def local(self, ref: ModelRef) -> Path | None:
        file = HubFile.parse(ref)
        cache = cache_directory(os.environ)
        return cached_file(cache, file.repository, file.revision, file.path)

    async def describe(self, ref: ModelRef) -> Description:
        file = HubFile.parse(ref)
        headers, hints = self._headers(), self._hints(file)
        network = Network.from_environment()
        async with Client(network) as client:
            # The hub's own answer names the file's hash; the storage it redirects to doesn't.
            answer = await self._retry.persist(
                lambda: client.ask(
                    "HEAD",
                    file.url(self._endpoint, file.revision),
                    headers,
                    hints=hints,
                    until=_LINKED_ETAG,
                )
            )
        commit = answer.headers.get("X-Repo-Commit")
        return Description(
            url=file.url(self._endpoint, commit or file.revision),
            file_name=file_name(file.url(self._endpoint, file.revision)),
            size_bytes=_size_bytes(answer),
            sha256=_sha256(answer),
            headers=headers,
            hints=hints,
            revision=commit,
            network=network,
        )

    def _token(self) -> str | None:
        return self._configured_token or os.environ.get("HF_TOKEN") or None

    def _headers(self) -> dict[str, str]:
        token = self._token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _hints(self, file: HubFile) -> Mapping[int, str]:
        page = f"{self._endpoint.rstrip('/')}/{file.repository}"
        wanted = (
            "the token is wrong or expired; make a new one"
            if self._token()
            else f"set HF_TOKEN to a token that may read {file.repository}"
        )
        return {
            # The hub says 401, not 404, of repositories that don't exist.
            401: f"{wanted}, and check that {page} exists",
            403: f"accept the model's terms at {page} with the account of your token",
            404: f"check the spelling; the files are listed at {page}/tree/{file.revision}",
            429: "the hub limits how often you may ask; set HF_TOKEN, or wait",
        }


def _size_bytes(answer: Answer) -> int | None:
    """The file's size; of a redirect itself only X-Linked-Size says it."""
    own = answer.headers.get("Content-Length") if answer.status == 200 else None
    size = answer.headers.get("X-Linked-Size") or own
    return int(size) if size and size.isdecimal() else None


def _sha256(answer: Answer) -> str | None:
    """Large files' ETag is their SHA-256; small ones have a git hash, which is none."""
    etag = answer.headers.get(_LINKED_ETAG, "").removeprefix("W/").strip('"').lower()
    return etag if is_sha256(etag) else None
