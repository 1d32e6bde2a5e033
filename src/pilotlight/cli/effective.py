"""Every setting as it is in force, and which place decided it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pilotlight import config
from pilotlight.cli.flags import show
from pilotlight.config import Declared, ModelPolicy, ModelSettings, Settings
from pilotlight.redact import without_credentials

_HIDDEN = "(set, not shown)"
_SECRET_WORDS = ("token", "secret", "password", "api_key")


@dataclass(frozen=True, slots=True)
class Effective:
    """One setting; `value` as a file would write it, with secrets hidden."""

    path: str
    value: str
    origin: str


def effective(
    settings: Settings,
    *,
    file: Path | None,
    flags: Mapping[tuple[str, ...], Any],
    environ: Mapping[str, str],
) -> list[Effective]:
    """All settings, then all models. Reads `file` again to tell its keys from the defaults."""
    tree = config.read_file(file) if file else {}
    rows = [
        Effective(
            ".".join(item.path),
            _shown(item, _at(settings, item.path)),
            _place(item, config.origin(item.path, flags=flags, environ=environ, tree=tree), file),
        )
        for item in config.declared()
    ]
    return [*rows, *_models(settings, tree.get("models") or {}, file)]


def _at(settings: Settings, path: tuple[str, ...]) -> Any:
    value: Any = settings
    for part in path:
        value = getattr(value, part)
    return value


def _shown(item: Declared, value: Any) -> str:
    text = show(item, value)
    return _HIDDEN if item.secret and text else without_credentials(text)


def _place(item: Declared, origin: str, file: Path | None) -> str:
    details = {"flag": item.flag, "environment": item.env, "file": str(file)}
    return f"{origin} {details[origin]}" if origin in details else origin


def _models(
    settings: Settings, entries: Mapping[str, Any], file: Path | None
) -> Iterator[Effective]:
    policy = {item.name for item in fields(ModelPolicy)}
    for name, model in settings.models.items():
        listed = name in entries
        entry = config.model_entry(entries[name]) if listed else {}
        for item in config.declared(ModelSettings):
            field = item.path[0]
            inherited = "defaults" if field in policy and listed else "default"
            origin = f"file {file}" if field in entry else inherited
            value = _shown(item, getattr(model, field))
            yield Effective(f"models.{name}.{field}", value, origin)
        for key, value in model.options.items():
            yield Effective(f"models.{name}.options.{key}", _option(key, value), f"file {file}")


def _option(key: str, value: Any) -> str:
    """An engine's option is the engine's to declare; its name has to tell a secret."""
    secret = any(word in key.lower() for word in _SECRET_WORDS)
    return _HIDDEN if secret else without_credentials(str(value))
