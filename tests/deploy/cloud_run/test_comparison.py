"""Live beside wanted: the same means nothing to do, and others' fields are nobody's business."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pilotlight.deploy.cloud_run.comparison import merged, seen

scalars = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "b"]))
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
    ),
    max_leaves=12,
)
mappings = st.dictionaries(st.sampled_from("abcd"), documents, max_size=4)


def without_defaults(value: Any) -> Any:
    """As the API answers: what has its default is left out, in messages at any depth."""
    if isinstance(value, dict):
        kept = {key: without_defaults(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (False, 0, "", [], {})}
    if isinstance(value, list):
        return [without_defaults(item) for item in value]
    return value


@given(mappings, mappings)
def test_after_an_update_nothing_differs(live: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert seen(merged(live, wanted), wanted) == wanted


@given(mappings, mappings)
def test_an_update_keeps_what_it_does_not_mention(
    live: dict[str, Any], wanted: dict[str, Any]
) -> None:
    after = merged(live, wanted)
    assert {k: v for k, v in after.items() if k not in wanted} == {
        k: v for k, v in live.items() if k not in wanted
    }


@given(mappings)
def test_an_update_to_the_same_changes_nothing(live: dict[str, Any]) -> None:
    assert merged(live, live) == live


def test_defaults_that_the_api_leaves_out_are_no_difference() -> None:
    wanted = {"idle": False, "scaling": {"min": 0, "max": 4}, "volumes": [], "gpu": None}
    assert seen(without_defaults(wanted) | {"gone": 1}, wanted) == wanted


def test_a_default_that_is_set_there_is_a_difference() -> None:
    assert seen({"idle": True, "gpu": {"kind": "l4"}}, {"idle": False, "gpu": None}) == {
        "idle": True,
        "gpu": {"kind": "l4"},
    }


def test_what_is_missing_there_is_a_difference() -> None:
    assert seen({}, {"image": "a"}) == {}


def test_one_more_in_a_list_is_a_difference() -> None:
    wanted = {"env": [{"name": "A"}]}
    assert seen({"env": [{"name": "A", "x": 1}, {"name": "B"}]}, wanted) == {
        "env": [{"name": "A"}, {"name": "B"}]
    }


def test_none_takes_a_message_away() -> None:
    assert merged({"gpu": {"kind": "l4"}, "name": "a"}, {"gpu": None}) == {"name": "a"}
