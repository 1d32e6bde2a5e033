"""What a computed prompt depends on, as one hash: another hash, another file.

Rather too much than too little goes in: a needless key costs one prefill, a
missing part would answer from another model's state.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pilotlight.engines.base import ModelJob
from pilotlight.engines.llamacpp.options import Options
from pilotlight.engines.llamacpp.sizing import Sizing
from pilotlight.store.parts import parts_of

FORMAT = 1
"""Of what this product does with the file; llama.cpp's own format goes with its build."""


def key_of(
    job: ModelJob, *, build: str, sizing: Sizing, offloads: bool, tokens: Sequence[int]
) -> str:
    """`tokens` stand for prompt and template: both count as far as the tokens differ.

    Served adapters don't count, for the state is the bare model's.
    """
    options: Options = job.options
    parts = [
        FORMAT,
        build,
        job.files.digest or _stamps(parts_of(job.files.path)),
        # The declared options, the sizes made of them, and files that may change under their name.
        repr(options),
        repr(sizing),
        _stamps(adapter.path for adapter in options.lora),
        offloads,
        list(tokens),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _stamps(paths: Iterable[Path]) -> list[tuple[str, int, int]]:
    statuses = ((path, path.stat()) for path in paths)
    return [(str(path), status.st_size, status.st_mtime_ns) for path, status in statuses]
