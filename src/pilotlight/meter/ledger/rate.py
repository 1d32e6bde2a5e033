"""What this machine costs: its hardware or rent by the second, its electricity by the joule."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.config import LedgerSettings

YEAR_S = 365.25 * 86400
JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class Rate:
    """In dollars; None where nobody said."""

    usd_per_s: float | None = None
    usd_per_joule: float | None = None

    @classmethod
    def of(cls, settings: LedgerSettings) -> Rate:
        """Hardware lives so many years, day and night; rent comes on top where both are given."""
        parts = []
        if settings.hardware_usd is not None:
            parts.append(settings.hardware_usd / (settings.hardware_years * YEAR_S))
        if settings.usd_per_hour is not None:
            parts.append(settings.usd_per_hour / 3600)
        kwh = settings.usd_per_kwh
        return cls(sum(parts) if parts else None, None if kwh is None else kwh / JOULES_PER_KWH)

    @property
    def known(self) -> bool:
        return self.usd_per_s is not None or self.usd_per_joule is not None

    def usd(self, seconds: float, joules: float) -> float:
        """Of the parts that are known; whether half a cost counts is the caller's to say."""
        return (self.usd_per_s or 0.0) * seconds + (self.usd_per_joule or 0.0) * joules
