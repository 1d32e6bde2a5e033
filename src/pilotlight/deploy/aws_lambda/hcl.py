"""Terraform's language, as far as a rendered file needs it, in `terraform fmt`'s own form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

HEREDOC = "EOT"

_ATTRIBUTE = re.compile(r'( *)("(?:[^"\\]|\\.)*"|\w+) = (.*)')


def value(given: Any, indent: int = 0) -> str:
    """As HCL; `indent` is that of the line it begins on."""
    inner = " " * (indent + 2)
    if isinstance(given, Mapping):
        lines = [f"{inner}{quoted(key)} = {value(v, indent + 2)}" for key, v in given.items()]
        return "\n".join(["{", *lines, " " * indent + "}"])
    if isinstance(given, list | tuple) and any(isinstance(item, Mapping) for item in given):
        lines = [f"{inner}{value(item, indent + 2)}," for item in given]
        return "\n".join(["[", *lines, " " * indent + "]"])
    if isinstance(given, list | tuple):
        return "[" + ", ".join(value(item) for item in given) + "]"
    return quoted(given) if isinstance(given, str) else json.dumps(given)


def quoted(text: str) -> str:
    return json.dumps(escaped(text), ensure_ascii=False)


def escaped(text: str) -> str:
    """Without a meaning of its own for Terraform, which reads `${` and `%{` in texts."""
    return text.replace("${", "$${").replace("%{", "%%{")


def document(lines: Iterable[str]) -> str:
    """A file's text, with neighbouring values one below the other."""
    return "\n".join([*_aligned("\n".join(lines).split("\n")), ""])


def _aligned(lines: Iterable[str]) -> Iterator[str]:
    run: list[re.Match[str]] = []
    inside = False
    for line in lines:
        found = None if inside else _ATTRIBUTE.fullmatch(line)
        opens = found is not None and found[3].startswith("<<")
        one_line = found is not None and not found[3].endswith(("{", "[", "("))
        if run and (not one_line or (found and found[1] != run[0][1])):
            yield from _padded(run)
            run = []
        if found is not None and one_line:
            run.append(found)
        else:
            yield line
        if opens:
            yield from _padded(run)
            run = []
        inside = opens or (inside and line.strip() != HEREDOC)
    yield from _padded(run)


def _padded(run: list[re.Match[str]]) -> Iterator[str]:
    width = max((len(found[2]) for found in run), default=0)
    return (f"{found[1]}{found[2]:<{width}} = {found[3]}" for found in run)
