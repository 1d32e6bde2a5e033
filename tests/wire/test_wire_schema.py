"""A schema beside ``json_object`` reaches the engines that look for it, and no other."""

from __future__ import annotations

import pytest

from pilotlight.core import Capabilities, Operation
from pilotlight.errors import UnsupportedParameterError
from pilotlight.gateway.wire.fields import validate

BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": "hi"}],
    "response_format": {"type": "json_object", "schema": {"type": "object"}},
}


def test_refused_where_it_would_be_lost() -> None:
    with pytest.raises(UnsupportedParameterError, match="json_schema"):
        validate(Operation.CHAT, BODY, Capabilities(frozenset({Operation.CHAT})))


def test_taken_where_it_is_seen() -> None:
    seen = {Operation.CHAT: frozenset({"response_format.schema"})}
    validate(Operation.CHAT, BODY, Capabilities(frozenset({Operation.CHAT}), seen))
