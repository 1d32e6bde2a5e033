"""AWS Lambda: a container image behind a function URL, one request at a time in each environment.

`check`, `render` and `wanted` are pure; `live` talks to AWS.
"""

from __future__ import annotations

from pilotlight.deploy.aws_lambda.target import LambdaTarget
from pilotlight.deploy.target import Target


def target() -> Target:
    return LambdaTarget()
