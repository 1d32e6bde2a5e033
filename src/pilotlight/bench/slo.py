"""The service level that a run is held against."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.bench.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """What one request must keep; `share` of all have to. None is no limit."""

    name: str = "asked"
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None
    share: float = 0.95
    source: str = "asked"

    def met_by(self, record: Record) -> bool:
        """An error is a miss; so is what couldn't be measured, but for the TPOT of one token, or of
        tokens that came in one piece: nobody waited for the later ones."""
        if (
            not record.ok
            or _over(record.ttft_ms, self.ttft_ms)
            or _over(record.e2e_ms, self.e2e_ms)
        ):
            return False
        if self.tpot_ms is None or record.output_tokens == 1:
            return True
        if record.output_tokens and record.first_s == record.last_s:
            return True
        return not _over(record.tpot_ms, self.tpot_ms)


def _over(value: float | None, limit: float | None) -> bool:
    return limit is not None and (value is None or value > limit)
