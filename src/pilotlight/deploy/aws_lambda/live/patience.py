"""Waiting for AWS, which says yes at once and does it later."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from botocore.exceptions import ClientError

from pilotlight.errors import DeployError

_T = TypeVar("_T")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0

Passing = tuple[str, str]
"""The code of an error that passes by itself, and a part of its message."""

BUSY: tuple[Passing, ...] = (
    # An update before this one is still under way, or the function is just being made.
    ("ResourceConflictException", "in progress"),
    ("ResourceConflictException", "Pending"),
    ("ResourceConflictException", "currently in"),
)
ROLE_IS_NEW: tuple[Passing, ...] = (
    *BUSY,
    # A role is known everywhere only some seconds after IAM has said that it is made.
    ("InvalidParameterValueException", "cannot be assumed by Lambda"),
    ("InvalidParameterValueException", "execution role does not have permissions"),
)


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


@dataclass(frozen=True, slots=True)
class Patience:
    """`sleep` and `clock` are injected, so that tests wait for nothing."""

    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    limit_s: float = 600.0
    """An image is made ready for Lambda's machines before a function is active: minutes."""

    role_limit_s: float = 90.0

    def until(self, what: str, look: Callable[[], _T | None]) -> _T:
        """What `look` returns once it isn't None. Raises DeployError after `limit_s`."""
        deadline_s, pause_s = self.clock() + self.limit_s, FIRST_PAUSE_S
        while (found := look()) is None:
            if self.clock() >= deadline_s:
                raise DeployError(
                    f"AWS didn't finish in {self.limit_s:g} s: {what}",
                    hint="look at it in AWS's console, then apply again: what is done stays done",
                )
            self.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 1.5)
        return found

    def insist(self, passing: tuple[Passing, ...], call: Callable[[], _T]) -> _T:
        """`call`, again and again while AWS refuses it for a reason that passes."""
        deadline_s, pause_s = self.clock() + self.role_limit_s, FIRST_PAUSE_S
        while True:
            try:
                return call()
            except ClientError as error:
                if not _passes(error, passing) or self.clock() >= deadline_s:
                    raise
            self.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 1.5)


def _passes(error: ClientError, passing: tuple[Passing, ...]) -> bool:
    code, message = code_of(error), message_of(error)
    return any(code == known and part in message for known, part in passing)
