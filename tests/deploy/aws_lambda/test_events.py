"""Log lines: in order, none twice, and new ones as they come."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from deploy.aws_lambda.fake_aws import FakeAws
from deploy.aws_lambda.releases import CHAT
from pilotlight.deploy.aws_lambda.live.events import lines
from pilotlight.errors import DeployError

NOW_S = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def aws() -> FakeAws:
    fake = FakeAws()
    fake.create_log_group("/aws/lambda/chat", {})
    return fake


def event(at_s: float, message: str) -> dict[str, Any]:
    return {"eventId": message, "timestamp": int((NOW_S + at_s) * 1000), "message": f"{message}\n"}


def test_lines_of_the_time_asked_for_are_in_order(aws: FakeAws) -> None:
    aws.world.log_events = [event(-1, "later"), event(-2.5, "sooner"), event(-61, "too old")]
    found = lines(aws.connect(), CHAT, since_s=60, follow=False, wall_clock=lambda: NOW_S)
    assert list(found) == ["2026-11-20T11:59:57.500Z sooner", "2026-11-20T11:59:59.000Z later"]


def test_followed_lines_come_once_even_those_that_are_late(aws: FakeAws) -> None:
    aws.world.log_events = [event(-1, "first")]
    connected = aws.connect()
    found = lines(connected, CHAT, since_s=60, follow=True, wall_clock=lambda: NOW_S)
    seen = list(islice(found, 1))
    aws.world.log_events += [event(5, "third"), event(-2, "second, late")]
    seen += islice(found, 2)
    aws.world.log_events.append(event(30, "fourth"))
    seen += islice(found, 1)
    assert [line.partition("Z ")[2] for line in seen] == [
        "first", "second, late", "third", "fourth",
    ]  # fmt: skip
    assert aws.slept_s > 0


def test_without_a_log_group_the_next_step_is_named() -> None:
    found = lines(FakeAws().connect(), CHAT, since_s=60, follow=False)
    with pytest.raises(DeployError, match="no log group '/aws/lambda/chat'"):
        next(found)
