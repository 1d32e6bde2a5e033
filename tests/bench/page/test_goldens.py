"""Whole pages, Markdown and terminal text as files, so that a change is read before it is kept."""

from __future__ import annotations

import pytest

from .goldens import KINDS, REPORTS, cases, path


@pytest.mark.parametrize(("name", "kind"), cases())
def test_a_report_reads_as_its_golden_file(name: str, kind: str) -> None:
    written = KINDS[kind](REPORTS[name]())
    assert written == path(name, kind).read_text(), (
        f"{name}.{kind} differs: read what changed, then: cd tests && python -m bench.page.goldens"
    )
