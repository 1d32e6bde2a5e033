"""Columns of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_GAP = "  "


def text_table(
    header: Sequence[str], lines: Iterable[Sequence[str]], *,
    width: int | None = None, dispensable: Sequence[str] = (),
) -> str:  # fmt: skip
    """Columns in which no line has anything are left out; nothing without lines.

    There is no header line where `header` is empty. From a table wider than `width` columns go by
    the names in `dispensable`, the first of them first, and a last line says which.
    """
    held = [tuple(map(printable, line)) for line in lines]
    if not held:
        return ""
    every = [tuple(header), *held] if header else held
    columns = {
        at: max(len(line[at]) for line in every)
        for at in range(len(held[0]))
        if any(line[at] not in ("", "-") for line in held)
    }
    gone = _without_room(header, columns, width, dispensable)
    text = "\n".join(
        _GAP.join(line[at].ljust(size) for at, size in columns.items()).rstrip() for line in every
    )
    return f"{text}\n(no room for: {', '.join(gone)})" if gone else text


def _without_room(
    header: Sequence[str], columns: dict[int, int], width: int | None, dispensable: Sequence[str]
) -> list[str]:
    """Takes them out of `columns`."""
    gone: list[str] = []
    for name in dispensable:
        whole = sum(columns.values()) + len(_GAP) * (len(columns) - 1)
        if width is None or whole <= width:
            break
        at = header.index(name)
        if columns.pop(at, None) is not None:
            gone.append(name)
    return gone


# A server's names may hold escape sequences that would drive the user's terminal.
_CONTROLS = dict.fromkeys([*range(32), *range(127, 160)]) | dict.fromkeys(map(ord, "\t\n\r"), " ")


def printable(words: str) -> str:
    """Without what would drive a terminal or break its line."""
    return words.translate(_CONTROLS)
