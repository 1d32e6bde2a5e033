"""Which models go: never one that may not, no more than needed, and all that is needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilotlight.store.retention import Kept, choose_removals, freed_bytes, total_bytes

NOW = 1_000_000.0
SIZES = {"a": 10, "b": 20, "c": 40, "d": 80}


@st.composite
def stores(draw: st.DrawFn) -> list[Kept]:
    names = draw(st.lists(st.sampled_from("rstuvw"), unique=True, max_size=6))
    return [
        Kept(
            key=name,
            blobs={key: SIZES[key] for key in draw(st.sets(st.sampled_from("abcd"), min_size=1))},
            used_s=NOW - draw(st.integers(0, 100)),
            pinned=draw(st.booleans()),
            held=draw(st.booleans()),
        )
        for name in names
    ]


@given(stores(), st.integers(0, 100), st.none() | st.integers(0, 150))
def test_a_choice_is_allowed_enough_and_no_more(
    models: list[Kept], max_age_s: int, max_bytes: int | None
) -> None:
    chosen = choose_removals(models, NOW, max_age_s, max_bytes)
    gone = {model.key for model in chosen}
    assert not [model for model in chosen if model.pinned or model.held]
    old = {m.key for m in models if m.removable and NOW - m.used_s > max_age_s}
    assert old <= gone
    if max_bytes is None:
        assert gone == old
        return
    left = total_bytes(models, gone)
    possible = total_bytes(models, {model.key for model in models if model.removable})
    assert left <= max(max_bytes, possible), "as small as it may and can be"
    for key in gone - old:
        assert total_bytes(models, gone - {key}) > max(max_bytes, left), "none for nothing"


@given(stores(), st.integers(0, 150))
def test_of_models_that_share_nothing_the_longest_unused_go(
    models: list[Kept], max_bytes: int
) -> None:
    apart = [
        Kept(key=m.key, blobs={m.key: sum(m.blobs.values())}, used_s=NOW - index)
        for index, m in enumerate(models)
    ]
    chosen = choose_removals(apart, NOW, 1e9, max_bytes)
    kept = [model for model in apart if model not in chosen]
    # Whoever stays though unused for longer would not have helped: it was spared at the end.
    for model in chosen:
        for other in kept:
            assert other.used_s > model.used_s or total_bytes(kept) <= max_bytes
    assert freed_bytes(apart, chosen) == sum(sum(m.blobs.values()) for m in chosen)
    assert [model.used_s for model in chosen] == sorted(model.used_s for model in chosen)
