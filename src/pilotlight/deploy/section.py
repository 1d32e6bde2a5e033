"""The `deploy` section of a configuration for one target, and what the command line lays over it.

From the weakest: the common keys, the target's own section, `--set key=value`. Each place is read
by itself, so that an error names the place and the key as its author wrote them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from importlib import import_module
from typing import Any, TypeVar

from pilotlight.config import Declared, declared, parse_tree
from pilotlight.deploy.registry import TARGETS, find
from pilotlight.deploy.settings import Common
from pilotlight.deploy.target import Target
from pilotlight.errors import ConfigError

_Part = TypeVar("_Part")

COMMON = tuple(item.name for item in fields(Common))
PARTS: Mapping[str, tuple[str, str]] = {
    "build": ("image.settings", "ImageOptions"),
    "cluster": ("kubernetes.cluster", "ClusterOptions"),
}
"""Sections beside the targets', for `deploy image` and `deploy cluster`: module and dataclass."""


def options_of(
    target: Target,
    section: Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    source: str = "deploy",
) -> Any:
    """The target's options, a subclass of `Common`, from all three places.

    What nobody gives of `Common` is None, whatever the target's own default is: a plan comes
    between the two. `overrides` are ``key=value`` and ``target.key=value``; `source` is the
    section's file.

    Raises:
        ConfigError: an unknown key, with the close one; a value that can't be; another target's.
    """
    check_keys(section, source)
    options = replace(target.options(), **dict.fromkeys(COMMON))
    shared = {key: value for key, value in section.items() if key in COMMON}
    options = parse_tree(target.options, shared, "deploy", source, options)
    return _laid_over(options, target.name, section, overrides, source)


def common_of(
    section: Mapping[str, Any], overrides: Sequence[str] = (), *, source: str = "deploy"
) -> Common:
    """As `options_of`, of no target: what an image for all of them has to know."""
    check_keys(section, source)
    shared = {key: value for key, value in section.items() if key in COMMON}
    options = parse_tree(Common, shared, "deploy", source, Common())
    return parse_tree(Common, _nested(Common, "", overrides), "", "--set", options)


def part_of(
    kind: type[_Part],
    part: str,
    section: Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    source: str = "deploy",
) -> _Part:
    """One of `PARTS` as `kind`, whose fields all have defaults. Raises as `options_of` does."""
    check_keys(section, source)
    return _laid_over(kind(), part, section, overrides, source)


def _laid_over(
    options: _Part, name: str, section: Mapping[str, Any], overrides: Sequence[str], source: str
) -> _Part:
    kind = type(options)
    own = section.get(name) or {}
    names = _names(kind)
    for key in own if isinstance(own, Mapping) else ():
        if key not in names:
            raise _unknown(f"{source}: unknown key deploy.{name}.{key}", str(key), names)
    options = parse_tree(kind, own, f"deploy.{name}", source, options)
    given = _nested(kind, name, overrides)
    return parse_tree(kind, given, "", "--set", options)


def check(section: Mapping[str, Any], source: str) -> None:
    """All of it, whatever it will be used for. Raises as `options_of` does."""
    common_of(section, source=source)
    for name in section:
        if name in TARGETS:
            options_of(find(name), section, source=source)
        elif name in PARTS:
            part_of(part_kind(name), name, section, source=source)


def part_kind(part: str) -> type[Any]:
    """The dataclass of one of `PARTS`."""
    module, kind = PARTS[part]
    found: type[Any] = getattr(import_module(f"pilotlight.deploy.{module}"), kind)
    return found


def is_common(override: str) -> bool:
    """Whether this ``key=value`` is for every target."""
    return override.partition("=")[0] in COMMON


def check_keys(section: Mapping[str, Any], source: str) -> None:
    """Raises ConfigError: a key that is neither common nor a part's, such as a target's."""
    known = (*COMMON, *TARGETS, *PARTS)
    for key in section:
        if key not in known:
            raise _unknown(f"{source}: unknown key deploy.{key}", str(key), known)


def _nested(kind: type[Any], name: str, overrides: Iterable[str]) -> dict[str, Any]:
    scalars = {item.path for item in declared(kind)}
    tree: dict[str, Any] = {}
    for text in overrides:
        path, value = _override(kind, name, text)
        inner = tree
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"--set {text}: {part} was given a value before", hint="drop one")
        # A text such as 1.10 or on is a text where one is due; mappings and lists are YAML.
        inner[path[-1]] = value if path in scalars else _yaml(text, value)
    return tree


def _override(kind: type[Any], name: str, text: str) -> tuple[tuple[str, ...], str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ConfigError(f"--set is {text!r}, expected KEY=VALUE", hint="such as memory=8GB")
    path = tuple(key.split("."))
    names = _names(kind)
    if path[0] in names:
        return path, value
    if path[0] == name and len(path) > 1:
        path = path[1:]
    elif path[0] in (*TARGETS, *PARTS):
        raise ConfigError(
            f"--set {key} is for {path[0]}" + (f", and this is {name}" if name else ""),
            hint="leave it out",
        )
    if path[0] not in names:
        raise _unknown(f"--set {key}: unknown key {path[0]!r}", path[0], names)
    return path, value


def _names(kind: type[Any]) -> list[str]:
    return [item.name for item in fields(kind)]


def _unknown(message: str, key: str, known: Sequence[str]) -> ConfigError:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    return ConfigError(message, hint=hint)


def _yaml(text: str, value: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {text!r}: {value!r} is not valid YAML") from None


def own_settings(kind: type[Any], path: tuple[str, ...] = ()) -> Iterator[Declared]:
    """Every setting of a target's or a part's own section, which is at `path`."""
    shared = COMMON if issubclass(kind, Common) else ()
    return (item for item in declared(kind, path) if item.path[len(path)] not in shared)


def sections() -> dict[str, type[Any]]:
    """What each section under `deploy` is read as: the targets', then the parts'."""
    kinds: dict[str, type[Any]] = {name: find(name).options for name in TARGETS}
    return {**kinds, **{name: part_kind(name) for name in PARTS}}
