"""A store for ``fake:`` refs: nothing to fetch, and a fetch that a test can hold back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.errors import DigestError, SourceError
from pilotlight.store.progress import Progress
from pilotlight.testing.engine import fake_files
from pilotlight.testing.gates import Gates

FAKE_DIGEST = "sha256:" + "fa4e" * 16


class FakeHold:
    def __init__(self, held: list[str], name: str) -> None:
        self._held = held
        self._name = name

    def release(self) -> None:
        self._held.remove(self._name)


class FakeStore:
    """What the catalogue asks of `store.store.Store`. Points to hold: ``fetch:NAME``."""

    def __init__(self, *, absent: frozenset[str] = frozenset(), size_bytes: int = 2**20) -> None:
        self.fail: str | None = None
        """Words with which the next fetches fail."""

        self.beginning: Path | None = None
        """A file of which every fetch says at once that it is here to its end, and which it is."""

        self.takes_back = False
        """Whether every fetch says at its end that what it told of was something else."""

        self.fetched: list[str] = []
        """Names that had to be fetched, in order."""

        self.held: list[str] = []
        """Names that are held, once for each holder."""

        self._absent = set(absent)
        self._size_bytes = size_bytes
        self._gates = Gates()

    def hold_back(self, name: str) -> None:
        self._gates.hold(f"fetch:{name}")

    def release(self, name: str) -> None:
        self._gates.release(f"fetch:{name}")

    async def reached(self, name: str) -> None:
        """Until somebody fetches `name`."""
        await self._gates.reached(f"fetch:{name}")

    def hold(self, files: ModelFiles) -> FakeHold:
        self.held.append(files.ref.locator)
        return FakeHold(self.held, files.ref.locator)

    def present(self, ref: ModelRef) -> ModelFiles | None:
        if ref.scheme != "fake" or ref.locator in self._absent:
            return None
        return fake_files(ref.locator, self._size_bytes)

    async def resolve(
        self,
        ref: ModelRef,
        *,
        digest: str | None = None,
        report: Callable[[Progress], None] | None = None,
        watch: Callable[[Path, int], None] | None = None,
    ) -> ModelFiles:
        if ref.scheme != "fake":
            raise SourceError(f"the fake store has no {str(ref)!r}", hint="use fake:<name>")
        if digest not in (None, FAKE_DIGEST):
            raise DigestError(f"{ref} has digest {FAKE_DIGEST!r}, expected {digest!r}")
        files = fake_files(ref.locator, self._size_bytes)
        if ref.locator not in self._absent:
            return files
        await self._fetch(ref, report, watch)
        return files if self.beginning is None else replace(files, path=self.beginning)

    async def _fetch(
        self,
        ref: ModelRef,
        report: Callable[[Progress], None] | None,
        watch: Callable[[Path, int], None] | None,
    ) -> None:
        self.fetched.append(ref.locator)
        if report is not None:
            report(Progress(ref, "download", 0, self._size_bytes))
        if watch is not None and self.beginning is not None:
            watch(self.beginning, self.beginning.stat().st_size)
        await self._gates.enter(f"fetch:{ref.locator}")
        if watch is not None and self.beginning is not None and self.takes_back:
            watch(self.beginning, 0)
        if self.fail is not None:
            raise SourceError(self.fail, hint="try again")
        self._absent.discard(ref.locator)
        if report is not None:
            report(Progress(ref, "download", self._size_bytes, self._size_bytes))
