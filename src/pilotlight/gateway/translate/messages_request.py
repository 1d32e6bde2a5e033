"""Anthropic's messages as a chat request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pilotlight.core import Capabilities, Operation

_SAME = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop_sequences": "stop",
    "chat_template_kwargs": "chat_template_kwargs",
}


def chat_body(body: Mapping[str, Any], model: str, capabilities: Capabilities) -> dict[str, Any]:
    """A validated body as chat's, with usage asked for in streams."""
    chat: dict[str, Any] = {"model": model, "messages": _messages(body, capabilities)}
    chat.update(
        (theirs, body[ours]) for ours, theirs in _SAME.items() if body.get(ours) is not None
    )
    if body.get("tools"):
        chat |= _tools(body)
    chat |= _thinking(body, capabilities)
    chat |= _output(body.get("output_config") or {})
    if body.get("stream"):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    return chat


def _messages(body: Mapping[str, Any], capabilities: Capabilities) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if system := body.get("system"):
        messages.append({"role": "system", "content": _plain(system)})
    for message in body["messages"]:
        blocks = message["content"]
        if isinstance(blocks, str):
            blocks = [{"type": "text", "text": blocks}]
        if message["role"] == "assistant":
            messages.append(_assistant(blocks, capabilities))
        else:
            messages.extend(_user(blocks))
    return messages


def _plain(text_or_blocks: str | list[dict[str, Any]]) -> str:
    if isinstance(text_or_blocks, str):
        return text_or_blocks
    return "\n".join(block["text"] for block in text_or_blocks)


def _assistant(blocks: Iterable[Mapping[str, Any]], capabilities: Capabilities) -> dict[str, Any]:
    texts, thoughts, calls = [], [], []
    for block in blocks:
        if block["type"] == "text":
            texts.append(block["text"])
        elif block["type"] == "thinking":
            thoughts.append(block["thinking"])
        else:
            arguments = json.dumps(block["input"], ensure_ascii=False)
            function = {"name": block["name"], "arguments": arguments}
            calls.append({"id": block["id"], "type": "function", "function": function})
    message: dict[str, Any] = {"role": "assistant", "content": "\n".join(texts)}
    if calls:
        message["tool_calls"] = calls
    if thoughts and capabilities.thinking:
        message["reasoning_content"] = "\n".join(thoughts)
    return message


def _user(blocks: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """Results of tools first: they answer the assistant's last message, the rest follows them."""
    rest = []
    for block in blocks:
        if block["type"] == "tool_result":
            yield {
                "role": "tool",
                "tool_call_id": block["tool_use_id"],
                "content": _result(block),
            }
        else:
            rest.append(block)
    if rest:
        yield {"role": "user", "content": _content(rest)}


def _result(block: Mapping[str, Any]) -> str | list[dict[str, Any]]:
    content = block.get("content") or ""
    result = content if isinstance(content, str) else _content(content)
    # Chat has no flag for a failed call, so the model is told in words.
    if block.get("is_error") and isinstance(result, str):
        return f"Error: {result}"
    return result


def _content(blocks: list[Mapping[str, Any]]) -> str | list[dict[str, Any]]:
    """A plain string where all is text: every chat template takes one."""
    if all(block["type"] == "text" for block in blocks):
        return "\n".join(block["text"] for block in blocks)
    return [_part(block) for block in blocks]


def _part(block: Mapping[str, Any]) -> dict[str, Any]:
    if block["type"] == "text":
        return {"type": "text", "text": block["text"]}
    source = block["source"]
    url = f"data:{source['media_type']};base64,{source['data']}"
    return {"type": "image_url", "image_url": {"url": url}}


def _tools(body: Mapping[str, Any]) -> dict[str, Any]:
    choice = body.get("tool_choice") or {"type": "auto"}
    tools = body["tools"]
    if choice["type"] == "tool":  # forced by name: the only tool there is, and one is required
        tools = [tool for tool in tools if tool["name"] == choice["name"]]
    made: dict[str, Any] = {"tools": [_tool(tool) for tool in tools]}
    made["tool_choice"] = {"auto": "auto", "none": "none"}.get(choice["type"], "required")
    if choice.get("disable_parallel_tool_use"):
        made["parallel_tool_calls"] = False
    return made


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    function |= {name: tool[name] for name in ("description", "strict") if tool.get(name)}
    return {"type": "function", "function": function}


def _thinking(body: Mapping[str, Any], capabilities: Capabilities) -> dict[str, Any]:
    thinking = body.get("thinking") or {}
    if not capabilities.thinking or thinking.get("type") not in ("enabled", "disabled"):
        return {}
    enabled = thinking["type"] == "enabled"
    made: dict[str, Any] = {}
    if enabled:
        made["reasoning_budget_tokens"] = thinking["budget_tokens"]
    if "chat_template_kwargs" in capabilities.parameters.get(Operation.CHAT, frozenset()):
        given = body.get("chat_template_kwargs") or {}
        made["chat_template_kwargs"] = {**given, "enable_thinking": enabled}
    return made


def _output(config: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if config.get("effort"):
        made["reasoning_effort"] = config["effort"]
    if shape := config.get("format"):
        schema = {"name": "answer", "schema": shape["schema"], "strict": True}
        made["response_format"] = {"type": "json_schema", "json_schema": schema}
    return made
