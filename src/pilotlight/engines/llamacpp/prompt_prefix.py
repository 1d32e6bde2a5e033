"""The tokens that every request with one system prompt starts with, as the program makes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from pilotlight.engines.base import EngineProcess
from pilotlight.engines.llamacpp import refusals
from pilotlight.errors import EngineError

OPENINGS = ("a", "1", "\n", ".")
"""Users' first characters, of kinds that merge with different ends of a template."""

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Prefix:
    """`follower` is a token that comes next in one request."""

    tokens: tuple[int, ...]
    follower: int


async def shared_prefix(process: EngineProcess, system_prompt: str) -> Prefix:
    """What conversations under `system_prompt` have in common, whatever the user says first.

    The model's own template says where the user's text goes, which may be after words
    of its own or in the middle of a token: so some are rendered and compared.

    Raises:
        EngineError: the template takes no system prompt, or has it after the user's text.
    """
    requests = await asyncio.gather(
        *(_tokens(process, system_prompt, opening) for opening in OPENINGS)
    )
    count = len(list(takewhile(_same, zip(*requests, strict=False))))
    longer = next((tokens for tokens in requests if len(tokens) > count), None)
    if longer is None:
        raise _useless("leaves out what the user says")
    if count == 0:
        raise _useless("gives conversations under one system prompt no beginning in common")
    return Prefix(tuple(longer[:count]), longer[count])


def _useless(what: str) -> EngineError:
    return EngineError(
        f"the model's chat template {what}", hint="remove the model's system_prompts"
    )


def _same(tokens: tuple[int, ...]) -> bool:
    return len(set(tokens)) == 1


async def _tokens(process: EngineProcess, system_prompt: str, opening: str) -> Sequence[int]:
    messages = [
        {"role": "system", "content": system_prompt},
        {"role": "user", "content": opening},
    ]
    rendered = await ask(process, "/apply-template", {"messages": messages})
    # As the program itself reads a rendered conversation (tokenize_input_prompts).
    text = {"content": rendered["prompt"], "add_special": True, "parse_special": True}
    answer = await ask(process, "/tokenize", text)
    return [int(token) for token in answer["tokens"]]


async def ask(
    process: EngineProcess, path: str, body: dict[str, Any] | bytes, timeout_s: float = _TIMEOUT_S
) -> Any:
    """The program's JSON answer. Raises EngineCrashedError, and EngineError for the rest."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        status, answer = await process.client.fetch(path, payload, timeout_s=timeout_s)
    except TimeoutError:
        raise EngineError(
            f"{path} gave no answer in {timeout_s:g} s", hint="shorten the system prompts"
        ) from None
    if status != 200:
        raise refusals.translate(status, answer)
    return json.loads(answer)
