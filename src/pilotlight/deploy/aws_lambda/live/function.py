"""The function itself: its configuration and image, as `$LATEST` has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.deploy.aws_lambda import ecr, function
from pilotlight.deploy.aws_lambda.function import LambdaRelease
from pilotlight.deploy.aws_lambda.live.aws import Aws, missing, own_tags, require_ours
from pilotlight.deploy.aws_lambda.live.kind import Document
from pilotlight.deploy.aws_lambda.live.patience import BUSY, ROLE_IS_NEW, code_of
from pilotlight.errors import DeployError

_CODE = ("image", "architecture")


class FunctionKind:
    def __init__(self, aws: Aws, release: LambdaRelease) -> None:
        self._aws = aws
        self._release = release
        self._name = release.name

    def read(self) -> Document | None:
        found = self.find()
        if found is None:
            return None
        return {
            "image": self._image(found["Code"]),
            **self._configured(found["Configuration"]),
            "tags": own_tags(found.get("Tags", {})),
        }

    def find(self) -> Mapping[str, Any] | None:
        """As AWS has it. Raises DeployError: it isn't this release's."""
        try:
            found = dict(self._aws.functions.get_function(FunctionName=self._name))
        except ClientError as error:
            if missing(error):
                return None
            raise
        require_ours("function", self._name, found.get("Tags", {}), self._name)
        return found

    def _configured(self, found: Mapping[str, Any]) -> Document:
        variables = dict(found.get("Environment", {}).get("Variables", {}))
        variables.pop(function.GENERATION_VARIABLE, None)
        return {
            "architecture": found.get("Architectures", ["x86_64"])[0],
            "memory_mb": found["MemorySize"],
            "disk_mb": found.get("EphemeralStorage", {}).get("Size", function.DISK_MB),
            "timeout_s": found["Timeout"],
            "role": self._role(found["Role"]),
            "vpc": _vpc(found.get("VpcConfig", {})),
            "file_system": _file_system(found.get("FileSystemConfigs", [])),
            "environment": variables,
        }

    def _role(self, arn: str) -> str:
        name = function.role_name(self._release)
        return name if arn.endswith(f":role/{name}") else arn

    def _image(self, code: Mapping[str, str]) -> str:
        """By digest where the tag has moved since, so that a moved tag is a change."""
        given, resolved = code["ImageUri"], code.get("ResolvedImageUri", "")
        image = ecr.parse(given)
        if image is None or image.tag is None or image.digest or not resolved:
            return given
        digest = self._digest(image)
        return given if digest is None or resolved.endswith(digest) else resolved

    def is_current(self, version: int) -> bool:
        """False where it has the image that the release's tag meant before it moved."""
        image = ecr.parse(self._release.image)
        if image is None or image.tag is None or image.digest:
            return True
        found = self._aws.functions.get_function(FunctionName=self._name, Qualifier=str(version))
        code: Mapping[str, str] = found["Code"]
        return self._image(code) == code["ImageUri"]

    def _digest(self, image: ecr.EcrImage) -> str | None:
        """What the tag means now; None where the registry doesn't tell us."""
        try:
            found = self._aws.images.describe_images(
                registryId=image.account,
                repositoryName=image.repository,
                imageIds=[{"imageTag": image.tag}],
            )["imageDetails"]
        except ClientError:
            return None
        return str(found[0]["imageDigest"]) if found else None

    def put(self, document: Document) -> None:
        before = self.read()
        if before is None:
            try:
                self._create(document)
                return
            except ClientError as error:
                if code_of(error) != "ResourceConflictException":
                    raise
            # The connection broke and botocore asked again: the first time it was made.
            before = self.read()
        self._update(document, before or {})

    def _create(self, document: Document) -> None:
        self._aws.patience.insist(
            ROLE_IS_NEW,
            lambda: self._aws.functions.create_function(
                FunctionName=self._name,
                PackageType="Image",
                Code={"ImageUri": document["image"]},
                Architectures=[document["architecture"]],
                Description=f"{self._name}, made by pilotlight deploy",
                Tags=dict(document["tags"]),
                **self._configuration(document),
            ),
        )
        self.ready()

    def _update(self, document: Document, before: Document) -> None:
        # Somebody's update may be under way, or a creation of ours that was broken off. One that
        # failed is what this one mends, and stays "failed" until another update succeeds.
        failed = self._at_rest().get("LastUpdateStatus") == "Failed"
        if _differs(document, before, _CODE):
            self._aws.patience.insist(
                BUSY,
                lambda: self._aws.functions.update_function_code(
                    FunctionName=self._name,
                    ImageUri=document["image"],
                    Architectures=[document["architecture"]],
                ),
            )
            self.ready()
        if failed or _differs(document, before, tuple(self._configuration_keys(document))):
            self.configure(self._configuration(document))
        if document["tags"] != before["tags"]:
            self._retag(document["tags"], before["tags"])

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Returns once `$LATEST` is so."""
        self._aws.patience.insist(
            ROLE_IS_NEW,
            lambda: self._aws.functions.update_function_configuration(
                FunctionName=self._name, **changes
            ),
        )
        self.ready()

    @staticmethod
    def _configuration_keys(document: Document) -> list[str]:
        return [key for key in document if key not in (*_CODE, "tags")]

    def _configuration(self, document: Document) -> dict[str, Any]:
        """Whole, for an update leaves what it isn't given as it was."""
        network, files = document["vpc"] or {}, document["file_system"]
        role = document["role"]
        if ":role/" not in role:
            role = function.role_arn(self._release, self._aws.account)
        return {
            "Role": role,
            "Timeout": document["timeout_s"],
            "MemorySize": document["memory_mb"],
            "EphemeralStorage": {"Size": document["disk_mb"]},
            "Environment": {"Variables": dict(document["environment"])},
            "VpcConfig": {
                "SubnetIds": network.get("subnets", []),
                "SecurityGroupIds": network.get("security_groups", []),
            },
            "FileSystemConfigs": [{"Arn": files["access_point"], "LocalMountPath": files["path"]}]
            if files
            else [],
        }

    def ready(self, qualifier: str | None = None) -> None:
        """Returns once it is active and its last update done; with `qualifier`, that version."""
        found = self._at_rest(qualifier)
        if "Failed" in (found.get("State"), found.get("LastUpdateStatus")):
            why = found.get("StateReason") or found.get("LastUpdateStatusReason") or "no reason"
            raise DeployError(
                f"Lambda couldn't make function {self._name!r} ready: {why}",
                hint="change what it names and apply again",
            )

    def _at_rest(self, qualifier: str | None = None) -> Mapping[str, Any]:
        """As it is once nothing is under way, whatever came of it."""
        return self._aws.patience.until(f"function {self._name}", lambda: self._settled(qualifier))

    def _settled(self, qualifier: str | None) -> Mapping[str, Any] | None:
        which = {"Qualifier": qualifier} if qualifier else {}
        found: dict[str, Any] = self._aws.functions.get_function_configuration(
            FunctionName=self._name, **which
        )
        under_way = found.get("State") == "Pending" or found.get("LastUpdateStatus") == "InProgress"
        return None if under_way else found

    def _retag(self, tags: Mapping[str, str], before: Mapping[str, str]) -> None:
        found = self.find()
        if found is None:
            return
        arn = found["Configuration"]["FunctionArn"]
        self._aws.functions.tag_resource(Resource=arn, Tags=dict(tags))
        if gone := [key for key in before if key not in tags]:
            self._aws.functions.untag_resource(Resource=arn, TagKeys=gone)

    def remove(self) -> None:
        """With its versions, aliases, URL and permissions."""
        try:
            self._aws.patience.insist(
                (*BUSY, ("ResourceConflictException", "")),
                lambda: self._aws.functions.delete_function(FunctionName=self._name),
            )
        except ClientError as error:
            if not missing(error):
                raise


def _differs(document: Document, before: Document, keys: tuple[str, ...]) -> bool:
    return any(document[key] != before[key] for key in keys)


def _vpc(found: Mapping[str, Any]) -> dict[str, Any] | None:
    if not found.get("SubnetIds"):
        return None
    return {
        "subnets": sorted(found["SubnetIds"]),
        "security_groups": sorted(found.get("SecurityGroupIds", [])),
    }


def _file_system(found: list[Mapping[str, str]]) -> dict[str, str] | None:
    if not found:
        return None
    return {"access_point": found[0]["Arn"], "path": found[0]["LocalMountPath"]}
