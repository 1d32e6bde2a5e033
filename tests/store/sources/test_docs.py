"""docs/sources.md names every scheme, with refs that its source reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotlight.core import SCHEMES, ModelRef
from pilotlight.errors import PilotlightError
from pilotlight.store.sources.registry import Sources

DOCS = Path(__file__).parents[3] / "docs" / "sources.md"
TABLE = DOCS.read_text().partition("\n## ")[0]
REFS = re.findall(r"^\| `([^`]+)` \|", TABLE, re.MULTILINE)
ENGINES_OWN = {"openai", "python", "fake"}


def test_every_scheme_that_is_fetched_is_documented(sources: Callable[..., Sources]) -> None:
    fetched = {scheme for scheme in SCHEMES if sources().find(ModelRef(scheme, "x"))}
    assert fetched == set(SCHEMES) - ENGINES_OWN
    documented = set(re.findall(r"`(\w+):", TABLE))
    assert documented == fetched


@pytest.mark.parametrize("text", REFS)
def test_every_documented_ref_is_read(sources: Callable[..., Sources], text: str) -> None:
    ref = ModelRef.parse(text.replace("#sha256=…", f"#sha256={'0' * 64}"))
    source = sources().get(ref)
    try:
        assert source.local(ref) is None
    except PilotlightError as error:
        pytest.fail(str(error))
