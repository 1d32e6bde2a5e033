"""Versions of packages, ordered as PEP 440 says."""

from __future__ import annotations

import re

_PRE_RANK = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_VERSION = re.compile(
    r"""v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)
    (?:[-_.]?(?P<pre>alpha|beta|preview|pre|rc|a|b|c)[-_.]?(?P<pre_number>\d*))?
    (?P<post>-(?P<bare_post>\d+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>\d*))?
    (?P<dev>[-_.]?dev[-_.]?(?P<dev_number>\d*))?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?""",
    re.VERBOSE | re.IGNORECASE,
)

Version = tuple[int, tuple[int, ...], tuple[int, int], int, float, tuple[tuple[int, str], ...]]
"""Sorts as the version does: epoch, release, pre-release, post-release, dev, local."""

_FINAL = 3
_DEVELOPMENT_ONLY = -1


def parse_version(text: str) -> Version | None:
    """`text` in a form that compares; None when it is no version."""
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        return None
    release = tuple(int(part) for part in match["release"].split("."))
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    post = int(match["bare_post"] or match["post_number"] or 0) if match["post"] else -1
    dev = int(match["dev_number"] or 0) if match["dev"] else float("inf")
    return int(match["epoch"] or 0), release, _pre(match), post, dev, _local(match["local"])


def is_prerelease(version: Version) -> bool:
    return version[2][0] != _FINAL or version[4] != float("inf")


def _pre(match: re.Match[str]) -> tuple[int, int]:
    """1.0.dev1 comes before 1.0a1, which comes before 1.0 and 1.0.post1.dev1."""
    if match["pre"]:
        return _PRE_RANK[match["pre"].lower()], int(match["pre_number"] or 0)
    return (_DEVELOPMENT_ONLY, 0) if match["dev"] and not match["post"] else (_FINAL, 0)


def _local(text: str | None) -> tuple[tuple[int, str], ...]:
    """Numbers sort above words."""
    parts = re.split(r"[-_.]", text.lower()) if text else []
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)
