"""What came out of a build, and how it is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pilotlight.quantities import about_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    purpose: str
    digest: str
    """Of its unpacked content: equal layers aren't sent again."""

    size_bytes: int | None
    """Unpacked; None for what was made inside the build."""

    sent_bytes: int | None = None
    """As it travels; known once it was pushed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    image: str
    """What a target is given: by digest where it was pushed, else by the tag on this machine."""

    id: str
    digest: str | None
    """Of the pushed manifest."""

    base: str
    """By digest, wherever that could be found out."""

    layers: tuple[Layer, ...]
    """Ours, over the base's, the lowest first."""

    notes: tuple[str, ...] = ()


def text(built: Built) -> str:
    return "\n".join(_lines(built))


def _lines(built: Built) -> Iterator[str]:
    yield f"image   {built.image}"
    yield f"id      {built.id}"
    yield f"base    {built.base}"
    for layer in built.layers:
        size = "made in the build" if layer.size_bytes is None else about_bytes(layer.size_bytes)
        sent = "" if layer.sent_bytes is None else f", {about_bytes(layer.sent_bytes)} sent"
        yield f"layer   {layer.purpose:<14} {size}{sent}"
    yield from built.notes
