"""A task put to a served model, one chat a question, and what of it is right."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pilotlight.bench.target import Target
from pilotlight.bench.tokens.questions import AT_ONCE, ask_model
from pilotlight.errors import ServerRefusedError
from pilotlight.quality.tasks import LETTERS, Item, Task, letter_in, normalized

PATH = "/v1/chat/completions"
_SPOKEN_TOKENS = 16
"""For a letter in words, such as `The answer is B.`"""


async def answered(target: Target, task: Task) -> tuple[bool, ...]:
    """Which questions it answers rightly, without any chance: always the likeliest token.

    Raises ServerError: the server can't be reached, or refuses a question.
    """
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: Item) -> bool:
        async with gate:
            return await _right(target, item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in task.items]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return tuple(found.result() for found in tasks)


async def _right(target: Target, item: Item) -> bool:
    if item.choices:
        return await _letter(target, item) in item.answers
    answer = await ask_model(target, PATH, _asked(item, item.max_tokens))
    return normalized(_words(answer)) in item.answers


async def _letter(target: Target, item: Item) -> str | None:
    """The likeliest of the letters as the answer's first token, or the one that it says.

    Small models often start with a word though a letter was asked for; which letter they lean to
    is in the probabilities.
    """
    try:
        wish = {"logprobs": True, "top_logprobs": 20}
        answer = await ask_model(target, PATH, {**_asked(item, 1), **wish})
        if letter := _likeliest(answer["choices"][0].get("logprobs"), item.choices):
            return letter
    except ServerRefusedError as error:
        if error.answer not in (400, 422):
            raise
    answer = await ask_model(target, PATH, _asked(item, _SPOKEN_TOKENS))
    return letter_in(_words(answer), item.choices)


def _likeliest(told: Mapping[str, Any] | None, choices: int) -> str | None:
    content: Sequence[Mapping[str, Any]] = (told or {}).get("content") or ()
    if not content:
        return None
    letters = [
        (one["logprob"], one["token"].strip())
        for one in content[0].get("top_logprobs") or ()
        if one["token"].strip() in LETTERS[:choices] and one["token"].strip()
    ]
    return max(letters)[1] if letters else None


def _asked(item: Item, max_tokens: int) -> dict[str, Any]:
    system = [{"role": "system", "content": item.system}] if item.system else []
    messages = [*system, {"role": "user", "content": item.prompt}]
    return {"messages": messages, "max_tokens": max_tokens, "temperature": 0}


def _words(answer: Mapping[str, Any]) -> str:
    return str(answer["choices"][0]["message"].get("content") or "")
