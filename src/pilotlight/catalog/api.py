"""What hosted APIs take for a token: the thing a plan of one's own has to beat."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.catalog.row import NotNegative, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPrice(Row):
    """One model at one provider, in US dollars for a million tokens; named provider/model."""

    provider: str
    api_model: str
    input_usd_per_mtok: NotNegative
    output_usd_per_mtok: NotNegative
    cached_input_usd_per_mtok: NotNegative | None = None
    model: str | None = None
    """The catalog's open model that this is; None where its weights aren't to be had."""

    def usd(self, input_tokens: float, output_tokens: float) -> float:
        return (
            input_tokens * self.input_usd_per_mtok + output_tokens * self.output_usd_per_mtok
        ) / 1e6
