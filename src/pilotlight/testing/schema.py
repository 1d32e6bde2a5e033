"""The smallest value a JSON schema allows: what the fake says where JSON is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def example(schema: Mapping[str, Any]) -> Any:
    """A value of `schema`; covers type, enum, const, properties, required, items, anyOf."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for branch in ("anyOf", "oneOf", "allOf"):
        if schema.get(branch):
            return example(schema[branch][0])
    kind = schema.get("type", "object")
    return _BY_TYPE[kind[0] if isinstance(kind, list) else kind](schema)


def _object(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    return {name: example(properties.get(name, {})) for name in schema.get("required", properties)}


def _array(schema: Mapping[str, Any]) -> list[Any]:
    return [example(schema.get("items", {}))] * int(schema.get("minItems", 1))


def _number(schema: Mapping[str, Any]) -> Any:
    return schema.get("minimum", 1)


_BY_TYPE: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "object": _object,
    "array": _array,
    "string": lambda schema: "flame".ljust(int(schema.get("minLength", 0)), "."),
    "integer": _number,
    "number": _number,
    "boolean": lambda schema: True,
    "null": lambda schema: None,
}
