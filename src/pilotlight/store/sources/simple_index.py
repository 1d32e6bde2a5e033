"""The simple repository API of package indexes: its JSON form (PEP 691) and its HTML form."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin

import msgspec

from pilotlight.errors import SourceError
from pilotlight.store.address import redacted

ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One file of a project."""

    name: str
    url: str
    sha256: str | None
    size_bytes: int | None = None
    yanked: bool = False


@dataclass(frozen=True, slots=True)
class _JsonFile:
    filename: str
    url: str
    hashes: dict[str, str] = field(default_factory=dict)
    size: int | None = None
    yanked: bool | str = False


@dataclass(frozen=True, slots=True)
class _JsonProject:
    files: list[_JsonFile]


def parse_project(body: bytes, url: str) -> tuple[IndexFile, ...]:
    """The files listed in a project's page at `url`, in either form.

    The body decides which form it is: there are caches that answer HTML and call it JSON.

    Raises:
        SourceError: the page is neither.
    """
    if not body.lstrip().startswith(b"{"):
        return _parse_html(body, url)
    try:
        project = msgspec.json.decode(body, type=_JsonProject)
    except msgspec.DecodeError as error:
        raise SourceError(
            f"{redacted(url)!r} answers no simple index: {error}",
            hint="check store.index_url; it usually ends in /simple",
        ) from error
    return tuple(
        IndexFile(
            name=file.filename,
            url=urljoin(url, file.url),
            sha256=file.hashes.get("sha256"),
            size_bytes=file.size,
            yanked=file.yanked is not False,
        )
        for file in project.files
    )


def _parse_html(body: bytes, url: str) -> tuple[IndexFile, ...]:
    page = _LinkParser(url)
    page.feed(body.decode(errors="replace"))
    page.close()
    return tuple(page.files)


class _LinkParser(HTMLParser):
    """Collects every anchor; the hash is in the fragment, as in ``…whl#sha256=<hex>``."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.files: list[IndexFile] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        href = attributes.get("href")
        if tag != "a" or not href:
            return
        address, fragment = urldefrag(urljoin(self._url, href))
        algorithm, _, value = fragment.partition("=")
        self.files.append(
            IndexFile(
                name=unquote(address.partition("?")[0].rpartition("/")[2]),
                url=address,
                sha256=value if algorithm == "sha256" else None,
                yanked="data-yanked" in attributes,
            )
        )
