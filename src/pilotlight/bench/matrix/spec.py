"""A matrix as a file has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pilotlight import strict_yaml
from pilotlight.bench.matrix.contestant import Contestant, Weights, started
from pilotlight.bench.subjects.recipe import Recipe
from pilotlight.errors import BenchError


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model's weights, in the form that `engines` run."""

    ref: str
    engines: tuple[str, ...] = ("llamacpp",)


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One contestant, as it is."""

    name: str
    ref: str | None = None
    engine: str | None = None
    """llamacpp where it isn't said."""

    options: dict[str, Any] = msgspec.field(default_factory=dict)
    engines: dict[str, Any] = msgspec.field(default_factory=dict)
    """The file's section of that name, such as another program for one engine."""

    url: str | None = None
    model: str | None = None


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`models` × their engines × `options`, and `subjects` one by one, under `load`."""

    models: dict[str, Model | str] = msgspec.field(default_factory=dict)
    options: dict[str, list[Any]] = msgspec.field(default_factory=dict)
    subjects: tuple[Entry, ...] = ()
    load: dict[str, Any] = msgspec.field(default_factory=dict)
    """By the names of the command's flags, which go before it."""


def read(path: Path) -> Spec:
    """Raises ConfigError, BenchError: where it is wrong."""
    try:
        return msgspec.convert(strict_yaml.read(path) or {}, Spec)
    except msgspec.ValidationError as error:
        raise BenchError(
            f"{str(path)!r} is no matrix: {error}", hint="see docs/bench.md for one"
        ) from None


def contestants(spec: Spec) -> Iterator[Contestant]:
    for name, model in spec.models.items():
        known = Model(model) if isinstance(model, str) else model
        yield from started([Weights(name=name, ref=known.ref, engines=known.engines)], spec.options)
    yield from map(_contestant, spec.subjects)


def _contestant(entry: Entry) -> Contestant:
    if (entry.ref is None) == (entry.url is None):
        raise BenchError(
            f"the subject {entry.name!r} needs either a ref or an url",
            hint="ref: is started, url: is there already",
        )
    if entry.url is not None:
        _refuse_options(entry)
        return Contestant(name=entry.name, address=entry.url, model=entry.model)
    recipe = Recipe(
        name=entry.model or "model",
        ref=str(entry.ref),
        engine=entry.engine or "llamacpp",
        options=entry.options,
        engines=entry.engines,
    )
    return Contestant(name=entry.name, recipe=recipe)


def _refuse_options(entry: Entry) -> None:
    for name in ("engine", "options", "engines"):
        if getattr(entry, name):
            raise BenchError(
                f"the subject {entry.name!r} is an address, where {name} means nothing",
                hint="a server that is there runs with what it was started with",
            )
