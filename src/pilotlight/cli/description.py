"""One model of a running server, for a reader: what it is, what it takes, what it can do."""

from __future__ import annotations

import difflib
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pilotlight.errors import UnknownModelError
from pilotlight.quantities import about_bytes

_WIDTH = 100
_LABEL = 12
# The switches of an entry's capabilities, in the order they are shown.
_ABILITIES = (
    "tools", "schema", "logprobs", "embeddings", "vision", "thinking", "lora", "sleep", "standby",
)  # fmt: skip


def find(models: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """The entry of the model with that name or alias. Raises UnknownModelError."""
    by_name = {each: model for model in models for each in (model["name"], *model["aliases"])}
    if name in by_name:
        return by_name[name]
    close = difflib.get_close_matches(name, list(by_name), n=1)
    served = ", ".join(model["name"] for model in models)
    raise UnknownModelError(
        f"no model {name!r} is served there",
        hint=f"did you mean {close[0]!r}?" if close else f"served: {served}",
    )


def show_model(model: Mapping[str, Any]) -> str:
    lines = [*_identity(model), *_size(model)]
    if model["capabilities"] is None:
        lines += _line("can", "nobody knows before its file was here: pilotlight pull, or ask it")
    else:
        lines += _capabilities(model["capabilities"])
    return "\n".join(lines)


def _identity(model: Mapping[str, Any]) -> Iterator[str]:
    yield from _line("model", model["name"])
    yield from _line("aliases", ", ".join(model["aliases"]))
    yield from _line("ref", model["ref"])
    yield from _line("engine", f"{model['engine']} ({model['build']})")
    yield from _line("options", json.dumps(model["options"]) if model["options"] else "")
    yield from _line("state", model["state"])
    adapters = model.get("adapters", {})
    shown = (name if state == "ready" else f"{name} ({state})" for name, state in adapters.items())
    yield from _line("adapters", ", ".join(shown))


def _size(model: Mapping[str, Any]) -> Iterator[str]:
    size = model["size_bytes"]
    yield from _line("size", about_bytes(size) if size is not None else "")
    context = model["context"]
    yield from _line("context", f"{context} tokens a request" if context else "")
    yield from _line("slots", str(model.get("slots") or ""))
    yield from _line("memory", ", ".join(_memory(model)))


def _memory(model: Mapping[str, Any]) -> Iterator[str]:
    if (measured := model.get("measured_bytes")) is not None:
        yield f"{about_bytes(measured)} measured"
    if (predicted := model.get("predicted_bytes")) is not None:
        yield f"{about_bytes(predicted)} predicted ({model['predicted_by']})"


def _capabilities(can: Mapping[str, Any]) -> Iterator[str]:
    yield from _line("operations", ", ".join(can["operations"]))
    yield from _line("over chat", ", ".join(can["carried"]))
    yield from _line("can", ", ".join(name for name in _ABILITIES if can[name]))
    yield from _line("can't", ", ".join(name for name in _ABILITIES if not can[name]))
    for operation, names in can["lacks"].items():
        yield from _line("refuses", f"{operation}: {', '.join(names)}")
    for operation, names in can["parameters"].items():
        yield from _line("honours", f"{operation}: {', '.join(names)}")


def _line(label: str, text: str) -> list[str]:
    """Wrapped under itself; nothing for an empty text."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=label.ljust(_LABEL),
        subsequent_indent=" " * _LABEL,
        break_long_words=False,
        break_on_hyphens=False,
    )
