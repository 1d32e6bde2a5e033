"""One data file: kinds, in each rows by name, in each row its fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pilotlight.catalog.kinds import KINDS, Kind
from pilotlight.catalog.row import Row
from pilotlight.catalog.schema import BOOL, NULL, TEXT, Problem, entries, read_fields
from pilotlight.errors import ConfigError
from pilotlight.strict_yaml import parsed

Rows = dict[str, dict[str, Any]]
"""By kind, then by name."""

# libyaml's parser reads these files nine times as fast as the one in Python.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS = {"true": BOOL, "false": BOOL, "null": NULL, "~": NULL, "": NULL}


class _Nodes(_Parser):  # type: ignore[misc]
    """Leaves a scalar's type to the field it is for: guessing each by its looks took half the time.

    So `no` is a text where a text is due, and a version `3.10` isn't a number.
    """

    def descend_resolver(self, *place: Any) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        if kind is not yaml.ScalarNode:
            return f"tag:yaml.org,2002:{'seq' if kind is yaml.SequenceNode else 'map'}"
        return _WORDS.get(value or "", TEXT) if implicit[0] else TEXT


def read_rows(path: Path, rows: Rows, *, new: bool = False) -> None:
    """Lay the rows of the file at `path` over `rows`; `new`: none may be there already.

    Raises:
        ConfigError: it can't be read, or a row is wrong.
    """
    tree = _compose(path)
    if tree is None:
        return
    try:
        _read_kinds(tree, rows, new)
    except Problem as problem:
        line = problem.node.start_mark.line + 1
        where = ".".join(problem.path).replace(".[", "[")
        message = f"{path}:{line}: {where or 'the file'} {problem}"
        raise ConfigError(message, hint=problem.hint) from None


def _compose(path: Path) -> yaml.Node | None:
    def compose(text: str) -> yaml.Node | None:
        return yaml.compose(text, _Nodes)

    return parsed(path, compose, "a catalog file", columns=False)


def _read_kinds(tree: yaml.Node, rows: Rows, new: bool) -> None:
    for kind_name, (key, table) in entries(tree, "kinds such as gpus, each with its rows").items():
        if kind_name not in KINDS:
            known = f"kinds are {', '.join(KINDS)}"
            raise Problem(key, "is no kind of row", hint=known).under(kind_name)
        try:
            _read_table(KINDS[kind_name], table, rows[kind_name], new)
        except Problem as problem:
            raise problem.under(kind_name) from None


def _read_table(kind: Kind, table: yaml.Node, rows: dict[str, Any], new: bool) -> None:
    for name, (key, node) in entries(table, "rows by name").items():
        try:
            if new and name in rows:
                raise Problem(key, "is there twice")
            rows[name] = _row(kind, key, node, rows.get(name))
        except Problem as problem:
            raise problem.under(name) from None


def _row(kind: Kind, key: yaml.Node, node: yaml.Node, base: Row | None) -> Row:
    given = entries(node, "a row's fields")
    for needed in ("source", "as_of"):
        if needed not in given:
            raise Problem(key, "is missing", hint=_WHY).under(needed)
    row: Row = read_fields(kind.row, key, given, base, {"name": key.value})
    return row


_WHY = "every row says where its figures are from, and of which day"
