"""Type checks of JSON values, made of closures built once and called per request.

A check takes the dotted path of a value and the value; it returns nothing or
raises `FieldError` with that path. ``bool`` is never taken for a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pilotlight.errors import FieldError, UnsupportedParameterError
from pilotlight.gateway.wire.suggest import did_you_mean

Check = Callable[[str, Any], None]

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1


def anything(path: str, value: Any) -> None:
    """For fields whose shape only the engine knows."""


def string(path: str, value: Any) -> None:
    if type(value) is not str:
        raise FieldError(path, value, "a string")


def filled_string(path: str, value: Any) -> None:
    if type(value) is not str or not value:
        raise FieldError(path, value, "a string that isn't empty")


def boolean(path: str, value: Any) -> None:
    if type(value) is not bool:
        raise FieldError(path, value, "true or false")


def json_object(path: str, value: Any) -> None:
    if type(value) is not dict:
        raise FieldError(path, value, "an object")


def integer(low: int = -INT64_MAX - 1, high: int = INT64_MAX) -> Check:
    expected = f"a whole number {_between(low, high, INT64_MAX)}".rstrip()

    def check(path: str, value: Any) -> None:
        if type(value) is not int or not low <= value <= high:
            raise FieldError(path, value, expected)

    return check


def number(low: float = float("-inf"), high: float = float("inf")) -> Check:
    expected = f"a number {_between(low, high, float('inf'))}".rstrip()

    def check(path: str, value: Any) -> None:
        if type(value) not in (int, float) or not low <= value <= high:
            raise FieldError(path, value, expected)

    return check


def _between(low: float, high: float, infinity: float) -> str:
    if low <= -infinity:
        return f"up to {high}" if high < infinity else ""
    return f"between {low} and {high}" if high < infinity else f"of at least {low}"


def one_of(*values: str) -> Check:
    expected = "one of " + ", ".join(repr(value) for value in values)

    def check(path: str, value: Any) -> None:
        if value not in values:
            raise FieldError(path, value, expected)

    return check


def array(item: Check, *, at_least: int = 0) -> Check:
    expected = "an array" if not at_least else f"an array of at least {at_least}"

    def check(path: str, value: Any) -> None:
        if type(value) is not list or len(value) < at_least:
            raise FieldError(path, value, expected)
        for index, each in enumerate(value):
            item(f"{path}[{index}]", each)

    return check


def shape(fields: Mapping[str, Check], *required: str) -> Check:
    """An object of these fields and no others; null is absent, `required` must be there."""

    def check(path: str, value: Any) -> None:
        json_object(path, value)
        for name in required:
            if value.get(name) is None:
                raise FieldError(f"{path}.{name}", None, "a value, for it is required")
        for name, each in value.items():
            if each is None:
                continue
            known = fields.get(name)
            if known is None:
                raise UnsupportedParameterError(
                    f"{path + '.' + name!r} is not a field of {path!r}",
                    param=f"{path}.{name}",
                    hint=did_you_mean(name, fields),
                )
            known(f"{path}.{name}", each)

    return check


def variant(tag: str, shapes: Mapping[str, Check], hint: str) -> Check:
    """An object whose `tag` names its shape, such as a content part by its ``type``."""
    expected = " or ".join(repr(name) for name in shapes)

    def check(path: str, value: Any) -> None:
        json_object(path, value)
        kind = value.get(tag)
        if type(kind) is not str:
            raise FieldError(f"{path}.{tag}", kind, expected)
        known = shapes.get(kind)
        if known is None:
            raise UnsupportedParameterError(
                f"{path + '.' + tag!r} is {kind!r}, and only {expected} is served",
                param=f"{path}.{tag}",
                hint=hint,
            )
        known(path, value)

    return check


def string_or(other: Check) -> Check:
    """A plain string, the fast case, or whatever `other` takes."""

    def check(path: str, value: Any) -> None:
        if type(value) is not str:
            other(path, value)

    return check


strings = array(string)
stop = string_or(array(string))
