"""Run as a program: resolve one ref, and be killed right after the named step of storing it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.store import intake
from pilotlight.store.store import Store


def dying(steps: Callable[..., Iterator[str]], last: str) -> Callable[..., Iterator[str]]:
    def generator(*args: Any) -> Iterator[str]:
        for step in steps(*args):
            yield step
            if step == last:
                os.kill(os.getpid(), signal.SIGKILL)

    return generator


async def main(directory: str, endpoint: str, ref: str, step: str) -> None:
    intake.publish = dying(intake.publish, step)
    intake.settle = dying(intake.settle, step)
    store = Store(Path(directory), StoreSettings(hf_endpoint=endpoint))
    await store.resolve(ModelRef.parse(ref))
    store.settle()


asyncio.run(main(*sys.argv[1:]))
