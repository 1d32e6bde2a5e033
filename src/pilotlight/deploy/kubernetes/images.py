"""Engines as container images: dated facts, by the engine's kind."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.deploy.kubernetes.facts import read


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineImage:
    kind: str
    title: str
    server: str
    """Whose request fields its pods honour, in the kubernetes engine's words."""

    image: str | None = None
    ours: bool = False
    """It is an instance of Pilotlight, in the release's own image."""

    guarded: bool = False
    """It listens on its pod's loopback, behind a container of ours that asks for the key."""

    port: int = 8080
    ready: str | None = None
    command: tuple[str, ...] = ()
    """Its whole command line, where no preset of ours knows it."""

    missing: str = ""
    """Why no image is known that would do, for the violation that says so."""

    source: str = ""

    @property
    def known(self) -> bool:
        """Whether anything here knows how to run it in a pod."""
        return bool(self.ours or self.image or self.command)


def find(kind: str) -> EngineImage:
    row = read("engines.yaml")["engines"].get(kind)
    if row is None:
        return EngineImage(kind=kind, title=kind, server="openai")
    command = tuple(row.get("command") or ())
    return EngineImage(kind=kind, **{**row, "command": command})


def kinds() -> tuple[str, ...]:
    return tuple(read("engines.yaml")["engines"])
