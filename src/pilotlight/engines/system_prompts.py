"""System prompts as a model's settings give them: a text, or ``@`` and the path of one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pilotlight.engines.base import SystemPrompts
from pilotlight.errors import ConfigError

FILE_MARK = "@"


def read(given: Iterable[str], directory: Path) -> SystemPrompts | None:
    """The texts, in order and each once; None without any. Reads small files.

    `directory` is where engines keep what they compute of them.

    Raises:
        ConfigError: a file that can't be read or is no UTF-8, or an empty prompt.
    """
    texts = tuple(dict.fromkeys(_text(item) for item in given))
    return SystemPrompts(texts, directory) if texts else None


def _text(given: str) -> str:
    text = _file(given.removeprefix(FILE_MARK)) if given.startswith(FILE_MARK) else given
    if not text.strip():
        raise ConfigError(
            f"the system prompt {given!r} is empty",
            hint="give its text, or @ and the path of a file that holds it",
        )
    return text


def _file(name: str) -> str:
    try:
        return Path(name).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        said = fault.strerror if isinstance(fault, OSError) else "it is no UTF-8"
        raise ConfigError(
            f"the system prompt's file {name!r} can't be read: {said}",
            hint="give @ and the path of a text file",
        ) from None
