"""What is, and what shall be, as plain documents by name; their difference is what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

Files = Mapping[str, str]
"""Path in the folder, text. In the order in which a reader should look at them."""

Resources = Mapping[str, Mapping[str, Any]]
"""The platform's own name of a thing (``function/chat``), and its document as plain data.

A target's `live` holds only the fields that its `wanted` names, in the same form, so that two
equal documents mean that there is nothing to do.
"""

Action = Literal["create", "update", "delete"]


@dataclass(frozen=True, slots=True)
class Change:
    action: Action
    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    def text(self) -> str:
        """A unified diff of the two documents."""
        lines = difflib.unified_diff(
            _lines(self.before), _lines(self.after), "live", "wanted", lineterm=""
        )
        return "\n".join([f"{self.action} {self.name}", *lines])


def changes(live: Resources, wanted: Resources) -> Iterator[Change]:
    """In the order of `wanted`; what is only live goes last, in reverse: users before used."""
    for name, after in wanted.items():
        before = live.get(name)
        if before is None:
            yield Change("create", name, None, after)
        elif before != after:
            yield Change("update", name, before, after)
    for name in reversed([name for name in live if name not in wanted]):
        yield Change("delete", name, live[name], None)


def _lines(document: Mapping[str, Any] | None) -> list[str]:
    if document is None:
        return []
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).splitlines()
