"""What a model of the fake engine can be told to be."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from pilotlight.errors import EngineOptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    """Delays and faults as well as sizes; tokens are counted within one answer."""

    parallel: int = 4
    """Slots; named as llama.cpp names them, as what-fits advice does too."""

    context: int = 4096
    words: int = 16
    """Tokens of an answer that nothing cuts short."""

    embedding_length: int = 8
    ram_bytes: int = 16 * 2**20
    """What `predict` says; a loaded process takes `measured_ram_bytes`, or this."""

    measured_ram_bytes: int | None = None
    load_steps: int = 1
    load_delay_ms: float = 0.0
    """For each step of a load."""

    token_delay_ms: float = 0.0
    fail_load: str | None = None
    """A load fails with these words."""

    crash_after: int | None = None
    """The process ends when an answer needs more tokens than this; 0 hits the canary too."""

    stall_after: int | None = None
    """An answer makes this many tokens and then nothing, for ever."""

    sleep: bool = True
    standby: bool = True
    early: str | None = None
    """What comes of an early load: it ``loads``, ``spoils``, ``fails`` or ``hangs``."""

    vision: bool = False
    tools: bool = True
    lora: str | None = None
    """How adapters come to a loaded process: ``live`` as on vLLM, ``reload`` as on llama.cpp."""

    counts: bool = True
    """A stream says its tokens by itself, as llama.cpp's timings do; else only when asked."""

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises EngineOptionError for an unknown option or a wrong value, by name."""
        hints = typing.get_type_hints(cls)
        for name, value in given.items():
            if name not in hints:
                raise _unknown(name, list(hints))
            expected, accepts = _KINDS[hints[name]]
            if not accepts(value):
                raise _wrong(name, value, expected)
            if name in _AT_LEAST_ONE and value < 1:
                raise _wrong(name, value, "at least 1")
        return cls(**given)

    def as_json(self) -> dict[str, Any]:
        """Only what differs from the defaults; `parse` takes it back."""
        default = {item.name: item.default for item in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != default[name]}


_AT_LEAST_ONE = ("parallel", "context", "words", "embedding_length", "load_steps")


def _unknown(name: str, known: list[str]) -> EngineOptionError:
    close = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}"
    return EngineOptionError(f"the fake engine has no option {name!r}", hint=hint)


def _wrong(name: str, value: Any, expected: str) -> EngineOptionError:
    return EngineOptionError(
        f"option {name!r} of the fake engine is {value!r}, expected {expected}",
        hint=f"give {name!r} {expected}",
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_delay(value: Any) -> bool:
    return type(value) in (int, float) and value >= 0


_KINDS: Mapping[Any, tuple[str, Callable[[Any], bool]]] = {
    int: ("a whole number", _is_count),
    int | None: ("a whole number or null", lambda value: value is None or _is_count(value)),
    float: ("a number of milliseconds", _is_delay),
    bool: ("true or false", lambda value: type(value) is bool),
    str | None: ("a text or null", lambda value: value is None or isinstance(value, str)),
}
