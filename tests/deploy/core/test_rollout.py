"""The verbs on a platform that fails at every step in turn."""

from __future__ import annotations

from copy import deepcopy

import pytest

from pilotlight.deploy.resources import Change
from pilotlight.deploy.rollout import pending, put_up, rendered, take_down
from pilotlight.errors import DeployError, DeployLimitError

from .fake_target import FakeTarget, Platform
from .made import released

STEPS = ("create role/chat", "create service/chat", "create url/chat")


def refusing(name: str) -> Platform:
    def refuse(change: Change) -> None:
        if f"{change.action} {change.name}" == name:
            raise DeployError(f"quota for {change.name}", hint="ask for more")

    return Platform(refuses=refuse)


def test_it_is_brought_about_step_by_step_and_the_second_time_there_is_nothing_to_do() -> None:
    target, told = FakeTarget(), list[str]()
    release = released()
    status = put_up(target, release, told.append)
    assert (status.state, status.instances) == ("ready", 1)
    assert told[1:] == ["created role/chat", "created service/chat", "created url/chat"]
    assert target.platform_.asked == ["live", *STEPS]

    again = list[str]()
    assert put_up(target, release, again.append) == status
    assert again == ["nothing to change"]
    assert target.platform_.asked == ["live", *STEPS, "live"]


def test_only_what_differs_is_changed() -> None:
    target = FakeTarget()
    put_up(target, released(), lambda text: None)
    more = released("memory=8GB")
    assert [f"{each.action} {each.name}" for each in pending(target, more)] == [
        "update service/chat"
    ]
    put_up(target, more, lambda text: None)
    assert target.platform_.things["service/chat"]["memory"] == 8 * 10**9
    assert not pending(target, more)


@pytest.mark.parametrize("halfway", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_left_behind_wherever_the_first_one_fails(step: str, halfway: bool) -> None:
    target, told = FakeTarget(refusing(step)), list[str]()
    target.platform_.halfway = halfway
    with pytest.raises(DeployError, match="quota for") as caught:
        put_up(target, released(), told.append)
    assert caught.value.hint == "ask for more"
    assert target.platform_.things == {}
    begun = STEPS[: STEPS.index(step) + 1]
    back = [f"took back {each.removeprefix('create ')}" for each in reversed(begun)]
    assert told[-len(back) :] == back, "the last first: it uses what came before"


@pytest.mark.parametrize("halfway", [False, True])
def test_a_failed_change_leaves_all_as_it_was(halfway: bool) -> None:
    target = FakeTarget()
    put_up(target, released(), lambda text: None)
    target.platform_.things["stray/chat"] = {"old": True}
    before = deepcopy(target.platform_.things)
    target.platform_.halfway = halfway

    refused = list[Change]()

    def refuse_once(change: Change) -> None:
        if change.name == "stray/chat" and not refused:
            refused.append(change)
            raise DeployError("in use")

    target.platform_.refuses = refuse_once
    with pytest.raises(DeployError, match="in use"):
        put_up(target, released("memory=8GB"), lambda text: None)
    assert target.platform_.things == before


def test_what_cannot_be_taken_back_is_named() -> None:
    def refuse(change: Change) -> None:
        if change.name != "role/chat":
            raise DeployError(f"no {change.action} of {change.name}")

    target = FakeTarget(Platform(refuses=refuse, halfway=True))
    with pytest.raises(DeployError) as caught:
        put_up(target, released(), lambda text: None)
    assert "this couldn't be taken back: service/chat" in caught.value.message
    assert list(target.platform_.things) == ["service/chat"], "the rest is gone all the same"


def test_an_interrupt_midway_takes_back_too() -> None:
    def interrupt(change: Change) -> None:
        if change.action == "create" and change.name == "url/chat":
            raise KeyboardInterrupt

    target = FakeTarget(Platform(refuses=interrupt))
    with pytest.raises(KeyboardInterrupt):
        put_up(target, released(), lambda text: None)
    assert target.platform_.things == {}


def test_taking_back_goes_on_whatever_a_client_raises() -> None:
    def refuse(change: Change) -> None:
        if change.name == "url/chat":
            raise DeployError("no") if change.action == "create" else RuntimeError("lost")

    target, told = FakeTarget(Platform(refuses=refuse)), list[str]()
    with pytest.raises(DeployError, match=r"no; and this couldn't be taken back: url/chat"):
        put_up(target, released(), told.append)
    assert "couldn't take back url/chat: RuntimeError('lost')" in told
    assert target.platform_.things == {}, "the others are taken back all the same"


def test_who_interrupts_twice_is_told_what_stays() -> None:
    def interrupt(change: Change) -> None:
        if f"{change.action} {change.name}" in ("create url/chat", "delete service/chat"):
            raise KeyboardInterrupt

    target, told = FakeTarget(Platform(refuses=interrupt)), list[str]()
    with pytest.raises(KeyboardInterrupt):
        put_up(target, released(), told.append)
    assert told[-1] == "stopped; not taken back: service/chat, role/chat"
    assert list(target.platform_.things) == ["role/chat", "service/chat"]


def test_limits_are_checked_before_anything_is_asked_of_the_platform() -> None:
    target = FakeTarget()
    release = released("memory=20GiB")
    for verb in (rendered, pending):
        with pytest.raises(DeployLimitError) as caught:
            verb(target, release)
        assert "memory at most 10737418240 bytes; this has 21474836480" in caught.value.message
        assert "set fake.memory to 10GiB" in caught.value.message
    with pytest.raises(DeployLimitError):
        put_up(target, release, lambda text: None)
    assert target.platform_.asked == []


def test_deleting_takes_all_of_it_and_nobody_elses_and_twice_is_no_error() -> None:
    target = FakeTarget()
    put_up(target, released(), lambda text: None)
    put_up(target, released("name=other"), lambda text: None)
    for _ in range(2):
        take_down(target, released(), lambda text: None)
        assert [n for n in target.platform_.things if n.endswith("/chat")] == []
    assert len(target.platform_.things) == 3
