"""``hf:``: models on the Hugging Face hub or a mirror of it, pinned to a commit.

``hf:org/repo`` is the whole repository as an engine needs it, ``hf:org/repo:Q4_K_M`` a
quantization of it, ``hf:org/repo/path/file.gguf`` one file and ``hf:org/repo/path/`` one
directory; ``@revision`` follows the repo.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from pathlib import Path

from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.store.address import file_name
from pilotlight.store.client import Answer, Client
from pilotlight.store.digest import is_sha256
from pilotlight.store.network import Network
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Description, Listing
from pilotlight.store.sources.contents import Choice
from pilotlight.store.sources.hub_api import HubRepository, parse_repository
from pilotlight.store.sources.hub_cache import cache_directory, cached, cached_token
from pilotlight.store.sources.hub_ref import HubRef

_LINKED_ETAG = "X-Linked-ETag"
_HUB = StoreSettings().hf_endpoint


class HubSource:
    def __init__(self, settings: StoreSettings, retry: Retry) -> None:
        self._configured_endpoint = settings.hf_endpoint
        self._configured_token = settings.hf_token
        self._retry = retry

    def local(self, ref: ModelRef) -> Path | None:
        return cached(cache_directory(os.environ), HubRef.parse(ref))

    async def describe(self, ref: ModelRef) -> Listing:
        wanted = HubRef.parse(ref)
        if wanted.one_file is not None:
            return await self._file(wanted, wanted.one_file)
        answer = await self._ask("GET", wanted.api_url(self._endpoint), wanted)
        repository = parse_repository(answer.body)
        choice = wanted.choose(repository.files)
        return self._listing(wanted, repository, choice)

    async def _file(self, wanted: HubRef, path: str) -> Listing:
        """One file, with one question: not all mirrors have more of the hub than its files."""
        # The hub's own answer names the file's hash; the storage it redirects to doesn't.
        url = wanted.url(self._endpoint, wanted.revision, path)
        answer = await self._ask("HEAD", url, wanted, until=_LINKED_ETAG)
        commit = answer.headers.get("X-Repo-Commit")
        found = Description(
            url=wanted.url(self._endpoint, commit or wanted.revision, path),
            file_name=file_name(url),
            size_bytes=_size_bytes(answer),
            sha256=_sha256(answer),
            headers=self._headers(),
            hints=self._hints(wanted),
            network=Network.from_environment(),
        )
        return Listing.of(found, commit)

    def _listing(self, wanted: HubRef, repository: HubRepository, choice: Choice) -> Listing:
        def name(path: str) -> str:
            """Parts of a split file lie side by side; a snapshot keeps its directories."""
            return posixpath.basename(path) if choice.entry else path.removeprefix(wanted.directory)

        network = Network.from_environment()
        files = tuple(
            Description(
                url=wanted.url(self._endpoint, repository.sha, path),
                file_name=name(path),
                size_bytes=repository.files[path].size_bytes,
                sha256=repository.files[path].sha256,
                headers=self._headers(),
                hints=self._hints(wanted),
                network=network,
            )
            for path in choice.names
        )
        return Listing(files, repository.sha, name(choice.entry) if choice.entry else None)

    async def _ask(self, method: str, url: str, wanted: HubRef, until: str | None = None) -> Answer:
        headers, hints = self._headers(), self._hints(wanted)
        async with Client(Network.from_environment()) as client:
            return await self._retry.persist(
                lambda: client.ask(method, url, headers, hints=hints, until=until)
            )

    @property
    def _endpoint(self) -> str:
        """The configured one; where none is, what the hub's own client would ask."""
        given = self._configured_endpoint
        chosen = os.environ.get("HF_ENDPOINT") if given == _HUB else given
        return (chosen or given).rstrip("/")

    def _token(self) -> str | None:
        given = self._configured_token or os.environ.get("HF_TOKEN")
        return given or cached_token(os.environ) or None

    def _headers(self) -> dict[str, str]:
        token = self._token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _hints(self, wanted: HubRef) -> Mapping[int, str]:
        page = f"{self._endpoint}/{wanted.repository}"
        login = (
            "the token is wrong or expired; make a new one"
            if self._token()
            else f"set HF_TOKEN to a token that may read {wanted.repository}"
        )
        return {
            # The hub says 401, not 404, of repositories that don't exist.
            401: f"{login}, and check that {page} exists",
            403: f"accept the model's terms at {page} with the account of your token",
            404: f"check the spelling; the files are listed at {page}/tree/{wanted.revision}",
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
