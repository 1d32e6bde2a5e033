"""What a team changes when it changes the engine under a model name: these lines, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

NAME = "assistant"
START_S = 480
"""The first start of vLLM compiles: a minute and a half alone, four on busy cores."""

# The same for every engine. Two cores run the engine, the gateway, the tests and perhaps others:
# llama.cpp's threads wait for each other spinning, so a second one can cost tenfold.
OPTIONS = {"context": 1024, "parallel": 2, "threads": 1}


@dataclass(frozen=True, slots=True)
class Choice:
    engine: str
    files: Literal["smollm", "smol"]
    """The fixture that has the weights in the form this engine reads: one GGUF, or a directory."""

    installed: str | None = None
    """The environment it runs from; None for what comes with the product."""

    llamacpp: Mapping[str, Any] | None = None
    """Settings of the llamacpp engine, which has two programs."""


CHOICES: Mapping[str, Choice] = {
    "llamacpp": Choice("llamacpp", "smollm", llamacpp={"prefer": "wheel"}),
    "llamacpp-native": Choice("llamacpp", "smollm", "llamacpp-native"),
    "vllm": Choice("vllm", "smol", "vllm"),
    "transformers": Choice("transformers", "smol", "transformers"),
}
