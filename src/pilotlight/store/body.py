"""Where the body of an answer belongs in its file; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_EMPTY = re.compile(r"bytes \*/0")


@dataclass(frozen=True, slots=True)
class Body:
    """`end` is None where only the end of the body will tell; `ranged` for a part as asked."""

    start: int
    end: int | None
    total_bytes: int | None
    ranged: bool


def place(
    status: int,
    headers: Mapping[str, str],
    length: int | None,
    asked: tuple[int, int | None],
) -> Body | None:
    """The body of an answer of `length` bytes; None when it isn't what was `asked` for."""
    if status == 200:
        return Body(0, length, length, ranged=False)
    given = headers.get("Content-Range", "")
    if status == 416 and _EMPTY.fullmatch(given) and asked[0] == 0:
        return Body(0, 0, 0, ranged=True)
    match = _CONTENT_RANGE.fullmatch(given)
    if status != 206 or match is None:
        return None
    start, end = int(match[1]), int(match[2]) + 1
    total_bytes = None if match[3] == "*" else int(match[3])
    fits = start == asked[0] < end and (asked[1] is None or end <= asked[1])
    if not fits or length not in (None, end - start) or end > (total_bytes or end):
        return None
    return Body(start, end, total_bytes, ranged=True)


def validator(headers: Mapping[str, str]) -> str | None:
    """What If-Range may name: a strong ETag, or else a date (RFC 9110, 13.1.5)."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified")
