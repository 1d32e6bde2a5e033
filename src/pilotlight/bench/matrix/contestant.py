"""One of those that are held against each other."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import msgspec

from pilotlight.bench.subjects.recipe import Recipe, wire_name
from pilotlight.engines.registry import FACTORIES
from pilotlight.errors import BenchError


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """Either an `address`, or a `recipe` that is started for each of its turns."""

    name: str
    recipe: Recipe | None = None
    address: str | None = None
    model: str | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def slug(self) -> str:
        """For file names: readable, and another for any other contestant."""
        told = (self.name, self.address, self.model, self.recipe)
        digest = hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:8]
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', self.name).strip('-')[:60]}-{digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A model's weights, and the engines that can run them in this form."""

    name: str
    ref: str
    engines: tuple[str, ...]


def started(
    weights: Iterable[Weights],
    options: Mapping[str, Sequence[Any]],
    engines: Mapping[str, Any] | None = None,
) -> Iterator[Contestant]:
    """Every one of `weights` on each of its engines with each combination of `options`.

    An option is for all engines, or for one as ``llamacpp.parallel``.
    """
    for each in weights:
        for engine in each.engines:
            for chosen in _combinations(_of_engine(options, engine)):
                # What tells them apart, in the order in which a reader looks for it.
                shown = (f"{key}={value}" for key, value in chosen.items())
                yield Contestant(
                    name=" ".join((engine, each.name, *shown)),
                    recipe=Recipe(
                        name=wire_name(each.name),
                        ref=each.ref,
                        engine=engine,
                        options=chosen,
                        engines=engines or {},
                    ),
                )


def _of_engine(options: Mapping[str, Sequence[Any]], engine: str) -> dict[str, Sequence[Any]]:
    found: dict[str, Sequence[Any]] = {}
    for name, values in options.items():
        prefix, dot, own = name.partition(".")
        if not dot:
            found[name] = values
        elif prefix == engine:
            found[own] = values
        elif prefix not in FACTORIES:
            raise BenchError(
                f"no engine is called {prefix!r}, which {name!r} is an option of",
                hint=f"there are {', '.join(FACTORIES)}",
            )
    return found


def _combinations(options: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for values in product(*options.values()):
        yield dict(zip(options, values, strict=True))


def distinct(contestants: Iterable[Contestant]) -> tuple[Contestant, ...]:
    """Raises BenchError: fewer than two, or two of one name."""
    found = tuple(contestants)
    if len(found) < 2:
        raise BenchError(
            f"a matrix of {len(found)} has nothing to compare",
            hint="name several models, engines or values of an option",
        )
    for at, one in enumerate(found):
        if any(one.name == other.name for other in found[:at]):
            raise BenchError(f"two are called {one.name!r}", hint="give them names of their own")
    return found
