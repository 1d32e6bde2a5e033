"""Pieces of HTML that the sections of a report are made of; all text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def section(title: str, *content: str, note: str = "") -> str:
    """Nothing when there is no content: a report has no empty headings."""
    held = "".join(content)
    if not held:
        return ""
    said = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{said}{held}</section>"


def figure(title: str, drawing: str, *, note: str = "", wide: bool = False) -> str:
    """A chart with its caption; nothing without a drawing."""
    if not drawing:
        return ""
    said = f'<p class="note">{escape(note)}</p>' if note else ""
    kind = ' class="wide"' if wide else ""
    return (
        f"<figure{kind}><figcaption>{escape(title)}</figcaption>{said}"
        f'<div class="scroll">{drawing}</div></figure>'
    )


def side_by_side(*figures: str) -> str:
    held = "".join(figures)
    return f'<div class="charts">{held}</div>' if held else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """The first column names its row. Columns in which no row has anything are left out."""
    held = [tuple(row) for row in rows]
    if not held:
        return ""
    kept = [at for at in range(len(header)) if any(row[at] not in ("", "-") for row in held)]
    head = "".join(f'<th scope="col">{escape(header[at])}</th>' for at in kept)
    body = "".join(f"<tr>{''.join(_cell(row[at], at) for at in kept)}</tr>" for row in held)
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{said}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(words: str, at: int) -> str:
    """Long words break into lines; figures never do."""
    kind = ' class="long"' if len(words) > _LONG else ""
    if at:
        return f"<td{kind}>{escape(words)}</td>"
    return f'<th scope="row"{kind}>{escape(words)}</th>'


_LONG = 44


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    entries = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(words)}</dd></div>"
        for name, words in pairs
        if words
    )
    return f"<dl>{entries}</dl>" if entries else ""


def cards(entries: Iterable[tuple[str, str, str]]) -> str:
    """Large figures: a name, the figure, and how far it may be off."""
    held = "".join(
        f"<div><dt>{escape(name)}</dt><dd><b>{escape(value)}</b>"
        f"{f'<small>{escape(bounds)}</small>' if bounds else ''}</dd></div>"
        for name, value, bounds in entries
    )
    return f'<dl class="cards">{held}</dl>' if held else ""


def items(lines: Iterable[str], kind: str = "") -> str:
    held = "".join(f"<li>{escape(words)}</li>" for words in lines)
    style = f' class="{kind}"' if kind else ""
    return f"<ul{style}>{held}</ul>" if held else ""


def folded(title: str, content: str) -> str:
    """Closed until asked for; printed open by the style."""
    if not content:
        return ""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"
