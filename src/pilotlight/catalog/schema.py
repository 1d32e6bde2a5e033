"""Typed values from YAML nodes: the dataclasses are the schema, and nodes know their lines."""

from __future__ import annotations

import difflib
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from datetime import date
from typing import Annotated, Any, Literal

import yaml

from pilotlight.catalog.row import Bounds, FieldProblem

Parser = Callable[[yaml.Node, Any], Any]
"""From a node, and the value it partly replaces (None without one), to a value."""

NULL = "tag:yaml.org,2002:null"
BOOL = "tag:yaml.org,2002:bool"
TEXT = "tag:yaml.org,2002:str"


class Problem(Exception):
    """What is wrong at `node`; `path` grows on the way up through the fields."""

    def __init__(self, node: yaml.Node, text: str, *, hint: str | None = None) -> None:
        super().__init__(text)
        self.node = node
        self.text = text
        self.hint = hint
        self.path: tuple[str, ...] = ()

    def under(self, name: str) -> Problem:
        self.path = (name, *self.path)
        return self


def shown(node: yaml.Node) -> str:
    """The value as it stands in the file, shortened."""
    if isinstance(node, yaml.ScalarNode):
        text = repr(node.value) if node.value else "empty"
        return text if len(text) <= 80 else text[:77] + "..."
    return "a list" if isinstance(node, yaml.SequenceNode) else "keys and values"


def unexpected(node: yaml.Node, expected: str) -> Problem:
    return Problem(node, f"is {shown(node)}, expected {expected}")


def entries(node: yaml.Node, expected: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """A mapping's keys, with the nodes of key and value.

    Raises:
        Problem: `node` is no mapping, or has a key twice, of which the later would win unseen.
    """
    if not isinstance(node, yaml.MappingNode):
        raise unexpected(node, expected)
    found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise unexpected(key, "a text as the key")
        if key.value in found:
            raise Problem(key, "is there twice").under(key.value)
        found[key.value] = (key, value)
    return found


@functools.cache
def parser(kind: Any) -> Parser:
    """How values of the type `kind` are read."""
    if kind in _SCALARS:
        return _scalar(*_SCALARS[kind])
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind)
    return _COMPOSITES[typing.get_origin(kind)](kind)


def _scalar(expected: str, convert: Callable[[yaml.ScalarNode], Any]) -> Parser:
    def parse(node: yaml.Node, base: Any) -> Any:
        try:
            if not isinstance(node, yaml.ScalarNode) or node.tag == NULL:
                raise ValueError
            return convert(node)
        except ValueError:
            raise unexpected(node, expected) from None

    return parse


def _text(node: yaml.ScalarNode) -> str:
    if not node.value or node.tag == BOOL:
        raise ValueError
    return str(node.value)


def _number(node: yaml.ScalarNode) -> float:
    value = float(node.value)
    if not math.isfinite(value):
        raise ValueError
    return value


def _switch(node: yaml.ScalarNode) -> bool:
    if node.value not in ("true", "false"):
        raise ValueError
    return bool(node.value == "true")


_SCALARS: Mapping[Any, tuple[str, Callable[[yaml.ScalarNode], Any]]] = {
    str: ("a text", _text),
    float: ("a number", _number),
    int: ("a whole number", lambda node: int(node.value)),
    bool: ("true or false", _switch),
    date: ("a date such as 2026-11-20", lambda node: date.fromisoformat(node.value)),
}


def _annotated(kind: Any) -> Parser:
    plain, *notes = typing.get_args(kind)
    parse = parser(plain)
    bounds = next(note for note in notes if isinstance(note, Bounds))

    def bounded(node: yaml.Node, base: Any) -> Any:
        value = parse(node, base)
        if unmet := _unmet(bounds, value):
            raise unexpected(node, unmet)
        return value

    return bounded


def _unmet(bounds: Bounds, value: float) -> str:
    if bounds.above is not None and value <= bounds.above:
        return f"more than {bounds.above:g}"
    if bounds.at_least is not None and value < bounds.at_least:
        return f"at least {bounds.at_least:g}"
    if bounds.at_most is not None and value > bounds.at_most:
        return f"at most {bounds.at_most:g}"
    return ""


def _literal(kind: Any) -> Parser:
    choices = {str(choice): choice for choice in typing.get_args(kind)}

    def parse(node: yaml.Node, base: Any) -> Any:
        if not isinstance(node, yaml.ScalarNode) or node.value not in choices:
            raise unexpected(node, f"one of {', '.join(choices)}")
        return choices[node.value]

    return parse


def _union(kind: Any) -> Parser:
    members = typing.get_args(kind)
    real = [member for member in members if member is not types.NoneType]
    parse = parser(real[0]) if len(real) == 1 else _variants(real)
    if len(real) == len(members):
        return parse

    def optional(node: yaml.Node, base: Any) -> Any:
        return None if node.tag == NULL else parse(node, base)

    return optional


def _variants(classes: list[type]) -> Parser:
    """Dataclasses told apart by their field `kind`."""
    parsers = {
        choice: (cls, parser(cls))
        for cls in classes
        for choice in typing.get_args(_hints(cls)["kind"])
    }
    names = ", ".join(parsers)

    def parse(node: yaml.Node, base: Any) -> Any:
        given = entries(node, "keys and values")
        if "kind" not in given:
            raise Problem(node, f"has no kind, expected one of {names}")
        _, chosen = given["kind"]
        if not isinstance(chosen, yaml.ScalarNode) or chosen.value not in parsers:
            raise unexpected(chosen, f"one of {names}").under("kind")
        cls, parse_chosen = parsers[chosen.value]
        return parse_chosen(node, base if isinstance(base, cls) else None)

    return parse


def _tuple(kind: Any) -> Parser:
    members = typing.get_args(kind)
    endless = members[-1] is Ellipsis
    parsers = [parser(member) for member in members if member is not Ellipsis]

    def parse(node: yaml.Node, base: Any) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            raise unexpected(node, "a list")
        if not endless and len(node.value) != len(parsers):
            raise unexpected(node, f"a list of {len(parsers)}")
        readers = parsers * len(node.value) if endless else parsers
        pairs = zip(readers, node.value, strict=True)
        return tuple(_within(f"[{i}]", read, item) for i, (read, item) in enumerate(pairs))

    return parse


def _mapping(kind: Any) -> Parser:
    key_type, value_type = typing.get_args(kind)
    read_key, read_value = parser(key_type), parser(value_type)

    def parse(node: yaml.Node, base: Any) -> Any:
        given = entries(node, "keys and values")
        return types.MappingProxyType(
            {
                _within(name, read_key, key): _within(name, read_value, value)
                for name, (key, value) in given.items()
            }
        )

    return parse


_COMPOSITES: Mapping[Any, Callable[[Any], Parser]] = {
    Annotated: _annotated,
    Literal: _literal,
    types.UnionType: _union,
    typing.Union: _union,
    tuple: _tuple,
    Mapping: _mapping,
}


def _within(name: str, read: Parser, node: yaml.Node, base: Any = None) -> Any:
    try:
        return read(node, base)
    except Problem as problem:
        raise problem.under(name) from None


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _dataclass(cls: type) -> Parser:
    def parse(node: yaml.Node, base: Any) -> Any:
        return read_fields(cls, node, entries(node, "keys and values"), base, {})

    return parse


def read_fields(
    cls: Any,
    node: yaml.Node,
    given: Mapping[str, tuple[yaml.Node, yaml.Node]],
    base: Any,
    known: Mapping[str, Any],
) -> Any:
    """One `cls` from the fields `given` and those `known` from elsewhere, the rest from `base`.

    Raises:
        Problem: a field is unknown, missing or wrong.
    """
    readers = _readers(cls)
    values = dict(known)
    for name, (key, value) in given.items():
        if name not in readers or name in known:
            raise Problem(key, "is no field here", hint=_closest(name, readers)).under(name)
        values[name] = _within(name, readers[name], value, getattr(base, name, None))
    try:
        if base is not None:
            return replace(base, **values)
        _reject_missing(cls, node, values)
        return cls(**values)
    except FieldProblem as problem:
        culprit = _culprit(given, problem.field)
        if culprit is None:
            raise Problem(node, f"isn't {problem.expected}").under(problem.field) from None
        raise unexpected(culprit, problem.expected).under(problem.field) from None


def _culprit(given: Mapping[str, tuple[yaml.Node, yaml.Node]], path: str) -> yaml.Node | None:
    """The value at a dotted `path`; None where this file doesn't give it."""
    name, _, rest = path.partition(".")
    if name not in given:
        return None
    value = given[name][1]
    if not rest:
        return value
    return _culprit(entries(value, ""), rest) if isinstance(value, yaml.MappingNode) else None


@functools.cache
def _readers(cls: type) -> Mapping[str, Parser]:
    return {name: parser(kind) for name, kind in _hints(cls).items()}


def _closest(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def _reject_missing(cls: type, node: yaml.Node, values: Mapping[str, Any]) -> None:
    for item in fields(cls):
        needed = item.default is MISSING and item.default_factory is MISSING
        if needed and item.name not in values:
            raise Problem(node, "is missing").under(item.name)
