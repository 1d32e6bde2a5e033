"""This machine's meter, opened beside the start of the server: nobody should wait for a driver."""

from __future__ import annotations

import logging
import threading
import time

from pilotlight.config import LedgerSettings
from pilotlight.meter.ledger.power import Total
from pilotlight.meter.meter import PATIENCE_S, Meter

log = logging.getLogger(__name__)

KEEP_S = 60.0
"""Samples are of no use to the ledger once they are in the total."""

_UNKNOWN = Meter(()).total()


class Electricity:
    """Unknown until the meter is open; and for good where it can't be."""

    def __init__(self, settings: LedgerSettings) -> None:
        self._settings = settings
        self._meter: Meter | None = None
        self._opening: threading.Thread | None = None

    def begin(self) -> None:
        if self._settings.enabled and self._settings.meter:
            self._opening = threading.Thread(target=self._open, name="meter-open", daemon=True)
            self._opening.start()

    def total(self) -> Total:
        return _UNKNOWN if self._meter is None else self._meter.total()

    def close(self) -> None:
        if self._opening is not None:
            self._opening.join(PATIENCE_S)  # else it hangs, as its driver does
        if self._meter is not None:
            self._meter.stop()

    def _open(self) -> None:
        from pilotlight.meter.registry import meter_here  # it reads the catalog

        try:
            meter = meter_here(
                rated_w=self._settings.rated_w,
                keep_s=KEEP_S,
                clock=time.monotonic,  # the router's and so the ledger's
            )
            meter.start()
        except Exception:  # a driver's trouble is no reason not to serve
            log.warning("electricity can't be metered", exc_info=True)
            return
        self._meter = meter
