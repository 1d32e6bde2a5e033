"""Messages and texts as the model's tokens."""

from __future__ import annotations

import json
from typing import Any

import jinja2

from .loading import Loaded
from .refusal import Refusal, wrong


def of_chat(loaded: Loaded, body: dict[str, Any]) -> str:
    """The whole text the model reads, by its own chat template."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise wrong("messages", messages, "an array of messages that isn't empty")
    goes_on = body.get("continue_final_message", False)
    options = {**loaded.job.template_kwargs, **(body.get("chat_template_kwargs") or {})}
    try:
        text: str = loaded.tokenizer.apply_chat_template(
            [_message(index, message) for index, message in enumerate(messages)],
            tools=tools_of(body) or None,
            tokenize=False,
            add_generation_prompt=body.get("add_generation_prompt", not goes_on),
            continue_final_message=goes_on,
            **options,
        )
    except (jinja2.TemplateError, ValueError, TypeError, KeyError) as error:
        raise Refusal(f"the model's chat template: {error}", param="messages") from None
    return text


def tools_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [] if body.get("tool_choice") == "none" else body.get("tools") or []


def _message(index: int, message: Any) -> dict[str, Any]:
    """As templates expect one: plain text, and a call's arguments as the object they are."""
    if not isinstance(message, dict):
        raise wrong(f"messages[{index}]", message, "an object")
    made = {**message, "content": _text(index, message.get("content"))}
    if made.get("role") == "developer":  # OpenAI's newer name, which no template knows
        made["role"] = "system"
    if message.get("tool_calls"):
        made["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    return made


def _text(index: int, content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" for part in content
    ):
        return "".join(part["text"] for part in content)
    raise wrong(f"messages[{index}].content", content, "a string or parts of type text")


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    try:
        arguments = json.loads(function["arguments"])
    except ValueError:
        arguments = function["arguments"]
    return {**call, "function": {**function, "arguments": arguments}}


def tokens_of_chat(loaded: Loaded, text: str) -> list[int]:
    """A template writes its own special tokens: none are added."""
    return _encode(loaded, text, special=False)


def of_texts(loaded: Loaded, param: str, given: Any) -> list[list[int]]:
    """One or more prompts: a string, strings, tokens, or arrays of tokens."""
    if isinstance(given, str):
        return [_encode(loaded, given, special=True)]
    if not isinstance(given, list) or not given:
        raise wrong(param, given, "a string, strings, tokens or arrays of tokens")
    if all(type(item) is int for item in given):
        return [_known(loaded, param, given)]
    return [_one(loaded, f"{param}[{index}]", item) for index, item in enumerate(given)]


def _one(loaded: Loaded, param: str, item: Any) -> list[int]:
    if isinstance(item, str):
        return _encode(loaded, item, special=True)
    if isinstance(item, list) and item and all(type(token) is int for token in item):
        return _known(loaded, param, item)
    raise wrong(param, item, "a string or an array of tokens")


def _known(loaded: Loaded, param: str, tokens: list[int]) -> list[int]:
    """An unknown token would crash the model's lookup, on a GPU with the whole process."""
    for index, token in enumerate(tokens):
        if not 0 <= token < loaded.vocabulary:
            expected = f"a token from 0 to {loaded.vocabulary - 1}"
            raise wrong(f"{param}[{index}]", token, expected)
    return tokens


def tokenize(loaded: Loaded, body: dict[str, Any]) -> dict[str, Any]:
    content = body.get("content")
    items = [content] if isinstance(content, str) else content
    if not isinstance(items, list):
        raise wrong("content", content, "a string, or an array of strings and tokens")
    tokens: list[int] = []
    for index, item in enumerate(items):
        if isinstance(item, str):
            special = body.get("add_special", False) and index == 0
            parse = body.get("parse_special", True)
            tokens += _encode(loaded, item, special=special, parse=parse)
        elif type(item) is int:
            tokens += _known(loaded, "content", [item])
        else:
            raise wrong(f"content[{index}]", item, "a string or a token")
    if body.get("with_pieces"):
        return {"tokens": [{"id": t, "piece": loaded.tokenizer.decode([t])} for t in tokens]}
    return {"tokens": tokens}


def detokenize(loaded: Loaded, body: dict[str, Any]) -> dict[str, Any]:
    tokens = body.get("tokens")
    if not isinstance(tokens, list) or any(type(token) is not int for token in tokens):
        raise wrong("tokens", tokens, "an array of tokens")
    return {"content": loaded.tokenizer.decode(_known(loaded, "tokens", tokens))}


def _encode(loaded: Loaded, text: str, *, special: bool, parse: bool = True) -> list[int]:
    tokens: list[int] = loaded.tokenizer.encode(
        text, add_special_tokens=special, split_special_tokens=not parse
    )
    return tokens
