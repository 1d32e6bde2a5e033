"""What a change of the reports changes, to read before it is believed.

`cd tests && python -m bench.page.goldens` writes the golden files anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pilotlight.bench.markdown import markdown
from pilotlight.bench.page.page import page
from pilotlight.bench.report import Report
from pilotlight.bench.summary import summary

from . import samples

GOLDEN = Path(__file__).parent / "golden"
REPORTS: Mapping[str, Callable[[], Sequence[Report]]] = {
    "sweep": lambda: (samples.sweep(),),
    "rivals": samples.rivals,
    "troubled": lambda: (samples.troubled(),),
    "many": samples.many,
    "elsewhere": samples.elsewhere,
}
UNDRAWN = "many"
"""Its page is large and has nothing that others haven't."""

KINDS: Mapping[str, Callable[[Sequence[Report]], str]] = {
    "html": page, "md": markdown, "txt": lambda reports: summary(reports) + "\n",
}  # fmt: skip


def cases() -> list[tuple[str, str]]:
    return [(name, kind) for name in REPORTS for kind in KINDS if (name, kind) != (UNDRAWN, "html")]


def path(name: str, kind: str) -> Path:
    return GOLDEN / f"{name}.{kind}"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, kind in cases():
        path(name, kind).write_text(KINDS[kind](REPORTS[name]()))
