"""What is rendered: as approved, accepted by cfn-lint, and as little permission as it needs."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from deploy.aws_lambda.goldens import approved, rendered
from deploy.aws_lambda.releases import ALL_OPTIONS, BORROWED_ROLE, CASES, CHAT, with_options
from pilotlight.deploy.aws_lambda.target import LambdaTarget
from pilotlight.deploy.release import Release

PARTS = (
    "README.md",
    "deployer-policy.json",
    "repository-policy.json",
    "cloudformation.yaml",
    "terraform/versions.tf",
    "terraform/role.tf",
    "terraform/function.tf",
    "terraform/url.tf",
    "terraform/outputs.tf",
)


@pytest.mark.parametrize("case", CASES)
def test_a_release_is_rendered_as_approved(case: str) -> None:
    assert dict(rendered(case)) == dict(approved(case))
    assert tuple(rendered(case)) == PARTS


def problems(template: str) -> list[str]:
    found = lint(template, config=ManualArgs(regions=["us-east-1"]))
    return [f"{match.rule.id} {match.message}" for match in found]


@pytest.mark.parametrize("case", CASES)
def test_cfn_lint_finds_nothing(case: str) -> None:
    assert problems(rendered(case)["cloudformation.yaml"]) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("InvokeMode: RESPONSE_STREAM", "InvokeMode: STREAM"), ("Timeout: 300", "Timeout: 901")],
)
def test_cfn_lint_would_find_something(right: str, wrong: str) -> None:
    template = rendered("chat")["cloudformation.yaml"]
    assert problems(template.replace(right, wrong))


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's own tags as what they hold."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: loader.construct_scalar(node))


def resources(release: Release[Any]) -> dict[str, Any]:
    template = LambdaTarget().render(release)["cloudformation.yaml"]
    found = yaml.load(template, Loader)["Resources"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("release", CASES.values(), ids=CASES)
def test_the_template_gives_the_function_what_apply_would(release: Release[Any]) -> None:
    wanted = LambdaTarget().wanted(release)["function/chat"]
    function = resources(release)["Function"]["Properties"]
    assert function["Environment"]["Variables"] == wanted["environment"]
    assert function["MemorySize"] == wanted["memory_mb"]
    assert function["EphemeralStorage"] == {"Size": wanted["disk_mb"]}
    assert function["Timeout"] == wanted["timeout_s"]
    assert function["Code"] == {"ImageUri": wanted["image"]}
    assert {tag["Key"]: tag["Value"] for tag in function["Tags"]} == wanted["tags"]


@pytest.mark.parametrize("release", CASES.values(), ids=CASES)
def test_terraform_gives_the_function_the_same_configuration(release: Release[Any]) -> None:
    text = LambdaTarget().render(release)["terraform/function.tf"]
    heredoc = re.search(r"<<-EOT\n(.*?)^      EOT", text, re.DOTALL | re.MULTILINE)
    assert heredoc is not None
    lines = (line.removeprefix(" " * 8) for line in heredoc[1].splitlines(keepends=True))
    environment = LambdaTarget().wanted(release)["function/chat"]["environment"]
    assert "".join(lines) == environment["PILOTLIGHT_CONFIG_YAML"]


def statements(release: Release[Any]) -> list[dict[str, Any]]:
    (policy,) = resources(release)["Role"]["Properties"]["Policies"]
    found = policy["PolicyDocument"]["Statement"]
    assert isinstance(found, list)
    return found


def test_an_instance_may_write_its_own_log_and_nothing_else() -> None:
    (only,) = statements(CHAT)
    assert only["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert only["Resource"].endswith(":log-group:/aws/lambda/chat:*")


def test_in_a_vpc_lambda_may_connect_it_and_its_own_code_may_not() -> None:
    _, allowed, denied, models = statements(ALL_OPTIONS)
    assert allowed["Effect"] == "Allow"
    assert denied["Effect"] == "Deny"
    assert allowed["Action"] == denied["Action"]
    assert models["Action"] == ["elasticfilesystem:ClientMount"]


def test_the_public_may_invoke_it_through_its_url_alone() -> None:
    permissions = [
        item["Properties"]
        for item in resources(CHAT).values()
        if item["Type"] == "AWS::Lambda::Permission"
    ]
    assert [item["Action"] for item in permissions] == [
        "lambda:InvokeFunctionUrl",
        "lambda:InvokeFunction",
    ]
    assert permissions[0]["FunctionUrlAuthType"] == "NONE"
    assert permissions[1]["InvokedViaFunctionUrl"] is True


def test_with_iam_nobody_is_let_in_by_the_function_itself() -> None:
    for release in (ALL_OPTIONS, with_options(CHAT, auth="AWS_IAM")):
        kinds = {item["Type"] for item in resources(release).values()}
        assert "AWS::Lambda::Permission" not in kinds
        assert "aws_cloudformation_stack" not in LambdaTarget().render(release)["terraform/url.tf"]


def test_a_role_that_is_there_already_is_neither_made_nor_handed_to_others() -> None:
    files = LambdaTarget().render(BORROWED_ROLE)
    assert "AWS::IAM::Role" not in files["cloudformation.yaml"]
    assert "aws_iam_role" not in files["terraform/role.tf"]
    passed = next(
        statement
        for statement in json.loads(files["deployer-policy.json"])["Statement"]
        if statement["Action"] == ["iam:PassRole"]
    )
    assert passed["Resource"] == [BORROWED_ROLE.options.role]


def test_another_configuration_is_another_version() -> None:
    changed = with_options(CHAT, environment={"SHOWN": "1"})
    retagged = with_options(CHAT, tags={"team": "search"})

    def version(release: Release[Any]) -> str:
        found = resources(release).items()
        return next(n for n, item in found if item["Type"] == "AWS::Lambda::Version")

    assert version(CHAT) != version(changed)
    assert version(CHAT) == version(retagged)
