"""What is and what shall be: their difference, brought about, leaves none."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pilotlight.deploy.resources import Change, changes
from pilotlight.deploy.transaction import inverse

_DOCUMENTS = st.dictionaries(
    st.sampled_from(["image", "memory", "labels"]),
    st.one_of(st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2)),
    max_size=3,
)
_THINGS = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e"]), _DOCUMENTS, max_size=5)


def applied(live: dict[str, Any], todo: list[Change]) -> dict[str, Any]:
    found = dict(live)
    for change in todo:
        assert found.get(change.name) == change.before, "each change begins where things are"
        assert (change.action == "create") == (change.name not in found)
        if change.after is None:
            del found[change.name]
        else:
            found[change.name] = change.after
    return found


@given(_THINGS, _THINGS)
def test_changes_applied_to_what_is_there_give_what_is_wanted(
    live: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert applied(live, list(changes(live, wanted))) == wanted


@given(_THINGS, _THINGS)
def test_their_inverses_in_reverse_give_back_what_was_there(
    live: dict[str, Any], wanted: dict[str, Any]
) -> None:
    todo = list(changes(live, wanted))
    assert applied(wanted, [inverse(change) for change in reversed(todo)]) == live


@given(_THINGS)
def test_nothing_is_to_be_done_where_nothing_differs(things: dict[str, Any]) -> None:
    assert not list(changes(things, dict(reversed(things.items()))))


def test_users_go_before_what_they_use_and_come_after_it() -> None:
    wanted: dict[str, dict[str, Any]] = {"role": {}, "service": {}, "url": {}}
    assert [each.name for each in changes({}, wanted)] == ["role", "service", "url"]
    assert [each.name for each in changes(wanted, {})] == ["url", "service", "role"]


def test_a_change_is_shown_as_a_difference() -> None:
    change = Change(
        "update", "service/chat", {"memory": 1, "image": "a"}, {"memory": 2, "image": "a"}
    )
    assert change.text().splitlines() == [
        "update service/chat", "--- live", "+++ wanted", "@@ -1,2 +1,2 @@",
        "-memory: 1", "+memory: 2", " image: a",
    ]  # fmt: skip
    assert "+memory: 2" in Change("create", "x", None, {"memory": 2}).text()
