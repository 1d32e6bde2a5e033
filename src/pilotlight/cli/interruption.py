"""Other ways to be told to stop than Ctrl-C: a scheduler's limit, or a terminal that is gone."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def stopped_alike() -> Iterator[None]:
    """SIGTERM and SIGHUP do what Ctrl-C does: what was measured is kept, and what was started for
    it is stopped. One that is ignored, as under `nohup`, stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    mine = [each for each in _SIGNALS if signal.getsignal(each) is signal.SIG_DFL]
    for each in mine:
        signal.signal(each, _interrupt)
    try:
        yield
    finally:
        for each in mine:
            signal.signal(each, signal.SIG_DFL)


_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def _interrupt(number: int, frame: Any) -> None:
    signal.raise_signal(signal.SIGINT)
