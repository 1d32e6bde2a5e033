"""What an Ollama server says of one model, kept in a file so that nobody has to ask again."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotlight.errors import SourceError

_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Shown:
    """From ``/api/show``; `abilities` in its words: completion, embedding, tools, vision, …"""

    abilities: frozenset[str]
    num_ctx: int | None
    """What its model file sets; None where the server's own default holds."""

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Shown:
        """Servers from before May 2025 list no capabilities: then their template tells."""
        listed = answer.get("capabilities")
        stated = isinstance(listed, list) and bool(listed)
        abilities = frozenset(map(str, listed)) if stated and listed else _guessed(answer)
        found = _NUM_CTX.search(str(answer.get("parameters") or ""))
        return cls(abilities, int(found[1]) if found else None)

    def write(self, path: Path) -> None:
        """Whole or not at all: another gateway may be reading it. Raises SourceError."""
        tree = {"abilities": sorted(self.abilities), "num_ctx": self.num_ctx}
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(tree, indent=1))
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise SourceError(
                f"what the Ollama server says of the model can't be kept: {error}",
                hint="make room, or set data_dir to a place that can be written",
            ) from None

    @classmethod
    def read(cls, path: Path) -> Shown:
        """Raises SourceError for a file that was removed or changed behind our back."""
        try:
            tree = json.loads(path.read_text())
            return cls(frozenset(tree["abilities"]), tree["num_ctx"])
        except (OSError, ValueError, KeyError, TypeError):
            raise SourceError(
                f"what the Ollama server said of the model is not in {str(path)!r} any more",
                hint="restart the gateway: it asks again",
            ) from None


def _guessed(answer: Mapping[str, Any]) -> frozenset[str]:
    template = str(answer.get("template") or "")
    info = answer.get("model_info") or {}
    embeds = any(str(key).endswith(".pooling_type") for key in info)
    found = {"embedding"} if embeds else {"completion"}
    if ".Tools" in template:
        found.add("tools")
    if answer.get("projector_info"):
        found.add("vision")
    return frozenset(found)
