"""The verbs through Google's own client, against a server that is as strict as Cloud Run says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from deploy.cloud_run.admin import Admin, When
from deploy.cloud_run.releases import CHAT, GPU, GUARDED, IMAGE, UNCHECKED, with_options
from pilotlight.deploy.cloud_run.cloud_run import CloudRun
from pilotlight.deploy.cloud_run.placement import CloudRunRelease
from pilotlight.deploy.resources import changes
from pilotlight.deploy.target import Status
from pilotlight.errors import DeployError

PATH = "projects/acme/locations/us-central1/services/chat"
BROKEN = replace(CHAT, image=IMAGE.replace("chat@", "broken@"))


def put_up(target: CloudRun, release: CloudRunRelease, said: list[str] | None = None) -> Status:
    todo = tuple(changes(target.live(release), target.wanted(release)))
    return target.apply(release, todo, (said if said is not None else []).append)


def pending(target: CloudRun, release: CloudRunRelease) -> list[str]:
    found = changes(target.live(release), target.wanted(release))
    return [f"{change.action} {change.name}" for change in found]


def members(admin: Admin) -> list[str]:
    return [member for each in admin.policies[PATH].bindings for member in each.members]


@pytest.mark.parametrize("release", [CHAT, UNCHECKED, with_options(GUARDED, ephemeral_disk=False),
                                     GPU], ids=lambda release: release.name)  # fmt: skip
def test_it_is_put_up_once_and_then_there_is_nothing_to_do(
    cloud_run: CloudRun, release: CloudRunRelease
) -> None:
    status = put_up(cloud_run, release)
    assert status.state == "ready"
    assert status.url == f"https://{release.name}-x1y2z3-uc.a.run.app"
    assert status.image == IMAGE
    assert pending(cloud_run, release) == []


def test_what_is_reported_is_what_was_done(cloud_run: CloudRun) -> None:
    said: list[str] = []
    put_up(cloud_run, with_options(CHAT, service_account="a@b.iam.gserviceaccount.com"), said)
    assert said == ["created service/chat", "created invoker/chat"]


def test_an_identity_that_may_do_much_is_said(cloud_run: CloudRun) -> None:
    said: list[str] = []
    put_up(cloud_run, CHAT, said)
    assert "default identity" in said[0]


def test_an_operation_that_takes_its_time_is_waited_for(cloud_run: CloudRun, admin: Admin) -> None:
    admin.polls = 3
    assert put_up(cloud_run, CHAT).state == "ready"
    assert admin.calls.count("get_operation") == 4


@pytest.mark.parametrize(
    ("changed", "fact"),
    [
        (replace(CHAT, image=IMAGE.replace("chat@", "next@")), None),
        (replace(CHAT, scaling=replace(CHAT.scaling, concurrency=32)), ("concurrency", "32")),
        (replace(CHAT, scaling=replace(CHAT.scaling, minimum=2)), ("bounds", "2 to 4 instances")),
        (with_options(CHAT, billing="instance"), ("billing", "by instance")),
        (with_options(CHAT, boost=False), None),
        (replace(CHAT, keys={}), None),
        (with_options(CHAT, service_account="a@b.iam.gserviceaccount.com"), None),
    ],
)
def test_a_change_is_seen_brought_about_and_then_gone(
    cloud_run: CloudRun, changed: CloudRunRelease, fact: tuple[str, str] | None
) -> None:
    put_up(cloud_run, CHAT)
    assert pending(cloud_run, changed) == ["update service/chat"]
    status = put_up(cloud_run, changed)
    assert status.image == changed.image
    assert fact is None or fact in status.facts
    assert pending(cloud_run, changed) == []
    assert pending(cloud_run, CHAT) == ["update service/chat"]


def test_a_gpu_comes_and_goes(cloud_run: CloudRun, admin: Admin) -> None:
    gpu = replace(GPU, region=CHAT.region)
    put_up(cloud_run, CHAT)
    put_up(cloud_run, gpu)
    assert admin.services[PATH].template.node_selector.accelerator == "nvidia-l4"
    put_up(cloud_run, CHAT)
    template = admin.services[PATH].template
    assert "node_selector" not in template
    assert not template.volumes


def test_what_others_set_stays(cloud_run: CloudRun, admin: Admin) -> None:
    put_up(cloud_run, CHAT)
    theirs = admin.services[PATH]
    theirs.labels["cost-center"] = "4711"
    theirs.template.vpc_access.connector = "projects/acme/locations/us-central1/connectors/office"
    assert pending(cloud_run, CHAT) == []
    put_up(cloud_run, replace(CHAT, image=IMAGE.replace("chat@", "next@")))
    now = admin.services[PATH]
    assert now.labels["cost-center"] == "4711"
    assert now.template.vpc_access.connector.endswith("office")


def test_a_revision_that_somebody_named_by_hand_is_no_obstacle(
    cloud_run: CloudRun, admin: Admin
) -> None:
    put_up(cloud_run, CHAT)
    admin.services[PATH].template.revision = admin.revisions[PATH][0].rpartition("/")[2]
    put_up(cloud_run, replace(CHAT, image=IMAGE.replace("chat@", "next@")))
    assert len(admin.revisions[PATH]) == 2


def test_who_may_call_it_follows_the_release(cloud_run: CloudRun, admin: Admin) -> None:
    put_up(cloud_run, CHAT)
    assert members(admin) == ["allUsers"]
    put_up(cloud_run, with_options(CHAT, invokers=("user:ann@example.com",)))
    assert members(admin) == ["user:ann@example.com"]
    unchecked = with_options(CHAT, invoker_check=False)
    put_up(cloud_run, unchecked)
    assert members(admin) == []
    assert pending(cloud_run, unchecked) == []


def test_other_roles_of_the_policy_stay(cloud_run: CloudRun, admin: Admin) -> None:
    put_up(cloud_run, CHAT)
    theirs = admin.policies[PATH].bindings.add(
        role="roles/run.viewer", members=["user:bob@example.com"]
    )
    theirs.condition.expression = 'request.time < timestamp("2027-01-01T00:00:00Z")'
    put_up(cloud_run, with_options(CHAT, invokers=("user:ann@example.com",)))
    assert sorted(members(admin)) == ["user:ann@example.com", "user:bob@example.com"]
    [viewers] = [each for each in admin.policies[PATH].bindings if "viewer" in each.role]
    assert "2027" in viewers.condition.expression


def test_an_organization_that_forbids_all_users_is_told_what_to_set(
    cloud_run: CloudRun, admin: Admin
) -> None:
    admin.allows_all_users = False
    with pytest.raises(DeployError, match="permitted customer") as refused:
        put_up(cloud_run, CHAT)
    assert "cloudrun.invoker_check=false" in str(refused.value)
    assert admin.empty


def test_a_service_that_never_becomes_ready_is_gone_again(
    cloud_run: CloudRun, admin: Admin
) -> None:
    with pytest.raises(DeployError, match="failed to start and listen") as failed:
        put_up(cloud_run, BROKEN)
    assert "deploy logs cloudrun" in str(failed.value)
    assert admin.empty


def test_an_update_that_never_becomes_ready_leaves_what_was(
    cloud_run: CloudRun, admin: Admin
) -> None:
    put_up(cloud_run, CHAT)
    served = admin.services[PATH].latest_ready_revision
    with pytest.raises(DeployError, match="failed to start and listen"):
        put_up(cloud_run, BROKEN)
    assert pending(cloud_run, CHAT) == []
    assert cloud_run.status(CHAT).state == "ready"
    # The old one never went, the failed one did, and what serves now is the old one's equal.
    assert served in admin.revisions[PATH]
    assert len(admin.revisions[PATH]) == 2


def test_an_update_of_what_never_was_ready_fails_alone(cloud_run: CloudRun, admin: Admin) -> None:
    put_up(cloud_run, CHAT)
    theirs = admin.services[PATH]
    theirs.template.containers[0].image = BROKEN.image
    admin._put(PATH, type(theirs)(theirs), theirs)
    said: list[str] = []
    with pytest.raises(DeployError, match="failed to start and listen") as failed:
        put_up(cloud_run, replace(BROKEN, scaling=replace(CHAT.scaling, maximum=9)), said)
    assert "taken back" not in str(failed.value)
    assert pending(cloud_run, BROKEN) == []


def test_a_change_of_somebody_else_at_the_same_time_is_not_lost(
    cloud_run: CloudRun, admin: Admin
) -> None:
    put_up(cloud_run, CHAT)
    changed = replace(CHAT, image=IMAGE.replace("chat@", "next@"))
    todo = tuple(changes(cloud_run.live(changed), cloud_run.wanted(changed)))

    def theirs() -> None:
        admin.services[PATH].etag = '"theirs"'

    admin.meanwhile["get_service"] = theirs
    with pytest.raises(DeployError, match="etag"):
        cloud_run.apply(changed, todo, [].append)
    assert admin.services[PATH].template.containers[0].image == IMAGE


CREATE_CALLS = 4  # create_service, get_iam_policy, set_iam_policy, and status's get_service


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", range(1, CREATE_CALLS))
def test_a_first_apply_that_fails_anywhere_leaves_nothing(
    cloud_run: CloudRun, admin: Admin, call: int, when: When
) -> None:
    todo = tuple(changes(cloud_run.live(CHAT), cloud_run.wanted(CHAT)))
    admin.calls.clear()
    admin.fail_at, admin.fail_when = call, when
    with pytest.raises(DeployError, match=f"injected {when}"):
        cloud_run.apply(CHAT, todo, [].append)
    assert admin.empty
    admin.fail_at = None
    assert put_up(cloud_run, CHAT).state == "ready"


def test_what_is_up_stays_up_though_nobody_could_look_again(
    cloud_run: CloudRun, admin: Admin
) -> None:
    todo = tuple(changes(cloud_run.live(CHAT), cloud_run.wanted(CHAT)))
    admin.calls.clear()
    admin.fail_at = CREATE_CALLS
    status = cloud_run.apply(CHAT, todo, list[str]().append)
    assert status.state == "ready"
    assert "injected before" in status.detail
    assert pending(cloud_run, CHAT) == []


UPDATED = replace(
    with_options(CHAT, invokers=("user:ann@example.com",)),
    image=IMAGE.replace("chat@", "next@"),
)
UPDATE_CALLS = 5  # get_service, update_service, get_iam_policy, set_iam_policy, status


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", range(1, UPDATE_CALLS))
def test_an_update_that_fails_anywhere_leaves_what_was(
    cloud_run: CloudRun, admin: Admin, call: int, when: When
) -> None:
    put_up(cloud_run, CHAT)
    todo = tuple(changes(cloud_run.live(UPDATED), cloud_run.wanted(UPDATED)))
    admin.calls.clear()
    admin.fail_at, admin.fail_when = call, when
    with pytest.raises(DeployError, match=f"injected {when}"):
        cloud_run.apply(UPDATED, todo, [].append)
    admin.fail_at = None
    assert pending(cloud_run, CHAT) == []
    assert members(admin) == ["allUsers"]
    assert call > 1 or "update_service" not in admin.calls


def test_the_counts_above_are_all_the_calls(cloud_run: CloudRun, admin: Admin) -> None:
    todo = tuple(changes(cloud_run.live(CHAT), cloud_run.wanted(CHAT)))
    admin.calls.clear()
    cloud_run.apply(CHAT, todo, [].append)
    assert len(admin.calls) == CREATE_CALLS
    todo = tuple(changes(cloud_run.live(UPDATED), cloud_run.wanted(UPDATED)))
    admin.calls.clear()
    cloud_run.apply(UPDATED, todo, [].append)
    assert len(admin.calls) == UPDATE_CALLS


def test_a_failure_to_take_back_is_said_too(cloud_run: CloudRun, admin: Admin) -> None:
    todo = tuple(changes(cloud_run.live(BROKEN), cloud_run.wanted(BROKEN)))
    admin.calls.clear()
    admin.fail_at = 2  # The look at what is to be taken back.
    said: list[str] = []
    with pytest.raises(DeployError, match="failed to start") as failed:
        cloud_run.apply(BROKEN, todo, said.append)
    assert "couldn't be taken back: service/chat" in str(failed.value)
    assert "couldn't take back service/chat" in said[-1]
    admin.fail_at = None
    cloud_run.delete(BROKEN, said.append)
    assert admin.empty


def test_interrupting_takes_back(cloud_run: CloudRun, admin: Admin) -> None:
    todo = tuple(changes(cloud_run.live(CHAT), cloud_run.wanted(CHAT)))

    def interrupted(line: str) -> None:
        if line == "created service/chat":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cloud_run.apply(CHAT, todo, interrupted)
    assert admin.empty


def test_somebody_elses_service_of_the_same_name_is_not_taken_away(
    cloud_run: CloudRun, admin: Admin
) -> None:
    todo = tuple(changes(cloud_run.live(CHAT), cloud_run.wanted(CHAT)))
    put_up(cloud_run, replace(CHAT, image=IMAGE.replace("chat@", "theirs@")))
    with pytest.raises(DeployError, match="already exists"):
        cloud_run.apply(CHAT, todo, [].append)
    assert "theirs@" in admin.services[PATH].template.containers[0].image


def test_what_somebody_else_made_is_neither_changed_nor_deleted(
    cloud_run: CloudRun, admin: Admin
) -> None:
    put_up(cloud_run, CHAT)
    del admin.services[PATH].labels["managed-by"]
    admin.calls.clear()
    acts: list[Callable[[], object]] = [
        lambda: pending(cloud_run, CHAT),
        lambda: cloud_run.cool(CHAT, [].append),
        lambda: cloud_run.delete(CHAT, [].append),
    ]
    for act in acts:
        with pytest.raises(DeployError, match="didn't make it") as refused:
            act()
        assert "--update-labels managed-by=pilotlight" in str(refused.value)
    assert set(admin.calls) == {"get_service"}


def test_what_the_client_cannot_say_is_refused_before_anything_is_sent(
    cloud_run: CloudRun, admin: Admin
) -> None:
    with pytest.raises(DeployError, match="DISK") as refused:
        put_up(cloud_run, GUARDED)
    assert "deploy render cloudrun" in str(refused.value)
    assert admin.empty
    assert "create_service" not in admin.calls


def test_status_of_nothing_is_absent(cloud_run: CloudRun) -> None:
    assert cloud_run.status(CHAT) == Status(state="absent")


def test_status_says_in_their_words_why_it_failed(cloud_run: CloudRun, admin: Admin) -> None:
    put_up(cloud_run, CHAT)
    theirs = admin.services[PATH]
    theirs.template.containers[0].image = IMAGE.replace("chat@", "broken@")
    admin._put(PATH, type(theirs)(theirs), theirs)
    status = cloud_run.status(CHAT)
    assert status.state == "failed"
    assert "failed to start and listen" in status.detail


def test_status_of_a_service_under_way_is_updating(cloud_run: CloudRun, admin: Admin) -> None:
    put_up(cloud_run, CHAT)
    admin.services[PATH].reconciling = True
    assert cloud_run.status(CHAT).state == "updating"


def test_cooling_makes_a_revision_that_nobody_tried_and_changes_nothing_else(
    cloud_run: CloudRun, admin: Admin
) -> None:
    put_up(cloud_run, CHAT)
    cloud_run.cool(CHAT, [].append)
    first = admin.services[PATH].latest_ready_revision
    cloud_run.cool(CHAT, [].append)
    assert admin.services[PATH].latest_ready_revision != first
    assert admin.services[PATH].template.health_check_disabled
    assert pending(cloud_run, CHAT) == []
    # The next release is tried before it gets traffic again.
    put_up(cloud_run, replace(CHAT, image=IMAGE.replace("chat@", "next@")))
    assert not admin.services[PATH].template.health_check_disabled


def test_what_is_kept_ready_cannot_be_cooled(cloud_run: CloudRun) -> None:
    put_up(cloud_run, replace(CHAT, scaling=replace(CHAT.scaling, minimum=1)))
    with pytest.raises(DeployError, match="keeps 1 instances ready"):
        cloud_run.cool(CHAT, [].append)


def test_nothing_cannot_be_cooled(cloud_run: CloudRun) -> None:
    with pytest.raises(DeployError, match="no service 'chat'"):
        cloud_run.cool(CHAT, [].append)


def test_deleting_leaves_nothing_and_deleting_nothing_is_no_error(
    cloud_run: CloudRun, admin: Admin
) -> None:
    put_up(cloud_run, CHAT)
    said: list[str] = []
    cloud_run.delete(CHAT, said.append)
    assert admin.empty
    assert cloud_run.live(CHAT) == {}
    cloud_run.delete(CHAT, said.append)
    assert said == ["deleted service/chat", "service/chat is not there"]


def test_what_cloud_run_refuses_has_its_words_and_a_next_step(
    cloud_run: CloudRun, admin: Admin
) -> None:
    too_many = replace(CHAT, scaling=replace(CHAT.scaling, concurrency=1001))
    with pytest.raises(DeployError, match="must be 1 to 1000"):
        put_up(cloud_run, too_many)
    assert admin.empty
