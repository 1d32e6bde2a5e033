"""Which files the page cache is kept warm with, and real files going in and out of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.store.page_cache import (
    MARGIN_BYTES,
    STEP_BYTES,
    Candidate,
    PageCache,
    choose,
    resident_bytes,
)
from pilotlight.store.parts import parts_of

PLENTY = 2**40
SIZE = STEP_BYTES + 12_345
"""More than one step, and no whole number of pages."""


def model(name: str, size_bytes: int, chance: float, *, loaded: bool = False) -> Candidate:
    return Candidate(name, Path(), size_bytes, chance, loaded)


def names(candidates: tuple[Candidate, ...]) -> list[str]:
    return [candidate.name for candidate in candidates]


def test_the_likeliest_come_first_as_far_as_the_budget_goes() -> None:
    likely, maybe, unlikely = model("a", 60, 0.9), model("b", 30, 0.5), model("c", 30, 0.1)
    assert names(choose([unlikely, maybe, likely], 100)) == ["a", "b"]
    assert names(choose([unlikely, maybe, likely], 120)) == ["a", "b", "c"]


def test_no_half_file_is_worth_it_but_a_smaller_one_may_fit() -> None:
    assert names(choose([model("a", 90, 0.9), model("b", 20, 0.5)], 50)) == ["b"]


def test_of_equals_the_smaller_ones_come_first() -> None:
    assert names(choose([model("a", 60, 0.0), model("b", 10, 0.0)], 60)) == ["b"]


def test_what_is_loaded_is_in_memory_already() -> None:
    assert names(choose([model("a", 60, 1.0, loaded=True), model("b", 60, 0.1)], 60)) == ["b"]


CANDIDATES = st.lists(
    st.builds(
        Candidate,
        name=st.text(max_size=3),
        path=st.just(Path()),
        size_bytes=st.integers(0, 100),
        chance=st.floats(0, 1),
        loaded=st.booleans(),
    )
)


@given(CANDIDATES, st.integers(0, 300))
def test_never_more_than_the_budget_and_nothing_left_that_fits(
    candidates: list[Candidate], budget: int
) -> None:
    chosen = choose(candidates, budget)
    used = sum(candidate.size_bytes for candidate in chosen)
    assert used <= budget
    assert not any(candidate.loaded for candidate in chosen)
    left = [item for item in candidates if not item.loaded and item not in chosen]
    assert all(item.size_bytes > budget - used for item in left)


def test_a_model_is_all_its_files(tmp_path: Path) -> None:
    names = (
        "m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "m-00001-of-00003.gguf",
        "mm-00001-of-00002.gguf", "one.gguf", "repo/config.json", "repo/1/a.safetensors",
    )  # fmt: skip
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert parts_of(paths[0]) == tuple(paths[:2])
    assert parts_of(paths[4]) == (paths[4],)
    assert parts_of(tmp_path / "repo") == (paths[6], paths[5])


def drop(path: Path) -> None:
    """Out of the page cache; clean pages alone can go."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


@pytest.fixture
def cold(tmp_path: Path) -> Callable[[str], Candidate]:
    def make(name: str) -> Candidate:
        path = tmp_path / name
        path.write_bytes(os.urandom(SIZE))
        drop(path)
        if resident_bytes(path) != 0:
            pytest.skip("this file system keeps its files in memory, or its kernel won't say")
        return Candidate(name, path, SIZE, 0.5)

    return make


def test_a_file_just_read_is_resident_to_its_last_byte(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(SIZE))
    assert resident_bytes(path) in (SIZE, None)
    path.write_bytes(b"")
    assert resident_bytes(path) in (0, None)


def test_a_cold_file_becomes_warm_and_is_read_once(cold: Callable[[str], Candidate]) -> None:
    candidate = cold("model")
    cache = PageCache(PLENTY, lambda: PLENTY)
    assert cache.keep([candidate]) == SIZE
    assert resident_bytes(candidate.path) == SIZE
    assert cache.keep([candidate]) == 0


def test_only_what_is_missing_is_read(cold: Callable[[str], Candidate]) -> None:
    candidate = cold("model")
    with candidate.path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # no reading ahead
        os.pread(file.fileno(), STEP_BYTES, 0)
    had = resident_bytes(candidate.path)
    assert had is not None
    assert STEP_BYTES <= had < SIZE
    assert PageCache(PLENTY, lambda: PLENTY).keep([candidate]) == SIZE - had


def test_the_budget_goes_to_the_likelier(cold: Callable[[str], Candidate]) -> None:
    likely, other = replace(cold("likely"), chance=0.9), cold("other")
    assert PageCache(SIZE + 1, lambda: PLENTY).keep([other, likely]) == SIZE
    assert resident_bytes(likely.path) == SIZE
    assert resident_bytes(other.path) == 0


@pytest.mark.parametrize("spare", [0, MARGIN_BYTES, MARGIN_BYTES + STEP_BYTES - 1])
def test_short_memory_is_left_alone(spare: int, cold: Callable[[str], Candidate]) -> None:
    candidate = cold("model")
    assert PageCache(PLENTY, lambda: spare).keep([candidate]) == 0
    assert resident_bytes(candidate.path) == 0


def test_it_ends_when_memory_runs_short_meanwhile(cold: Callable[[str], Candidate]) -> None:
    answers = iter([PLENTY, PLENTY, MARGIN_BYTES - 1])
    assert PageCache(PLENTY, lambda: next(answers)).keep([cold("model")]) == STEP_BYTES


def test_what_a_loaded_model_has_in_memory_is_not_spare(
    cold: Callable[[str], Candidate], tmp_path: Path
) -> None:
    """The kernel calls pages spare that a loaded model maps and hasn't touched for a while."""
    candidate = cold("model")
    path = tmp_path / "loaded"
    path.write_bytes(bytes(SIZE))
    loaded = Candidate("loaded", path, SIZE, 1.0, loaded=True)
    spare = MARGIN_BYTES + 2 * SIZE - 1
    assert PageCache(PLENTY, lambda: spare).keep([candidate, loaded]) == STEP_BYTES
    assert resident_bytes(path) == SIZE


def test_a_file_that_has_gone_is_passed_over(
    cold: Callable[[str], Candidate], tmp_path: Path
) -> None:
    gone = Candidate("gone", tmp_path / "none", SIZE, 1.0)
    assert PageCache(PLENTY, lambda: PLENTY).keep([gone, cold("model")]) == SIZE


def test_once_stopped_it_reads_nothing(cold: Callable[[str], Candidate]) -> None:
    candidate = cold("model")
    cache = PageCache(PLENTY, lambda: PLENTY)
    cache.stop()
    assert cache.keep([candidate]) == 0


def test_a_stop_ends_its_rest_at_once(cold: Callable[[str], Candidate]) -> None:
    """A clock that says the first step took a day would have it rest for one."""
    ticks = iter([0.0, 86_400.0])
    cache = PageCache(PLENTY, lambda: PLENTY, lambda: next(ticks))
    thread = threading.Thread(target=cache.keep, args=([cold("model")],))
    thread.start()
    cache.stop()
    thread.join(30.0)
    assert not thread.is_alive()
