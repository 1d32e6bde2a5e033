"""From a target to its class: a file or a module, imported as Python would."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from .refusal import LoadError, log, words


def find(target: Mapping[str, Any]) -> Any:
    """The class. Raises LoadError; what the import raised is logged."""
    where = target["file"] or target["module"]
    try:
        module = _from_file(target["file"]) if target["file"] else _from_path(target["module"])
    except BaseException as error:  # SystemExit too: a script that is no module
        log(error)
        raise LoadError(f"importing {where!r} failed: {words(error)}") from None
    kind = getattr(module, target["class"], None)
    if not isinstance(kind, type):
        raise LoadError(f"{where!r} has no class {target['class']!r}", _nearest(module, target))
    return kind


def _nearest(module: ModuleType, target: Mapping[str, Any]) -> str:
    known = [name for name, value in vars(module).items() if isinstance(value, type)]
    close = difflib.get_close_matches(target["class"], known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"its classes: {', '.join(known) or 'none'}"


def _from_path(name: str) -> ModuleType:
    _lead_with(os.getcwd())
    return importlib.import_module(name)


def _from_file(file: str) -> ModuleType:
    """Under its own name, so that pickles of its classes can be read; its neighbours import too."""
    _lead_with(os.path.dirname(file))
    name = os.path.splitext(os.path.basename(file))[0]
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == file:
        return known
    if known is not None:
        name = f"{name}_of_the_user"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file!r} is no Python source")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _lead_with(directory: str) -> None:
    if directory not in sys.path:
        sys.path.insert(0, directory)
