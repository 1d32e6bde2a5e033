"""A class as its source shows it: its methods and what it declares, read and not run."""

from __future__ import annotations

import ast
import difflib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pilotlight.core import Operation
from pilotlight.engines.python.declaration import METHODS, Declaration, declaration
from pilotlight.engines.python.target import Target
from pilotlight.errors import EngineStartError

_LOCATE_S = 30.0
# Finds a module as an import would, without executing it or the packages around it.
_LOCATE = """
import sys
from importlib.machinery import PathFinder
path, name = None, ""
for part in sys.argv[1].split("."):
    name = f"{name}.{part}".lstrip(".")
    spec = PathFinder.find_spec(name, path)
    if spec is None:
        sys.exit(f"no module {name!r}")
    path = spec.submodule_search_locations
print(spec.origin or "")
"""


@dataclass(frozen=True, slots=True)
class Source:
    """What can be known of a class without running it."""

    operations: frozenset[Operation]
    declared: Declaration


def locate(module: str, interpreter: Path, env: Mapping[str, str]) -> Path:
    """The file of `module` for `interpreter`. Blocks while that one starts.

    Raises:
        EngineStartError: it can't find the module, or doesn't run.
    """
    try:
        found = subprocess.run(
            (str(interpreter), "-c", _LOCATE, module),
            env=dict(env),
            capture_output=True,
            text=True,
            timeout=_LOCATE_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise EngineStartError(
            f"{str(interpreter)!r} can't import {module!r}",
            last_words=error.stderr.strip()[-500:],
            hint="install it there, or set PYTHONPATH in the model's option env",
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineStartError(f"can't run {str(interpreter)!r}", last_words=str(error)) from None
    return Path(found.stdout.strip())


def read(file: Path, target: Target) -> Source:
    """The class of `target` in `file`.

    Raises:
        EngineStartError: no such file or class, wrong syntax, or nothing to ask it.
    """
    try:
        status = file.stat()
    except OSError as error:
        raise EngineStartError(
            f"can't read {str(file)!r}: {error.strerror}",
            hint="a path in a ref counts from where the server was started",
        ) from None
    return _read(file, target, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _read(file: Path, target: Target, modified_ns: int, size_bytes: int) -> Source:
    classes = _classes(file)
    if target.kind not in classes:
        raise _no_class(file, target, list(classes))
    family = list(_family(target.kind, classes))
    methods = {name for each in family for name in _members(each)}
    given = next(filter(None, map(_capabilities, family)), None)
    declared = declaration(target.kind, _literal(target, given)) if given else Declaration()
    operations = {METHODS[name] for name in METHODS.keys() & methods} | declared.operations
    if not operations:
        raise EngineStartError(
            f"{str(target)!r} has none of the methods {', '.join(METHODS)}",
            hint="give it one, or name inherited ones in its capabilities as operations",
        )
    return Source(frozenset(operations), declared)


def _no_class(file: Path, target: Target, known: list[str]) -> EngineStartError:
    close = difflib.get_close_matches(target.kind, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"its classes: {', '.join(known) or 'none'}"
    return EngineStartError(f"{str(file)!r} has no class {target.kind!r}", hint=hint)


def _classes(file: Path) -> dict[str, ast.ClassDef]:
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (OSError, SyntaxError, ValueError) as error:
        raise EngineStartError(
            f"{str(file)!r} is no Python source", last_words=f"{type(error).__name__}: {error}"
        ) from None
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _family(kind: str, classes: Mapping[str, ast.ClassDef]) -> Iterator[ast.ClassDef]:
    """The class and those it inherits from, as far as the same file defines them."""
    seen: set[str] = set()
    pending = [kind]
    while pending:
        name = pending.pop(0)
        if name in classes and name not in seen:
            seen.add(name)
            yield classes[name]
            pending += [base.id for base in classes[name].bases if isinstance(base, ast.Name)]


def _members(node: ast.ClassDef) -> Iterator[str]:
    for item in node.body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            yield item.name
        elif isinstance(item, ast.Assign):
            yield from (each.id for each in item.targets if isinstance(each, ast.Name))


def _capabilities(node: ast.ClassDef) -> ast.expr | None:
    for item in node.body:
        if isinstance(item, ast.Assign):
            targets = item.targets
        elif isinstance(item, ast.AnnAssign):
            targets = [item.target]
        else:
            continue
        if any(isinstance(each, ast.Name) and each.id == "capabilities" for each in targets):
            return item.value
    return None


def _literal(target: Target, node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise EngineStartError(
            f"the capabilities of {str(target)!r} are no literal",
            hint="write them as a dict of constants: they are read before the class is run",
        ) from None
