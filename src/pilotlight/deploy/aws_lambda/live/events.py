"""A function's log lines out of CloudWatch, in the order in which they were written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.deploy.aws_lambda import function
from pilotlight.deploy.aws_lambda.function import LambdaRelease
from pilotlight.deploy.aws_lambda.live.aws import Aws, in_our_words, missing
from pilotlight.errors import DeployError

PAUSE_S = 2.0
LATE_MS = 15_000
"""Lines arrive out of order: each look goes back this far before the newest one seen."""


def lines(
    aws: Aws,
    release: LambdaRelease,
    *,
    since_s: float,
    follow: bool,
    wall_clock: Callable[[], float] = time.time,
) -> Iterator[str]:
    start_ms = int((wall_clock() - since_s) * 1000)
    seen: dict[str, int] = {}
    while True:
        with in_our_words():
            found = _events(aws, function.log_group(release), start_ms)
        for event in found:
            if event["eventId"] not in seen:
                seen[event["eventId"]] = event["timestamp"]
                yield _line(event)
        if not follow:
            return
        newest_ms = max(seen.values(), default=start_ms)
        start_ms = max(start_ms, newest_ms - LATE_MS)
        seen = {key: at_ms for key, at_ms in seen.items() if at_ms >= start_ms}
        aws.patience.sleep(PAUSE_S)


def _events(aws: Aws, group: str, start_ms: int) -> list[Mapping[str, Any]]:
    pages = aws.logs.get_paginator("filter_log_events")
    try:
        found = [
            event
            for page in pages.paginate(logGroupName=group, startTime=start_ms)
            for event in page["events"]
        ]
    except ClientError as error:
        if missing(error):
            raise DeployError(
                f"there is no log group {group!r}",
                hint="put it up first: pilotlight deploy apply lambda",
            ) from error
        raise
    return sorted(found, key=lambda event: (event["timestamp"], event["eventId"]))


def _line(event: Mapping[str, Any]) -> str:
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z {event['message'].rstrip()}"
