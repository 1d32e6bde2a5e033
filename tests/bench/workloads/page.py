"""The options in docs/workloads.md, written from their declarations.

python -m bench.workloads.page      from tests/, after an option has changed
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pilotlight.bench.workloads.options import LENGTH
from pilotlight.bench.workloads.registry import KINDS, WorkloadKind

PAGE = Path(__file__).parents[3] / "docs" / "workloads.md"
BEGIN = "<!-- generated: tests/bench/workloads/page.py -->"
END = "<!-- end of generated -->"


def generated() -> str:
    return "\n".join(line for name, kind in KINDS.items() for line in _kind(name, kind))


def _kind(name: str, kind: WorkloadKind) -> Iterator[str]:
    yield from ("", f"### {name}", "", f"{kind.description[0].upper()}{kind.description[1:]}.", "")
    yield from ("| option | default | is |", "| --- | --- | --- |")
    for option in sorted(kind.options, key=lambda option: not option.required):
        default = "must be given" if option.required else f"`{option.default}`"
        if option.default is None and not option.required:
            default = ""
        expected = "a [length](#lengths)" if option.expected == LENGTH.expected else option.expected
        yield f"| `{option.name}` | {default} | {option.help}; {expected} |"


def main() -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{generated()}\n\n{END}{after}")


if __name__ == "__main__":
    main()
