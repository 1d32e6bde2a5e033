"""OpenAI's completions, embeddings, and the token operations beside them."""

from __future__ import annotations

from typing import Any

from pilotlight.errors import FieldError
from pilotlight.gateway.wire.checks import (
    INT32_MAX,
    boolean,
    filled_string,
    integer,
    one_of,
)
from pilotlight.gateway.wire.table import NoOp, Table
from pilotlight.gateway.wire.tables.handled import END_USER, MODEL, STREAM
from pilotlight.gateway.wire.tables.sampling import EXTRAS, SAMPLING

_token = integer(0, INT32_MAX)
_EXPECTED = "a string, an array of strings, an array of token ids, or an array of such arrays"


def prompt(path: str, value: Any) -> None:
    if type(value) is str:
        return
    if type(value) is not list or not value:
        raise FieldError(path, value, _EXPECTED)
    if type(value[0]) is int:
        _tokens(path, value)
        return
    for index, each in enumerate(value):
        if type(each) is list:
            _tokens(f"{path}[{index}]", each)
        elif type(each) is not str:
            raise FieldError(f"{path}[{index}]", each, "a string or an array of token ids")


def _tokens(path: str, value: Any) -> None:
    if not value:
        raise FieldError(path, value, "an array of token ids that isn't empty")
    for index, token in enumerate(value):
        _token(f"{path}[{index}]", token)


def embedded(path: str, value: Any) -> None:
    """What to embed: like a prompt, and never empty."""
    if type(value) is str:
        filled_string(path, value)
        return
    prompt(path, value)
    for index, each in enumerate(value):
        if each == "":
            raise FieldError(f"{path}[{index}]", each, "a string that isn't empty")


COMPLETIONS = Table(
    required=("model", "prompt"),
    core={**SAMPLING, "prompt": prompt, "logprobs": integer(0, 20)},
    handled={**MODEL, **STREAM, **END_USER},
    extras=EXTRAS,
    no_op={
        "best_of": NoOp((1,), "one answer is made for each choice", "use 'n'"),
        "echo": NoOp((False,), "the prompt is not echoed", "prepend it on your side"),
        "suffix": NoOp(("",), "this engine doesn't fill in the middle", "put it in the prompt"),
    },
)

EMBEDDINGS = Table(
    required=("model", "input"),
    core={"input": embedded, "encoding_format": one_of("float", "base64")},
    handled={**MODEL, **END_USER},
    extras={"dimensions": integer(1, INT32_MAX), "embd_normalize": integer(-1, INT32_MAX)},
)

TOKENIZE = Table(
    required=("model", "content"),
    core={
        "content": prompt,
        "add_special": boolean,
        "parse_special": boolean,
        "with_pieces": boolean,
    },
    handled=MODEL,
)


def _token_array(path: str, value: Any) -> None:
    if type(value) is not list:
        raise FieldError(path, value, "an array of token ids")
    for index, token in enumerate(value):
        _token(f"{path}[{index}]", token)


DETOKENIZE = Table(required=("model", "tokens"), core={"tokens": _token_array}, handled=MODEL)
