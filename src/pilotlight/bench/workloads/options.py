"""What can be set about a kind of workload: declared once, read from a text or from a file."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from pilotlight.bench.workloads.lengths import EXPECTED, parse_length
from pilotlight.errors import BenchError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reader:
    """`parse` raises ValueError or TypeError for a value that isn't `expected`."""

    expected: str
    parse: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class OptionFacts:
    """For --help and the docs. `default` None is none: it must be given, or is without effect."""

    name: str
    default: str | None
    required: bool
    expected: str
    help: str


def option(reader: Reader, help: str, *, default: Any = MISSING) -> Any:
    """A field of an options class; one without a default must be given."""
    metadata = {"reader": reader, "help": help}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=reader.parse(default) if default is not None else None, metadata=metadata)


def _whole(least: int) -> Callable[[Any], int]:
    def parse(raw: Any) -> int:
        if isinstance(raw, bool | float):
            raise ValueError
        value = int(raw)
        if value < least:
            raise ValueError
        return value

    return parse


def _real(raw: Any) -> float:
    value = float(raw)
    if isinstance(raw, bool) or not 0 <= value < float("inf"):
        raise ValueError
    return value


def _switch(raw: Any) -> bool:
    words = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
    if str(raw).lower() not in words:
        raise ValueError
    return words[str(raw).lower()]


def _one_of(*names: str) -> Callable[[Any], str]:
    def parse(raw: Any) -> str:
        if raw not in names:
            raise ValueError
        return str(raw)

    return parse


LENGTH = Reader(EXPECTED, parse_length)
COUNT = Reader("a whole number from 1", _whole(1))
TOKENS = Reader("a whole number from 0", _whole(0))
SECONDS = Reader("seconds, from 0", _real)
SWITCH = Reader("yes or no", _switch)
PATH = Reader("the path of a file", lambda raw: Path(str(raw)).expanduser())
TEXT = Reader("a text", str)


def one_of(*names: str) -> Reader:
    return Reader(" or ".join(names), _one_of(*names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What can be set about any kind that has answers of so many tokens."""

    exact: bool = option(
        SWITCH,
        "every answer has all its tokens: end-of-text is ignored where the engine can do that",
        default=True,
    )
    tokenizer: Path | None = option(
        PATH, "the model's tokenizer.json, to count with it instead of the server", default=None
    )


def facts(kind: type) -> Iterator[OptionFacts]:
    for item in fields(kind):
        required = item.default is MISSING
        yield OptionFacts(
            item.name,
            None if required else _shown(item.default),
            required,
            item.metadata["reader"].expected,
            item.metadata["help"],
        )


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(getattr(value, "text", value))


def read_options(kind: type[T], given: Mapping[str, Any], where: str) -> T:
    """Raises BenchError: an unknown option, a wrong value, or one that is missing."""
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'none'}"
            raise BenchError(f"the workload {where!r} has no option {name!r}", hint=hint)
    for name, item in known.items():
        if item.default is MISSING and name not in given:
            raise BenchError(
                f"the workload {where!r} needs {name!r}: {item.metadata['help']}",
                hint=f"write {where}:{name}=…, with {item.metadata['reader'].expected}",
            )
    return kind(**{name: _value(known[name], raw, where) for name, raw in given.items()})


def _value(item: Any, raw: Any, where: str) -> Any:
    reader: Reader = item.metadata["reader"]
    try:
        return reader.parse(raw)
    except (ValueError, TypeError, OverflowError):
        raise BenchError(
            f"the workload {where!r} has {item.name}={raw!r}, expected {reader.expected}",
            hint=f"{item.name} is {item.metadata['help']}",
        ) from None
