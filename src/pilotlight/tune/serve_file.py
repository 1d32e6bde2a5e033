"""What the search chose, as a file that `pilotlight serve` runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pilotlight.tune.setting import Setting


def serve_file(name: str, setting: Setting, notes: Sequence[str], policy: Mapping[str, Any]) -> str:
    """`notes` go atop, a comment line each; `policy` are the model's other settings."""
    lines = [*(f"# {note}" for note in notes), "models:", f"  {json.dumps(name)}:"]
    entry = {"ref": setting.ref, "engine": setting.engine, **policy}
    lines += [f"    {key}: {json.dumps(value)}" for key, value in entry.items()]
    if setting.options:
        lines.append("    options:")
    lines += [f"      {key}: {json.dumps(value)}" for key, value in sorted(setting.options.items())]
    return "\n".join([*lines, ""])
