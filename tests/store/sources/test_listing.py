"""What a listing may hold, whoever wrote it."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.errors import SourceError
from pilotlight.store.sources.base import Description, Listing, require_inside

PARTS = st.sampled_from(["", ".", "..", "a", "b.gguf", "c d", "\\", "x\ny", "\0", "~", "-", "é"])


def listing(*names: str, entry: str | None = None) -> Listing:
    files = tuple(Description(url="http://host/x", file_name=name) for name in names)
    return Listing(files, None, entry)


@given(st.lists(PARTS, min_size=1, max_size=5).map("/".join))
def test_what_is_let_in_stays_inside(name: str) -> None:
    try:
        require_inside(name)
    except SourceError:
        return
    joined = posixpath.normpath(posixpath.join("/store/model", name))
    assert joined == f"/store/model/{name}"
    assert "\\" not in name
    assert name.isprintable()


@pytest.mark.parametrize("name", ["a.gguf", "1_Pooling/config.json", "a b/c+d~e.json", "ü.json"])
def test_ordinary_names_are_let_in(name: str) -> None:
    assert listing(name).files[0].file_name == name


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b/c", "a/b")])
def test_no_two_files_claim_one_place(names: tuple[str, ...]) -> None:
    with pytest.raises(SourceError, match="twice"):
        listing(*names)


def test_a_listing_has_files_and_its_entry_among_them() -> None:
    with pytest.raises(SourceError, match="no file"):
        listing()
    with pytest.raises(SourceError, match="no file"):
        listing("a.gguf", entry="b.gguf")
