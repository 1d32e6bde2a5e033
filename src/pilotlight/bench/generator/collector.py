"""The garbage collector kept out of a measurement.

A full collection visits every record made so far: tens of milliseconds in which nothing is sent
or stamped. The generator makes no cycles for each request, so the young generation is enough.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_YOUNG, _MIDDLE, _FULL = 20_000, 50, 100_000


@contextlib.contextmanager
def rare_collections() -> Iterator[None]:
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _FULL)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
