"""``s3://bucket/key``, ``gs://bucket/key`` and ``az://container/key``: object storage.

A key is one file, or a split GGUF's first part; with / at the end it is all of a model below
it. obstore lists and signs; the bytes themselves come over signed addresses, in ranges.
"""

from __future__ import annotations

import importlib.util
import os
import posixpath
import re
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pilotlight.core import ModelRef
from pilotlight.errors import ModelRefError, SourceError
from pilotlight.store.address import redacted, shown
from pilotlight.store.network import Network
from pilotlight.store.sources.base import Description, Listing
from pilotlight.store.sources.clouds import CLOUDS, Cloud
from pilotlight.store.sources.contents import Choice, choose, parts_of

_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_CHECKSUM = re.compile(r"#sha256=([0-9a-fA-F]{64})$")
_URL = re.compile(r"https?://\S+")
_MOST_OBJECTS = 20_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class BucketRef:
    """What a ref names in `container`: an object, or what lies below a prefix."""

    container: str
    key: str
    """Ends in / for a prefix; empty for the whole container."""

    sha256: str | None = None

    @classmethod
    def parse(cls, ref: ModelRef) -> BucketRef:
        container, _, key = ref.locator.removeprefix("//").partition("/")
        checksum = _CHECKSUM.search(key)
        key = _CHECKSUM.sub("", key)
        names = key.removesuffix("/").split("/") if key else []
        inside = all(part not in ("", ".", "..") for part in names)
        if (
            not ref.locator.startswith("//")
            or not _CONTAINER.fullmatch(container)
            or not inside
            or (checksum and (not key or key.endswith("/") or len(parts_of(key)) > 1))
        ):
            raise ModelRefError(
                f"{shown(ref)!r} names no object of a bucket",
                hint=f"write {ref.scheme}://bucket/path/model.gguf, or {ref.scheme}://bucket/path/ "
                "for a directory of them; logins belong in the environment",
            )
        return cls(container, key, checksum[1].lower() if checksum else None)

    @property
    def is_prefix(self) -> bool:
        return not self.key or self.key.endswith("/")

    @property
    def directory(self) -> str:
        """What all the model's keys begin with."""
        return self.key if self.is_prefix else f"{posixpath.dirname(self.key)}/".lstrip("/")


class BucketSource:
    def __init__(self, scheme: str) -> None:
        self._cloud: Cloud = CLOUDS[scheme]

    def local(self, ref: ModelRef) -> Path | None:
        BucketRef.parse(ref)
        return None

    async def describe(self, ref: ModelRef) -> Listing:
        wanted = BucketRef.parse(ref)
        _require_obstore(ref)
        bucket, objects = await self._opened(ref, wanted)
        choice = _choice(wanted, objects, shown(ref))
        files = [
            await self._asked(ref, bucket.describe(wanted, name, objects[name]))
            for name in choice.names
        ]
        return Listing(tuple(files), None, choice.entry)

    async def _opened(
        self, ref: ModelRef, wanted: BucketRef
    ) -> tuple[_Bucket, Mapping[str, _Object]]:
        """Without a login in the environment first as anybody, then as this machine.

        A public bucket is so never asked with a login, and a machine that is one in itself,
        by its place in the cloud, needs but one more question.
        """
        refusal: SourceError | None = None
        for anonymous in (False,) if self._cloud.has_login(os.environ) else (True, False):
            bucket = _Bucket(self._cloud, wanted.container, anonymous)
            try:
                return bucket, await self._asked(ref, bucket.objects(wanted))
            except SourceError as error:
                refusal = refusal or error
                if error.__cause__ is None:  # not obstore's word: another login changes nothing
                    break
        assert refusal is not None
        raise refusal

    async def _asked(self, ref: ModelRef, question: Awaitable[_T]) -> _T:
        """obstore's answer, or its refusal in our words."""
        from obstore.exceptions import BaseError

        try:
            return await question
        except FileNotFoundError:
            raise SourceError(
                f"there is no {shown(ref)!r}",
                hint="check the spelling; a directory is written with / at its end",
            ) from None
        except (BaseError, ValueError) as error:
            # The first line says what happened; the request follows, and is not for logs.
            said = _URL.sub(lambda found: redacted(found[0]), str(error).partition("\n")[0])
            raise SourceError(
                f"{shown(ref)!r} can't be read: {said}", hint=self._cloud.hint
            ) from _Refusal(said)


class _Refusal(Exception):
    """What obstore said, without the request that it said it of."""


@dataclass(frozen=True, slots=True)
class _Object:
    size_bytes: int
    version: str

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> _Object:
        return cls(meta["size"], str(meta["e_tag"] or meta["last_modified"]))


@dataclass(frozen=True, slots=True)
class _Bucket:
    cloud: Cloud
    container: str
    anonymous: bool

    async def objects(self, wanted: BucketRef) -> Mapping[str, _Object]:
        """By name below the wanted directory, what can be part of the model."""
        import obstore

        store = self._open()
        if not wanted.is_prefix and len(parts_of(wanted.key)) == 1:
            found = await obstore.head_async(store, wanted.key)
            return {posixpath.basename(wanted.key): _Object.read(found)}
        objects: dict[str, _Object] = {}
        async for batch in obstore.list(store, prefix=wanted.directory or None):
            for each in batch:
                objects[str(each["path"]).removeprefix(wanted.directory)] = _Object.read(each)
            if len(objects) > _MOST_OBJECTS:
                raise SourceError(
                    f"over {_MOST_OBJECTS} objects lie below {wanted.directory!r}",
                    hint="name the model's own directory",
                )
        return objects

    async def describe(self, wanted: BucketRef, name: str, found: _Object) -> Description:
        async def renew() -> Description:
            return await self.describe(wanted, name, found)

        key = f"{wanted.directory}{name}"

        return Description(
            url=await self._address(key),
            file_name=name,
            size_bytes=found.size_bytes,
            identity=f"{self.cloud.store_class} {self.container}/{key} {found.version}",
            sha256=wanted.sha256,
            hints={403: self.cloud.hint},
            network=Network.from_environment(),
            renew=None if self.anonymous else renew,
        )

    async def _address(self, key: str) -> str:
        if self.anonymous:
            return self.cloud.plain_url(self.container, key)
        return await self.cloud.sign(self._open(), self.container, key)

    def _open(self) -> Any:
        return self.cloud.open(self.container, anonymous=self.anonymous)


def _choice(wanted: BucketRef, names: Iterable[str], what: str) -> Choice:
    if wanted.is_prefix:
        return choose(names, what)
    parts, there = parts_of(posixpath.basename(wanted.key)), frozenset(names)
    if missing := [part for part in parts if part not in there]:
        raise SourceError(f"{what!r} lacks {missing[0]!r}", hint="all parts lie side by side")
    return Choice(parts, parts[0])


def _require_obstore(ref: ModelRef) -> None:
    if importlib.util.find_spec("obstore") is None:
        raise SourceError(
            f"{shown(ref)!r} needs obstore, which isn't installed",
            hint="pip install 'pilotlight[buckets]'",
        )
