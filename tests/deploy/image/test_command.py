"""Programs of somebody else's: what they say when they fail, and what becomes of them."""

from __future__ import annotations

import os

import pytest

from pilotlight.deploy.image.command import run
from pilotlight.errors import DeployError


def test_what_failed_is_told_with_its_last_words() -> None:
    with pytest.raises(DeployError, match=r"building: sh ended with 3:\n  no space") as caught:
        run(("sh", "-c", "echo no space >&2; exit 3"), what="building", hint="make room")
    assert caught.value.hint == "make room"


def test_who_is_stopped_ends_what_it_started() -> None:
    """A scheduler's signal is for us alone, and a build goes on without a listener."""
    began = list[int]()

    def hear(line: str) -> None:
        began.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(("sh", "-c", "echo $$; exec sleep 60"), what="building", hint="", hear=hear)
    with pytest.raises(ProcessLookupError):
        os.kill(began[0], 0)
