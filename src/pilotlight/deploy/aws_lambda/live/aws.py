"""AWS's client libraries, opened for one region, and what they raise in our words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound

from pilotlight.deploy.aws_lambda.function import OWNER_TAG
from pilotlight.deploy.aws_lambda.live.patience import Patience, code_of, message_of
from pilotlight.errors import ConfigError, DeployError

# Throttling and broken connections are retried by botocore itself.
CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60
)

NOT_FOUND = frozenset({
    "ResourceNotFoundException", "ResourceNotFound", "NoSuchEntity",
    "ProvisionedConcurrencyConfigNotFoundException",
})  # fmt: skip

_HINTS: Mapping[str, str] = {
    "AccessDeniedException": "deployer-policy.json of `pilotlight deploy render lambda` has all "
    "that these credentials need",
    "AccessDenied": "deployer-policy.json of `pilotlight deploy render lambda` has all that these "
    "credentials need",
    "ExpiredToken": "renew the credentials, such as with `aws sso login`",
    "ExpiredTokenException": "renew the credentials, such as with `aws sso login`",
    "UnrecognizedClientException": "these credentials are not known in this region",
    "LimitExceededException": "ask for a higher quota in AWS's Service Quotas",
    "CodeStorageExceededException": "delete functions or versions that nobody needs",
}
_UNRESERVED = (
    "the account's concurrency is too small to reserve that: set maximum lower, or "
    "lambda.reserve to false, or ask for more in AWS's Service Quotas"
)


class Aws:
    """The clients of one region. Opening them sends nothing."""

    def __init__(
        self,
        region: str,
        session: boto3.session.Session | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.region = region
        self.patience = patience or Patience()
        self._session = session or boto3.session.Session(region_name=region)

    def _client(self, service: str) -> Any:
        return self._session.client(service, region_name=self.region, config=CONFIG)

    @cached_property
    def functions(self) -> Any:
        return self._client("lambda")

    @cached_property
    def roles(self) -> Any:
        return self._client("iam")

    @cached_property
    def logs(self) -> Any:
        return self._client("logs")

    @cached_property
    def images(self) -> Any:
        return self._client("ecr")

    @cached_property
    def account(self) -> str:
        return str(self._client("sts").get_caller_identity()["Account"])


@contextmanager
def in_our_words() -> Iterator[None]:
    """Raises DeployError for what AWS refused, ConfigError for credentials that aren't there."""
    try:
        yield
    except ClientError as error:
        raise _refused(error) from error
    except (NoCredentialsError, ProfileNotFound) as error:
        raise ConfigError(
            f"AWS has no credentials to use: {error}",
            hint="set AWS_PROFILE, or run `aws configure`",
        ) from error
    except BotoCoreError as error:
        raise DeployError(
            f"AWS can't be asked: {error}", hint="check region, network and proxy, then try again"
        ) from error


def _refused(error: ClientError) -> DeployError:
    code, message = code_of(error), message_of(error)
    hint = _HINTS.get(code)
    if "UnreservedConcurrentExecution" in message:
        hint = _UNRESERVED
    return DeployError(
        f"AWS refused {error.operation_name}: {message or 'no reason given'} ({code})",
        hint=hint or "change what it names and apply again",
    )


def missing(error: ClientError) -> bool:
    return code_of(error) in NOT_FOUND


def require_ours(what: str, name: str, tags: Mapping[str, str], release: str) -> None:
    """Raises DeployError for a thing of that name that isn't this release's to change."""
    stack = tags.get("aws:cloudformation:stack-name")
    if stack is not None:
        raise DeployError(
            f"the {what} {name!r} belongs to the CloudFormation stack {stack!r}",
            hint="change it through that stack, or choose another name",
        )
    if tags.get(OWNER_TAG) != release:
        raise DeployError(
            f"there is a {what} {name!r} already, and it isn't this release's",
            hint=f"choose another name, or hand it over: tag it {OWNER_TAG}={release}",
        )


def own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Without those that AWS adds."""
    return {key: value for key, value in tags.items() if not key.startswith("aws:")}
