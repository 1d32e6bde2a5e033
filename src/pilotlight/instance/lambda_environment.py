"""What Lambda says of this execution environment, and how its function is to answer.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from pilotlight.errors import ConfigError
from pilotlight.quantities import Seconds, parse_seconds

Mode = Literal["stream", "buffer"]
"""``stream`` is for a function URL with InvokeMode RESPONSE_STREAM, ``buffer`` for every other way
to ask a function. Lambda tells a runtime the mode of no invocation, so it is configured."""

API = "AWS_LAMBDA_RUNTIME_API"
PREFIX = "PILOTLIGHT_LAMBDA_"
MODE = PREFIX + "MODE"
RESERVE = PREFIX + "RESERVE"

VARIABLES = (MODE, RESERVE)
"""Ours, and no settings of `serve`: they say how the function is asked, not what runs."""

RESERVE_S = 0.5
MOST_RESERVE_S = 60.0
ON_DEMAND = "on-demand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    api: str
    """Host and port of the Runtime API."""

    mode: Mode = "stream"
    reserve_s: float = RESERVE_S
    """Kept before an invocation's deadline, to end its answer in order."""

    initialization: str = ON_DEMAND
    """``on-demand`` or ``provisioned-concurrency``, in Lambda's words."""

    function: str = "?"
    version: str = "?"
    memory_mb: str = "?"

    @property
    def init_limited(self) -> bool:
        """On demand an init phase gets 10 s; provisioned environments have minutes."""
        return self.initialization == ON_DEMAND


def read(environ: Mapping[str, str]) -> Environment:
    """Raises ConfigError for a variable of ours that can't be read, and outside of Lambda."""
    if not environ.get(API):
        raise ConfigError(f"{API} is not set", hint="Lambda sets it; elsewhere: pilotlight serve")
    _reject_unknown(environ)
    return Environment(
        api=environ[API],
        mode=_mode(environ.get(MODE, "stream")),
        reserve_s=_reserve_s(environ.get(RESERVE, f"{RESERVE_S}s")),
        initialization=environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", ON_DEMAND),
        function=environ.get("AWS_LAMBDA_FUNCTION_NAME", "?"),
        version=environ.get("AWS_LAMBDA_FUNCTION_VERSION", "?"),
        memory_mb=environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "?"),
    )


def _mode(text: str) -> Mode:
    if text not in get_args(Mode):
        raise ConfigError(
            f"{MODE} is {text!r}, expected stream or buffer",
            hint="stream for a function URL with InvokeMode RESPONSE_STREAM, else buffer",
        )
    return cast("Mode", text)


def _reserve_s(text: str) -> float:
    try:
        reserve_s = parse_seconds(text)
    except ValueError:
        reserve_s = Seconds(math.inf)
    if reserve_s > MOST_RESERVE_S:
        raise ConfigError(
            f"{RESERVE} is {text!r}, expected a time of up to {MOST_RESERVE_S:g} s",
            hint="such as 500ms",
        )
    return reserve_s


def _reject_unknown(environ: Mapping[str, str]) -> None:
    for name in environ:
        if name.startswith(PREFIX) and name not in VARIABLES:
            raise ConfigError(
                f"environment: unknown variable {name}", hint=f"known: {', '.join(VARIABLES)}"
            )
