"""Hosted APIs that a price of one's own is worth a comparison with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pilotlight.catalog.api import ApiPrice

SAME = 4
"""As many sellers of the same model, the cheapest ones."""

KNOWN = (
    "openai/gpt-4o", "openai/gpt-4o-mini", "openai/gpt-4.1-mini", "openai/gpt-5",
    "openai/gpt-5-mini", "anthropic/claude-sonnet-4-5", "anthropic/claude-haiku-4-5",
    "google/gemini-2.5-flash",
)  # fmt: skip


def rivals(apis: Mapping[str, ApiPrice], model: str | None) -> Sequence[str]:
    """Who sells the same model, then the ones that everybody knows."""
    same = sorted(
        (name for name, row in apis.items() if model is not None and row.model == model),
        key=lambda name: apis[name].output_usd_per_mtok,
    )
    return tuple(dict.fromkeys([*same[:SAME], *(name for name in KNOWN if name in apis)]))
