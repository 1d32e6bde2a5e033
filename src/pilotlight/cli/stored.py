"""Models of the store, for a reader: as entries, rows and pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pilotlight.cli.table import table
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.errors import StoreError
from pilotlight.quantities import about_bytes, about_seconds

if TYPE_CHECKING:
    from pilotlight.store.store import Store, Stored

HEADER = ("REF", "FILES", "SIZE", "FETCHED", "USED", "STATE", "WHERE")


def entry_of(stored: Stored, opened: Store) -> dict[str, Any]:
    from pilotlight.store.housekeeping import is_held

    snapshot, shelf = stored.snapshot, stored.shelf
    return {
        "ref": snapshot.ref,
        "revision": snapshot.revision,
        "files": len(snapshot.files),
        "size_bytes": snapshot.size_bytes,
        "digest": snapshot.digest,
        "fetched": snapshot.fetched_at,
        "used": _time(shelf.used_s()),
        "pinned": shelf.pinned.exists(),
        "loaded": is_held(shelf),
        "damaged": False,
        "shared": not shelf.directory.is_relative_to(opened.directory),
        "path": str(stored.path),
    }


def row(entry: Mapping[str, Any], now_s: float) -> tuple[str, ...]:
    return (
        entry["ref"],
        str(entry["files"]),
        about_bytes(entry["size_bytes"]),
        _ago(entry["fetched"], now_s),
        _ago(entry["used"], now_s),
        ",".join(state for state in ("pinned", "loaded", "shared", "damaged") if entry[state]),
        entry["path"],
    )


def page(stored: Stored, entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with all that is known of the model."""
    snapshot = stored.snapshot
    files = [
        {"name": f.name, "size_bytes": f.size_bytes, "sha256": f.sha256, "chunks": len(hashes)}
        for f, hashes in ((f, stored.chunk_hashes(f)) for f in snapshot.files)
    ]
    return {
        **entry,
        "source": snapshot.source,
        "entry": snapshot.entry,
        "header": _header(stored),
        "files": files,
    }


def lines(entry: Mapping[str, Any]) -> Iterator[str]:
    for name in ("ref", "revision", "source", "fetched", "used", "digest", "path"):
        if entry[name] is not None:
            yield f"{name:<10}{entry[name]}"
    yield f"{'size':<10}{about_bytes(entry['size_bytes'])}"
    for name, value in entry["header"].items():
        yield f"{name:<10}{value}"
    yield ""
    rows = [
        (f["name"], about_bytes(f["size_bytes"]), str(f["chunks"] or ""), f["sha256"])
        for f in entry["files"]
    ]
    yield table(("FILE", "SIZE", "CHUNKS", "SHA256"), rows)


def _header(stored: Stored) -> dict[str, str]:
    """What the model's own header says; nothing for a file that has none we can read."""
    from pilotlight.gateway.details import count, details_of
    from pilotlight.store.checkpoint import read_checkpoint

    try:
        if stored.path.is_dir():
            found = read_checkpoint(stored.path)
            facts = {
                "family": found.architecture,
                "params": count(sum(found.elements.values())),
                "dtype": ", ".join(found.elements),
            }
        else:
            files = ModelFiles(ModelRef("file", str(stored.path)), stored.path, 0)
            details = details_of(files)
            facts = {
                "family": details.family,
                "params": details.parameter_size,
                "dtype": details.quantization,
            }
    except StoreError:
        return {}
    return {name: value for name, value in facts.items() if value}


def _time(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None


def _ago(time: str | None, now_s: float) -> str:
    if time is None:
        return ""
    return f"{about_seconds(max(0.0, now_s - datetime.fromisoformat(time).timestamp()))} ago"
