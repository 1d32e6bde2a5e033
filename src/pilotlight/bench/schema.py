"""The published schema of reports, made from their types.

python -m pilotlight.bench.schema > docs/report.schema.json
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from pilotlight.bench.report import FORMAT, Report


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12; what a field's docstring says is its description."""
    (found,), parts = msgspec.json.schema_components([Report], ref_template="#/$defs/{name}")
    for kind in _kinds(Report, set()):
        fields = parts[kind.__name__]["properties"]
        parts[kind.__name__]["description"] = " ".join((kind.__doc__ or "").split())
        for name, text in _descriptions(kind).items():
            fields[name]["description"] = text
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": FORMAT,
        **found,
        "$defs": parts,
    }


def _kinds(annotation: Any, seen: set[type]) -> Iterator[type]:
    """Every dataclass that `annotation` is made of, once."""
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        if annotation in seen:
            return
        seen.add(annotation)
        yield annotation
        for hint in typing.get_type_hints(annotation).values():
            yield from _kinds(hint, seen)
    for part in typing.get_args(annotation):
        yield from _kinds(part, seen)


def _descriptions(kind: type) -> dict[str, str]:
    """The docstrings below its fields."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def main() -> None:
    print(json.dumps(schema(), indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
