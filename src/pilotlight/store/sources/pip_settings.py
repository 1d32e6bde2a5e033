"""Which index pip would use here, and how it would reach it."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pilotlight.errors import SourceError

_TIMEOUT_S = 30.0
_DEFAULT_INDEX = re.compile(r"--index-url <url>.*?\(default\s+(\S+?)\)", re.DOTALL)
# Later wins: pip's sections for the commands that fetch, then its environment variables.
_SECTIONS = ("global", "download", "install", ":env:")


@dataclass(frozen=True, slots=True)
class PipSettings:
    """The part of pip's configuration that decides where a package comes from.

    `extra-index-url` isn't part of it: a name that several indexes serve is an
    attack on the one that isn't public, and nothing tells which one was meant.
    """

    index_url: str | None = field(default=None, repr=False)
    certificates: Path | None = None
    proxy: str | None = field(default=None, repr=False)


async def pip_settings(index_url: str | None) -> PipSettings:
    """Settings first, then PIP_* variables, then pip's files, then pip's default index.

    pip itself is run only for what isn't said before.

    Raises:
        SourceError: no index is configured and there is no pip to ask for one.
    """
    known = from_environment(os.environ)
    known = replace(known, index_url=index_url or known.index_url)
    if known.index_url is None or known.certificates is None:
        known = _merged(known, parse_config_list(await _pip("config", "list") or ""))
    if known.index_url is None:
        known = replace(known, index_url=_default_index(await _pip("download", "--help") or ""))
    return known


def from_environment(environ: Mapping[str, str]) -> PipSettings:
    return _settings(
        {
            "index-url": environ.get("PIP_INDEX_URL"),
            "cert": environ.get("PIP_CERT"),
            "proxy": environ.get("PIP_PROXY"),
        }
    )


def parse_config_list(text: str) -> PipSettings:
    """What ``pip config list`` prints: one ``section.key='value'`` a line."""
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        section, _, key = name.strip().rpartition(".")
        if equals and section in found:
            found[section][key] = str(ast.literal_eval(value.strip()))
    merged: dict[str, str | None] = {}
    for section in _SECTIONS:
        merged.update(found[section])
    return _settings(merged)


def _settings(given: Mapping[str, str | None]) -> PipSettings:
    certificates = given.get("cert") or None
    return PipSettings(
        index_url=given.get("index-url") or None,
        certificates=Path(certificates).expanduser() if certificates else None,
        proxy=given.get("proxy") or None,
    )


def _merged(first: PipSettings, then: PipSettings) -> PipSettings:
    return PipSettings(
        index_url=first.index_url or then.index_url,
        certificates=first.certificates or then.certificates,
        proxy=first.proxy or then.proxy,
    )


def _default_index(help_text: str) -> str:
    match = _DEFAULT_INDEX.search(help_text)
    if match is None:
        raise SourceError(
            "no package index is configured, and this Python has no pip to ask for its default",
            hint="set store.index_url or PIP_INDEX_URL",
        )
    return match[1]


async def _pip(*arguments: str) -> str | None:
    """What pip prints; None where it isn't installed or fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pip",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},  # no line is broken in an URL
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output.decode(errors="replace") if process.returncode == 0 else None
