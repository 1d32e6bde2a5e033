"""OpenAI's responses as a chat request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.core import Capabilities, Operation

_SAME = {"temperature": "temperature", "top_p": "top_p", "max_output_tokens": "max_tokens"}


def chat_body(body: Mapping[str, Any], model: str, capabilities: Capabilities) -> dict[str, Any]:
    """A validated body as chat's, with usage asked for in streams."""
    chat: dict[str, Any] = {"model": model, "messages": _messages(body, capabilities)}
    chat.update(
        (theirs, body[ours]) for ours, theirs in _SAME.items() if body.get(ours) is not None
    )
    if body.get("tools"):
        chat |= _tools(body, capabilities)
    if effort := (body.get("reasoning") or {}).get("effort"):
        chat["reasoning_effort"] = effort
    if shape := _format((body.get("text") or {}).get("format") or {}):
        chat["response_format"] = shape
    if body.get("stream"):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    return chat


def _messages(body: Mapping[str, Any], capabilities: Capabilities) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if instructions := body.get("instructions"):
        messages.append({"role": "system", "content": instructions})
    items = body["input"]
    if isinstance(items, str):
        return [*messages, {"role": "user", "content": items}]
    for item in items:
        _add(messages, item, capabilities)
    return messages


def _add(
    messages: list[dict[str, Any]], item: Mapping[str, Any], capabilities: Capabilities
) -> None:
    kind = item.get("type") or "message"
    if kind == "function_call_output":
        messages.append(
            {
                "role": "tool",
                "tool_call_id": item["call_id"],
                "content": _content(item["output"]),
            }
        )
    elif kind == "message" and item["role"] != "assistant":
        messages.append({"role": item["role"], "content": _content(item["content"])})
    else:
        _add_to_assistant(_assistant(messages), kind, item, capabilities)


def _assistant(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """What responses say in several items is one assistant's message in chat."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": ""})
    return messages[-1]


def _add_to_assistant(
    message: dict[str, Any], kind: str, item: Mapping[str, Any], capabilities: Capabilities
) -> None:
    if kind == "message":
        message["content"] += _plain(item["content"])
    elif kind == "function_call":
        function = {"name": item["name"], "arguments": item["arguments"]}
        call = {"id": item["call_id"], "type": "function", "function": function}
        message.setdefault("tool_calls", []).append(call)
    elif capabilities.thinking:
        parts = item.get("content") or item.get("summary") or ()
        message["reasoning_content"] = "\n".join(part["text"] for part in parts)


def _plain(content: str | list[Mapping[str, Any]]) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _content(content: str | list[Mapping[str, Any]]) -> str | list[dict[str, Any]]:
    """A plain string where all is text: every chat template takes one."""
    if isinstance(content, str):
        return content
    if all(part["type"] != "input_image" for part in content):
        return "\n".join(part["text"] for part in content)
    return [_part(part) for part in content]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] != "input_image":
        return {"type": "text", "text": part["text"]}
    image = {"url": part["image_url"]}
    if part.get("detail"):
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image}


def _tools(body: Mapping[str, Any], capabilities: Capabilities) -> dict[str, Any]:
    tools, choice = body["tools"], body.get("tool_choice") or "auto"
    if isinstance(choice, dict):  # forced by name: the only tool there is, and one is required
        tools = [tool for tool in tools if tool["name"] == choice["name"]]
        choice = "required"
    made = {"tools": [_tool(tool) for tool in tools], "tool_choice": choice}
    parallel = body.get("parallel_tool_calls")
    listed = capabilities.parameters.get(Operation.CHAT, frozenset())
    if parallel is not None and "parallel_tool_calls" in listed:
        made["parallel_tool_calls"] = parallel
    return made


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    names = ("name", "description", "parameters", "strict")
    function = {name: tool[name] for name in names if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _format(chosen: Mapping[str, Any]) -> dict[str, Any] | None:
    if chosen.get("type") != "json_schema":
        return dict(chosen) or None
    schema = {name: each for name, each in chosen.items() if name != "type" and each is not None}
    return {"type": "json_schema", "json_schema": schema}
