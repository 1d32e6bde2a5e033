"""The places of one install: where it is made, and where it will be used."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import msgspec

from pilotlight.engines.environments.environment import CURRENT, PARTIAL
from pilotlight.engines.environments.plan import WHEELS, Step
from pilotlight.engines.environments.usage import in_use

_FINISHED = "finished.json"


@dataclass(frozen=True, slots=True)
class Site:
    """`final` doesn't exist until `publish` renames `root` to it."""

    home: Path
    partial: Path
    final: Path

    @classmethod
    def choose(cls, home: Path, digest: str) -> Site:
        """A build that is in use stays where it is: the new one gets a name of its own."""
        final, number = home / digest, 1
        while final.exists():
            number += 1
            final = home / f"{digest}-{number}"
        return cls(home, home / f"{digest}{PARTIAL}", final)

    @property
    def root(self) -> Path:
        return self.partial / "root"

    @property
    def work(self) -> Path:
        return self.partial / "work"

    @property
    def tools(self) -> Path:
        return self.work / "tools" / "bin" / "python"

    @property
    def log(self) -> Path:
        return self.partial / "install.log"

    @property
    def cache(self) -> Path:
        return self.work / "cache"

    def prepare(self) -> None:
        """What an interrupted install wrote to the root may be half of it."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.work.mkdir(parents=True, exist_ok=True)
        if self.tools.is_symlink() and not self.tools.exists():
            # The Python they were made with has gone: no step would run with them.
            (self.work / _FINISHED).unlink(missing_ok=True)

    def fill(self, argv: tuple[str, ...], base: Path) -> tuple[str, ...]:
        places = {
            "base": str(base),
            "tools": str(self.tools),
            "root": str(self.root),
            "work": str(self.work),
            "locks": str(resources.files(__package__) / "locks"),
        }
        return tuple(filled for argument in argv for filled in self._fill(argument, places))

    def _fill(self, argument: str, places: dict[str, str]) -> Iterator[str]:
        if argument == WHEELS:
            yield from sorted(str(path) for path in (self.work / "wheels").iterdir())
            return
        for name, path in places.items():
            argument = argument.replace(f"{{{name}}}", path)
        yield argument

    def finished(self) -> set[str]:
        """The kept steps that an earlier install of the same plan came through."""
        try:
            return set(msgspec.json.decode((self.work / _FINISHED).read_bytes(), type=list[str]))
        except (OSError, msgspec.DecodeError):
            return set()

    def finish(self, step: Step) -> None:
        if not step.kept:
            return
        # Fetched and kept: pip's own copy of it has served.
        shutil.rmtree(self.cache, ignore_errors=True)
        written = self.work / f"{_FINISHED}.new"
        written.write_bytes(msgspec.json.encode(sorted({*self.finished(), step.name})))
        written.replace(self.work / _FINISHED)

    def publish(self) -> None:
        """From here on `find` answers with it; what it replaces goes, unless a process uses it."""
        _mend_scripts(self.root, self.final)
        os.rename(self.root, self.final)
        link = self.home / f".{CURRENT}"
        with suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(self.final.name)
        link.replace(self.home / CURRENT)
        self._tidy()

    def _tidy(self) -> None:
        for other in self.home.iterdir():
            replaced = other.is_dir() and not other.is_symlink() and other != self.final
            if replaced and not in_use(other):
                shutil.rmtree(other, ignore_errors=True)


def _mend_scripts(root: Path, final: Path) -> None:
    """Scripts name the interpreter by its whole path, which the rename changes."""
    made, used = str(root).encode(), str(final).encode()
    for path in (root / "bin").iterdir():
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            if file.read(2) != b"#!" and path.suffix:
                continue
        content = path.read_bytes()
        if made in content and b"\0" not in content[:1024]:
            path.write_bytes(content.replace(made, used))
