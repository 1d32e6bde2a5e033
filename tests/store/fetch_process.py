"""Run as a program: fetch URL with its SHA-256 to a partial file over so many connections."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pilotlight.core import ModelRef
from pilotlight.store.fetch import fetch
from pilotlight.store.limits import Limits
from pilotlight.store.progress import Reporter
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Description


async def main() -> None:
    url, target, sha256, connections = sys.argv[1:]
    fetched = await fetch(
        Description(url, "model.gguf", sha256=sha256),
        Path(target),
        retry=Retry(),
        reporter=Reporter(ModelRef("https", url), None),
        limits=Limits(connections=int(connections)),
    )
    print(fetched.sha256)


asyncio.run(main())
