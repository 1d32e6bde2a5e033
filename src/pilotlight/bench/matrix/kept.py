"""Turns on disk, so that a matrix that was stopped goes on where it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pilotlight.bench.costs import Costs
from pilotlight.bench.report import Tested
from pilotlight.bench.run import Run
from pilotlight.bench.workloads.workload import WorkloadSummary
from pilotlight.durable import write_text
from pilotlight.errors import BenchError
from pilotlight.meter.energy import Energy

FORMAT = "pilotlight-matrix-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What one contestant did in one round: a run for each load, in the loads' order."""

    subject: Tested
    workload: WorkloadSummary
    runs: tuple[Run, ...]
    energies: tuple[Energy | None, ...] = ()
    costs: tuple[Costs | None, ...] = ()


class Kept:
    """`directory` holds the turns of one matrix, a file each."""

    def __init__(self, directory: Path, what: Mapping[str, Any]) -> None:
        """`what` is all that must be the same for turns to belong together.

        Raises:
            BenchError: the directory is another matrix's.
        """
        self._turns = directory / "turns"
        self._maker = directory / "maker.txt"
        self._claim(directory / "matrix.json", {"format": FORMAT, **what})

    def _claim(self, file: Path, what: Mapping[str, Any]) -> None:
        text = msgspec.json.format(msgspec.json.encode(what)).decode()
        if not file.exists():
            self._turns.mkdir(parents=True, exist_ok=True)
            write_text(file, text, mode=0o644)
        elif (found := _decoded(file)) != msgspec.json.decode(text):
            differs = sorted(
                key
                for key in {*found, *what}
                if found.get(key)
                != msgspec.to_builtins(what.get(key) if key != "format" else FORMAT)
            )
            raise BenchError(
                f"{str(file.parent)!r} holds another matrix: {', '.join(differs)} differ",
                hint="choose another directory, or ask for the same to go on with it",
            )

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Raises BenchError: another program measures into the directory."""
        descriptor = os.open(self._turns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BenchError(
                f"{str(self._turns.parent)!r} is being measured into by another program",
                hint="wait for its end, or choose another directory",
            ) from None

    @property
    def maker(self) -> str | None:
        """The slug of the contestant with whose tokens the kept turns' requests were made."""
        return self._maker.read_text() if self._maker.exists() else None

    @maker.setter
    def maker(self, slug: str) -> None:
        write_text(self._maker, slug, mode=0o644)

    def path(self, slug: str, nth: int) -> Path:
        return self._turns / f"{nth + 1:02d}-{slug}.json"

    def load(self, slug: str, nth: int) -> Played | None:
        """None for a turn that isn't there yet. Raises BenchError: its file is damaged."""
        path = self.path(slug, nth)
        if not path.exists():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=Played)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise BenchError(
                f"{str(path)!r} can't be read: {error}", hint="remove it: it is measured anew"
            ) from None

    def keep(self, slug: str, nth: int, played: Played) -> None:
        """Whole or not at all: a turn that was cut short is measured again."""
        write_text(self.path(slug, nth), msgspec.json.encode(played).decode(), mode=0o644)


def _decoded(file: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise BenchError(
            f"{str(file)!r} is no matrix: {error}", hint="choose another directory"
        ) from None
