"""The models that are asked of this machine, small enough for all of them to take ten seconds.

Models of nearly no width first, and one with narrow layers: what takes time there isn't matrices.
Then one type of weights at a time, in layers as wide as a 1B model's, where hardly anything else
does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotlight.catalog.architecture import Architecture
from pilotlight.planner.tensors import tensors

SLOTS = 16
CONTEXT = 1024
PROMPT = 16
"""Tokens before an answer: few, for reading them is measured apart."""

SHORT, LONG = 32, 900
CHUNK = 512
"""Tokens of a prompt that llama.cpp computes in one go (its micro-batch)."""

FEW_WORDS, MANY_WORDS = 512, 131_072
FEW_LAYERS = 2

TYPES = ("Q8_0", "Q4_K", "Q6_K", "Q4_0", "F16", "Q5_0", "Q5_K")
"""Of the mixes that are downloaded most; Q5_0 for models whose rows aren't whole blocks of 256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A model of one type, and what it is asked: answers at once, tokens in a prompt."""

    name: str
    architecture: Architecture
    type: str
    answers: tuple[int, ...] = ()
    answer_tokens: int = 24
    prompts: tuple[int, ...] = ()
    long_answers: tuple[int, ...] = ()
    """The same behind `LONG` tokens; one alone, for several would wait for each other's prompts."""

    def types(self) -> Mapping[str, str]:
        """By tensor, as `shaped_gguf.write_types` takes them."""
        matrices = (len(each.shape) > 1 for each in tensors(self.architecture))
        kinds = (self.type if matrix else "F32" for matrix in matrices)
        names = (each.name for each in tensors(self.architecture))
        return dict(zip(names, kinds, strict=True))


def wide(type_name: str) -> Probe:
    shape = _shape(FEW_LAYERS, hidden=2048, feed_forward=8192, heads=32, kv_heads=8)
    return Probe(
        name=type_name, architecture=shape, type=type_name, answers=(1, 4, 16), prompts=(64, CHUNK)
    )


def _shape(
    layers: int,
    *,
    hidden: int = 64,
    feed_forward: int = 64,
    heads: int = 1,
    kv_heads: int = 1,
    words: int = FEW_WORDS,
) -> Architecture:
    return Architecture(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=64,
        feed_forward=feed_forward,
        vocabulary=words,
        context=2048,
        tied=False,
    )


def _thin(name: str, layers: int, words: int) -> Probe:
    shape = _shape(layers, words=words)
    return Probe(
        name=name,
        architecture=shape,
        type="Q8_0",
        answers=(1, 16),
        answer_tokens=64,
        prompts=(SHORT,),
    )


SHALLOW = _thin("shallow", FEW_LAYERS, FEW_WORDS)
NARROW = Probe(
    name="narrow",
    architecture=_shape(24, hidden=512, feed_forward=1536, heads=8, kv_heads=4),
    type="Q8_0",
    answers=(1, 16),
    prompts=(CHUNK,),
)
"""As small models are: many layers whose matrices are too small to be read at full speed."""

WORDY = _thin("wordy", FEW_LAYERS, MANY_WORDS)
ATTENTIVE = Probe(
    name="attentive",
    architecture=_shape(8, hidden=256, feed_forward=256, heads=32, kv_heads=8),
    type="Q8_0",
    answers=(1,),
    prompts=(LONG,),
    long_answers=(1,),
)
OVERHEADS = (SHALLOW, WORDY, ATTENTIVE, NARROW)
