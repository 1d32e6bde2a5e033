"""The same as a Terraform folder. Text, so that it can say why; every value goes in quoted."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.deploy.aws_lambda import function, hcl, policy
from pilotlight.deploy.aws_lambda.function import ALIAS, CONFIG_VARIABLE, LambdaRelease
from pilotlight.deploy.resources import Files

PROVIDER = "5.100.0"

_ACCOUNT = "@account@"
"""Stands for the next one until a text is quoted, for that escapes `${`."""

_ACCOUNT_HERE = "${data.aws_caller_identity.here.account_id}"


def files(release: LambdaRelease) -> Files:
    return {
        "versions.tf": hcl.document(_versions(release)),
        "role.tf": hcl.document(_role(release)),
        "function.tf": hcl.document([*_function(release), *_alias(release)]),
        "url.tf": hcl.document(_url(release)),
        "outputs.tf": hcl.document(_outputs()),
    }


def _versions(release: LambdaRelease) -> Iterator[str]:
    yield f"# {release.name} on AWS Lambda, rendered by `pilotlight deploy render lambda`."
    yield "terraform {"
    yield '  required_version = ">= 1.5"'
    yield "  required_providers {"
    yield "    aws = {"
    yield '      source = "hashicorp/aws"'
    yield f'      version = "{PROVIDER}"'
    yield "    }"
    yield "  }"
    yield "}"
    yield ""
    yield 'provider "aws" {'
    yield f"  region = {hcl.quoted(function.region(release) or '')}"
    yield "  default_tags {"
    yield f"    tags = {hcl.value(function.tags(release), 4)}"
    yield "  }"
    yield "}"


def _role(release: LambdaRelease) -> Iterator[str]:
    if release.options.role is not None:
        yield "# The execution role is one that is there already; see function.tf."
        return
    yield 'data "aws_caller_identity" "here" {}'
    yield ""
    yield 'resource "aws_iam_role" "instance" {'
    yield f"  name_prefix = {hcl.quoted(release.name[:37] + '-')}"
    yield f"  assume_role_policy = jsonencode({hcl.value(policy.trust(), 2)})"
    yield "}"
    yield ""
    yield "# An instance may write its own log and nothing else. Lambda itself pulls the image."
    yield 'resource "aws_iam_role_policy" "instance" {'
    yield f"  name = {hcl.quoted(policy.POLICY_NAME)}"
    yield "  role = aws_iam_role.instance.id"
    statements = policy.document(policy.instance(release, _ACCOUNT))
    filled = hcl.value(statements, 2).replace(_ACCOUNT, _ACCOUNT_HERE)
    yield f"  policy = jsonencode({filled})"
    yield "}"


def _function(release: LambdaRelease) -> Iterator[str]:
    options = release.options
    yield "# Lambda would make it by itself, and then keep every line for ever."
    yield 'resource "aws_cloudwatch_log_group" "instance" {'
    yield f"  name = {hcl.quoted(function.log_group(release))}"
    yield f"  retention_in_days = {options.log_retention}"
    yield "}"
    yield ""
    yield 'resource "aws_lambda_function" "instance" {'
    yield f"  function_name = {hcl.quoted(release.name)}"
    yield '  package_type = "Image"'
    yield f"  image_uri = {hcl.quoted(release.image or '')}"
    yield f"  architectures = [{hcl.quoted(release.size.architecture)}]"
    role = hcl.quoted(options.role) if options.role else "aws_iam_role.instance.arn"
    yield f"  role = {role}"
    yield f"  # {function.vcpus(release):.2f} vCPUs come with it, one for each 1769 MB."
    yield f"  memory_size = {function.memory_mb(release)}"
    yield f"  timeout = {function.timeout_s(release)}"
    if options.reserve:
        yield "  # At most so many environments, each with one request: the bound of the bill."
        yield f"  reserved_concurrent_executions = {release.scaling.maximum}"
    yield "  # A version of each content, for the alias below to point to."
    yield "  publish = true"
    yield ""
    yield "  ephemeral_storage {"
    yield f"    size = {function.disk_mb(release)}"
    yield "  }"
    yield from _network(release)
    yield from _environment(release)
    yield "  # The log has to be there before the first line, the permission before the first call."
    policies = [] if options.role else ["aws_iam_role_policy.instance"]
    yield f"  depends_on = [{', '.join(['aws_cloudwatch_log_group.instance', *policies])}]"
    yield "}"
    yield ""


def _network(release: LambdaRelease) -> Iterator[str]:
    if network := function.vpc(release):
        yield ""
        yield "  vpc_config {"
        yield f"    subnet_ids = {hcl.value(network['subnets'], 4)}"
        yield f"    security_group_ids = {hcl.value(network['security_groups'], 4)}"
        yield "  }"
    if mounted := function.file_system(release):
        yield ""
        yield "  file_system_config {"
        yield f"    arn = {hcl.quoted(mounted['access_point'])}"
        yield f"    local_mount_path = {hcl.quoted(mounted['path'])}"
        yield "  }"


def _environment(release: LambdaRelease) -> Iterator[str]:
    yield ""
    yield "  environment {"
    yield "    variables = {"
    for name, value in function.environment(release).items():
        yield from _variable(name, value)
    yield "    }"
    yield "  }"
    yield ""


def _variable(name: str, value: str) -> Iterator[str]:
    if name != CONFIG_VARIABLE:
        yield f"      {name} = {hcl.quoted(value)}"
        return
    yield f"      {name} = <<-{hcl.HEREDOC}"
    yield from (f"        {hcl.escaped(line)}".rstrip() for line in value.splitlines())
    yield f"      {hcl.HEREDOC}"


def _alias(release: LambdaRelease) -> Iterator[str]:
    yield "# The URL hangs on it, so that an update is over for callers at one moment."
    yield f'resource "aws_lambda_alias" "{ALIAS}" {{'
    yield f"  name = {hcl.quoted(ALIAS)}"
    yield "  function_name = aws_lambda_function.instance.function_name"
    yield "  function_version = aws_lambda_function.instance.version"
    yield "}"
    if release.scaling.minimum:
        yield ""
        yield "# Kept ready, the model loaded, and billed by the hour whether asked or not."
        yield 'resource "aws_lambda_provisioned_concurrency_config" "standby" {'
        yield "  function_name = aws_lambda_function.instance.function_name"
        yield f"  qualifier = aws_lambda_alias.{ALIAS}.name"
        yield f"  provisioned_concurrent_executions = {release.scaling.minimum}"
        yield "}"


def _url(release: LambdaRelease) -> Iterator[str]:
    yield 'resource "aws_lambda_function_url" "here" {'
    yield "  function_name = aws_lambda_function.instance.function_name"
    yield f"  qualifier = aws_lambda_alias.{ALIAS}.name"
    yield f"  authorization_type = {hcl.quoted(release.options.auth)}"
    yield f"  invoke_mode = {hcl.quoted(release.options.invoke_mode)}"
    yield "}"
    if release.options.auth == "NONE":
        yield ""
        yield from _public(release)


def _public(release: LambdaRelease) -> Iterator[str]:
    """The provider knows the condition only from 6.29 on; without it the permission is too wide."""
    yield "# AWS lets everybody through to the gateway, which asks for an API key. Since October"
    yield "# 2025 that takes two statements. The provider adds the first one with the URL. For the"
    yield "# second it has no condition before 6.29, and without `InvokedViaFunctionUrl` anybody"
    yield "# could invoke the function past its URL: so CloudFormation adds that one."
    stack = {
        "Resources": {
            "InvokeThroughUrl": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "FunctionName": "@alias@",
                    "Principal": "*",
                    **policy.public_statements()["FunctionURLInvokeAllowPublicAccess"],
                },
            }
        }
    }
    yield 'resource "aws_cloudformation_stack" "public" {'
    yield f"  name = {hcl.quoted(f'{release.name}-url')}"
    body = hcl.value(stack, 2).replace('"@alias@"', f"aws_lambda_alias.{ALIAS}.arn")
    yield f"  template_body = jsonencode({body})"
    yield "}"


def _outputs() -> Iterator[str]:
    yield 'output "url" {'
    yield '  description = "Where it answers; /v1/chat/completions and the rest are below it"'
    yield "  value = aws_lambda_function_url.here.function_url"
    yield "}"
