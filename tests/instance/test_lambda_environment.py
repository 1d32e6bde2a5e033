"""What Lambda's variables say."""

from __future__ import annotations

import pytest

from pilotlight.errors import ConfigError
from pilotlight.instance.lambda_environment import Environment, read

API = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}


def test_only_the_address_must_be_there() -> None:
    found = read(API)
    assert found == Environment(api="127.0.0.1:9001")
    assert (found.mode, found.reserve_s, found.init_limited) == ("stream", 0.5, True)


def test_all_of_it() -> None:
    found = read(
        {
            **API,
            "PILOTLIGHT_LAMBDA_MODE": "buffer",
            "PILOTLIGHT_LAMBDA_RESERVE": "2s",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency",
            "AWS_LAMBDA_FUNCTION_NAME": "chat",
            "AWS_LAMBDA_FUNCTION_VERSION": "7",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "6144",
        }
    )
    assert (found.mode, found.reserve_s, found.init_limited) == ("buffer", 2.0, False)
    assert (found.function, found.version, found.memory_mb) == ("chat", "7", "6144")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PILOTLIGHT_LAMBDA_MODE", "streaming"),
        ("PILOTLIGHT_LAMBDA_RESERVE", "soon"),
        ("PILOTLIGHT_LAMBDA_RESERVE", "forever"),
        ("PILOTLIGHT_LAMBDA_RESERVE", "61s"),
        ("PILOTLIGHT_LAMBDA_RESREVE", "1s"),
    ],
)
def test_what_cant_be_read_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read({**API, name: value})
    assert name in str(caught.value)
    assert caught.value.hint


def test_outside_of_lambda() -> None:
    with pytest.raises(ConfigError, match="AWS_LAMBDA_RUNTIME_API"):
        read({})
