"""One fetch as a process of its own: prints its seconds, from the first call to verified.

python -m benchmarks.wire_fetch URL TARGET SHA256 CONNECTIONS
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from pilotlight.core import ModelRef
from pilotlight.store.fetch import fetch
from pilotlight.store.limits import Limits
from pilotlight.store.progress import Reporter
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Description


async def main() -> None:
    url, target, sha256, connections = sys.argv[1:]
    description = Description(url, "model.gguf", sha256=sha256)
    reporter = Reporter(ModelRef("https", url), None)
    limits = Limits(connections=int(connections))
    began = time.perf_counter()
    await fetch(description, Path(target), retry=Retry(), reporter=reporter, limits=limits)
    print(time.perf_counter() - began)


asyncio.run(main())
