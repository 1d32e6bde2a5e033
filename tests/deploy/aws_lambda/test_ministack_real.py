"""A release at an emulator of AWS that really runs it: put up, asked, changed, taken down."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from deploy.aws_lambda import ministack
from deploy.aws_lambda.ministack import MiniStack
from deploy.aws_lambda.releases import ALL_OPTIONS, CHAT, with_options, with_scaling, with_size
from deploy.image import built
from instance import rie
from instance.lambda_function import url_event
from pilotlight.deploy.aws_lambda.target import LambdaTarget
from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import changes
from pilotlight.deploy.target import Status
from pilotlight.errors import DeployError

pytestmark = pytest.mark.platforms

TAG = "123456789012.dkr.ecr.us-east-1.amazonaws.com/pilotlight-test:emulated"
QUESTION = "What is the capital of France? Answer in one word."


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MiniStack]:
    with ministack.running(tmp_path) as found:
        monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
        yield found


@pytest.fixture
def running_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MiniStack]:
    """One that runs what is invoked, in containers."""
    with ministack.running(tmp_path, containers=True) as found:
        monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
        yield found


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    """Ours with Amazon's emulator of the Runtime API in front, as MiniStack asks images."""
    ours, emulator = built.built_image("wheel"), rie.emulator()
    (tmp_path / "aws-lambda-rie").write_bytes(emulator.read_bytes())
    (tmp_path / "Containerfile").write_text(
        f"FROM {ours}\n"
        "COPY --chmod=755 aws-lambda-rie /usr/local/bin/aws-lambda-rie\n"
        'ENTRYPOINT ["/usr/local/bin/aws-lambda-rie", '
        '"--runtime-interface-emulator-address", "0.0.0.0:8080", "pilotlight-instance"]\n'
    )
    built.podman("build", "--quiet", "--tag", TAG, str(tmp_path))
    yield TAG
    built.podman("rmi", "--force", TAG, check=False)


def put_up(target: LambdaTarget, release: Release[Any]) -> Status:
    todo = list(changes(target.live(release), target.wanted(release)))
    return target.apply(release, todo, lambda line: None)


def left(aws: MiniStack) -> list[str]:
    functions = aws.client("lambda").list_functions()["Functions"]
    roles = aws.client("iam").list_roles()["Roles"]
    groups = aws.client("logs").describe_log_groups()["logGroups"]
    return [
        *(one["FunctionName"] for one in functions),
        *(one["RoleName"] for one in roles if not one["Path"].startswith("/aws-")),
        *(one["logGroupName"] for one in groups),
    ]


def asked(aws: MiniStack, key: str) -> tuple[float, int, Any]:
    """Seconds, status and body of one prompt to the alias."""
    body = {
        "model": built.MODEL,
        "max_tokens": 8,
        "temperature": 0,
        "messages": [{"role": "user", "content": QUESTION}],
    }
    event = url_event(
        body=json.dumps(body),
        headers={"content-type": "application/json", "authorization": f"Bearer {key}"},
        signed=False,
    )
    begun_s = time.monotonic()
    answer = aws.client("lambda").invoke(
        FunctionName="chat", Qualifier="live", Payload=json.dumps(event)
    )
    payload = answer["Payload"].read()
    assert "FunctionError" not in answer, (payload, aws.log.read_text()[-2000:])
    return time.monotonic() - begun_s, *rie.document(payload)


def test_a_real_prompt_is_answered_before_and_after_an_update(
    running_aws: MiniStack, image: str
) -> None:
    keys, key = built.make_keys()
    target = LambdaTarget(running_aws.connect)
    serve = {
        "models": {built.MODEL: {"ref": built.REF, "options": {"context": 1024, "threads": 1}}}
    }
    release = replace(
        with_options(CHAT, invoke_mode="BUFFERED"),
        image=image,
        serve=serve,
        keys=json.loads(keys),
        size=replace(CHAT.size, memory_bytes=3584 * 2**20),
    )
    begun_s = time.monotonic()
    status = put_up(target, release)
    print(f"put up in {time.monotonic() - begun_s:.2f} s: {status}")
    assert status.state == "ready"
    assert status.url
    assert asked(running_aws, "no key")[1] == 401
    for _ in range(2):
        took_s, code, body = asked(running_aws, key)
        print(f"answered in {took_s:.2f} s")
        assert code == 200
        assert "Paris" in body["choices"][0]["message"]["content"]
    larger = with_scaling(with_size(release, memory_bytes=4096 * 2**20), minimum=1)
    assert put_up(target, larger).state == "ready"
    assert dict(target.status(larger).facts)["memory"] == "4096 MB"
    assert dict(target.status(larger).facts)["standby"].startswith("1 ")
    assert asked(running_aws, key)[1] == 200
    put_up(target, replace(larger, scaling=release.scaling))
    target.cool(release, lambda line: None)
    took_s, code, _ = asked(running_aws, key)
    print(f"cold, answered in {took_s:.2f} s")
    assert code == 200
    target.delete(release, lambda line: None)
    assert left(running_aws) == []


@pytest.mark.parametrize("release", [CHAT, ALL_OPTIONS], ids=["chat", "all-options"])
def test_what_was_put_up_is_what_was_wanted(aws: MiniStack, release: Release[Any]) -> None:
    target = LambdaTarget(aws.connect)
    put_up(target, release)
    assert target.live(release) == target.wanted(release)
    target.delete(release, lambda line: None)
    assert target.live(release) == {}
    assert left(aws) == []


class FailsAt:
    """A broken connection at one call: before it is sent, or once it is answered."""

    def __init__(self, aws: MiniStack, number: int, event: str) -> None:
        self.reached = False
        self._left = number
        session = aws.session()
        session.events.register(f"{event}.*.*", self._call)
        self.connect = lambda region: ministack.Aws(region, session)

    def _call(self, **_: Any) -> None:
        self._left -= 1
        if self._left == -1:
            self.reached = True
            raise EndpointConnectionError(endpoint_url="https://aws.test")


@pytest.mark.parametrize("event", ["before-call", "after-call"])
def test_nothing_is_left_behind_by_a_failure_at_any_call(aws: MiniStack, event: str) -> None:
    release = with_scaling(CHAT, minimum=1)
    clean = LambdaTarget(aws.connect)
    todo = list(changes({}, clean.wanted(release)))
    failed = 0
    for number in count():
        failing = FailsAt(aws, number, event)
        said: list[str] = []
        try:
            LambdaTarget(failing.connect).apply(release, todo, said.append)
        except DeployError:
            assert left(aws) == [], (number, said)
            failed += 1
        else:
            clean.delete(release, lambda line: None)
        if not failing.reached:
            break
    assert failed > 15


@pytest.mark.parametrize("release", [CHAT, ALL_OPTIONS], ids=["chat", "all-options"])
def test_cloudformation_makes_the_same_of_the_template(
    aws: MiniStack, release: Release[Any]
) -> None:
    stacks, functions = aws.client("cloudformation"), aws.client("lambda")
    template = LambdaTarget().render(release)["cloudformation.yaml"]
    stacks.create_stack(StackName="chat", TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
    stacks.get_waiter("stack_create_complete").wait(
        StackName="chat", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    made = functions.get_function_configuration(FunctionName="chat", Qualifier="live")
    wanted = LambdaTarget().wanted(release)["function/chat"]
    assert made["Environment"]["Variables"] == wanted["environment"]
    assert made["MemorySize"] == wanted["memory_mb"]
    url = functions.get_function_url_config(FunctionName="chat", Qualifier="live")
    assert url["InvokeMode"] == release.options.invoke_mode
    stacks.delete_stack(StackName="chat")
    stacks.get_waiter("stack_delete_complete").wait(
        StackName="chat", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    assert left(aws) == []
