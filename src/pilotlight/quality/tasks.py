"""A user's questions with known answers: JSON lines of multiple choice, or of exact answers."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pilotlight.bench.quality_facts import TaskKind
from pilotlight.errors import BenchError

HINT = (
    'write {"question": "…", "choices": ["…", "…"], "answer": 0} or "answer": "A" on every line, '
    'or {"prompt": "…", "answer": "…"} on every line; an exact answer may be a list of good ones'
)
LETTERS = string.ascii_uppercase[:10]
_MOST_TOKENS = 64
"""Of an exact answer, unless it is told."""


@dataclass(frozen=True, slots=True)
class Item:
    """`answers` are the letters or texts that are right."""

    prompt: str
    answers: frozenset[str]
    choices: int = 0
    max_tokens: int = _MOST_TOKENS
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    kind: TaskKind
    items: tuple[Item, ...]


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    answer: Any
    question: str | None = None
    prompt: str | None = None
    choices: list[str] | None = None
    max_tokens: int | None = None
    """Of an exact answer."""

    system: str | None = None
    id: Any = None


def read_task(path: Path) -> Task:
    """Raises BenchError: the file can't be read, or names the line that is wrong."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise BenchError(f"can't read {str(path)!r}: {error.strerror}", hint=HINT) from None
    items, kinds = [], set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = _item(msgspec.json.decode(line, type=_Line))
        except (msgspec.DecodeError, ValueError) as error:
            raise BenchError(f"{path}:{number}: {error}", hint=HINT) from None
        items.append(item)
        kinds.add("choice" if item.choices else "exact")
    if len(kinds) != 1:
        what = "holds no question" if not items else "mixes choices with exact answers"
        raise BenchError(f"{str(path)!r} {what}", hint=HINT)
    kind: TaskKind = "choice" if items[0].choices else "exact"
    return Task(path.stem, kind, tuple(items))


def _item(line: _Line) -> Item:
    question = line.question or line.prompt
    if not question:
        raise ValueError("has neither question nor prompt")
    if line.choices is None:
        return _exact(question, line)
    return _choice(question, line.choices, line)


def _exact(question: str, line: _Line) -> Item:
    answers = line.answer if isinstance(line.answer, list) else [line.answer]
    told = [one for one in answers if isinstance(one, str | int | float)]
    right = frozenset(normalized(str(answer)) for answer in told)
    if "" in right or not right or len(told) < len(answers):
        raise ValueError(f"the answer is {line.answer!r}, expected a text or a list of them")
    most = _MOST_TOKENS if line.max_tokens is None else line.max_tokens
    if most < 1:
        raise ValueError(f"max_tokens is {most}, expected a whole number from 1")
    return Item(question, right, 0, most, line.system)


def _choice(question: str, choices: Sequence[str], line: _Line) -> Item:
    if not 2 <= len(choices) <= len(LETTERS):
        raise ValueError(f"has {len(choices)} choices, expected 2 to {len(LETTERS)}")
    if len(set(choices)) < len(choices):
        raise ValueError("has the same choice twice, of which only one would be right")
    if line.max_tokens is not None:
        raise ValueError("max_tokens means nothing for choices: a letter is asked for")
    answer = line.answer
    if answer in choices:
        place = choices.index(answer)
    elif isinstance(answer, str) and answer in LETTERS[: len(choices)] and answer:
        place = LETTERS.index(answer)
    elif type(answer) is int and 0 <= answer < len(choices):
        place = answer
    else:
        raise ValueError(f"the answer is {answer!r}, expected a choice, its letter or its number")
    listed = "\n".join(f"{LETTERS[at]}. {choice}" for at, choice in enumerate(choices))
    prompt = f"{question}\n\n{listed}\n\nAnswer with the letter only."
    return Item(prompt, frozenset(LETTERS[place]), len(choices), system=line.system)


def normalized(text: str) -> str:
    """Without what doesn't make an answer another: case, spaces, quotes, a last point."""
    words = " ".join(text.split()).casefold().strip("\"'`*“”‘’ ")
    return words.rstrip(".!").strip("\"'`*“”‘’ ")


def letter_in(text: str, choices: int) -> str | None:
    """The letter that an answer in words names first."""
    found = re.search(rf"(?<![A-Za-z])([A-{LETTERS[choices - 1]}])(?![A-Za-z])", text)
    return found[1] if found else None
