"""The terminal's view of a benchmark while it runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilotlight.bench.live import Live


@contextlib.contextmanager
def live_view() -> Iterator[Live]:
    """On standard error, so that what is printed can be piped."""
    from pilotlight.bench.live import Live

    with Live(sys.stderr) as view:
        yield view
