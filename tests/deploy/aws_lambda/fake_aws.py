"""AWS as far as the target asks it, behind the real boto3 client and in its own words.

The answers come from a botocore hook in place of the network: parameters are checked by AWS's own
service models, and refusals are raised as the errors that AWS's clients raise. What AWS does late,
it does late here: a new role is unknown for a while, functions and standby are pending.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import boto3.session
import botocore.session
from botocore.awsrequest import AWSResponse

from pilotlight.deploy.aws_lambda.live.aws import Aws
from pilotlight.deploy.aws_lambda.live.patience import Patience

ACCOUNT = "123456789012"
REGION = "us-east-1"

MODELS = botocore.session.Session().get_component("data_loader")
"""AWS's service models, read once: it keeps what it has read."""

Parameters = Mapping[str, Any]


class Refusal(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass
class Function:
    arn: str
    configuration: dict[str, Any]
    image: str
    tags: dict[str, str]
    resolved: str
    """By digest, as its tag was when it was given."""

    dirty: bool = True
    """Changed since the last version was published."""

    versions: dict[int, dict[str, Any]] = field(default_factory=dict)
    published: int = 0
    aliases: dict[str, dict[str, Any]] = field(default_factory=dict)
    urls: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    reserved: int | None = None
    standby: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class World:
    functions: dict[str, Function] = field(default_factory=dict)
    roles: dict[str, dict[str, Any]] = field(default_factory=dict)
    log_groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    log_events: list[dict[str, Any]] = field(default_factory=list)
    tag_digests: dict[str, str] = field(default_factory=dict)


def _not_found(what: str) -> Refusal:
    return Refusal("ResourceNotFoundException", f"{what} not found", 404)


class FakeAws:
    """`calls` are the operations so far. `before` and `after` may raise, at each of them."""

    def __init__(self) -> None:
        self._connected: dict[str, Aws] = {}
        self.reset()

    def reset(self, world: World | None = None) -> None:
        """As new, around `world`; the clients stay, for making them takes longer than a test."""
        self.world = world or World()
        self.calls: list[str] = []
        self.before: Callable[[int, str], None] = lambda number, operation: None
        self.after: Callable[[int, str], None] = lambda number, operation: None
        self.slept_s = 0.0
        self.role_unknown_for = 0
        """Creations that are refused because the role is too new."""

        self.pending_looks = 0
        """How often something new is looked at before it is ready."""

        self.concurrency_limit = 1000
        self.fails_to_start = ""
        """Why no new version can run; empty when they can."""

        self.unusable: dict[str, str] = {}
        """Images to which no function can be updated, and why."""

        self._given: Parameters = {}

    def connect(self, region: str = REGION) -> Aws:
        if region not in self._connected:
            self._connected[region] = self._connect(region)
        return self._connected[region]

    def _connect(self, region: str) -> Aws:
        core = botocore.session.Session()
        core.register_component("data_loader", MODELS)
        session = boto3.session.Session(
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            region_name=region,
            botocore_session=core,
        )
        events = session.events
        events.register("before-parameter-build.*.*", self._keep)
        events.register("before-call.*.*", self._answer)
        return Aws(region, session, Patience(sleep=self._sleep, clock=lambda: self.slept_s))

    def _sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        assert self.slept_s < 5000, "nobody waits so long"

    def _keep(self, params: Parameters, **_: Any) -> None:
        self._given = dict(params)

    def _answer(self, model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        number, operation = len(self.calls), str(model.name)
        self.calls.append(operation)
        status, answer = 200, {}
        try:
            self.before(number, operation)
            answer = getattr(self, _method(operation))(**self._given) or {}
        except Refusal as refusal:
            status = refusal.status
            answer = {"Error": {"Code": refusal.code, "Message": refusal.message}}
        self.after(number, operation)
        return _response(status), {**answer, "ResponseMetadata": {}}

    # --- sts, ecr, logs ---

    def get_caller_identity(self) -> Parameters:
        return {"Account": ACCOUNT}

    def describe_images(
        self, repositoryName: str, imageIds: list[dict[str, str]], **_: Any
    ) -> Parameters:
        digest = self.world.tag_digests.get(f"{repositoryName}:{imageIds[0]['imageTag']}")
        if digest is None:
            raise Refusal("ImageNotFoundException", "no such image")
        return {"imageDetails": [{"imageDigest": digest}]}

    def describe_log_groups(self, logGroupNamePrefix: str, **_: Any) -> Parameters:
        groups = self.world.log_groups
        return {"logGroups": [g for n, g in groups.items() if n.startswith(logGroupNamePrefix)]}

    def create_log_group(self, logGroupName: str, tags: dict[str, str]) -> None:
        if logGroupName in self.world.log_groups:
            raise Refusal("ResourceAlreadyExistsException", "The specified log group exists")
        arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{logGroupName}:*"
        self.world.log_groups[logGroupName] = {
            "logGroupName": logGroupName, "arn": arn, "tags": dict(tags),
        }  # fmt: skip

    def _group(self, name: str) -> dict[str, Any]:
        if name not in self.world.log_groups:
            raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")
        return self.world.log_groups[name]

    def put_retention_policy(self, logGroupName: str, retentionInDays: int) -> None:
        self._group(logGroupName)["retentionInDays"] = retentionInDays

    def delete_retention_policy(self, logGroupName: str) -> None:
        self._group(logGroupName).pop("retentionInDays", None)

    def delete_log_group(self, logGroupName: str) -> None:
        self._group(logGroupName)
        users = (f"/aws/lambda/{name}" for name in self.world.functions)
        assert logGroupName not in users, "a function would write into nowhere"
        del self.world.log_groups[logGroupName]

    def list_tags_for_resource(self, resourceArn: str) -> Parameters:
        assert not resourceArn.endswith(":*"), "AWS refuses a log group's ARN with its streams"
        return {"tags": dict(self._group(resourceArn.partition("log-group:")[2])["tags"])}

    def filter_log_events(self, logGroupName: str, startTime: int, **_: Any) -> Parameters:
        self._group(logGroupName)
        return {"events": [e for e in self.world.log_events if e["timestamp"] >= startTime]}

    # --- tags, of log groups and of functions ---

    def tag_resource(self, **given: Any) -> None:
        if "resourceArn" in given:
            self._group(given["resourceArn"].partition("log-group:")[2])["tags"] |= given["tags"]
        else:
            self._by_arn(given["Resource"]).tags |= given["Tags"]

    def untag_resource(self, **given: Any) -> None:
        if "resourceArn" in given:
            tags = self._group(given["resourceArn"].partition("log-group:")[2])["tags"]
            keys = given["tagKeys"]
        else:
            tags, keys = self._by_arn(given["Resource"]).tags, given["TagKeys"]
        for key in keys:
            tags.pop(key, None)

    # --- iam ---

    def _role(self, name: str) -> dict[str, Any]:
        if name not in self.world.roles:
            raise Refusal("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
        return self.world.roles[name]

    def create_role(
        self, RoleName: str, AssumeRolePolicyDocument: str, Tags: list[Parameters], **_: Any
    ) -> None:
        if RoleName in self.world.roles:
            raise Refusal("EntityAlreadyExists", f"Role with name {RoleName} already exists.", 409)
        self.world.roles[RoleName] = {
            "trust": AssumeRolePolicyDocument,
            "tags": {pair["Key"]: pair["Value"] for pair in Tags},
            "policies": {},
        }

    def get_role(self, RoleName: str) -> Parameters:
        role = self._role(RoleName)
        tags = [{"Key": key, "Value": value} for key, value in role["tags"].items()]
        return {"Role": {"AssumeRolePolicyDocument": quote(role["trust"]), "Tags": tags}}

    def update_assume_role_policy(self, RoleName: str, PolicyDocument: str) -> None:
        self._role(RoleName)["trust"] = PolicyDocument

    def put_role_policy(self, RoleName: str, PolicyName: str, PolicyDocument: str) -> None:
        assert "${" not in PolicyDocument, "IAM would take this for a policy variable"
        self._role(RoleName)["policies"][PolicyName] = PolicyDocument

    def get_role_policy(self, RoleName: str, PolicyName: str) -> Parameters:
        policies = self._role(RoleName)["policies"]
        if PolicyName not in policies:
            raise Refusal("NoSuchEntity", "The role policy cannot be found.", 404)
        return {"PolicyDocument": quote(policies[PolicyName])}

    def list_role_policies(self, RoleName: str) -> Parameters:
        return {"PolicyNames": list(self._role(RoleName)["policies"])}

    def delete_role_policy(self, RoleName: str, PolicyName: str) -> None:
        del self._role(RoleName)["policies"][PolicyName]

    def delete_role(self, RoleName: str) -> None:
        if self._role(RoleName)["policies"]:
            raise Refusal("DeleteConflict", "Cannot delete entity, must delete policies first", 409)
        users = (found.configuration["Role"] for found in self.world.functions.values())
        assert not any(arn.endswith(f"/{RoleName}") for arn in users), "a function would lose it"
        del self.world.roles[RoleName]

    def tag_role(self, RoleName: str, Tags: list[Parameters]) -> None:
        self._role(RoleName)["tags"] |= {pair["Key"]: pair["Value"] for pair in Tags}

    def untag_role(self, RoleName: str, TagKeys: list[str]) -> None:
        for key in TagKeys:
            self._role(RoleName)["tags"].pop(key, None)

    # --- the function ---

    def _function(self, name: str) -> Function:
        if name not in self.world.functions:
            raise _not_found(f"Function {name}")
        return self.world.functions[name]

    def _by_arn(self, arn: str) -> Function:
        return self._function(arn.rpartition(":")[2])

    def _check_role(self, arn: str) -> None:
        if arn.rpartition("/")[2] not in self.world.roles or self.role_unknown_for > 0:
            self.role_unknown_for -= 1
            raise Refusal(
                "InvalidParameterValueException",
                "The role defined for the function cannot be assumed by Lambda.",
            )

    def create_function(
        self, FunctionName: str, Code: Parameters, Tags: dict[str, str], **configuration: Any
    ) -> None:
        if FunctionName in self.world.functions:
            raise Refusal(
                "ResourceConflictException", f"Function already exist: {FunctionName}", 409
            )
        self._check_role(configuration["Role"])
        if f"/aws/lambda/{FunctionName}" not in self.world.log_groups:
            raise AssertionError("a function without its log group would make one for ever")
        configuration.update(State="Pending", looks=self.pending_looks)
        self.world.functions[FunctionName] = Function(
            f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FunctionName}",
            configuration,
            Code["ImageUri"],
            dict(Tags),
            self._resolved(Code["ImageUri"]),
        )

    def get_function(self, FunctionName: str, Qualifier: str | None = None) -> Parameters:
        found = self._function(FunctionName)
        shown = {**found.configuration, "FunctionArn": found.arn}
        code = {"ImageUri": found.image, "ResolvedImageUri": found.resolved}
        if Qualifier is not None:
            shown = found.versions[int(Qualifier)]
            code = shown["code"]
        reserved = {"ReservedConcurrentExecutions": found.reserved} if found.reserved else {}
        return {
            "Configuration": shown, "Code": code, "Tags": dict(found.tags), "Concurrency": reserved,
        }  # fmt: skip

    def _resolved(self, image: str) -> str:
        if "@" in image:
            return image
        repository, _, tag = image.rpartition(":")
        known = self.world.tag_digests.get(f"{repository.rpartition('/')[2]}:{tag}")
        return f"{repository}@{known or 'sha256:' + '0' * 63 + str(len(tag) % 10)}"

    def get_function_configuration(
        self, FunctionName: str, Qualifier: str | None = None
    ) -> Parameters:
        found = self._function(FunctionName)
        if Qualifier is None:
            shown = found.configuration
        elif int(Qualifier) in found.versions:
            shown = found.versions[int(Qualifier)]
        else:
            raise _not_found(f"version {Qualifier}")
        if shown["looks"] > 0:
            shown["looks"] -= 1
        elif shown.get("LastUpdateStatus") != "Failed":  # that stays until the next update
            why = self.unusable.get(found.image) if Qualifier is None else None
            shown["LastUpdateStatus"] = "Failed" if why else "Successful"
            shown["LastUpdateStatusReason"] = why
            shown["State"] = "Failed" if self.fails_to_start else "Active"
            shown["StateReason"] = self.fails_to_start
        return shown

    def _idle(self, name: str) -> Function:
        found = self._function(name)
        busy = found.configuration.get("LastUpdateStatus") == "InProgress"
        if busy or found.configuration["State"] == "Pending":
            raise Refusal(
                "ResourceConflictException",
                "The operation cannot be performed at this time. An update is in progress", 409,
            )  # fmt: skip
        return found

    def _update(self, found: Function) -> None:
        found.configuration.update(LastUpdateStatus="InProgress", looks=self.pending_looks)
        found.dirty = True

    def update_function_configuration(self, FunctionName: str, **changes: Any) -> None:
        found = self._idle(FunctionName)
        if "Role" in changes:
            self._check_role(changes["Role"])
        found.configuration.update(changes)
        self._update(found)

    def update_function_code(
        self, FunctionName: str, ImageUri: str, Architectures: list[str]
    ) -> None:
        found = self._idle(FunctionName)
        found.image, found.resolved = ImageUri, self._resolved(ImageUri)
        found.configuration["Architectures"] = Architectures
        self._update(found)

    def delete_function(self, FunctionName: str, Qualifier: str | None = None) -> None:
        found = self._function(FunctionName)
        if Qualifier is None:
            del self.world.functions[FunctionName]
            return
        if any(alias["FunctionVersion"] == Qualifier for alias in found.aliases.values()):
            raise Refusal("ResourceConflictException", "an alias points to this version", 409)
        del found.versions[int(Qualifier)]

    # --- versions, aliases ---

    def publish_version(self, FunctionName: str, Description: str) -> Parameters:
        found = self._idle(FunctionName)
        if found.dirty or not found.versions:
            found.published += 1
            found.dirty = False
            found.versions[found.published] = {
                **found.configuration, "Description": Description, "State": "Pending",
                "Version": str(found.published), "looks": self.pending_looks,
                "code": {"ImageUri": found.image, "ResolvedImageUri": found.resolved},
            }  # fmt: skip
        return found.versions[found.published]

    def list_versions_by_function(self, FunctionName: str, **_: Any) -> Parameters:
        found = self._function(FunctionName)
        latest = {"Version": "$LATEST", "Description": ""}
        return {"Versions": [latest, *found.versions.values()]}

    def get_alias(self, FunctionName: str, Name: str) -> Parameters:
        aliases = self._function(FunctionName).aliases
        if Name not in aliases:
            raise _not_found(f"alias {Name}")
        return aliases[Name]

    def create_alias(self, FunctionName: str, Name: str, **given: Any) -> None:
        found = self._function(FunctionName)
        if Name in found.aliases:
            raise Refusal("ResourceConflictException", "Alias already exists", 409)
        self._require_active(found, given["FunctionVersion"])
        found.aliases[Name] = given

    def update_alias(self, FunctionName: str, Name: str, **given: Any) -> None:
        self.get_alias(FunctionName, Name)
        found = self._function(FunctionName)
        self._require_active(found, given["FunctionVersion"])
        if Name in found.standby and found.aliases[Name] != given:
            found.standby[Name].update(Status="IN_PROGRESS", looks=self.pending_looks)
        found.aliases[Name] = given

    def _require_active(self, found: Function, version: str) -> None:
        if int(version) not in found.versions:
            raise _not_found(f"version {version}")
        state = found.versions[int(version)]["State"]
        assert state == "Active", f"callers would meet a version that is {state}"

    def delete_alias(self, FunctionName: str, Name: str) -> None:
        found = self._function(FunctionName)
        assert Name not in found.standby, "AWS refuses to delete an alias with standby"
        found.aliases.pop(Name, None)
        found.urls.pop(Name, None)
        found.policies.pop(Name, None)

    # --- concurrency ---

    def get_function_concurrency(self, FunctionName: str) -> Parameters:
        reserved = self._function(FunctionName).reserved
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    def put_function_concurrency(
        self, FunctionName: str, ReservedConcurrentExecutions: int
    ) -> None:
        found = self._function(FunctionName)
        if self.concurrency_limit - ReservedConcurrentExecutions < 10:
            raise Refusal(
                "InvalidParameterValueException",
                "Specified ReservedConcurrentExecutions for function decreases account's "
                "UnreservedConcurrentExecution below its minimum value of [10].",
            )
        if ReservedConcurrentExecutions < _kept(found):
            raise Refusal("InvalidParameterValueException", "below provisioned concurrency")
        found.reserved = ReservedConcurrentExecutions

    def delete_function_concurrency(self, FunctionName: str) -> None:
        self._function(FunctionName).reserved = None

    def get_provisioned_concurrency_config(self, FunctionName: str, Qualifier: str) -> Parameters:
        found = self._function(FunctionName)
        if Qualifier not in found.standby:
            raise Refusal("ProvisionedConcurrencyConfigNotFoundException", "none", 404)
        shown = found.standby[Qualifier]
        if shown["looks"] > 0:
            shown["looks"] -= 1
        else:
            shown["Status"] = "READY"
            asked = shown["RequestedProvisionedConcurrentExecutions"]
            shown["AvailableProvisionedConcurrentExecutions"] = asked
        return shown

    def put_provisioned_concurrency_config(
        self, FunctionName: str, Qualifier: str, ProvisionedConcurrentExecutions: int
    ) -> None:
        found = self._function(FunctionName)
        self.get_alias(FunctionName, Qualifier)
        if found.reserved is not None and ProvisionedConcurrentExecutions > found.reserved:
            raise Refusal("InvalidParameterValueException", "above reserved concurrency")
        found.standby[Qualifier] = {
            "RequestedProvisionedConcurrentExecutions": ProvisionedConcurrentExecutions,
            "AvailableProvisionedConcurrentExecutions": 0,
            "Status": "IN_PROGRESS",
            "looks": self.pending_looks,
        }

    def delete_provisioned_concurrency_config(self, FunctionName: str, Qualifier: str) -> None:
        self._function(FunctionName).standby.pop(Qualifier, None)

    # --- the URL ---

    def _url(self, name: str, qualifier: str) -> dict[str, Any]:
        urls = self._function(name).urls
        if qualifier not in urls:
            raise _not_found("URL")
        return urls[qualifier]

    def get_function_url_config(self, FunctionName: str, Qualifier: str) -> Parameters:
        return self._url(FunctionName, Qualifier)

    def create_function_url_config(
        self, FunctionName: str, Qualifier: str, **given: Any
    ) -> Parameters:
        self.get_alias(FunctionName, Qualifier)
        urls = self._function(FunctionName).urls
        if Qualifier in urls:
            raise Refusal("ResourceConflictException", "URL config already exists", 409)
        urls[Qualifier] = {**given, "FunctionUrl": f"https://{FunctionName}.lambda-url.test/"}
        return urls[Qualifier]

    def update_function_url_config(self, FunctionName: str, Qualifier: str, **given: Any) -> None:
        self._url(FunctionName, Qualifier).update(given)

    def delete_function_url_config(self, FunctionName: str, Qualifier: str) -> None:
        self._url(FunctionName, Qualifier)
        del self._function(FunctionName).urls[Qualifier]

    def get_policy(self, FunctionName: str, Qualifier: str) -> Parameters:
        statements = self._function(FunctionName).policies.get(Qualifier)
        if not statements:
            raise _not_found("policy")
        return {"Policy": json.dumps({"Statement": [{"Sid": sid} for sid in statements]})}

    def add_permission(
        self, FunctionName: str, Qualifier: str, StatementId: str, Action: str, **given: Any
    ) -> None:
        if "FunctionUrlAuthType" in given and Action != "lambda:InvokeFunctionUrl":
            raise Refusal(
                "InvalidParameterValueException",
                "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
            )
        statements = self._function(FunctionName).policies.setdefault(Qualifier, {})
        if StatementId in statements:
            raise Refusal("ResourceConflictException", "The statement id already exists", 409)
        statements[StatementId] = {"Action": Action, **given}

    def remove_permission(self, FunctionName: str, Qualifier: str, StatementId: str) -> None:
        statements = self._function(FunctionName).policies.get(Qualifier, {})
        if StatementId not in statements:
            raise _not_found("statement")
        del statements[StatementId]


def _kept(found: Function) -> int:
    return sum(kept["RequestedProvisionedConcurrentExecutions"] for kept in found.standby.values())


def _method(operation: str) -> str:
    letters = (f"_{letter.lower()}" if letter.isupper() else letter for letter in operation)
    return "".join(letters).removeprefix("_")


def _response(status: int) -> AWSResponse:
    return AWSResponse("https://aws.test/", status, {}, None)
