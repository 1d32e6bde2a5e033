"""What Ollama's requests share: options, images, times, and the closing line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pilotlight.config import Seconds
from pilotlight.core import Capabilities
from pilotlight.errors import EngineError, FieldError
from pilotlight.gateway.translate.answer import Closing, ToolCall
from pilotlight.gateway.translate.base import Context
from pilotlight.gateway.wire.tables.handled import read_keep_alive
from pilotlight.gateway.wire.tables.ollama_options import OPTIONS
from pilotlight.gateway.wire.tables.sampling import LOOK_BACK_MAX

# The first characters of base64 say what an image is.
_IMAGE_TYPES = {"iVBOR": "png", "/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp", "Qk": "bmp"}
_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000


def keep_alive(body: Mapping[str, Any]) -> Seconds | None:
    """How long the model should stay, or None where the client doesn't say."""
    value = body.get("keep_alive")
    return None if value is None else read_keep_alive(value)


def load_reason(body: Mapping[str, Any]) -> str:
    """Why a request without work is done; ``keep_alive: 0`` asks to let the model go."""
    stay_s = keep_alive(body)
    return "load" if stay_s is None or float(stay_s) > 0 else "unload"


def sampling(body: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` and logprobs in the engine's names; load-time options stay behind."""
    options = body.get("options") or {}
    made = {
        OPTIONS[name][0]: value
        for name, value in options.items()
        if name in OPTIONS and value is not None
    }
    if made.get("max_tokens", 1) < 0:
        del made["max_tokens"]
    if made.get("repeat_last_n") == -1:  # Ollama's word for the whole context
        made["repeat_last_n"] = LOOK_BACK_MAX
    return made


def logprobs(body: Mapping[str, Any]) -> dict[str, Any]:
    """Chat's spelling of the wish for logprobs.

    llama.cpp gives none at all for ``top_logprobs: 0``, so one alternative is asked
    for and `probabilities` leaves it out.
    """
    if not body.get("logprobs"):
        return {}
    return {"logprobs": True, "top_logprobs": body.get("top_logprobs") or 1}


def streaming(body: Mapping[str, Any]) -> dict[str, Any]:
    if not wants_stream(body):
        return {}
    return {"stream": True, "stream_options": {"include_usage": True}}


def wants_stream(body: Mapping[str, Any]) -> bool:
    """Ollama streams unless told not to."""
    return body.get("stream") is not False


def response_format(body: Mapping[str, Any]) -> dict[str, Any]:
    wanted = body.get("format")
    if not wanted:
        return {}
    if wanted == "json":
        return {"response_format": {"type": "json_object"}}
    schema = {"name": "format", "schema": wanted, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def thinking(body: Mapping[str, Any], capabilities: Capabilities) -> dict[str, Any]:
    """``think`` for a model that can; for one that can't, its ``false`` is already true."""
    think = body.get("think")
    if think is None or not capabilities.thinking:
        return {}
    if isinstance(think, str):
        return {"reasoning_effort": think}
    return {"chat_template_kwargs": {"enable_thinking": think}}


def content(text: str, images: list[str] | None, path: str) -> str | list[dict[str, Any]]:
    """A plain string, or parts where there are images. Raises FieldError for an unknown image."""
    if not images:
        return text
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    for index, image in enumerate(images):
        url = f"data:image/{_image_type(f'{path}[{index}]', image)};base64,{image}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return parts


def _image_type(path: str, image: str) -> str:
    for start, kind in _IMAGE_TYPES.items():
        if image.startswith(start):
            return kind
    raise FieldError(path, image, "a PNG, JPEG, GIF, WebP or BMP image in base64")


def timestamp(moment: datetime) -> str:
    """As Go writes it: UTC with a Z."""
    return moment.isoformat().replace("+00:00", "Z")


def head(context: Context) -> dict[str, Any]:
    return {"model": context.model, "created_at": timestamp(context.now())}


def ending(finish: str) -> dict[str, Any]:
    return {"done": True, "done_reason": "length" if finish == "length" else "stop"}


def durations(closing: Closing, context: Context) -> dict[str, Any]:
    """Counts, and times in nanoseconds; what nobody measured is left out."""
    usage, timings = closing.usage, closing.timings
    load_s = context.load_s()
    figures = {
        "total_duration": _ns(context.clock_s() - context.started_s, _NS_PER_S),
        "load_duration": _ns(load_s, _NS_PER_S),
        "prompt_eval_count": usage.prompt_tokens if usage else _prompt_tokens(timings),
        "prompt_eval_duration": _ns(timings.get("prompt_ms"), _NS_PER_MS),
        "eval_count": usage.completion_tokens if usage else timings.get("predicted_n"),
        "eval_duration": _ns(timings.get("predicted_ms"), _NS_PER_MS),
    }
    return {name: value for name, value in figures.items() if value is not None}


def _ns(value: float | None, unit_ns: int) -> int | None:
    return None if value is None else round(value * unit_ns)


def _prompt_tokens(timings: Mapping[str, Any]) -> int | None:
    read = timings.get("prompt_n")
    return None if read is None else read + timings.get("cache_n", 0)


def probabilities(
    entries: tuple[Mapping[str, Any], ...], body: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Engine logprobs with the fields Ollama has, and as many alternatives as asked for."""
    wanted = body.get("top_logprobs") or 0
    made = []
    for entry in entries:
        top = [_token(other) for other in (entry.get("top_logprobs") or ())[:wanted]]
        made.append({**_token(entry), "top_logprobs": top} if top else _token(entry))
    return made


def _token(entry: Mapping[str, Any]) -> dict[str, Any]:
    made = {"token": entry.get("token", ""), "logprob": entry.get("logprob", 0.0)}
    return made if entry.get("bytes") is None else {**made, "bytes": entry["bytes"]}


def tool_calls(calls: tuple[ToolCall, ...]) -> list[dict[str, Any]]:
    """Ollama's calls hold their arguments as an object."""
    return [
        {"function": {"index": index, "name": call.name, "arguments": arguments(call)}}
        for index, call in enumerate(calls)
    ]


def arguments(call: ToolCall) -> Mapping[str, Any]:
    try:
        found = json.loads(call.arguments or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise EngineError(
            f"the model called {call.name!r} with arguments that aren't a JSON object: "
            f"{call.arguments[:80]!r}",
            hint="raise num_predict, or ask again",
        )
    return found
