"""What a request asks, as one text; its tokens are what the request costs to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.testing import tokens
from pilotlight.testing.answer import Refusal, invalid

ECHO = "echo "
"""A last message or prompt that starts so is said back, for tests that need a certain text."""


def of_chat(body: Mapping[str, Any], *, vision: bool) -> str:
    """All messages, one a line; an image stands in as its URL, so that it changes the answer."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("'messages' is required and must be a non-empty array")
    return "".join(f"{_role(item)}: {_content(item, vision)}\n" for item in messages)


def of_completion(body: Mapping[str, Any]) -> str:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and prompt and all(isinstance(item, int) for item in prompt):
        return text_of(prompt)
    if isinstance(prompt, list) and len(prompt) == 1:
        return of_completion({"prompt": prompt[0]})
    if not isinstance(prompt, str):
        raise invalid(f"'prompt' is {prompt!r}, expected a text or an array of tokens")
    return prompt


def text_of(ids: Any) -> str:
    """Raises Refusal for anything but an array of this engine's tokens."""
    if not isinstance(ids, list) or not all(type(item) is int for item in ids):
        raise invalid(f"tokens are {ids!r}, expected an array of whole numbers")
    try:
        return tokens.text_of(ids)
    except ValueError as error:
        raise invalid(str(error)) from None


def echoed(body: Mapping[str, Any]) -> str | None:
    """The text to say back, where the request asks for that."""
    last = body["messages"][-1].get("content") if "messages" in body else body.get("prompt")
    return last.removeprefix(ECHO) if isinstance(last, str) and last.startswith(ECHO) else None


def _role(message: Any) -> str:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise invalid("each message needs a 'role'")
    return str(message["role"])


def _content(message: Mapping[str, Any], vision: bool) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(_part(part, vision) for part in content)
    return str(content or message.get("tool_calls") or "")


def _part(part: Any, vision: bool) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        return str(part.get("text"))
    if kind == "image_url" and vision:
        return str(part.get("image_url", {}).get("url"))
    if kind == "image_url":
        raise Refusal(501, "not_supported_error", "image input is not supported by this model")
    raise invalid(f"unsupported content part {kind!r}")
