"""Fields the gateway acts on itself: routing, streaming, who asks, how long a model stays."""

from __future__ import annotations

from typing import Any

from pilotlight.config import Seconds, parse_seconds
from pilotlight.errors import FieldError
from pilotlight.gateway.wire.checks import boolean, filled_string, json_object, shape, string
from pilotlight.gateway.wire.table import NoOp


def keep_alive(path: str, value: Any) -> None:
    read_keep_alive(value, path)


def read_keep_alive(value: Any, path: str = "keep_alive") -> Seconds:
    """``"5m"``, 300, 0 or a negative number or duration (which Ollama's users read as forever)."""
    try:
        if isinstance(value, str) and value.startswith("-"):
            return parse_seconds("forever")
        return parse_seconds(value)
    except ValueError:
        raise FieldError(path, value, "a duration such as 5m, 30 or -1 for forever") from None


def metadata(path: str, value: Any) -> None:
    json_object(path, value)
    for name, each in value.items():
        string(f"{path}.{name}", each)


def obfuscation(path: str, value: Any) -> None:
    if value is not False:
        raise FieldError(path, value, "false: streams carry no padding here")


MODEL = {"model": filled_string, "keep_alive": keep_alive}
END_USER = {"user": string, "safety_identifier": string, "metadata": metadata}
STREAM = {
    "stream": boolean,
    "stream_options": shape(
        {
            "include_usage": boolean,
            "include_obfuscation": obfuscation,
            # vLLM has usage in every event for it. Elsewhere it is at the end, where whoever sends
            # this, as GuideLLM always does, looks for it too.
            "continuous_usage_stats": boolean,
        }
    ),
}
# Asks that equal prompts meet the same cache; engines here match prefixes on their own.
CACHE_HINT = {"prompt_cache_key": string}

NO_CACHE_POLICY = NoOp(("in_memory",), "prompts are cached in memory only")
NO_TIERS = NoOp(("auto", "default"), "there are no service tiers here")
NOT_STORED = NoOp((False,), "answers are not stored here")
NO_MODERATION = NoOp((), "there is no moderation here")
