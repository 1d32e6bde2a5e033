"""The phases of cold starts as a picture.

    python -m benchmarks.trace_picture docs/cold-start.svg TITLE=PHASES.json …

PHASES.json is an answer of GET /pilotlight/v1/cold-starts, or what benchmarks.remote_start wrote;
the last start in it is drawn. One row a phase, all titles on one scale.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

WIDTH, LEFT, ROW, BAR, FONT = 760, 130, 18, 12, 11
COLOURS = {
    "fetch": "#7aa6c2", "header": "#7aa6c2", "claim": "#999999", "process_start": "#c28a5a",
    "bytes": "#d9d9d9", "load": "#6f9e5d", "prompts": "#6f9e5d", "warm_up": "#a3b86c",
    "first_token": "#b0577a",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Start:
    title: str
    phases: Sequence[dict[str, Any]]

    @property
    def end_ms(self) -> float:
        return float(max(phase["start_ms"] + phase["duration_ms"] for phase in self.phases))


def read(argument: str) -> Start:
    title, _, name = argument.partition("=")
    document = json.loads(Path(name).read_text())
    if "cold_starts" in document:
        return Start(title, document["cold_starts"][-1]["phases"])
    found = next(value for key, value in document["raw"].items() if key.endswith("_phases"))
    return Start(title, found[-1])


def draw(starts: Sequence[Start]) -> str:
    scale = (WIDTH - LEFT - 70) / max(start.end_ms for start in starts)
    lines, top = [], 8
    for start in starts:
        lines += list(_start(start, top, scale))
        top += ROW * (len(start.phases) + 2)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" '
        f'font-family="sans-serif" font-size="{FONT}">'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{top}" fill="#ffffff"/>', *lines,
                      "</svg>", ""])  # fmt: skip


def _start(start: Start, top: int, scale: float) -> Iterator[str]:
    yield _text(
        LEFT, top + BAR, f"{start.title}: {start.end_ms / 1000:.2f} s", "font-weight='bold'"
    )
    for number, phase in enumerate(start.phases, 1):
        y = top + ROW * number
        x, width = LEFT + phase["start_ms"] * scale, max(1.0, phase["duration_ms"] * scale)
        colour = COLOURS.get(phase["name"], "#888888")
        yield _text(LEFT - 8, y + BAR - 2, phase["name"], "text-anchor='end'")
        yield (f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>')
        yield _text(x + width + 5, y + BAR - 2, f"{phase['duration_ms']:.0f} ms")


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" {more}>{escape(text)}</text>'


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trace_picture", description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("starts", nargs="+", metavar="TITLE=PHASES.json")
    given = parser.parse_args()
    given.picture.write_text(draw([read(each) for each in given.starts]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
