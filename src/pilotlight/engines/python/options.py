"""What can be set about a model that is a class of the user's own."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from pilotlight.engines.llamacpp import kinds
from pilotlight.engines.llamacpp.kinds import Kind
from pilotlight.errors import EngineOptionError


def _option(default: Any, kind: Kind, help: str, *, hidden: bool = False) -> Any:
    """`hidden` keeps a wrong value out of its refusal: it may hold a key."""
    metadata = {"kind": kind, "help": help, "hidden": hidden}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def _keywords(raw: Any) -> Mapping[str, Any]:
    found = kinds.mapping().parse(raw)
    json.dumps(found, allow_nan=False)
    return found  # type: ignore[no-any-return]


def _environment(raw: Any) -> Mapping[str, str]:
    found = kinds.mapping().parse(raw)
    if not all(isinstance(value, str | int) for value in found.values()):
        raise ValueError
    return {name: str(value) for name, value in found.items()}


_KEYWORDS = Kind("a mapping of what JSON can hold", _keywords)
_ENVIRONMENT = Kind("a mapping of names to texts", _environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One model's options."""

    kwargs: Mapping[str, Any] = _option(
        dict, _KEYWORDS, "keywords the class is made with", hidden=True
    )
    python: Path | None = _option(
        None, kinds.file_path(), "the interpreter, such as a virtual environment's; else this one"
    )
    parallel: int = _option(1, kinds.whole(1, 4096), "requests worked on at once")
    context: int | None = _option(
        None, kinds.whole(1), "tokens one request may use; the class gets it as a keyword too"
    )
    memory_bytes: int | None = _option(
        None, kinds.size(), "memory of one replica, until one was measured"
    )
    env: Mapping[str, str] = _option(
        dict,
        _ENVIRONMENT,
        "environment variables; $NAME stands for the server's own",
        hidden=True,
    )

    @property
    def interpreter(self) -> Path:
        return self.python or Path(sys.executable)

    @property
    def keywords(self) -> Mapping[str, Any]:
        context = {} if self.context is None else {"context": self.context}
        return {**self.kwargs, **context}


def read(given: Mapping[str, Any]) -> Options:
    """`given`, checked; None means not given.

    Raises:
        EngineOptionError: an unknown option or a wrong value, by name.
    """
    known = {item.name: item for item in fields(Options)}
    values = {}
    for name, raw in given.items():
        if name not in known:
            raise _unknown(name, list(known))
        if raw is not None:
            values[name] = _value(name, raw, known[name])
    return Options(**values)


def _unknown(name: str, known: list[str]) -> EngineOptionError:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"its options: {', '.join(known)}"
    return EngineOptionError(
        f"the python engine has no option {name!r}",
        hint=f"{hint}; what the class itself takes goes under kwargs",
    )


def _value(name: str, raw: Any, item: Field[Any]) -> Any:
    kind: Kind = item.metadata["kind"]
    try:
        return kind.parse(raw)
    except (ValueError, TypeError, OverflowError):
        shown = "(hidden)" if item.metadata["hidden"] else repr(raw)
        raise EngineOptionError(
            f"the python option {name!r} is {shown}, expected {kind.expected}",
            hint="correct the model's options",
        ) from None
