"""Text ↔ token ids, reversible and without a vocabulary to share.

A token is up to five letters or digits with the one space before them, or any
other single character; longer words are cut, as a real tokenizer cuts them. An
id says its own text, so that any process can turn ids back, and is below 2**31,
as every engine's ids are: first come the words, read as numbers of base 63,
then those with a space, then the code points of all other characters.
"""

from __future__ import annotations

import re
import string
import sys
from collections.abc import Iterable

_DIGITS = string.digits + string.ascii_letters
_BASE = len(_DIGITS) + 1  # 0 is no digit, so that "0" and "00" differ
_LONGEST = 5
_WORDS: int = _BASE**_LONGEST
_FIRST_CHARACTER = 2 * _WORDS

_PIECE = re.compile(rf" ?[0-9A-Za-z]{{1,{_LONGEST}}}|.", re.DOTALL)


def pieces(text: str) -> list[str]:
    """The tokens of `text`; joined they are `text` again."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    return len(pieces(text))


def token_id(piece: str) -> int:
    word = piece.removeprefix(" ")
    if not word or word[0] not in _DIGITS:
        return _FIRST_CHARACTER + ord(piece)
    value = 0
    for character in word:
        value = value * _BASE + _DIGITS.index(character) + 1
    return value + (_WORDS if piece != word else 0)


def piece_of(token: int) -> str:
    """Raises ValueError for an integer that is no token."""
    if token >= _FIRST_CHARACTER:
        return _character(token)
    space, value = divmod(token, _WORDS)
    word = ""
    while value > 0:
        value, digit = divmod(value, _BASE)
        if digit == 0:
            break
        word = _DIGITS[digit - 1] + word
    if token < 0 or value or not word:
        raise ValueError(f"{token!r} is no token")
    return " " * space + word


def _character(token: int) -> str:
    point = token - _FIRST_CHARACTER
    if point > sys.maxunicode or 0xD800 <= point < 0xE000:  # a surrogate is no character
        raise ValueError(f"{token!r} is no token")
    return chr(point)


def text_of(tokens: Iterable[int]) -> str:
    """Raises ValueError for an integer that is no token."""
    return "".join(map(piece_of, tokens))
