"""Which pod, how many and which not: for every view of the world."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.fleet.kubernetes.choice import (
    View,
    candidate,
    goes_first,
    kept,
    scale_for,
    victims,
)
from pilotlight.fleet.kubernetes.pod import Pod

EVERY = settings(max_examples=60, deadline=None)


def pod(uid: str, **facts: object) -> Pod:
    known = {"created": uid, "phase": "Running", "ready": True, **facts}
    return Pod(name=f"chat-{uid}", uid=uid, version="1", **known)  # type: ignore[arg-type]


UIDS = [str(number) for number in range(6)]
PODS = st.lists(
    st.builds(
        pod,
        st.sampled_from(UIDS),
        ready=st.booleans(),
        terminating=st.booleans(),
        leaving=st.sampled_from((None, "gw-2")),
    ),
    unique_by=lambda each: each.uid,
    max_size=5,
).map(tuple)
SOME = st.frozensets(st.sampled_from(UIDS))
VIEWS = st.builds(View, pods=PODS, mine=SOME, others=SOME, unwanted=SOME, waiting=st.integers(0, 3))


@EVERY
@given(VIEWS, st.integers(0, 9))
def test_nothing_in_use_is_ever_a_victim(view: View, scale: int) -> None:
    for victim in victims(view, scale):
        assert victim.living
        assert victim.uid in view.unwanted
        assert victim.uid not in view.mine | view.others


@EVERY
@given(VIEWS, st.integers(0, 9))
def test_the_scale_never_falls_below_what_is_needed(view: View, scale: int) -> None:
    assert scale - len(victims(view, scale)) >= min(scale, kept(view) + view.waiting)


@EVERY
@given(VIEWS, st.integers(0, 9))
def test_no_more_pods_go_than_the_scale_has_too_many(view: View, scale: int) -> None:
    assert len(victims(view, scale)) <= max(0, scale - scale_for(view))


@EVERY
@given(VIEWS)
def test_a_candidate_is_usable_and_not_ours_already(view: View) -> None:
    chosen = candidate(view)
    usable = [p for p in view.pods if p.living and p.leaving is None and p.uid not in view.mine]
    assert (chosen is None) == (not usable)
    if chosen is not None:
        assert chosen in usable
        assert chosen.ready or not any(p.ready for p in usable)


def test_a_pod_of_its_own_before_a_shared_one() -> None:
    view = View(pods=(pod("1"), pod("2")), others=frozenset({"2"}))
    assert candidate(view) == pod("1")


def test_a_shared_pod_before_one_that_is_not_ready() -> None:
    view = View(pods=(pod("1", ready=False), pod("2")), others=frozenset({"2"}))
    assert candidate(view) == pod("2")


def test_the_newer_pod_because_a_rollout_ends_the_older() -> None:
    assert candidate(View(pods=(pod("1"), pod("3"), pod("2")))) == pod("3")


def test_pods_that_are_not_ready_go_first() -> None:
    pods = (pod("1"), pod("2", ready=False))
    view = View(pods=pods, unwanted=frozenset({"1", "2"}))
    assert victims(view, 1) == [pod("2", ready=False)]
    assert victims(view, 2) == [pod("2", ready=False), pod("1")]
    assert victims(view, 0) == []


def test_a_waiting_replica_keeps_a_place() -> None:
    view = View(pods=(pod("1"),), unwanted=frozenset({"1"}), waiting=1)
    assert victims(view, 1) == []
    assert scale_for(view) == 1


def test_a_cost_decides_only_among_ready_pods() -> None:
    ready, coming = pod("1"), pod("2", ready=False)
    assert goes_first(View(pods=(ready, pod("3"))), ready, knows_costs=True)
    assert not goes_first(View(pods=(ready, pod("3"))), ready, knows_costs=False)
    assert not goes_first(View(pods=(ready, coming)), ready, knows_costs=True)
    assert not goes_first(View(pods=(ready, coming)), coming, knows_costs=True)


def test_the_only_pod_goes_with_the_scale_whatever_it_costs() -> None:
    coming = pod("1", ready=False)
    view = View(pods=(coming, pod("2", terminating=True)))
    assert goes_first(view, coming, knows_costs=False)


def test_a_pod_of_a_lost_node_is_no_candidate() -> None:
    assert candidate(View(pods=(pod("1", ready=False, lost=True),))) is None
