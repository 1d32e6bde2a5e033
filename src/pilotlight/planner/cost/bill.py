"""A month's bill, line by line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """`quantity` of a `unit` at so much each."""

    label: str
    quantity: float
    unit: str
    usd_per_unit: float

    @property
    def usd(self) -> float:
        return self.quantity * self.usd_per_unit

    @property
    def arithmetic(self) -> str:
        return (
            f"{self.label}: {self.quantity:,.6g} {self.unit} × ${self.usd_per_unit:.9g} "
            f"= ${self.usd:,.4g}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Dollars of a month; lines of nothing are left out."""

    items: tuple[Item, ...]
    requests: float
    input_tokens: float
    output_tokens: float

    @property
    def usd_per_month(self) -> float:
        return sum(item.usd for item in self.items)

    @property
    def usd_per_request(self) -> float:
        return self.usd_per_month / self.requests

    @property
    def usd_per_mtok(self) -> float:
        """For a million output tokens; the prompts' cost is in it."""
        return self.usd_per_month / self.output_tokens * 1e6

    @property
    def usd_per_total_mtok(self) -> float:
        """For a million tokens, prompt and output together."""
        return self.usd_per_month / (self.input_tokens + self.output_tokens) * 1e6

    @property
    def arithmetic(self) -> tuple[str, ...]:
        return tuple(item.arithmetic for item in self.items)

    @property
    def parts(self) -> dict[str, float]:
        """Dollars by label; tiers of one are added up."""
        found: dict[str, float] = {}
        for item in self.items:
            found[item.label] = found.get(item.label, 0.0) + item.usd
        return found
