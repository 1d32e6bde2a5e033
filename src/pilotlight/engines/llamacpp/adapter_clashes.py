"""Options that a model can't have while adapters are served over it: answers would be wrong.

Speculation is none of them: whoever guesses, the model checks the guesses with
the request's adapter on. Nor is `embedding`: llama.cpp embeds with the bare model,
from nothing that is in a slot, and a request for an adapter can't ask for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pilotlight.engines.base import ModelJob
from pilotlight.engines.llamacpp.adapter_fit import INVOCATION, is_activated
from pilotlight.engines.llamacpp.options import Options
from pilotlight.engines.llamacpp.sizing import header_of, size
from pilotlight.errors import AdapterError


@dataclass(frozen=True, slots=True)
class Clash:
    """An option that is on, why that can't be and what to do."""

    option: str
    found: Callable[[Options], object]
    reason: str
    hint: str


_CLASHES = (
    Clash(
        "cache_ram",
        lambda options: options.cache_ram,
        "llama.cpp finds the prompts it keeps by their tokens alone, whichever adapter read them",
        "leave cache_ram out; each slot still reuses its own last prompt",
    ),
    Clash(
        "mmproj",
        lambda options: options.mmproj,
        "llama.cpp reads an image with the adapter of whatever it computed before",
        "serve the model a second time without mmproj, and lay the adapters over that",
    ),
    Clash(
        "lora",
        lambda options: any(is_activated(header_of(item.path)) for item in options.lora),
        f"one of those is an activated LoRA ({INVOCATION}), which llama.cpp puts on for the whole "
        "prompt as soon as another is on too",
        "take that one out of the option lora",
    ),
)


def check(job: ModelJob) -> None:
    """Raises AdapterError, naming the option, where `job`'s model can have no adapters."""
    options: Options = job.options
    if not size(options, header_of(job.files.path)).generates:
        raise AdapterError(
            f"model {job.name!r} generates no text, and llama.cpp lays adapters over nothing else",
            hint="merge the adapter into the model with llama-export-lora, and serve the result",
        )
    for clash in _CLASHES:
        if clash.found(options):
            raise AdapterError(
                f"model {job.name!r} has the option {clash.option!r}, and with that it can't have "
                f"adapters: {clash.reason}",
                hint=clash.hint,
            )
