"""A workload as it is asked for: `kind:option=value,…`, or the same as a mapping in a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilotlight.errors import BenchError


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    kind: str
    options: Mapping[str, Any]

    @property
    def text(self) -> str:
        """As one writes it; what is only a path needs no name."""
        parts = [
            str(value) if name == "path" else f"{name}={_shown(value)}"
            for name, value in self.options.items()
        ]
        return ":".join([self.kind, ",".join(parts)]) if parts else self.kind


def _shown(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def parse_spec(asked: str | Mapping[str, Any] | WorkloadSpec) -> WorkloadSpec:
    """Raises BenchError: it is neither form."""
    if isinstance(asked, WorkloadSpec):
        return asked
    if isinstance(asked, str):
        return _from_text(asked)
    options = dict(asked)
    kind = options.pop("kind", None)
    if not isinstance(kind, str):
        raise BenchError(
            f"the workload {dict(asked)!r} has no kind", hint="such as {kind: fixed, input: 512}"
        )
    return WorkloadSpec(kind, options)


# Commas part options, but for those inside of lognormal(512,0.8).
_COMMAS = re.compile(r",(?![^()]*\))")


def _from_text(text: str) -> WorkloadSpec:
    kind, _, rest = text.strip().partition(":")
    options: dict[str, str] = {}
    for at, part in enumerate(_COMMAS.split(rest) if rest else ()):
        name, equals, value = part.partition("=")
        if not equals and at == 0:
            name, value = "path", part
        elif not equals:
            raise BenchError(
                f"the workload {text!r} has {part!r} where an option is due",
                hint="write options as name=value, with commas between them",
            )
        if name.strip() in options:
            raise BenchError(f"the workload {text!r} has {name.strip()!r} twice")
        options[name.strip()] = value.strip()
    return WorkloadSpec(kind, options)
