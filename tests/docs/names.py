"""Every name that the product has: modules, what is in them, settings, routes, commands."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator

import click

from pilotlight import config
from pilotlight.cli import cli

from .api import ROUTES
from .blocks import REPOSITORY, read

SOURCE = REPOSITORY / "src" / "pilotlight"


def in_code() -> set[str]:
    """Dotted names of all modules, classes, functions, constants and members; also each tail."""
    names: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for name in (module, *(f"{module}.{inner}" for inner in _members(path.read_text()))):
            names |= _tails(name)
    return names


def _tails(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[start:]) for start in range(len(parts))}


def _members(source: str) -> Iterator[str]:
    for node in ast.parse(source).body:
        yield from _defined(node)
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                yield from (f"{node.name}.{name}" for name in _defined(inner))


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def installed() -> set[str]:
    """Programs, and what can be asked for in brackets."""
    project = tomllib.loads(read("pyproject.toml"))["project"]
    return {*project["scripts"], *project["optional-dependencies"]}


def dependencies() -> set[str]:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
    return {re.split(r"[<>=;[ ]", line)[0] for line in lines}


def settings() -> set[str]:
    """By dotted path; `min` and its like are fields, and so in the code already."""
    return {".".join(item.path) for item in config.declared()}


def is_command(span: str) -> bool:
    """``pilotlight ps --cold-starts``, ``make serve``, ``python -m benchmarks.soak``."""
    words = span.split()
    if words[:2] == ["python", "-m"]:
        return (REPOSITORY / words[2].replace(".", "/")).with_suffix(".py").exists()
    if words[0] == "make" and len(words) > 1:
        return re.search(rf"^{re.escape(words[1])}:", read("Makefile"), re.MULTILINE) is not None
    return words[0] == "pilotlight" and _is_pilotlight(words[1:])


def _is_pilotlight(words: list[str]) -> bool:
    command: click.Command = cli
    context = click.Context(cli)
    for word in words:
        if word.startswith("--"):
            return any(word.split("=")[0] in each.opts for each in command.params)
        if isinstance(command, click.Group):
            found = command.get_command(context, word)
            if found is None:
                return False
            command = found
    return True


def is_route(span: str) -> bool:
    method, _, path = span.rpartition(" ")
    return any(path == route and method in ("", *methods) for route, methods in ROUTES.items())


def is_path(span: str) -> bool:
    if not re.search(r"/|\.(md|py|yaml|lock)$", span):
        return False
    return (REPOSITORY / span).exists() or (SOURCE / span).exists()
