"""What systemd's own words for a unit mean for whoever waits for it."""

from __future__ import annotations

import pytest

from pilotlight.deploy.systemd.target import trouble


@pytest.mark.parametrize(
    "shown",
    [
        {"ActiveState": "active", "NRestarts": "0"},
        {"ActiveState": "activating", "NRestarts": "2", "ExecMainStatus": "2"},
        {"ActiveState": "active", "NRestarts": ""},
        {},
    ],
)
def test_it_may_still_become_ready(shown: dict[str, str]) -> None:
    assert trouble(shown) is None


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ({"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "2"}, "exit-code"),
        ({"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}, "success"),
        ({"ActiveState": "activating", "NRestarts": "3"}, "3 times"),
    ],
)
def test_it_never_will(shown: dict[str, str], said: str) -> None:
    assert said in str(trouble(shown))
