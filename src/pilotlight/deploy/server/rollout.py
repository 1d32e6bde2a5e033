"""A new release in place of the one that runs, and back by itself if it doesn't become ready."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pilotlight.deploy.resources import Files
from pilotlight.deploy.server.releases import Releases
from pilotlight.deploy.target import Report
from pilotlight.errors import DeployError, PilotlightError


class Service(Protocol):
    """What runs a release: containers or a unit. All blocks and raises DeployError."""

    def prepare(self, place: Path) -> None:
        """Have all that the release in the folder needs; nothing that runs is touched."""
        ...

    def activate(self, place: Path) -> None:
        """Run this release and no other of the name, also after a reboot."""
        ...

    def await_ready(self) -> float:
        """Until it is; the seconds that took."""
        ...

    def last_words(self) -> str:
        """Of what was activated last, for the error; empty where there are none."""
        ...

    def deactivate(self) -> None:
        """Run none of them; nothing there is no error."""
        ...


@dataclass(frozen=True, slots=True)
class Rollout:
    releases: Releases
    service: Service
    report: Report

    def to(self, version: str, files: Files) -> None:
        """Returns once `version` serves; its predecessor's folder is kept, for a way back by hand.

        Raises:
            DeployError: it didn't become ready. What ran before runs again, and what this call
                made is gone.
        """
        before, known = self.releases.current(), self.releases.holds(version)
        with self._undone(version, before, known):
            if not known:
                self.service.prepare(self.releases.write(version, files))
                self.releases.seal(version)
                self.report(f"prepared release {version}")
            self.releases.switch(version)
            self.service.activate(self.releases.path(version))
            self.report(f"started release {version}")
            self.report(f"ready after {self.service.await_ready():.1f} s")
        if before != version:
            self.releases.keep(version, before)

    @contextlib.contextmanager
    def _undone(self, version: str, before: str | None, known: bool) -> Iterator[None]:
        """As it was before, whatever ends the block: an error, or Ctrl-C."""
        try:
            yield
        except PilotlightError as error:
            words = self.service.last_words() if self.releases.current() == version else ""
            came = self._back(version, before, known)
            said = f"\n  its last words:\n  {words}" if words else ""
            raise DeployError(
                f"release {version}: {error.message}; {came}{said}", hint=error.hint
            ) from error
        except BaseException:
            self._back(version, before, known)
            raise

    def _back(self, version: str, before: str | None, known: bool) -> str:
        """What came of it."""
        if before == version:
            return "it is left as it is, for there is no other"
        if before is None:
            self.service.deactivate()
            self.releases.remove()
            return "nothing of it was kept"
        failed = self._again(before) if self.releases.current() == version else None
        if not known:
            self.releases.discard(version)
        return failed or f"release {before} runs as before"

    def _again(self, before: str) -> str | None:
        """Why the one from before doesn't run again, if so."""
        self.releases.switch(before)
        try:
            self.service.activate(self.releases.path(before))
        except PilotlightError as error:
            return f"release {before} didn't start again either: {error.message}"
        self.report(f"went back to release {before}")
        return None
