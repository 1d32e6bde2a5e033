"""AWS Lambda as a target: pure parts here, and what talks to AWS behind a late import."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pilotlight.catalog import catalog
from pilotlight.catalog.platform import Platform
from pilotlight.deploy.aws_lambda import cloudformation, function, limits, readme, terraform
from pilotlight.deploy.aws_lambda.function import LambdaRelease
from pilotlight.deploy.aws_lambda.options import LambdaOptions
from pilotlight.deploy.aws_lambda.wanted import wanted
from pilotlight.deploy.resources import Change, Files, Resources
from pilotlight.deploy.target import Report, Status
from pilotlight.deploy.violation import Violation
from pilotlight.errors import ConfigError

if TYPE_CHECKING:
    from pilotlight.deploy.aws_lambda.live.aws import Aws
    from pilotlight.deploy.aws_lambda.live.deployment import Deployment

_PLATFORMS = {"x86_64": "lambda-x86", "arm64": "lambda-arm"}


@cache
def _platforms() -> Mapping[str, Platform]:
    """The package's own rows: a user's rows change prices, and no limit of AWS's."""
    return catalog.load().platforms


def connect(region: str) -> Aws:
    """Raises ConfigError where boto3 isn't installed, or AWS_PROFILE names a profile that isn't."""
    try:
        import boto3  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "deploying to AWS Lambda needs boto3, which isn't installed",
            hint="pip install 'pilotlight[aws]'",
        ) from error
    from pilotlight.deploy.aws_lambda.live.aws import Aws, in_our_words

    with in_our_words():
        return Aws(region)


@dataclass(frozen=True, slots=True)
class LambdaTarget:
    connect: Callable[[str], Aws] = connect

    @property
    def name(self) -> str:
        return "lambda"

    @property
    def title(self) -> str:
        return "AWS Lambda"

    @property
    def options(self) -> type[LambdaOptions]:
        return LambdaOptions

    def platform(self, release: LambdaRelease) -> str:
        return _PLATFORMS[release.size.architecture]

    def check(self, release: LambdaRelease) -> Sequence[Violation]:
        return limits.violations(release, _platforms()[self.platform(release)].limits)

    def render(self, release: LambdaRelease) -> Files:
        return {
            "README.md": readme.text(release),
            **readme.policies(release),
            "cloudformation.yaml": cloudformation.template(release),
            **{f"terraform/{name}": text for name, text in terraform.files(release).items()},
        }

    def wanted(self, release: LambdaRelease) -> Resources:
        return wanted(release)

    def live(self, release: LambdaRelease) -> Resources:
        return self._deployment(release).live()

    def apply(self, release: LambdaRelease, todo: Sequence[Change], report: Report) -> Status:
        return self._deployment(release).apply(todo, report)

    def status(self, release: LambdaRelease) -> Status:
        return self._deployment(release).status()

    def logs(self, release: LambdaRelease, *, since_s: float, follow: bool) -> Iterator[str]:
        aws = self._open(release)
        from pilotlight.deploy.aws_lambda.live.events import lines

        return lines(aws, release, since_s=since_s, follow=follow)

    def cool(self, release: LambdaRelease, report: Report) -> None:
        self._deployment(release).cool(report)

    def delete(self, release: LambdaRelease, report: Report) -> None:
        self._deployment(release).delete(report)

    def _deployment(self, release: LambdaRelease) -> Deployment:
        aws = self._open(release)
        from pilotlight.deploy.aws_lambda.live.deployment import Deployment

        return Deployment(aws, release)

    def _open(self, release: LambdaRelease) -> Any:
        where = function.region(release)
        if where is None:
            raise ConfigError(
                f"{release.name!r} has no region",
                hint="set deploy.region, or --region us-east-1",
            )
        return self.connect(where)
