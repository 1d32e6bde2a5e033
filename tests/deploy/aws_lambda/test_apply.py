"""Releases put up, changed and taken down at AWS as it answers, and at AWS that fails."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from deploy.aws_lambda.fake_aws import FakeAws, Refusal, World
from deploy.aws_lambda.releases import (
    ALL_OPTIONS,
    BORROWED_ROLE,
    CASES,
    CHAT,
    with_options,
    with_scaling,
    with_size,
)
from pilotlight.deploy.aws_lambda.target import LambdaTarget
from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import changes
from pilotlight.deploy.target import Status
from pilotlight.errors import ConfigError, DeployError

AnyRelease = Release[Any]


class Cloud:
    """A target, the AWS that it talks to, and what it said."""

    def __init__(self) -> None:
        self.aws = FakeAws()
        self.target = LambdaTarget(self.aws.connect)
        self.said: list[str] = []

    def reset(self, world: World | None = None) -> None:
        self.aws.reset(copy.deepcopy(world))
        self.said.clear()

    def apply(self, release: AnyRelease) -> Status:
        todo = list(changes(self.target.live(release), self.target.wanted(release)))
        return self.target.apply(release, todo, self.said.append)

    def todo(self, release: AnyRelease) -> list[str]:
        found = changes(self.target.live(release), self.target.wanted(release))
        return [f"{change.action} {change.name}" for change in found]

    def delete(self, release: AnyRelease) -> None:
        self.target.delete(release, self.said.append)

    @property
    def function(self) -> Any:
        return self.aws.world.functions["chat"]


@pytest.fixture(scope="module")
def clients() -> Cloud:
    return Cloud()


@pytest.fixture
def cloud(clients: Cloud) -> Cloud:
    clients.reset()
    # Somebody else's, which is to stay as it is.
    clients.aws.world.roles["shared"] = {"trust": "{}", "tags": {}, "policies": {}}
    return clients


def only_shared(cloud: Cloud) -> bool:
    world = cloud.aws.world
    return not world.functions and not world.log_groups and set(world.roles) == {"shared"}


@pytest.mark.parametrize("release", CASES.values(), ids=CASES)
def test_a_release_is_put_up_and_then_nothing_is_left_to_do(
    cloud: Cloud, release: AnyRelease
) -> None:
    status = cloud.apply(release)
    assert status.state == "ready"
    assert status.url == "https://chat.lambda-url.test/"
    assert cloud.todo(release) == []
    assert cloud.target.live(release) == cloud.target.wanted(release)


def test_it_is_made_in_order_and_each_step_is_told(cloud: Cloud) -> None:
    cloud.apply(CHAT)
    assert cloud.said == [
        "created log-group/aws/lambda/chat",
        "created role/chat-us-east-1",
        "created function/chat",
        "created alias/chat:live",
        "created concurrency/chat:live",
        "created url/chat:live",
    ]


def test_the_role_may_what_was_rendered_and_nothing_else(cloud: Cloud) -> None:
    cloud.apply(CHAT)
    role = cloud.aws.world.roles["chat-us-east-1"]
    (text,) = role["policies"].values()
    (statement,) = json.loads(text)["Statement"]
    assert statement["Resource"] == (
        "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/chat:*"
    )


def test_the_url_lets_the_public_in_and_direct_calls_not(cloud: Cloud) -> None:
    cloud.apply(CHAT)
    statements = cloud.function.policies["live"]
    assert set(statements) == {
        "FunctionURLAllowPublicAccess",
        "FunctionURLInvokeAllowPublicAccess",
    }
    for statement in statements.values():
        assert statement.get("FunctionUrlAuthType") or statement.get("InvokedViaFunctionUrl")


def test_what_aws_does_late_is_waited_for(cloud: Cloud) -> None:
    cloud.aws.role_unknown_for = 5
    cloud.aws.pending_looks = 3
    assert cloud.apply(with_scaling(CHAT, minimum=1)).state == "ready"
    assert cloud.aws.slept_s > 5
    cloud.apply(with_size(with_scaling(CHAT, minimum=2), memory_bytes=2**30))
    assert cloud.function.standby["live"]["AvailableProvisionedConcurrentExecutions"] == 2


def test_a_role_that_never_comes_is_given_up(cloud: Cloud) -> None:
    cloud.aws.role_unknown_for = 10**6
    with pytest.raises(DeployError, match="cannot be assumed"):
        cloud.apply(CHAT)
    assert cloud.aws.slept_s < 120
    assert only_shared(cloud)


def test_a_function_that_never_comes_is_given_up(cloud: Cloud) -> None:
    cloud.aws.pending_looks = 10**6
    with pytest.raises(DeployError, match="didn't finish in 600 s"):
        cloud.apply(CHAT)
    assert only_shared(cloud)


def test_an_image_that_lambda_cannot_run_is_taken_back_with_its_words(cloud: Cloud) -> None:
    cloud.aws.fails_to_start = "The image manifest is not supported"
    with pytest.raises(DeployError, match="manifest is not supported"):
        cloud.apply(CHAT)
    assert only_shared(cloud)
    assert cloud.target.status(CHAT).state == "absent"


UPDATES: dict[str, tuple[AnyRelease, list[str]]] = {
    "image": (
        replace(CHAT, image=str(CHAT.image).replace("@sha256:0123", "@sha256:4567")),
        ["update function/chat", "update alias/chat:live"],
    ),
    "memory": (
        with_size(CHAT, memory_bytes=2**31),
        ["update function/chat", "update alias/chat:live"],
    ),
    "standby": (with_scaling(CHAT, minimum=3), ["update concurrency/chat:live"]),
    "auth": (with_options(CHAT, auth="AWS_IAM"), ["update url/chat:live"]),
    "retention": (with_options(CHAT, log_retention=30), ["update log-group/aws/lambda/chat"]),
    "role": (
        with_options(CHAT, role="arn:aws:iam::123456789012:role/shared"),
        ["update function/chat", "update alias/chat:live", "delete role/chat-us-east-1"],
    ),
    "all": (
        ALL_OPTIONS,
        [
            "update log-group/aws/lambda/chat",
            "update role/chat-us-east-1",
            "update function/chat",
            "update alias/chat:live",
            "update concurrency/chat:live",
            "update url/chat:live",
        ],
    ),
    "unbounded": (with_options(CHAT, reserve=False), ["delete concurrency/chat:live"]),
}


@pytest.mark.parametrize(("release", "todo"), UPDATES.values(), ids=UPDATES)
def test_only_what_has_changed_is_changed(
    cloud: Cloud, release: AnyRelease, todo: list[str]
) -> None:
    cloud.apply(CHAT)
    assert cloud.todo(release) == todo
    cloud.apply(release)
    assert cloud.target.live(release) == cloud.target.wanted(release)
    cloud.apply(CHAT)
    assert cloud.target.live(CHAT) == cloud.target.wanted(CHAT)


def test_standby_grows_and_shrinks_within_what_is_reserved(cloud: Cloud) -> None:
    for minimum, maximum in ((2, 4), (8, 8), (1, 1), (0, 1)):
        cloud.apply(with_scaling(CHAT, minimum=minimum, maximum=maximum))
        assert cloud.function.reserved == maximum
        kept = cloud.function.standby.get("live")
        assert (kept["RequestedProvisionedConcurrentExecutions"] if kept else 0) == minimum


def test_standby_of_the_new_version_is_waited_for(cloud: Cloud) -> None:
    cloud.apply(with_scaling(CHAT, minimum=1))
    cloud.aws.pending_looks = 2
    larger = with_size(with_scaling(CHAT, minimum=1), memory_bytes=2**33)
    assert cloud.apply(larger).state == "ready"


def test_callers_are_on_the_old_version_until_the_new_one_can_run(cloud: Cloud) -> None:
    cloud.apply(CHAT)
    cloud.aws.fails_to_start = "no such binary"
    larger = with_size(CHAT, memory_bytes=2**33)
    with pytest.raises(DeployError, match="no such binary"):
        cloud.apply(larger)
    assert cloud.function.aliases["live"]["FunctionVersion"] == "1"


OTHER_IMAGE = str(CHAT.image).replace("@sha256:0123", "@sha256:4567")


def test_an_update_that_lambda_gave_up_is_taken_back(cloud: Cloud) -> None:
    """It counts as failed until another update succeeds, and must not be in the way of that one."""
    cloud.apply(CHAT)
    before = cloud.target.live(CHAT)
    cloud.aws.unusable[OTHER_IMAGE] = "The image can't be read"
    with pytest.raises(DeployError, match="image can't be read") as failed:
        cloud.apply(replace(CHAT, image=OTHER_IMAGE))
    assert "taken back" not in str(failed.value)
    assert cloud.target.live(CHAT) == before
    assert cloud.target.status(CHAT).state == "ready"


def test_a_function_whose_last_update_failed_is_mended_by_the_next(cloud: Cloud) -> None:
    cloud.apply(CHAT)
    cloud.function.configuration["LastUpdateStatus"] = "Failed"
    assert cloud.target.status(CHAT).state == "failed"
    cloud.apply(with_size(CHAT, memory_bytes=2**31))
    assert cloud.target.status(CHAT).state == "ready"


def test_old_versions_go_and_the_one_before_stays(cloud: Cloud) -> None:
    for memory_mb in (1024, 2048, 3072, 4096):
        cloud.apply(with_size(CHAT, memory_bytes=memory_mb * 2**20))
    assert sorted(cloud.function.versions) == [3, 4]


def test_the_release_before_is_served_again_by_its_own_version(cloud: Cloud) -> None:
    cloud.apply(CHAT)
    cloud.apply(with_size(CHAT, memory_bytes=2**31))
    cloud.apply(CHAT)
    assert cloud.function.aliases["live"]["FunctionVersion"] == "1"
    assert cloud.todo(CHAT) == []


def test_an_alias_that_somebody_moved_is_moved_back(cloud: Cloud) -> None:
    cloud.apply(CHAT)
    cloud.apply(with_size(CHAT, memory_bytes=2**31))
    cloud.function.aliases["live"]["FunctionVersion"] = "1"
    larger = with_size(CHAT, memory_bytes=2**31)
    assert cloud.todo(larger) == ["update alias/chat:live"]
    cloud.apply(larger)
    assert cloud.function.aliases["live"]["FunctionVersion"] == "2"


def test_a_tag_that_was_pushed_again_is_a_change(cloud: Cloud) -> None:
    release = replace(CHAT, image="123456789012.dkr.ecr.us-east-1.amazonaws.com/chat:latest")
    cloud.apply(release)
    cloud.aws.world.tag_digests["chat:latest"] = f"sha256:{'0' * 63}6"
    assert cloud.todo(release) == []
    cloud.aws.world.tag_digests["chat:latest"] = f"sha256:{'f' * 64}"
    assert cloud.todo(release) == ["update function/chat", "update alias/chat:live"]
    cloud.apply(release)
    served = cloud.function.versions[int(cloud.function.aliases["live"]["FunctionVersion"])]
    assert served["code"]["ResolvedImageUri"].endswith("f" * 64)
    assert cloud.todo(release) == []


@pytest.mark.parametrize("release", CASES.values(), ids=CASES)
def test_all_of_it_can_be_deleted_twice(cloud: Cloud, release: AnyRelease) -> None:
    cloud.apply(release)
    cloud.delete(release)
    assert only_shared(cloud)
    cloud.delete(release)
    assert cloud.target.status(release).state == "absent"
    assert cloud.target.live(release) == {}


OTHERS: dict[str, Callable[[Cloud], None]] = {
    "function": lambda cloud: cloud.function.tags.clear(),
    "role": lambda cloud: cloud.aws.world.roles["chat-us-east-1"]["tags"].clear(),
    "log group": lambda cloud: cloud.aws.world.log_groups["/aws/lambda/chat"]["tags"].clear(),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_somebody_else_made_is_neither_changed_nor_deleted(cloud: Cloud, what: str) -> None:
    cloud.apply(CHAT)
    OTHERS[what](cloud)
    before = copy.deepcopy(cloud.aws.world)
    acts: list[Callable[[AnyRelease], object]] = [cloud.apply, cloud.delete]
    if what == "function":
        acts += [cloud.target.status, lambda release: cloud.target.cool(release, cloud.said.append)]
    for act in acts:
        with pytest.raises(DeployError, match=f"there is a {what}") as caught:
            act(CHAT)
        assert caught.value.hint is not None
        assert "pilotlight=chat" in caught.value.hint
    assert cloud.aws.world == before


MEANWHILE: dict[str, Callable[[World], None]] = {
    "log group": lambda world: world.log_groups.update({"/aws/lambda/chat": {
        "logGroupName": "/aws/lambda/chat", "arn": "log-group:/aws/lambda/chat:*", "tags": {},
    }}),
    "role": lambda world: world.roles.update({"chat-us-east-1": {
        "trust": "{}", "tags": {}, "policies": {},
    }}),
}  # fmt: skip


@pytest.mark.parametrize("what", MEANWHILE)
def test_what_somebody_made_since_we_looked_is_neither_changed_nor_taken_back(
    cloud: Cloud, what: str
) -> None:
    todo = list(changes(cloud.target.live(CHAT), cloud.target.wanted(CHAT)))
    MEANWHILE[what](cloud.aws.world)
    before = copy.deepcopy(cloud.aws.world)
    with pytest.raises(DeployError, match=f"there is a {what}"):
        cloud.target.apply(CHAT, todo, cloud.said.append)
    assert cloud.aws.world == before


def test_a_stack_of_cloudformation_keeps_what_it_made(cloud: Cloud) -> None:
    cloud.apply(CHAT)
    cloud.function.tags["aws:cloudformation:stack-name"] = "mine"
    with pytest.raises(DeployError, match="belongs to the CloudFormation stack 'mine'"):
        cloud.delete(CHAT)


def test_somebody_elses_role_of_that_name_is_no_matter_with_a_role_of_ones_own(
    cloud: Cloud,
) -> None:
    cloud.aws.world.roles["chat-us-east-1"] = {"trust": "{}", "tags": {}, "policies": {}}
    cloud.apply(BORROWED_ROLE)
    cloud.delete(BORROWED_ROLE)
    assert set(cloud.aws.world.roles) == {"shared", "chat-us-east-1"}


class Failure:
    """Raises at one call: before AWS has heard it, or after AWS has done it."""

    def __init__(self, at: int, error: BaseException) -> None:
        self.reached = False
        self._at, self._error = at, error

    def __call__(self, number: int, operation: str) -> None:
        if number == self._at:
            self.reached = True
            raise self._error


ERRORS: dict[str, tuple[Callable[[], BaseException], str]] = {
    "refused": (lambda: Refusal("AccessDeniedException", "not yours"), "before"),
    "no answer": (lambda: EndpointConnectionError(endpoint_url="https://aws.test"), "after"),
    "interrupted": (KeyboardInterrupt, "after"),
}


def failures(cloud: Cloud, release: AnyRelease, kind: str) -> Iterator[str]:
    """The call that failed, for each of those that bring `release` about."""
    world = copy.deepcopy(cloud.aws.world)
    todo = list(changes(cloud.target.live(release), cloud.target.wanted(release)))
    for number in count():
        cloud.reset(world)
        error, when = ERRORS[kind]
        failure = Failure(number, error())
        setattr(cloud.aws, when, failure)
        try:
            cloud.target.apply(release, todo, cloud.said.append)
        except (DeployError, KeyboardInterrupt):
            assert failure.reached
        if not failure.reached:
            return
        setattr(cloud.aws, when, lambda number, operation: None)
        yield f"{number}: {cloud.aws.calls[number]}, {cloud.said}"


@pytest.mark.parametrize("kind", ERRORS)
def test_nothing_is_left_behind_by_a_failure_at_any_call(cloud: Cloud, kind: str) -> None:
    release = with_scaling(CHAT, minimum=1)
    seen = 0
    for call in failures(cloud, release, kind):
        seen += 1
        # Once the last change is made, only what is looked at afterwards can still fail.
        assert only_shared(cloud) or "created url/chat:live" in cloud.said, call
    assert seen > 20


@pytest.mark.parametrize("kind", ERRORS)
def test_after_a_failure_at_any_call_of_an_update_all_is_as_before(cloud: Cloud, kind: str) -> None:
    cloud.apply(CHAT)
    before = cloud.target.live(CHAT)
    seen = 0
    for call in failures(cloud, ALL_OPTIONS, kind):
        seen += 1
        if "updated url/chat:live" not in cloud.said:
            assert cloud.target.live(CHAT) == before, call
            assert list(cloud.function.versions) == [1], call
    assert seen > 30


def test_what_cannot_be_taken_back_is_named(cloud: Cloud) -> None:
    def broken(number: int, operation: str) -> None:
        if operation in ("CreateFunctionUrlConfig", "DeleteLogGroup"):
            raise Refusal("ServiceException", "try later", 500)

    cloud.aws.before = broken
    with pytest.raises(
        DeployError, match=r"CreateFunctionUrlConfig.*taken back: log-group/aws/lambda/chat"
    ):
        cloud.apply(CHAT)
    assert cloud.said[-1].startswith("couldn't take back log-group/aws/lambda/chat: AWS refused")
    cloud.aws.before = lambda number, operation: None
    cloud.delete(CHAT)
    assert only_shared(cloud)


def test_an_account_too_small_to_reserve_says_what_to_do(cloud: Cloud) -> None:
    cloud.aws.concurrency_limit = 10
    with pytest.raises(DeployError, match="UnreservedConcurrentExecution") as caught:
        cloud.apply(CHAT)
    assert caught.value.hint is not None
    assert "lambda.reserve to false" in caught.value.hint
    assert only_shared(cloud)
    assert cloud.apply(with_options(CHAT, reserve=False)).state == "ready"


def test_a_refusal_names_the_call_and_where_the_permissions_are(cloud: Cloud) -> None:
    def refused(number: int, operation: str) -> None:
        raise Refusal("AccessDeniedException", "User is not authorized")

    cloud.aws.before = refused
    with pytest.raises(DeployError, match=r"refused .*: User is not authorized") as caught:
        cloud.target.status(CHAT)
    assert caught.value.hint is not None
    assert "deployer-policy.json" in caught.value.hint


def test_without_credentials_the_next_step_is_to_have_some(cloud: Cloud) -> None:
    def nobody(number: int, operation: str) -> None:
        raise NoCredentialsError

    cloud.aws.before = nobody
    with pytest.raises(ConfigError, match="no credentials"):
        cloud.target.live(CHAT)


SERVICES = ("lambda", "iam", "logs", "ecr")


def test_the_policy_for_whoever_deploys_has_every_call_that_is_made(cloud: Cloud) -> None:
    cloud.apply(with_scaling(CHAT, minimum=1))
    tagged = with_options(ALL_OPTIONS, tags={"team": "search"})
    cloud.apply(replace(tagged, image="123456789012.dkr.ecr.us-east-1.amazonaws.com/chat:1"))
    cloud.apply(CHAT)
    cloud.target.cool(CHAT, cloud.said.append)
    list(cloud.target.logs(CHAT, since_s=60, follow=False))
    cloud.delete(CHAT)
    calls = set(cloud.aws.calls) - {"GetCallerIdentity"}  # allowed to everybody
    text = cloud.target.render(ALL_OPTIONS)["deployer-policy.json"]
    allowed = {action for item in json.loads(text)["Statement"] for action in item["Action"]}
    for operation in calls:
        assert allowed & {f"{service}:{operation}" for service in SERVICES}, operation


def test_cooling_makes_new_environments_and_changes_nothing_else(cloud: Cloud) -> None:
    cloud.apply(CHAT)
    before = cloud.target.live(CHAT)
    for expected in ("2", "3", "4"):
        cloud.target.cool(CHAT, cloud.said.append)
        assert cloud.function.aliases["live"]["FunctionVersion"] == expected
    assert cloud.target.live(CHAT) == before
    assert cloud.todo(CHAT) == []
    assert sorted(cloud.function.versions) == [3, 4]


def test_what_is_kept_ready_cannot_be_cold(cloud: Cloud) -> None:
    cloud.apply(with_scaling(CHAT, minimum=1))
    with pytest.raises(DeployError, match="kept ready"):
        cloud.target.cool(CHAT, cloud.said.append)


def test_nothing_there_cannot_be_cooled(cloud: Cloud) -> None:
    with pytest.raises(DeployError, match="there is no function 'chat'"):
        cloud.target.cool(CHAT, cloud.said.append)


def test_status_tells_what_is_there(cloud: Cloud) -> None:
    status = cloud.apply(with_scaling(CHAT, minimum=2))
    assert status.instances == 2
    assert status.image == CHAT.image
    facts = dict(status.facts)
    assert facts["memory"] == "6144 MB"
    assert facts["standby"] == "2 (ready)"
    assert facts["reserved"] == "4"
    assert facts["version"] == "1"


def test_status_of_a_function_without_its_alias_says_so(cloud: Cloud) -> None:
    cloud.apply(CHAT)
    cloud.function.aliases.clear()
    status = cloud.target.status(CHAT)
    assert status.state == "failed"
    assert "apply once more" in status.detail
    cloud.function.urls.clear()
    cloud.function.policies.clear()
    assert cloud.apply(CHAT).state == "ready"


def test_status_while_standby_comes_up(cloud: Cloud) -> None:
    cloud.apply(with_scaling(CHAT, minimum=2))
    cloud.function.standby["live"].update(Status="IN_PROGRESS", looks=1)
    assert cloud.target.status(CHAT).state == "updating"
    assert cloud.target.status(CHAT).state == "ready"


def test_without_a_region_nothing_is_asked(cloud: Cloud) -> None:
    with pytest.raises(ConfigError, match="has no region"):
        cloud.target.status(replace(CHAT, region=None, image=None))
    assert cloud.aws.calls == []
