"""The same as one CloudFormation template, for those whose accounts change by stacks alone.

Written as text, so that it can say why; every value goes in as JSON, which is YAML.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pilotlight.deploy.aws_lambda import function, policy
from pilotlight.deploy.aws_lambda.function import ALIAS, CONFIG_VARIABLE, LambdaRelease
from pilotlight.deploy.aws_lambda.wanted import fingerprint, function_key, wanted

ACCOUNT = "${AWS::AccountId}"


def template(release: LambdaRelease) -> str:
    return "\n".join(
        [
            *_head(release),
            "Resources:",
            *_log_group(release),
            *([] if release.options.role else _role(release)),
            *_function(release),
            *_version(release),
            *_alias(release),
            *_url(release),
            *_permissions(release),
            *_outputs(),
            "",
        ]
    )


def _head(release: LambdaRelease) -> Iterator[str]:
    yield f"# {release.name} on AWS Lambda, rendered by `pilotlight deploy render lambda`."
    yield "# Render again after a change: the version below is named by what it holds."
    yield 'AWSTemplateFormatVersion: "2010-09-09"'
    title = f"Pilotlight {release.name}: language models behind a function URL"
    yield f"Description: {_json(title)}"


def _log_group(release: LambdaRelease) -> Iterator[str]:
    yield "  # Lambda would make it by itself, and then keep every line for ever."
    yield "  LogGroup:"
    yield "    Type: AWS::Logs::LogGroup"
    yield "    DeletionPolicy: Delete"
    yield "    UpdateReplacePolicy: Delete"
    yield "    Properties:"
    yield f"      LogGroupName: {function.log_group(release)}"
    yield f"      RetentionInDays: {release.options.log_retention}"
    yield from _tags(release)


def _role(release: LambdaRelease) -> Iterator[str]:
    statements = policy.document(policy.instance(release, ACCOUNT))
    yield "  # An instance may write its own log and nothing else. Lambda itself pulls the image."
    yield "  Role:"
    yield "    Type: AWS::IAM::Role"
    yield "    Properties:"
    yield f"      AssumeRolePolicyDocument: {_json(policy.trust())}"
    yield "      Policies:"
    yield f"        - PolicyName: {policy.POLICY_NAME}"
    yield "          PolicyDocument:"
    yield f"            Version: {_json(statements['Version'])}"
    yield "            Statement:"
    for statement in statements["Statement"]:
        yield from _statement(statement)
    yield from _tags(release)


def _statement(statement: Mapping[str, Any]) -> Iterator[str]:
    for index, (key, value) in enumerate(statement.items()):
        text = _json(value)
        mark = "!Sub " if ACCOUNT in text and isinstance(value, str) else ""
        if ACCOUNT in text and not mark:
            text = _substituted(value)
        yield f"              {'- ' if index == 0 else '  '}{key}: {mark}{text}"


def _substituted(value: Any) -> str:
    """As `_json`, with the account's number filled in where it stands in a text inside."""
    if isinstance(value, Mapping):
        inner = (f"{_json(key)}: {_substituted(item)}" for key, item in value.items())
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, str) and ACCOUNT in value:
        return _json({"Fn::Sub": value})
    return _json(value)


def _function(release: LambdaRelease) -> Iterator[str]:
    options = release.options
    yield "  Function:"
    yield "    Type: AWS::Lambda::Function"
    yield "    # Its log has to be there before its first line."
    yield "    DependsOn: LogGroup"
    yield "    Properties:"
    yield f"      FunctionName: {release.name}"
    yield "      PackageType: Image"
    yield f"      Code: {{ImageUri: {_json(release.image)}}}"
    yield f"      Architectures: [{release.size.architecture}]"
    yield f"      Role: {_json(options.role) if options.role else '!GetAtt Role.Arn'}"
    yield f"      # {function.vcpus(release):.2f} vCPUs come with it, one for each 1769 MB."
    yield f"      MemorySize: {function.memory_mb(release)}"
    yield f"      EphemeralStorage: {{Size: {function.disk_mb(release)}}}"
    yield f"      Timeout: {function.timeout_s(release)}"
    if options.reserve:
        yield "      # At most so many environments, each with one request: the bound of the bill."
        yield f"      ReservedConcurrentExecutions: {release.scaling.maximum}"
    yield from _network(release)
    yield "      Environment:"
    yield "        Variables:"
    for name, value in function.environment(release).items():
        yield from _variable(name, value)
    yield from _tags(release)


def _network(release: LambdaRelease) -> Iterator[str]:
    if network := function.vpc(release):
        yield "      VpcConfig:"
        yield f"        SubnetIds: {_json(network['subnets'])}"
        yield f"        SecurityGroupIds: {_json(network['security_groups'])}"
    if files := function.file_system(release):
        yield "      FileSystemConfigs:"
        yield f"        - Arn: {_json(files['access_point'])}"
        yield f"          LocalMountPath: {files['path']}"


def _variable(name: str, value: str) -> Iterator[str]:
    if name != CONFIG_VARIABLE:
        yield f"          {name}: {_json(value)}"
        return
    yield f"          {name}: |"
    yield from (f"            {line}".rstrip() for line in value.splitlines())


def _version(release: LambdaRelease) -> Iterator[str]:
    document = wanted(release)[function_key(release)]
    mark = fingerprint(document)
    yield "  # A version can't change: another content is another one, by its name."
    yield f"  {_version_name(release)}:"
    yield "    Type: AWS::Lambda::Version"
    yield "    Properties:"
    yield "      FunctionName: !Ref Function"
    yield f"      Description: pilotlight {mark}"


def _version_name(release: LambdaRelease) -> str:
    return f"Version{fingerprint(wanted(release)[function_key(release)])}"


def _alias(release: LambdaRelease) -> Iterator[str]:
    yield "  # The URL hangs on it, so that an update is over for callers at one moment."
    yield "  Alias:"
    yield "    Type: AWS::Lambda::Alias"
    yield "    Properties:"
    yield f"      Name: {ALIAS}"
    yield "      FunctionName: !Ref Function"
    yield f"      FunctionVersion: !GetAtt {_version_name(release)}.Version"
    if release.scaling.minimum:
        yield "      # Kept ready, the model loaded, and billed by the hour whether asked or not."
        yield "      ProvisionedConcurrencyConfig:"
        yield f"        ProvisionedConcurrentExecutions: {release.scaling.minimum}"


def _url(release: LambdaRelease) -> Iterator[str]:
    yield "  Url:"
    yield "    Type: AWS::Lambda::Url"
    yield "    # By its ARN an alias may not be there yet."
    yield "    DependsOn: Alias"
    yield "    Properties:"
    yield "      TargetFunctionArn: !Ref Function"
    yield f"      Qualifier: {ALIAS}"
    yield f"      AuthType: {release.options.auth}"
    yield f"      InvokeMode: {release.options.invoke_mode}"


def _permissions(release: LambdaRelease) -> Iterator[str]:
    if release.options.auth != "NONE":
        return
    yield "  # AWS lets everybody through to the gateway, which asks for an API key. Since October"
    yield "  # 2025 that takes both; the second counts for calls through the URL alone."
    for sid, statement in policy.public_statements().items():
        yield f"  {sid}:"
        yield "    Type: AWS::Lambda::Permission"
        yield "    Properties:"
        yield "      FunctionName: !Ref Alias"
        yield '      Principal: "*"'
        for key, value in statement.items():
            yield f"      {key}: {_json(value)}"


def _outputs() -> Iterator[str]:
    yield "Outputs:"
    yield "  Url:"
    yield "    Description: Where it answers; /v1/chat/completions and the rest are below it"
    yield "    Value: !GetAtt Url.FunctionUrl"


def _tags(release: LambdaRelease) -> Iterator[str]:
    yield "      Tags:"
    for key, value in function.tags(release).items():
        yield f"        - {{Key: {_json(key)}, Value: {_json(value)}}}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
