"""What loads really took, remembered across restarts: memory and seconds by what was loaded.

A prediction is a formula; the second load of the same thing on the same
machine need not trust it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pilotlight.engines.base import ModelJob

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Measured:
    """One load: peak resident bytes, bytes when asleep, seconds from claim to ready."""

    peak_bytes: int | None = None
    asleep_bytes: int | None = None
    load_s: float | None = None


def key_of(job: ModelJob, build: str, machine: str) -> str:
    """The same file, options, engine build and machine give the same key, whatever the name."""
    files = job.files
    bytes_of = files.digest or (str(files.ref), str(files.path))
    stamps = tuple(adapter.stamp for adapter in job.adapters)
    what = (bytes_of, files.size_bytes, repr(job.options), build, machine, *stamps)
    return hashlib.sha256(repr(what).encode()).hexdigest()[:32]


class Measurements:
    """One JSON file, replaced atomically. A lost update costs one measurement, nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = self._read()

    def _read(self) -> dict[str, Measured]:
        try:
            rows = json.loads(self._path.read_text())
            return {key: Measured(**row) for key, row in rows.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("ignoring unreadable measurements in %s: %s", self._path, error)
            return {}

    def get(self, key: str) -> Measured:
        return self._known.get(key, Measured())

    def put(self, key: str, measured: Measured) -> None:
        self._known[key] = measured
        rows = {key: asdict(row) for key, row in self._known.items()}
        partial = self._path.with_suffix(".partial")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(rows, indent=1))
            os.replace(partial, self._path)
        except OSError as error:
            log.warning("can't keep measurements in %s: %s", self._path, error)
