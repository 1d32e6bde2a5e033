"""What an option's value may be: each kind reads one raw value or says what it expected.

Raw values come from YAML, JSON or a flag, so ``"4"`` is a whole number and the
``on`` that YAML turns into ``True`` is a switch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotlight.quantities import parse_bytes

_SWITCH = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Kind:
    """`parse` raises ValueError or TypeError for a value that is not `expected`."""

    expected: str
    parse: Callable[[Any], Any]


def whole(minimum: int | None = None, maximum: int | None = None) -> Kind:
    def parse(raw: Any) -> int:
        if isinstance(raw, bool | float) and not (isinstance(raw, float) and raw.is_integer()):
            raise ValueError
        value = int(raw)
        _check_range(value, minimum, maximum)
        return value

    return Kind(f"a whole number{_range(minimum, maximum)}", parse)


def real(minimum: float | None = None, maximum: float | None = None) -> Kind:
    def parse(raw: Any) -> float:
        if isinstance(raw, bool):
            raise ValueError
        value = float(raw)
        if not math.isfinite(value):
            raise ValueError
        _check_range(value, minimum, maximum)
        return value

    return Kind(f"a number{_range(minimum, maximum)}", parse)


def _check_range(value: float, minimum: float | None, maximum: float | None) -> None:
    if minimum is not None and value < minimum:
        raise ValueError
    if maximum is not None and value > maximum:
        raise ValueError


def _range(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f" from {minimum} to {maximum}"
    if minimum is not None:
        return f" of at least {minimum}"
    return "" if maximum is None else f" of at most {maximum}"


def switch() -> Kind:
    return Kind("on or off", _parse_switch)


def _parse_switch(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.lower() in _SWITCH:
        return _SWITCH[raw.lower()]
    raise ValueError


def one_of(*names: str) -> Kind:
    """One of `names`; YAML's booleans stand for ``on`` and ``off`` where those are names."""

    def parse(raw: Any) -> str:
        name = ("on" if raw else "off") if isinstance(raw, bool) else raw
        if name not in names:
            raise ValueError
        return str(name)

    return Kind(f"one of {', '.join(names)}", parse)


def layers() -> Kind:
    """How much of a model goes to accelerators."""
    count = whole(0)

    def parse(raw: Any) -> str | int:
        return str(raw) if raw in ("auto", "all") else int(count.parse(raw))

    return Kind("auto, all or a whole number of at least 0", parse)


def text() -> Kind:
    def parse(raw: Any) -> str:
        if not isinstance(raw, str) or not raw:
            raise ValueError
        return raw

    return Kind("a text", parse)


def template() -> Kind:
    """llama.cpp takes any other word for a template, and would send it as the whole prompt."""

    def parse(raw: Any) -> str:
        if not isinstance(raw, str) or not (raw == "chatml" or "{{" in raw or "{%" in raw):
            raise ValueError
        return raw

    return Kind("chatml or the text of a Jinja template", parse)


def size() -> Kind:
    return Kind("a size such as 512MiB", parse_bytes)


def file_path() -> Kind:
    return Kind("the path of an existing file", _parse_file)


def _parse_file(raw: Any) -> Path:
    path = Path(raw).expanduser().absolute()
    if not path.is_file():
        raise ValueError
    return path


def numbers() -> Kind:
    def parse(raw: Any) -> tuple[float, ...]:
        items = raw.split(",") if isinstance(raw, str) else raw
        values = tuple(float(item) for item in items)
        if not values or min(values) < 0 or not any(values):
            raise ValueError
        return values

    return Kind("a list of proportions such as [3, 1]", parse)


def mapping() -> Kind:
    def parse(raw: Any) -> Mapping[str, Any]:
        if not isinstance(raw, Mapping) or not all(isinstance(key, str) for key in raw):
            raise ValueError
        return dict(raw)

    return Kind("a mapping", parse)
