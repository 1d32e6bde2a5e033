"""Served LoRA adapters: how the program loads them, and how a request says which it means.

llama.cpp takes adapters with the model only and numbers them as loaded: those of
the option `lora`, which are always on, come first; the served ones follow, at
scale 0. A request's ``lora`` gives scales by number, and whatever it doesn't list
is off for it (construct_lora_list in llama.cpp's server-context.cpp).
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

from pilotlight.engines.base import ModelJob
from pilotlight.engines.llamacpp.options import Adapter, Options

ON, OFF = 1.0, 0.0

_OPENING = re.compile(rb"[ \t\r\n]*\{(?P<empty>[ \t\r\n]*\})?")


def loaded_options(job: ModelJob) -> Options:
    """The options to launch or load `job` with: its adapters are there, and off."""
    options: Options = job.options
    served = tuple(Adapter(path=adapter.files.path, scale=OFF) for adapter in job.adapters)
    return replace(options, lora=options.lora + served) if served else options


def address(payload: bytes, job: ModelJob, adapter: str | None) -> bytes:
    """`payload`, a JSON object without a ``lora``, with one that turns on `adapter` alone.

    Requests for the bare model have a list too: without any llama.cpp switches the
    slot back to the model, but goes on from the keys and values that the last
    adapter left in it (launch_slot_with_task).
    """
    opening = _OPENING.match(payload)
    assert opening, "admission has read the body as an object"
    brace = opening.end() if opening["empty"] is None else opening.start("empty")
    more = b"," if opening["empty"] is None else b""
    return b"".join((payload[:brace], _choice(job, adapter), more, payload[brace:]))


def _choice(job: ModelJob, adapter: str | None) -> bytes:
    scales = [always_on.scale for always_on in job.options.lora]
    chosen = dict(enumerate(scales))
    if adapter is not None:
        names = [served.name for served in job.adapters]
        chosen[len(scales) + names.index(adapter)] = ON
    # An empty list would count as none.
    listed = [{"id": number, "scale": scale} for number, scale in (chosen or {0: OFF}).items()]
    return b'"lora":' + json.dumps(listed, separators=(",", ":")).encode()
