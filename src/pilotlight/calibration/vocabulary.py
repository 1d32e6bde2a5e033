"""A tokenizer of any size: bytes first, then words of letters, each merged from two before it.

It is GPT-2's kind, so that llama.cpp reads any text and prints something for each token.
"""

from __future__ import annotations

import string
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice

from pilotlight.calibration.gguf_writer import Value
from pilotlight.errors import ModelFormatError

END = "<|endoftext|>"
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
LEAST = 257

_LETTERS = string.ascii_lowercase + string.ascii_uppercase + string.digits
_NORMAL, _CONTROL = 1, 3


def metadata(size: int) -> Mapping[str, Value]:
    """The keys of a vocabulary with `size` tokens, whose last one ends an answer.

    Raises:
        ModelFormatError: all bytes and an end don't fit into `size`.
    """
    if size < LEAST:
        raise ModelFormatError(
            f"a vocabulary of {size} tokens can't spell every text",
            hint=f"give it at least {LEAST}",
        )
    pairs = list(islice(_pairs(), size - LEAST))
    tokens = [*_byte_letters(), *("".join(pair) for pair in pairs), END]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [_NORMAL] * (size - 1) + [_CONTROL],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in pairs] or ["a b"],
        "tokenizer.ggml.bos_token_id": size - 1,
        "tokenizer.ggml.eos_token_id": size - 1,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": TEMPLATE,
    }


def _byte_letters() -> Iterator[str]:
    """A visible letter for each byte: itself if printable, else one from 256 up (GPT-2's table)."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    for byte in range(256):
        yield chr(byte if byte in printable else next(others))


def _pairs() -> Iterator[tuple[str, str]]:
    """Every word of letters, shortest first, as an earlier word and its last letter."""
    words = deque(_LETTERS)
    while True:
        word = words.popleft()
        for letter in _LETTERS:
            words.append(word + letter)
            yield word, letter
