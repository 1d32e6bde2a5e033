"""Run as a program: resolve one ref, print each step, end with the file's path."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.store.progress import Progress
from pilotlight.store.store import Store


def step(progress: Progress) -> None:
    print(progress.phase, progress.done_bytes, flush=True)


async def main() -> None:
    store = Store(Path(sys.argv[1]), StoreSettings())
    files = await store.resolve(ModelRef.parse(sys.argv[2]), report=step)
    print("path", files.path, flush=True)


asyncio.run(main())
