"""What one answer says beyond its own times."""

from __future__ import annotations

from pilotlight.bench.record import Record


def itl_ms(record: Record) -> list[float]:
    """Empty where the server didn't say how many tokens its pieces had."""
    if not record.output_tokens:
        return []
    tokens_per_read = record.output_tokens / (len(record.gaps_ms) + 1)
    return [gap / tokens_per_read for gap in record.gaps_ms]


def own_rate(record: Record) -> float | None:
    seconds = record.ended_s - record.sent_s
    if record.output_tokens is None or seconds <= 0:
        return None
    return record.output_tokens / seconds
