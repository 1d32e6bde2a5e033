"""This package's data files, read once."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def read(name: str) -> dict[str, Any]:
    text = files(__package__).joinpath("data", name).read_text(encoding="utf-8")
    tree: dict[str, Any] = yaml.load(text, Loader=_Loader)
    return tree
